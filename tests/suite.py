"""Ten real competitions as their competitors find them; they are not part of the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_NAMED = os.environ.get("KAGGLEPRICE_REAL_SUITE")
SUITE = Path(_NAMED) if _NAMED else Path(__file__).parents[2] / "shared" / "suite"
needs_suite = pytest.mark.skipif(
    not SUITE.is_dir(), reason=f"the ten competitions are not here: there is no folder {SUITE}"
)
