"""The command line when it is killed, cut short, extended or only asked what it would do."""

from __future__ import annotations

import json
import shlex
import signal
import sys
from pathlib import Path

import pytest
from entry_point import EntryPoint, Finished
from forged import write_record
from small import content, write_small

# Long enough to be killed in, a second or two: thousands of steps of little networks.
LONG = shlex.split("--portfolio fine,robust --inner-blocks 2 --k 3 --seeds 2 --epochs 80")
LONG += shlex.split("--hidden 8 --batch-size 4 --threads 1 --checkpoint-every 0")
SHORT = shlex.split("--portfolio none --k 3 --seeds 1 --epochs 2 --hidden 8 --threads 1")
linux = pytest.mark.skipif(sys.platform != "linux", reason="signals are sent to a forked process")


def succeeded(done: Finished) -> Finished:
    assert done.code == 0, done.err
    return done


@pytest.fixture(scope="module")
def straight(entry: EntryPoint, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A run that nobody interrupted."""
    folder = tmp_path_factory.mktemp("straight")
    succeeded(entry("cv", "-c", write_small(folder), *LONG, cwd=folder))
    return content(folder / "runs" / "small" / "mlp-001")


@linux
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_the_same_command_goes_on_after_an_interruption(
    entry: EntryPoint, tmp_path: Path, straight: dict[str, bytes], number: signal.Signals
) -> None:
    command = ["cv", "-c", write_small(tmp_path), *LONG]
    ended = entry(*command, cwd=tmp_path, interrupt=number)
    assert ended.code == (-number if number == signal.SIGKILL else 128 + number)
    if number != signal.SIGKILL:
        assert ended.error.endswith("give the same command again to go on.")
        assert "the same command goes on there" in ended.err
    folder = tmp_path / "runs" / "small"
    left = [path.name for path in folder.iterdir()]
    assert len(left) == 1
    assert left[0].startswith(".unfinished-")
    again = succeeded(entry(*command, cwd=tmp_path))
    assert "going on after epoch" in again.err
    assert [path.name for path in folder.iterdir()] == ["mlp-001"]
    assert content(folder / "mlp-001") == straight


@linux
def test_other_options_begin_anew(entry: EntryPoint, tmp_path: Path) -> None:
    command = ["cv", "-c", write_small(tmp_path), *LONG]
    entry(*command, cwd=tmp_path, interrupt=signal.SIGKILL)
    other = succeeded(entry(*command, "--epochs", "3", cwd=tmp_path))
    assert "going on" not in other.err


def test_time_limit(entry: EntryPoint, tmp_path: Path) -> None:
    command = ["cv", "-c", write_small(tmp_path), *SHORT, "--epochs", "900", "--json"]
    done = succeeded(entry(*command, "--time-limit", "0.2s", cwd=tmp_path))
    assert any("Ended by the time limit after epoch" in note for note in done.json["notes"])
    assert "time is up after epoch" in done.err
    # It is a run like any other.
    succeeded(entry("predict", "-c", tmp_path / "small.toml", cwd=tmp_path))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--time-limit", "soon"], "--time-limit takes a time such as 90s, 10m or 1h30m"),
        (["--time-limit", "0"], "time_limit must be above 0 seconds"),
        (["--checkpoint-every", "often"], "--checkpoint-every takes a time"),
        (["--add-seeds", "2"], "--add-seeds needs --run NAME"),
        (["--add-seeds", "2", "--run", "x", "--lr", "0.1"], "leave --lr away"),
        (["--add-seeds", "2", "--run", "x", "--batch-size", "9"], "leave --batch-size away"),
        (["--add-seeds", "2", "--run", "x", "--preset", "best"], "leave --preset away"),
        (["--add-seeds", "2", "--run", "x", "--folds", "f.csv"], "leave --folds away"),
        (["--add-seeds", "2", "--run", "x", "--dry-run"], "leave --dry-run away"),
        (["--add-seeds", "2", "--run", "x"], "unknown run of sample 'x'"),
    ],
)
def test_usage_errors(entry: EntryPoint, tmp_path: Path, arguments: list[str], says: str) -> None:
    done = entry("cv", "-c", "sample", *arguments, cwd=tmp_path)
    assert done.code == 2
    assert says in done.error


def test_the_same_command_on_a_finished_run(entry: EntryPoint, tmp_path: Path) -> None:
    command = ["cv", "-c", write_small(tmp_path), *SHORT, "--run", "mine", "--json"]
    first = succeeded(entry(*command, "--interval", "0.5", cwd=tmp_path))
    before = content(tmp_path / "runs" / "small" / "mine")
    again = succeeded(entry(*command, "--interval", "0.5", "--junit", "j.xml", cwd=tmp_path))
    assert "run mine is finished already" in again.err
    assert again.out == first.out
    assert (tmp_path / "j.xml").is_file()
    assert content(tmp_path / "runs" / "small" / "mine") == before
    missed = entry(*command, "--fail-above", "1e-9", cwd=tmp_path)
    assert missed.code == 6
    other = entry(*command, "--lr", "0.5", cwd=tmp_path)
    assert other.code == 2
    assert "there is a run 'mine'" in other.error
    assert "trained with other settings" in other.error
    train = tmp_path / "train.csv"
    train.write_text(train.read_text().replace("50900", "50901"))
    assert entry(*command, cwd=tmp_path).code == 2


def test_seeds_in_all(entry: EntryPoint, tmp_path: Path) -> None:
    toml = write_small(tmp_path)
    succeeded(entry("cv", "-c", toml, *SHORT, "--run", "mine", cwd=tmp_path))
    command = ["cv", "-c", toml, "--run", "mine", "--seeds", "3", "--json"]
    first, again = (succeeded(entry(*command, cwd=tmp_path)) for _ in range(2))
    assert first.json["members"] == 9
    assert again.out == first.out
    assert "training 2 more" in first.err
    assert "has 3 seeds per fold already" in again.err
    fewer = entry(*command, "--seeds", "2", cwd=tmp_path)
    assert (fewer.code, "more than --seeds 2" in fewer.error) == (2, True)


def test_seeds_are_added(entry: EntryPoint, tmp_path: Path) -> None:
    toml = write_small(tmp_path)
    succeeded(entry("cv", "-c", toml, *SHORT, "--run", "mine", cwd=tmp_path))
    done = succeeded(
        entry("cv", "-c", toml, "--add-seeds", "2", "--run", "mine", "--json", cwd=tmp_path)
    )
    assert done.json["run"] == "mine"
    assert done.json["members"] == 9
    assert [path.name for path in (tmp_path / "runs" / "small").iterdir()] == ["mine"]


@pytest.mark.parametrize("command", ["cv", "predict"])
def test_a_dry_run_writes_nothing(entry: EntryPoint, tmp_path: Path, command: str) -> None:
    toml = write_small(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    done = succeeded(entry(command, "-c", toml, *SHORT, "--dry-run", cwd=tmp_path))
    assert "3 networks" in done.out
    assert "(--dry-run)" in done.out
    shown = succeeded(entry(command, "-c", toml, *SHORT, "--dry-run", "--json", cwd=tmp_path)).json
    plan = shown if command == "cv" else shown["training"]
    assert plan["workload"]["members"] == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_replay_that_comes_out_differently(entry: EntryPoint, tmp_path: Path) -> None:
    succeeded(entry("cv", "-c", write_small(tmp_path), *SHORT, cwd=tmp_path))
    same = succeeded(entry("replay", "-c", "small.toml", cwd=tmp_path))
    assert same.out.startswith("identical: all ")
    run = tmp_path / "runs" / "small" / "mlp-001"
    record = json.loads((run / "run.json").read_text())
    del record["digest"]
    record["settings"]["seed"] = 1
    write_record(run, record)
    done = entry("replay", "-c", "small.toml", "--json", cwd=tmp_path)
    assert done.code == 1
    assert done.json["verdict"] == "different"
    assert "predicts differently" in done.error
    assert entry("replay", "-c", "small.toml", "--tolerance", "1e9", cwd=tmp_path).code == 0
