"""Short forms of the campaigns; each says at its head how it is run in full."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import fuzz
import kill_anywhere
import same_bytes

linux = pytest.mark.skipif(sys.platform != "linux", reason="commands are forked")


def told_by(campaign: str, only: str, *options: str) -> list[str]:
    """The lines of a campaign that forks, in a process that has imported nothing."""
    command = [sys.executable, Path(__file__).with_name(f"{campaign}.py"), "--only", only, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@linux
@pytest.mark.parametrize("name", kill_anywhere.COMMANDS)
def test_a_kill_anywhere(name: str) -> None:
    assert list(kill_anywhere.campaign([name], every=25, moments=1, seed=1))


@linux
def test_many_at_once() -> None:
    assert len(told_by("many_at_once", "cv --add-seeds,predict", "--processes", "6")) == 3


@linux
def test_little_memory() -> None:
    assert len(told_by("hostile_places", "cv", "--places", "little memory")) == 1


@linux
def test_the_same_bytes() -> None:
    assert len(list(same_bytes.campaign(["book"], 2))) == 3


def test_inputs_that_were_read_wrongly_once(tmp_path: Path) -> None:
    kinds = fuzz.make_kinds(tmp_path)
    files = [path for path in fuzz.CORPUS.rglob("*") if path.is_file()]
    assert files
    for path in files:
        kind = kinds[path.parent.name.replace("-", " ")]
        assert not fuzz.fault_of(kind, path.read_bytes()), path


def test_other_damaged_input(tmp_path: Path) -> None:
    for name, tried, faults in fuzz.campaign(fuzz.make_kinds(tmp_path), 60, seed=1, count=40):
        assert (tried, faults) == (40, {}), name
