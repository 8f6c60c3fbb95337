"""Replaying: what is unchanged comes out the same, and what is not does not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from forged import write_record
from small import content, place_in, source_in, write_small

from kaggleprice.api import workflow
from kaggleprice.api.replay import Replay, replay
from kaggleprice.api.workflow import RuntimeConfig
from kaggleprice.core.errors import DataError, UsageError
from kaggleprice.settings.run import make_settings

OPTIONS: dict[str, Any] = {
    "k": 3,
    "portfolio": ("fine", "robust"),
    "inner_blocks": 2,
    "seeds": 2,
    "epochs": 3,
    "hidden": (8,),
    "base_models": ("ridge",),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    write_small(folder)
    workflow.cross_validate(source_in(folder), make_settings(options=OPTIONS), place_in(folder))
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """The small competition and one run of it."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return tmp_path


def replayed(folder: Path, **given: Any) -> Replay:
    return replay(source_in(folder), RuntimeConfig(folder / "runs"), **given)


def test_identical(folder: Path) -> None:
    run = folder / "runs" / "small" / "mlp-001"
    before = content(run)
    made = replayed(folder)
    assert made.verdict == "identical"
    assert set(made.files) == set(before) - {"run.json"}
    assert (made.difference, made.changes) == (0.0, [])
    assert all(made.files.values())
    assert made.oof == made.run.oof
    assert content(run) == before
    assert [path.name for path in run.parent.iterdir()] == ["mlp-001"]


def test_a_run_that_was_extended_is_equal(folder: Path) -> None:
    """Its networks were trained in two groups, now in one: rounding alone may differ."""
    run, _ = workflow.add_seeds(source_in(folder), place_in(folder), "mlp-001", 2)
    made = replayed(folder, name=run.name)
    assert made.verdict in ("identical", "equal")
    assert made.difference < 1e-3


def test_other_settings_are_different(folder: Path) -> None:
    """A record that says another seed than its networks were trained with."""
    run = folder / "runs" / "small" / "mlp-001"
    record = json.loads((run / "run.json").read_text())
    del record["digest"]
    record["settings"]["seed"] = 5
    write_record(run, record)
    made = replayed(folder)
    assert made.verdict == "different"
    assert made.difference > 0.05
    assert not made.files["oof.csv"]
    assert not made.files["weights.safetensors"]
    assert made.files["folds.csv"]
    # Whoever tolerates it has it equal.
    assert replayed(folder, tolerance=1e9).verdict == "equal"


def test_what_changed_is_named(folder: Path) -> None:
    run = folder / "runs" / "small" / "mlp-001"
    record = json.loads((run / "run.json").read_text())
    del record["digest"]
    record["versions"]["torch"] = "1.0"
    del record["versions"]["numpy"]
    record["versions"]["other"] = "3"
    write_record(run, record)
    made = replay(source_in(folder), RuntimeConfig(folder / "runs", threads=2))
    assert {change.what for change in made.changes} == {"threads", "torch", "numpy", "other"}
    assert {change.now for change in made.changes if change.what == "other"} == {""}


def test_other_data(folder: Path) -> None:
    train = folder / "train.csv"
    train.write_text(train.read_text().replace("50900", "50901"))
    with pytest.raises(DataError, match="changed since run mlp-001"):
        replayed(folder)


def test_what_cannot_be_replayed(folder: Path) -> None:
    with pytest.raises(UsageError, match="tolerance"):
        replayed(folder, tolerance=-1)
    runtime = RuntimeConfig(folder / "runs", "cpu", 1, time_limit=1e-9)
    options = {**OPTIONS, "portfolio": (), "base_models": (), "epochs": 50}
    run, _ = workflow.cross_validate(source_in(folder), make_settings(options=options), runtime)
    with pytest.raises(UsageError, match=r"time limit.*--time-limit"):
        replayed(folder, name=run.name)
