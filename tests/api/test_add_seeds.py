"""More seeds for a finished run: what it would have been with all of them from the start."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file
from small import write_small

from kaggleprice.api import prediction, workflow
from kaggleprice.competitions.catalog import read_competition
from kaggleprice.core.errors import DataError, OutputError, UnknownNameError, UsageError
from kaggleprice.runs import writing
from kaggleprice.runs.listing import find_run
from kaggleprice.runs.run import Run
from kaggleprice.runs.runtime import RuntimeConfig
from kaggleprice.settings.run import make_settings

# Networks of three kinds in turn: the added seeds begin in the middle of a turn.
OPTIONS = {
    "k": 3,
    "epochs": 3,
    "hidden": (6,),
    "portfolio": "robust,tanh",
    "inner_blocks": 3,
    "activation": ("gelu", "tanh", "relu"),
    "dtype": "float64",
    "base_models": ("ridge",),
    "seed": 3,
}


@dataclass(frozen=True)
class Place:
    """A small competition in a folder of the test's own."""

    source: workflow.DatasetRef
    runtime: RuntimeConfig

    @classmethod
    def at(cls, folder: Path) -> Place:
        source = workflow.DatasetRef(read_competition(folder / "small.toml"), folder / "data")
        return cls(source, RuntimeConfig(folder / "runs", "cpu", 1))

    def train(self, name: str, seeds: int) -> Run:
        settings = make_settings(options={**OPTIONS, "seeds": seeds})
        return workflow.cross_validate(self.source, settings, self.runtime, name=name)[0]

    def extend(self, name: str, count: int, *, total: bool = False) -> Run:
        return workflow.add_seeds(self.source, self.runtime, name, count, total=total)[0]

    @property
    def part(self) -> Run:
        return Run.read(self.runtime.runs_dir / "small" / "part")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The competition, and a run of one seed."""
    folder = tmp_path_factory.mktemp("trained")
    write_small(folder)
    Place.at(folder).train("part", 1)
    return folder


@pytest.fixture
def place(trained: Path, tmp_path: Path) -> Place:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return Place.at(tmp_path)


def test_an_extended_run_is_the_run_of_all_seeds(place: Place) -> None:
    whole, part = place.train("whole", 4), place.part
    extended = place.extend("part", 3)
    assert extended.path == part.path
    assert extended.settings == whole.settings
    assert extended.record["ensemble"]["members"] == whole.record["ensemble"]["members"]
    for name, value in load_file(whole.path / "weights.safetensors").items():
        found = load_file(extended.path / "weights.safetensors")[name]
        np.testing.assert_allclose(found.numpy(), value.numpy(), rtol=1e-9, atol=1e-12)
    for table in ("oof.csv", "history.csv", "folds.csv"):
        one, other = (pd.read_csv(run.path / table) for run in (extended, whole))
        pd.testing.assert_frame_equal(one, other, rtol=1e-9)
    parts = [pd.DataFrame(run.record["parts"]) for run in (extended, whole)]
    pd.testing.assert_frame_equal(*parts, rtol=1e-9)
    assert extended.record["scores"]["oof"] == pytest.approx(whole.record["scores"]["oof"])
    # The members that were there are the very same.
    first = {(m["fold"], m["variant"], m["seed"]): m for m in part.record["members"]}
    kept = [m for m in extended.record["members"] if m["seed"] < 1]
    assert kept == [first[m["fold"], m["variant"], m["seed"]] for m in kept]
    assert len(kept) == len(first)


def test_the_extended_run_predicts(place: Place, tmp_path: Path) -> None:
    old = prediction.predict(place.source, place.runtime, output=tmp_path / "old.csv")
    seconds = place.part.record["timing"]["seconds"]
    run = place.extend("part", 2)
    assert run.record["timing"]["seconds"] > seconds, "those of both"
    # A submission of fewer members is none of this run's.
    assert not (run.path / "submission.csv").exists()
    new = prediction.predict(place.source, place.runtime, output=tmp_path / "new.csv")
    assert new.run.name == "part"
    assert not new.submission.equals(old.submission)


@pytest.mark.parametrize(
    ("name", "count", "kind", "says"),
    [
        ("part", 0, UsageError, "--add-seeds must be 1 or more"),
        ("part", -1, UsageError, "--add-seeds must be 1 or more"),
        ("pert", 1, UnknownNameError, "Did you mean 'part'"),
    ],
)
def test_what_cannot_be_added(
    place: Place, name: str, count: int, kind: type[UsageError], says: str
) -> None:
    with pytest.raises(kind, match=says):
        place.extend(name, count)


def test_changed_data(place: Place, tmp_path: Path) -> None:
    train = tmp_path / "train.csv"
    train.write_text(train.read_text().replace("50000", "50001"))
    with pytest.raises(DataError, match=r"train\.csv changed since run part was trained"):
        place.extend("part", 1)


def test_a_run_that_a_time_limit_ended(place: Place) -> None:
    limited = replace(place, runtime=replace(place.runtime, time_limit=1e-6))
    run = limited.train("cut", 1)
    assert run.record["cut_at"] == 1
    assert "Ended by the time limit after epoch 1:" in run.record["notes"][-1]
    with pytest.raises(UsageError, match="ended by a time limit"):
        place.extend("cut", 1)


def test_a_run_of_as_many_seeds_as_follow_from_the_data_predicts(
    place: Place, tmp_path: Path
) -> None:
    """Its base models have weights, and its settings say no number of seeds."""
    settings = make_settings(options=OPTIONS)
    workflow.cross_validate(place.source, settings, place.runtime, name="open")
    request = prediction.PredictRequest("open")
    made = prediction.predict(place.source, place.runtime, request, output=tmp_path / "o.csv")
    assert made.run.settings.seeds is None
    assert len(made.submission) == 8


def test_a_total_may_be_said_again(place: Place) -> None:
    extended = place.extend("part", 2, total=True)
    assert extended.settings.seeds == 2
    again = place.extend("part", 2, total=True)
    assert again.record == extended.record
    with pytest.raises(UsageError, match="has 2 seeds per fold already, more than --seeds 1"):
        place.extend("part", 1, total=True)
    # It is what the command that names all seeds would train.
    settings = make_settings(options={**OPTIONS, "seeds": 2})
    found, trained = workflow.cross_validate(place.source, settings, place.runtime, name="part")
    assert (found.record, trained) == (extended.record, None)


def test_two_at_once_both_count(place: Place) -> None:
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: place.extend("part", 1), range(2)))
    assert sorted(run.settings.seeds or 0 for run in found) == [2, 3]
    assert place.part.settings.seeds == 3


@pytest.mark.parametrize("one_step", [True, False])
def test_a_kill_at_any_moment_of_the_replacing(place: Place, one_step: bool) -> None:
    """The process kills itself before its n-th change of a name; the same command then succeeds."""
    program = (
        "import os, sys; from pathlib import Path; sys.path[:0] = sys.argv[4:]\n"
        "from test_add_seeds import Place; from kaggleprice.runs import writing\n"
        "left, rename, swap = int(sys.argv[2]), Path.rename, writing._exchange\n"
        "def counted(change):\n"
        "    def changed(one, other):\n"
        "        global left\n"
        "        left -= '.unfinished-' in f'{one}{other}'\n"
        "        if left < 0: os.kill(os.getpid(), 9)\n"
        "        return change(one, other)\n"
        "    return changed\n"
        "Path.rename = counted(rename)\n"
        "writing._exchange = counted(swap) if int(sys.argv[3]) else lambda *_: False\n"
        "place = Place.at(Path(sys.argv[1]))\n"
        "place.extend('part', 2, total=True); os.kill(os.getpid(), 9)\n"
    )
    folder = place.part.path.parents[2]
    shutil.copytree(folder / "runs", folder / "kept")
    own = Path(__file__).parent
    for moment in range(4):
        shutil.rmtree(folder / "runs")
        shutil.copytree(folder / "kept", folder / "runs")
        command = [sys.executable, "-c", program, str(folder), str(moment), str(int(one_step))]
        done = subprocess.run([*command, str(own), str(own.parent)], check=False)
        assert done.returncode == -9
        assert find_run(folder / "runs", "small", "part").settings.seeds in (1, 2)
        assert place.extend("part", 2, total=True).settings.seeds == 2
        assert [p.name for p in place.part.path.parent.iterdir()] == ["part"]


@pytest.mark.parametrize("one_step", [True, False])
def test_a_failure_leaves_the_run_as_it_was(
    place: Place, monkeypatch: pytest.MonkeyPatch, one_step: bool
) -> None:
    run = place.part
    before = {p.name: p.read_bytes() for p in run.path.iterdir() if p.is_file()}
    rename = Path.rename

    def fail(path: Path, target: Path) -> Path:
        if target == run.path and not path.name == run.name:
            raise OSError(28, "No space left on device")
        return rename(path, target)

    if one_step:
        monkeypatch.setattr(writing, "_exchange", lambda one, _: fail(one, run.path))
    else:
        monkeypatch.setattr(writing, "_exchange", lambda *_: False)
        monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OutputError, match="No space left"):
        place.extend("part", 1)
    assert {p.name: p.read_bytes() for p in run.path.iterdir() if p.is_file()} == before
    assert Run.read(run.path).record == json.loads(before["run.json"])
