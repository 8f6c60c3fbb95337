"""`kaggleprice tune`: searched, written as a preset, used, shown; all else is left alone."""

from __future__ import annotations

import json
import shlex
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from entry_point import EntryPoint, Finished
from small import write_small

SEARCH = shlex.split("--portfolio robust,tanh --inner-blocks 3 --k 3 --seeds 2 --epochs 2")
SEARCH += shlex.split("--hidden 8 --threads 1 --trials 4 --population 2")


def succeeded(done: Finished) -> Finished:
    assert done.code == 0, done.err
    return done


def timeless(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != "seconds"}


@pytest.fixture(scope="module")
def folder(entry: EntryPoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a search was made."""
    made = tmp_path_factory.mktemp("tune")
    write_small(made)
    (made / "kaggleprice.toml").write_text("# mine\nseeds = 2\n\n[predict]\noutput = 's.csv'\n")
    done = succeeded(entry("tune", "-c", "small.toml", *SEARCH, "--json", cwd=made))
    (made / "tune.json").write_text(done.out, encoding="utf-8")
    return made


def test_the_preset_is_used_and_marked(entry: EntryPoint, folder: Path) -> None:
    found = json.loads((folder / "tune.json").read_text(encoding="utf-8"))
    assert found["file"] == "kaggleprice.toml"
    text = (folder / "kaggleprice.toml").read_text(encoding="utf-8")
    # What was there stands there.
    assert text.startswith("# mine\nseeds = 2\n\n[predict]\noutput = 's.csv'\n")
    options = ("--preset", "tuned", "--epochs", "2", "--k", "3", "--threads", "1", "--json")
    run = succeeded(entry("cv", "-c", "small.toml", *options, cwd=folder)).json
    (note,) = [note for note in run["notes"] if "ptimistic" in note]
    assert f"{found['nested']['oof']:.5g}" in note
    assert {part["name"] for part in run["parts"]} == {w["name"] for w in found["winners"]}
    succeeded(entry("predict", "-c", "small.toml", cwd=folder))
    assert (folder / "s.csv").exists()
    listed = succeeded(entry("cv", "--preset", "list", "--json", cwd=folder)).json
    assert "tuned" in [preset["name"] for preset in listed["presets"]]


def test_a_search_that_takes_the_place_of_another(entry: EntryPoint, tmp_path: Path) -> None:
    write_small(tmp_path)
    command = ["tune", "-c", "small.toml", *SEARCH]
    first = succeeded(entry(*command, "--json", cwd=tmp_path))
    assert "replaces" not in first.err
    succeeded(entry("tune", "-c", "small.toml", "--show", cwd=tmp_path))
    page = tmp_path / "runs" / "small" / "tuning" / "tuned.html"
    assert page.is_file()
    other = succeeded(entry(*command, "--trials", "2", cwd=tmp_path))
    assert (
        f"replaces the search tuned of before (nested score {first.json['nested']['oof']:.4f}"
        in other.err
    )
    # It spoke of the first.
    assert not page.exists()


def test_scores_belong_together(folder: Path) -> None:
    found = json.loads((folder / "tune.json").read_text(encoding="utf-8"))
    nested, optimism = found["nested"], found["optimism"]
    assert nested["fold_mean"] == pytest.approx(sum(nested["folds"]) / 3)
    assert optimism["optimism"] == pytest.approx(optimism["nested"] - optimism["naive"])
    assert 0 < sum(winner["weight"] for winner in found["winners"]) <= 1 + 1e-9
    assert found["trials"] == 4
    assert found["complete"]


def test_the_same_search_again_says_the_same(
    entry: EntryPoint, folder: Path, tmp_path: Path
) -> None:
    again = succeeded(entry("tune", "-c", "small.toml", *SEARCH, "--json", cwd=folder))
    before = json.loads((folder / "tune.json").read_text(encoding="utf-8"))
    assert "is finished already" in again.err
    assert again.json == before
    write_small(tmp_path)
    anew = succeeded(entry("tune", "-c", "small.toml", *SEARCH, "--json", cwd=tmp_path)).json
    assert {**timeless(anew), "storage": ""} == {**timeless(before), "storage": ""}
    text = (folder / "kaggleprice.toml").read_text(encoding="utf-8")
    assert text.count("[presets.tuned]") == 1


def test_a_search_is_shown(entry: EntryPoint, folder: Path) -> None:
    shown = succeeded(entry("tune", "-c", "small.toml", "--show", "--json", cwd=folder)).json
    page = folder / shown["page"]
    text = page.read_text(encoding="utf-8")
    assert text.count("<svg") == 3
    assert "<script" not in text
    assert not succeeded(entry("tune", "-c", "small.toml", "--show", cwd=folder)).err
    absent = entry("tune", "-c", "small.toml", "--show", "--name", "other", cwd=folder)
    assert absent.code == 2
    assert "tuned" in absent.error


def test_a_preset_of_the_users_stays(entry: EntryPoint, tmp_path: Path) -> None:
    write_small(tmp_path)
    file = tmp_path / "kaggleprice.toml"
    file.write_text("[presets.tuned]\nseeds = 2\n")
    done = entry("tune", "-c", "small.toml", *SEARCH, cwd=tmp_path)
    assert done.code == 2
    assert "tuned" in done.error
    assert file.read_text() == "[presets.tuned]\nseeds = 2\n"


def test_in_a_projects_own_file(entry: EntryPoint, tmp_path: Path) -> None:
    write_small(tmp_path)
    file = tmp_path / "pyproject.toml"
    own = "[tool.kaggleprice]\nseeds = 1\n[tool.other]\na = 1\n"
    file.write_text(f"[project]\nname = 'mine'\n\n{own}")
    command = ["tune", "-c", "small.toml", *SEARCH, "--name", "won", "--trials", "2", "--json"]
    assert succeeded(entry(*command, cwd=tmp_path)).json["file"] == "pyproject.toml"
    assert not (tmp_path / "kaggleprice.toml").exists()
    listed = succeeded(entry("cv", "--preset", "list", "--json", cwd=tmp_path)).json
    assert "won" in [preset["name"] for preset in listed["presets"]]
    alone = succeeded(entry(*command, "--no-config", cwd=tmp_path))
    assert alone.json["file"] is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--only", "hidden"], "hidden"),
        (["--only", "lr", "--lr", "0.01"], "nothing is left"),
        (["--name", "best"], "best"),
        (["--preset", "nowhere"], "nowhere"),
        (["--storage", "nonsense"], "storage"),
        (["--base-models", "ridge"], "--base-models"),
        (["--address", "127.0.0.1:1"], "--engine ray"),
        (["--engine", "spark"], "spark"),
    ],
)
def test_what_cannot_be_is_said(
    entry: EntryPoint, tmp_path: Path, options: list[str], said: str
) -> None:
    write_small(tmp_path)
    done = entry("tune", "-c", "small.toml", *SEARCH, *options, cwd=tmp_path)
    assert done.code in (1, 2)
    assert said in done.error
    assert not (tmp_path / "kaggleprice.toml").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="signals are sent to a forked process")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_search_goes_on(
    entry: EntryPoint, tmp_path: Path, number: signal.Signals
) -> None:
    write_small(tmp_path)
    long = [*SEARCH, "--epochs", "40", "--batch-size", "4", "--checkpoint-every", "0"]
    command = ["tune", "-c", "small.toml", *long, "--json"]
    ended = entry(*command, cwd=tmp_path, interrupt=number)
    assert ended.code == (-number if number == signal.SIGKILL else 128 + number)
    listed = succeeded(entry("runs", "list", cwd=tmp_path))
    assert "`kaggleprice tune`" in listed.out
    again = succeeded(entry(*command, cwd=tmp_path))
    assert "going on after" in again.err
    other = tmp_path / "other"
    other.mkdir()
    write_small(other)
    straight = succeeded(entry(*command, cwd=other)).json
    for key in ("nested", "optimism", "gain", "winners"):
        assert again.json[key] == straight[key]
    assert not list((tmp_path / "runs" / "small").glob(".unfinished-*"))
