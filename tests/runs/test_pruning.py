"""Pruning: which run folders may go, and which never do."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from forged import day, forge, noisy

from kaggleprice.core.errors import OutputError, UsageError
from kaggleprice.core.progress import SILENT
from kaggleprice.runs import listing, pruning
from kaggleprice.runs.exclusive import changing


def remaining(runs_dir: Path) -> list[str]:
    return [f"{run.competition}/{run.name}" for run in listing.list_runs(runs_dir)]


def cut(folder: Path) -> None:
    file = folder / "run.json"
    file.write_bytes(file.read_bytes()[:100])


def no_record(folder: Path) -> None:
    (folder / "run.json").unlink()


def plan(runs_dir: Path, keep: int | None = None, **kinds: bool) -> pruning.Pruning:
    return pruning.plan_pruning(listing.list_runs(runs_dir), keep, **kinds)


@pytest.mark.parametrize(("keep", "goes"), [(1, ["d", "a"]), (2, ["a"]), (3, [])])
def test_the_best_and_the_latest_stay(runs_dir: Path, keep: int, goes: list[str]) -> None:
    forge(runs_dir / "small" / "d", noisy(5, 0.15), finished=day(1))
    assert [run.name for run in plan(runs_dir, keep).remove] == goes


def test_keeping_says_nothing_of_damaged_and_unfinished_ones(runs_dir: Path) -> None:
    cut(runs_dir / "small" / "b")
    (runs_dir / "small" / ".unfinished-00000000000000ab").mkdir()
    assert plan(runs_dir, 1).remove == ()
    assert [run.name for run in plan(runs_dir, unreadable=True).remove] == ["b"]


def test_less_than_one_run_cannot_be_kept(runs_dir: Path) -> None:
    with pytest.raises(UsageError, match="--keep must be 1 run or more, found 0"):
        plan(runs_dir, 0)


def test_remove(runs_dir: Path) -> None:
    (run,) = plan(runs_dir, 1).remove
    (run.path / "submission.csv").write_text("Id,Price\n", encoding="utf-8")
    pruning.remove(run)
    assert remaining(runs_dir) == ["other/a", "small/b", "small/c"]
    assert sorted(p.name for p in (runs_dir / "small").iterdir()) == ["b", "c"]


def linked(runs_dir: Path) -> None:
    moved = (runs_dir / "small" / "a").rename(runs_dir.parent / "elsewhere")
    (runs_dir / "small" / "a").symlink_to(moved)


def with_no_record(runs_dir: Path) -> None:
    own = runs_dir / "small" / "kitchen"
    (own / "recipes").mkdir(parents=True)
    (own / "recipes" / "soup.txt").write_text("salt", encoding="utf-8")


@pytest.mark.parametrize(
    ("make", "keep", "reason"),
    [
        (linked, 1, "a link to a folder elsewhere"),
        (with_no_record, None, "a folder of your own"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_what_may_be_the_users_own_stays(
    runs_dir: Path, make: Callable[[Path], None], keep: int | None, reason: str
) -> None:
    make(runs_dir)
    found = plan(runs_dir, keep, unreadable=True)
    assert found.remove == ()
    assert reason in found.spared[0][1]


def unfinished(runs_dir: Path) -> Path:
    left = runs_dir / "small" / ".unfinished-00000000000000ab"
    left.mkdir()
    (left / "weights.safetensors").write_bytes(b"")
    (left / "identity.json").write_text("{}", encoding="utf-8")
    return left


def test_unfinished_ones_go(runs_dir: Path) -> None:
    left = unfinished(runs_dir)
    (left / "lock").write_bytes(b"")
    (run,) = plan(runs_dir, unfinished=True).remove
    pruning.remove(run)
    assert not left.exists()
    assert remaining(runs_dir) == ["other/a", "small/b", "small/a", "small/c"]


def test_one_that_is_being_trained_stays(runs_dir: Path) -> None:
    left = unfinished(runs_dir)
    # A lock of this process would be given again to this process.
    lock = FileLock(left / "lock")
    with lock:
        found = plan(runs_dir, unfinished=True)
    assert found.remove == ()
    assert found.spared[0][1] == "a process is training it"


def test_a_run_that_gets_more_seeds_stays(runs_dir: Path) -> None:
    with changing(runs_dir / "small" / "a", SILENT):
        found = plan(runs_dir, 1)
    assert found.remove == ()
    assert found.spared[0][1] == "a process changes it"


@pytest.mark.parametrize("change", [cut, no_record, shutil.rmtree])
def test_one_that_changed_since_it_was_shown_stays(
    runs_dir: Path, change: Callable[[Path], None]
) -> None:
    (run,) = plan(runs_dir, 1).remove
    change(run.path)
    there = run.path.exists()
    with pytest.raises(OutputError, match="was not removed"):
        pruning.remove(run)
    assert run.path.exists() == there


def test_another_run_of_the_same_name_stays(runs_dir: Path) -> None:
    (run,) = plan(runs_dir, 1).remove
    shutil.rmtree(run.path)
    forge(run.path, noisy(9))
    with pytest.raises(OutputError, match="changed since it was listed"):
        pruning.remove(run)
    assert run.path.is_dir()


def test_a_folder_that_cannot_be_renamed(runs_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    (run,) = plan(runs_dir, 1).remove
    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OutputError, match=r"cannot remove .*: Permission denied"):
        pruning.remove(run)
    monkeypatch.undo()
    assert remaining(runs_dir) == ["other/a", "small/b", "small/a", "small/c"]
    assert sorted(p.name for p in (runs_dir / "small").iterdir()) == ["a", "b", "c"]
