"""The list of runs: its order, damaged and unfinished ones, and finding one."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from forged import day, forge, noisy, write_record

from kaggleprice.core.errors import RunFolderError, UnknownNameError, UsageError
from kaggleprice.runs import listing
from kaggleprice.runs.record import read_record
from kaggleprice.runs.run import FINISHED, INTERRUPTED, UNREADABLE, Run
from kaggleprice.settings.run import make_settings, settings_to_record


def cut(folder: Path) -> None:
    file = folder / "run.json"
    file.write_bytes(file.read_bytes()[:100])


def no_record(folder: Path) -> None:
    (folder / "run.json").unlink()


def of_old_version(folder: Path) -> None:
    write_record(folder, {**read_record(folder), "schema_version": 1})


def with_settings(folder: Path, **settings: Any) -> None:
    rest = {k: v for k, v in read_record(folder).items() if k != "digest"}
    write_record(folder, {**rest, "settings": settings or rest["settings"]})


def of_another_program(folder: Path) -> None:
    with_settings(folder, colour="red")


def of_unknown_recipe(folder: Path) -> None:
    with_settings(folder, **{**read_record(folder)["settings"], "recipe_name": "secret"})


DAMAGES = [cut, of_old_version, of_another_program, of_unknown_recipe, no_record]


# The list.


def names(runs: list[Run]) -> list[str]:
    return [f"{run.competition}/{run.name}" for run in runs]


def test_best_first_by_competition(runs_dir: Path) -> None:
    assert names(listing.list_runs(runs_dir)) == ["other/a", "small/b", "small/a", "small/c"]
    assert names(listing.list_runs(runs_dir, "small")) == ["small/b", "small/a", "small/c"]
    assert {run.state for run in listing.list_runs(runs_dir)} == {FINISHED}


def test_of_equal_scores_the_latest_is_first(tmp_path: Path) -> None:
    for name, finished in [("x", day(1)), ("z", day(3)), ("y", day(2))]:
        forge(tmp_path / "small" / name, noisy(1), finished=finished)
    assert names(listing.list_runs(tmp_path)) == ["small/z", "small/y", "small/x"]


def test_there_is_nothing_to_list(tmp_path: Path) -> None:
    assert listing.list_runs(tmp_path / "runs") == []
    (tmp_path / "runs" / "small" / "mine").mkdir(parents=True)
    (tmp_path / "runs" / "small" / "mine" / "notes.txt").write_text("mine", encoding="utf-8")
    (tmp_path / "runs" / "README").write_text("mine", encoding="utf-8")
    assert listing.list_runs(tmp_path / "runs") == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_run_stops_no_list(runs_dir: Path, damage: Callable[[Path], None]) -> None:
    damage(runs_dir / "small" / "b")
    runs = listing.list_runs(runs_dir, "small")
    assert names(runs) == ["small/a", "small/c", "small/b"]
    assert runs[-1].state == UNREADABLE
    assert runs[-1].record == {}
    assert "run.json" in runs[-1].problem
    assert runs[-1].problem.endswith(".")
    assert abs(runs[-1].changed - time.time()) < 600


def test_unfinished_runs_are_told_apart(runs_dir: Path) -> None:
    left = runs_dir / "small" / ".unfinished-0123456789abcdef"
    left.mkdir()
    (left / "checkpoint.safetensors").write_bytes(b"")
    other = runs_dir / "third" / ".unfinished-00000000000000ab"
    other.mkdir(parents=True)
    for folder in (left, other):
        (folder / "identity.json").write_text("{}", encoding="utf-8")
    runs = listing.list_runs(runs_dir, "small")
    assert [(run.name, run.state) for run in runs[-2:]] == [
        ("c", FINISHED),
        (left.name, INTERRUPTED),
    ]
    assert "goes on with it" in runs[-1].problem
    assert names(listing.list_runs(runs_dir))[-1] == "third/.unfinished-00000000000000ab"


@pytest.mark.parametrize("content", ["{", "{}", '{"k": 2, "settings": {}}'])
def test_an_unfinished_run_may_say_nothing_of_itself(runs_dir: Path, content: str) -> None:
    left = runs_dir / "small" / ".unfinished-00000000000000ab"
    left.mkdir()
    (left / "identity.json").write_text(content, encoding="utf-8")
    run = listing.list_runs(runs_dir, "small")[-1]
    assert (run.state, run.has_settings, run.members) == (INTERRUPTED, False, None)


@pytest.mark.parametrize(("target", "members"), [("a", 6), (["a", "b"], 12)])
def test_an_unfinished_run_says_how_many_networks_it_has(
    runs_dir: Path, target: str | list[str], members: int
) -> None:
    left = runs_dir / "small" / ".unfinished-00000000000000ab"
    left.mkdir()
    settings = settings_to_record(make_settings(options={"seeds": 3, "k": 9, "portfolio": ()}))
    # A file of folds may have another number of them.
    identity = {"settings": settings, "k": 2, "columns": {"target_column": target}}
    (left / "identity.json").write_text(json.dumps(identity), encoding="utf-8")
    assert listing.list_runs(runs_dir, "small")[-1].members == members


# Finding one.


@pytest.mark.parametrize(
    ("competition", "name", "found"),
    [
        (None, "b", "small/b"),
        ("small", "a", "small/a"),
        (None, "other/a", "other/a"),
        (None, None, "other/a"),
        ("small", None, "small/c"),
    ],
)
def test_find(runs_dir: Path, competition: str | None, name: str | None, found: str) -> None:
    assert names([listing.find_run(runs_dir, competition, name)]) == [found]


def test_find_by_path(runs_dir: Path, tmp_path: Path) -> None:
    moved = (runs_dir / "small" / "b").rename(tmp_path / "kept")
    assert listing.find_run(runs_dir, None, str(moved)).path == moved
    assert listing.find_run(runs_dir, None, f"{runs_dir}/small/a/").name == "a"


def test_a_name_that_two_competitions_have(runs_dir: Path) -> None:
    with pytest.raises(UsageError, match=r"a may be any of other/a, small/a"):
        listing.find_run(runs_dir, None, "a")


def test_the_latest_is_one_that_can_be_read(runs_dir: Path) -> None:
    cut(runs_dir / "small" / "c")
    assert listing.find_run(runs_dir, "small", None).name == "a"
    for name in "ab":
        cut(runs_dir / "small" / name)
    with pytest.raises(RunFolderError, match="damaged"):
        listing.find_run(runs_dir, "small", None)


def test_no_run_yet(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no run of small in .* yet; make one with"):
        listing.find_run(tmp_path, "small", None)


def test_find_competition(runs_dir: Path, tmp_path: Path) -> None:
    assert listing.find_competition(runs_dir, "small") == "small"
    assert listing.find_competition(runs_dir, "house-prices") == "house-prices"
    toml = tmp_path / "mine.toml"
    toml.write_text(
        'name = "mine"\nid_column = "a"\ntarget_column = "b"\n[train]\npath = "x"\n'
        '[test]\npath = "y"\n',
        encoding="utf-8",
    )
    assert listing.find_competition(runs_dir, str(toml)) == "mine"
    with pytest.raises(UnknownNameError, match="Did you mean 'small'"):
        listing.find_competition(runs_dir, "smal")


def test_stored_files(runs_dir: Path) -> None:
    folder = runs_dir / "small" / "a"
    (folder / "submission.csv").write_text("12345", encoding="utf-8")
    (folder / "oof.csv").write_text("altered", encoding="utf-8")
    (folder / "folds.csv").unlink()
    found = {file.name: file for file in Run.describe(folder).stored_files()}
    assert {name: file.state for name, file in found.items()} == {
        "folds.csv": "missing",
        "oof.csv": "altered",
        "run.json": "ok",
        "submission.csv": "later",
    }
    assert (found["submission.csv"].bytes, found["folds.csv"].bytes) == (5, 0)


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no such permissions there")
def test_a_folder_that_cannot_be_entered_hides_no_other() -> None:
    """Root may enter any, and so is somebody else here."""
    with tempfile.TemporaryDirectory() as place:
        runs_dir = Path(place) / "runs"
        Path(place).chmod(0o755)
        for name in ("a", "b"):
            forge(runs_dir / "small" / name, noisy(1))
        closed, root = runs_dir / "small" / "a", os.geteuid() == 0
        closed.chmod(0)
        if root:
            os.seteuid(65534)
        try:
            found = listing.list_runs(runs_dir)
        finally:
            if root:
                os.seteuid(0)
            closed.chmod(0o755)
    assert [(run.name, run.state) for run in found] == [("b", FINISHED), ("a", UNREADABLE)]
    assert "Permission denied" in found[1].problem
