"""The history: order, damaged and unfinished runs, words for settings, and what may be removed."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from forged import forge, noisy, write_record

from kaggleprice.core.errors import OutputError, RunFolderError, UnknownNameError, UsageError
from kaggleprice.runs import describe, listing, pruning
from kaggleprice.runs.listing import FINISHED, INTERRUPTED, UNREADABLE, Listed, stored_files
from kaggleprice.runs.records import read_record
from kaggleprice.settings.run import PRESETS, SETTINGS, RunSettings, make_settings


def day(number: int) -> str:
    return f"2026-01-{number:02d}T00:00:00+00:00"


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    """Of small: best b, then a, the latest c; of other: a."""
    runs = tmp_path / "runs"
    forge(runs / "small" / "a", noisy(1, 0.2), finished=day(2))
    forge(runs / "small" / "b", noisy(2, 0.1), finished=day(1))
    forge(runs / "small" / "c", noisy(3, 0.3), finished=day(3))
    forge(runs / "other" / "a", noisy(4, 0.1), finished=day(4))
    return runs


def names(runs: list[Listed]) -> list[str]:
    return [f"{run.competition}/{run.name}" for run in runs]


def cut(folder: Path) -> None:
    file = folder / "run.json"
    file.write_bytes(file.read_bytes()[:100])


def of_old_version(folder: Path) -> None:
    write_record(folder, {**read_record(folder), "schema_version": 1})


def of_another_program(folder: Path) -> None:
    rest = {k: v for k, v in read_record(folder).items() if k != "digest"}
    write_record(folder, {**rest, "settings": {"colour": "red"}})


def of_unknown_recipe(folder: Path) -> None:
    rest = {k: v for k, v in read_record(folder).items() if k != "digest"}
    write_record(folder, {**rest, "settings": {**rest["settings"], "recipe_name": "secret"}})


def no_record(folder: Path) -> None:
    (folder / "run.json").unlink()


DAMAGES = [cut, of_old_version, of_another_program, of_unknown_recipe, no_record]


# The list.


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
    assert runs[-1].record is None
    assert "run.json" in runs[-1].problem
    assert runs[-1].problem.endswith(".")
    assert abs(runs[-1].changed - time.time()) < 600


def test_unfinished_runs_are_told_apart(runs_dir: Path) -> None:
    left = runs_dir / "small" / ".unfinished-0123456789abcdef"
    left.mkdir()
    (left / "checkpoint.safetensors").write_bytes(b"")
    (runs_dir / "third" / ".unfinished-x").mkdir(parents=True)
    runs = listing.list_runs(runs_dir, "small")
    assert [(run.name, run.state) for run in runs[-2:]] == [
        ("c", FINISHED),
        (left.name, INTERRUPTED),
    ]
    assert "goes on with it" in runs[-1].problem
    assert names(listing.list_runs(runs_dir))[-1] == "third/.unfinished-x"


@pytest.mark.parametrize("content", ["{", "{}", '{"k": 2, "settings": {}}'])
def test_an_unfinished_run_may_say_nothing_of_itself(runs_dir: Path, content: str) -> None:
    left = runs_dir / "small" / ".unfinished-x"
    left.mkdir()
    (left / "identity.json").write_text(content, encoding="utf-8")
    run = listing.list_runs(runs_dir, "small")[-1]
    assert (run.state, run.settings, run.members) == (INTERRUPTED, None, None)


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
    assert names([listing.find_listed(runs_dir, competition, name)]) == [found]


def test_find_by_path(runs_dir: Path, tmp_path: Path) -> None:
    moved = (runs_dir / "small" / "b").rename(tmp_path / "kept")
    assert listing.find_listed(runs_dir, None, str(moved)).path == moved
    assert listing.find_listed(runs_dir, None, f"{runs_dir}/small/a/").name == "a"


def test_a_name_that_two_competitions_have(runs_dir: Path) -> None:
    with pytest.raises(UsageError, match=r"a may be any of other/a, small/a"):
        listing.find_listed(runs_dir, None, "a")


def test_an_unknown_name_gets_the_nearest(runs_dir: Path) -> None:
    forge(runs_dir / "small" / "mlp-001", noisy(1))
    with pytest.raises(UnknownNameError, match="Did you mean 'mlp-001'"):
        listing.find_listed(runs_dir, "small", "mlp-01")


def test_a_damaged_run_by_name_says_what_is_wrong(runs_dir: Path) -> None:
    of_old_version(runs_dir / "small" / "b")
    with pytest.raises(RunFolderError, match="schema version 1"):
        listing.find_listed(runs_dir, "small", "b")


def test_the_latest_is_one_that_can_be_read(runs_dir: Path) -> None:
    cut(runs_dir / "small" / "c")
    assert listing.find_listed(runs_dir, "small", None).name == "a"
    for name in "ab":
        cut(runs_dir / "small" / name)
    with pytest.raises(RunFolderError, match="damaged"):
        listing.find_listed(runs_dir, "small", None)


def test_no_run_yet(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no run of small in .* yet; make one with"):
        listing.find_listed(tmp_path, "small", None)


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


# Words for settings.


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_called_by_its_name(name: str) -> None:
    settings = PRESETS[name].settings
    assert describe.nearest_preset(settings) == (name, {})
    assert describe.short_settings(settings) == name
    assert describe.typed_settings(settings) == ("" if name == "default" else f"--preset {name}")


@pytest.mark.parametrize(
    ("preset", "options", "short"),
    [
        ("default", {"k": 3}, "default: k 3"),
        ("default", {"shuffle": False}, "default: no-shuffle"),
        ("default", {"seeds": 2, "epochs": 2}, "fast: epochs 2"),
        ("default", {"lr": 0.02, "epochs": 9}, "default: lr 0.02, epochs 9"),
        # Two presets need as many options beside them: the default, which need not be typed.
        ("fast", {"seeds": 1, "epochs": 9}, "default: epochs 9, seeds 1"),
        ("default", {"seeds": 2, "epochs": 30, "k": 3}, "fast: k 3"),
        ("book", {"seeds": 20, "engineering": True}, "book: engineering, seeds 20"),
        ("default", {"recipe": "book"}, "default: recipe book"),
        ("best", {"k": 3}, "best: k 3"),
        ("best", {"partners": ("boosting", "ridge")}, "best: partners boosting,ridge"),
        (
            "default",
            {"activation": ("gelu",), "dropout": ((0.3, 0.1), (0.2,)), "clip": None},
            "default: activation gelu, dropout 0.3,0.1/0.2, clip none",
        ),
    ],
)
def test_words_for_settings(preset: str, options: dict[str, Any], short: str) -> None:
    settings = make_settings(preset, options)
    assert sorted(describe.short_settings(settings).split(": ")[1].split(", ")) == sorted(
        short.split(": ")[1].split(", ")
    )
    assert describe.short_settings(settings).split(":")[0] == short.split(":")[0]
    assert read_back(describe.typed_settings(settings)) == settings


def read_back(typed: str) -> RunSettings:
    """What the command line makes of these options."""
    words, preset, options = typed.split(), "default", {}
    while words:
        flag = words.pop(0).removeprefix("--")
        if flag == "preset":
            preset = words.pop(0)
            continue
        name = flag.removeprefix("no-").replace("-", "_")
        option = SETTINGS[name]
        value = not flag.startswith("no-") if option.is_switch else option.parse(words.pop(0))
        options[name] = value
    return make_settings(preset, options)


@pytest.mark.parametrize(
    ("competition", "command"),
    [
        ("house-prices", "kaggleprice cv --preset book --seeds 20"),
        ("sample", "kaggleprice cv --preset book --seeds 20 -c sample"),
        ("small", "kaggleprice cv --preset book --seeds 20 -c FILE.toml"),
    ],
)
def test_a_command_says_whose_run_it_makes(competition: str, command: str) -> None:
    assert describe.typed_command(make_settings("book", {"seeds": 20}), competition) == command


def test_an_old_runs_settings_differ_from_the_default_by_what_changed() -> None:
    settings = make_settings("fast", {"lr": 0.02})
    changed = describe.changed_options(settings)
    assert changed == {"lr": 0.02, "seeds": 2, "epochs": 30}


# What may go.


def plan(runs_dir: Path, keep: int | None = None, **kinds: bool) -> pruning.Pruning:
    return pruning.plan_pruning(listing.list_runs(runs_dir), keep, **kinds)


def test_the_best_and_the_latest_stay(runs_dir: Path) -> None:
    forge(runs_dir / "small" / "d", noisy(5, 0.15), finished=day(1))
    assert names(list(plan(runs_dir, 1).remove)) == ["small/d", "small/a"]
    assert names(list(plan(runs_dir, 2).remove)) == ["small/a"]
    assert names(list(plan(runs_dir, 3).remove)) == []


def test_keeping_says_nothing_of_damaged_and_unfinished_ones(runs_dir: Path) -> None:
    cut(runs_dir / "small" / "b")
    (runs_dir / "small" / ".unfinished-x").mkdir()
    assert names(list(plan(runs_dir, 1).remove)) == []
    assert names(list(plan(runs_dir, unreadable=True).remove)) == ["small/b"]


def test_something_must_be_asked_for(runs_dir: Path) -> None:
    with pytest.raises(UsageError, match="say what to remove"):
        plan(runs_dir)
    with pytest.raises(UsageError, match="--keep must be 1 run or more, found 0"):
        plan(runs_dir, 0)


def test_remove(runs_dir: Path) -> None:
    (run,) = plan(runs_dir, 1).remove
    (run.path / "submission.csv").write_text("Id,Price\n", encoding="utf-8")
    pruning.remove(run)
    assert names(listing.list_runs(runs_dir)) == ["other/a", "small/b", "small/c"]
    assert sorted(p.name for p in (runs_dir / "small").iterdir()) == ["b", "c"]


def test_what_the_user_put_into_a_run_is_kept(runs_dir: Path) -> None:
    for name in ("notes.txt", "submission.csv"):
        (runs_dir / "small" / "a" / name).write_text("mine", encoding="utf-8")
    found = plan(runs_dir, 1)
    assert found.remove == ()
    ((run, reason),) = found.spared
    assert run.name == "a"
    assert reason == "it holds notes.txt, which no command wrote"


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_is_not_followed(runs_dir: Path, tmp_path: Path) -> None:
    moved = (runs_dir / "small" / "a").rename(tmp_path / "elsewhere")
    (runs_dir / "small" / "a").symlink_to(moved)
    found = plan(runs_dir, 1)
    assert found.remove == ()
    assert "a link" in found.spared[0][1]


def test_a_folder_with_no_record_may_be_the_users_own(runs_dir: Path) -> None:
    own = runs_dir / "small" / "kitchen"
    (own / "recipes").mkdir(parents=True)
    (own / "recipes" / "soup.txt").write_text("salt", encoding="utf-8")
    found = plan(runs_dir, unreadable=True)
    assert found.remove == ()
    assert "a folder of your own" in found.spared[0][1]


def unfinished(runs_dir: Path, age: float = 0) -> Path:
    left = runs_dir / "small" / ".unfinished-x"
    left.mkdir()
    (left / "weights.safetensors").write_bytes(b"")
    for path in (left / "weights.safetensors", left):
        os.utime(path, (time.time() - age, time.time() - age))
    return left


def test_unfinished_ones_go(runs_dir: Path) -> None:
    left = unfinished(runs_dir)
    (left / "lock").write_bytes(b"")
    (run,) = plan(runs_dir, unfinished=True).remove
    pruning.remove(run)
    assert not left.exists()
    assert names(listing.list_runs(runs_dir)) == ["other/a", "small/b", "small/a", "small/c"]


def test_one_that_is_being_trained_stays(runs_dir: Path) -> None:
    left = unfinished(runs_dir)
    # A lock of this process would be given again to this process.
    lock = FileLock(left / "lock")
    with lock:
        found = plan(runs_dir, unfinished=True)
    assert found.remove == ()
    assert found.spared[0][1] == "a process is training it"


@pytest.mark.parametrize(("age", "goes"), [(0, False), (3600, True)])
def test_one_that_is_being_written_stays(runs_dir: Path, age: float, goes: bool) -> None:
    """Such a folder has no lock; seconds later it has its name, or nobody will give it one."""
    unfinished(runs_dir, age)
    found = plan(runs_dir, unfinished=True)
    assert bool(found.remove) == goes
    assert [reason for _, reason in found.spared] == ["a process may be writing it"] * (not goes)


def test_a_run_put_aside_is_not_lost(runs_dir: Path) -> None:
    """`--add-seeds` puts the old run aside for a moment; a kill may leave it there."""
    left = unfinished(runs_dir, 3600)
    shutil.move(runs_dir / "small" / "b", left / "b")
    (left / "lock").write_bytes(b"")
    found = plan(runs_dir, unfinished=True)
    assert found.remove == ()
    assert "holds run b" in found.spared[0][1]


def test_what_an_interrupted_prune_left_goes(runs_dir: Path) -> None:
    left = runs_dir / "small" / ".pruned-x"
    shutil.move(runs_dir / "small" / "a", left / "a")
    (run,) = plan(runs_dir, unfinished=True).remove
    assert (run.path, run.state) == (left, INTERRUPTED)
    assert "prune" in run.problem
    pruning.remove(run)
    assert not left.exists()


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
    assert names(listing.list_runs(runs_dir)) == ["other/a", "small/b", "small/a", "small/c"]
    assert sorted(p.name for p in (runs_dir / "small").iterdir()) == ["a", "b", "c"]


def test_a_lock_that_cannot_be_taken(runs_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    left = unfinished(runs_dir)
    (left / "lock").write_bytes(b"")
    monkeypatch.setattr(FileLock, "acquire", fail)
    with pytest.raises(OutputError, match=r"-x: its lock cannot be taken: Permission denied\.$"):
        plan(runs_dir, unfinished=True)
    assert left.is_dir()


# Files.


def test_stored_files(runs_dir: Path) -> None:
    folder = runs_dir / "small" / "a"
    (folder / "submission.csv").write_text("12345", encoding="utf-8")
    (folder / "oof.csv").write_text("altered", encoding="utf-8")
    (folder / "folds.csv").unlink()
    found = {file.name: file for file in stored_files(listing.read_listed(folder))}
    assert {name: file.state for name, file in found.items()} == {
        "folds.csv": "missing",
        "oof.csv": "altered",
        "run.json": "ok",
        "submission.csv": "later",
    }
    assert (found["submission.csv"].size, found["folds.csv"].size) == (5, 0)


def test_the_list_loads_nothing_heavy() -> None:
    """It is looked at often: a program that imports it has neither torch nor pandas."""
    import subprocess

    program = "import sys, kaggleprice.runs.pruning; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    found = set(done.stdout.split())
    assert "filelock" in found
    assert not found & {"numpy", "pandas", "torch", "sklearn", "scipy"}


def test_forged_runs_look_like_real_ones(runs_dir: Path) -> None:
    """What makes these tests tests: the reader takes them for runs."""
    record = json.loads((runs_dir / "small" / "a" / "run.json").read_text(encoding="utf-8"))
    assert record == read_record(runs_dir / "small" / "a")
