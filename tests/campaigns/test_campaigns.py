"""Short forms of the campaigns; each says at its head how it is run in full."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import kill_anywhere

linux = pytest.mark.skipif(sys.platform != "linux", reason="commands are forked")


@linux
@pytest.mark.parametrize("name", kill_anywhere.COMMANDS)
def test_a_kill_anywhere(name: str) -> None:
    assert list(kill_anywhere.campaign([name], every=25, moments=1, seed=1))
