"""Run folders that the tests of this folder share."""

from __future__ import annotations

from pathlib import Path

import pytest
from forged import day, forge, noisy


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    """Of small: best b, then a, the latest c; of other: a."""
    runs = tmp_path / "runs"
    forge(runs / "small" / "a", noisy(1, 0.2), finished=day(2))
    forge(runs / "small" / "b", noisy(2, 0.1), finished=day(1))
    forge(runs / "small" / "c", noisy(3, 0.3), finished=day(3))
    forge(runs / "other" / "a", noisy(4, 0.1), finished=day(4))
    return runs
