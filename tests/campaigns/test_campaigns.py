"""Short forms of the campaigns; each says at its head how it is run in full."""

from __future__ import annotations

import subprocess
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


@linux
def test_many_at_once() -> None:
    """In a process that has imported nothing, since it forks."""
    script = Path(__file__).parent / "many_at_once.py"
    command = [sys.executable, script, "--only", "cv --add-seeds,predict", "--processes", "6"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3
