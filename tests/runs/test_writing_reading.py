"""Run folders: what stands in them, that they are whole, and that they predict what they did."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from forged import write_record
from safetensors.torch import load_file, save_file
from small import ROWS, content, write_small

from kaggleprice import runs
from kaggleprice.api import workflow
from kaggleprice.api.results import ScoredRun
from kaggleprice.competitions.catalog import Competition, read_competition
from kaggleprice.core.errors import OutputError, RunFolderError, UsageError
from kaggleprice.core.files import sha256
from kaggleprice.evaluation.cross_validation import CrossValidation
from kaggleprice.evaluation.ensemble import WeightedPredictions
from kaggleprice.preprocessing import fitted
from kaggleprice.runs import writing
from kaggleprice.runs.run import Run
from kaggleprice.settings.run import make_settings

# Without bounds, so that scores can be computed from the networks alone.
OPTIONS = {
    "k": 3,
    "portfolio": (),
    "seeds": 2,
    "epochs": 4,
    "hidden": (8,),
    "history_every": 2,
    "seed": 5,
    "bound": False,
}
FILES = {
    "folds.csv",
    "history.csv",
    "oof.csv",
    "recipes/fold-1.json",
    "recipes/fold-2.json",
    "recipes/fold-3.json",
    "run.json",
    "weights.safetensors",
}


@dataclass(frozen=True)
class Made:
    """A run, and what a test needs to make another."""

    folder: Path
    source: workflow.DatasetRef
    data: workflow.Data
    run: Run
    result: CrossValidation

    @property
    def competition(self) -> Competition:
        return self.source.competition

    @property
    def runs_dir(self) -> Path:
        return self.folder / "runs"

    def write(self, name: str | None = None, runs_dir: Path | None = None) -> Run:
        return writing.write_run(
            runs_dir or self.runs_dir,
            name,
            self.competition,
            self.data.tables.train,
            self.result,
            self.data.record,
        )


def make(folder: Path, **options: Any) -> Made:
    source = workflow.DatasetRef(read_competition(write_small(folder)), folder / "data")
    place = workflow.RuntimeConfig(folder / "runs", "cpu", 1)
    settings = make_settings(options={**OPTIONS, **options})
    run, result = workflow.cross_validate(source, settings, place)
    return Made(folder, source, workflow.load(source), run, result)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Read only."""
    return make(tmp_path_factory.mktemp("made"))


@pytest.fixture
def copied(made: Made, tmp_path: Path) -> Made:
    """The same, in a folder of the test's own."""
    shutil.copytree(made.folder, tmp_path, dirs_exist_ok=True)
    run = Run.read(tmp_path / "runs" / "small" / "mlp-001")
    source = workflow.DatasetRef(read_competition(tmp_path / "small.toml"), tmp_path / "data")
    return Made(tmp_path, source, made.data, run, made.result)


def read(path: Path) -> pd.DataFrame:
    """A CSV with every float exactly as it was: pandas' own parser may be off by a last bit."""
    frame = pd.read_csv(path, dtype=str)
    kinds = dict.fromkeys(["fold", "seed", "member", "epoch", "row"], "int64")
    kinds |= dict.fromkeys(["true", "predicted", "train", "validation", "Price"], "float64")
    for column in frame.columns.intersection(list(kinds)):
        frame[column] = frame[column].map(float).astype(kinds[column])
    return frame


# What stands in it.


def test_content(made: Made) -> None:
    assert set(content(made.run.path)) == FILES
    assert made.run.path == made.folder / "runs" / "small" / "mlp-001"
    modes = {oct(p.stat().st_mode & 0o777) for p in made.run.path.rglob("*") if p.is_file()}
    assert len(modes) == 1, "one user's run folder is another's to read"


def test_record(made: Made) -> None:
    record = json.loads((made.run.path / "run.json").read_text(encoding="utf-8"))
    assert record["schema_version"] == 3
    assert (record["run"], record["competition"]) == ("mlp-001", "small")
    assert (record["metric"], record["device"], record["threads"]) == ("log_rmse", "cpu", 1)
    assert set(record["versions"]) >= {"kaggleprice", "python", "numpy", "pandas", "torch"}
    assert record["versions"]["torch"] == torch.__version__
    assert record["settings"]["training"]["epochs"] == 4
    for role, rows in [("train", ROWS), ("test", 8)]:
        digest = sha256(made.folder / f"{role}.csv")
        assert record["data"][role] == {"name": f"{role}.csv", "sha256": digest, "rows": rows}
    assert record["files"] == {
        name: sha256(made.run.path / name) for name in sorted(FILES - {"run.json"})
    }
    assert set(record["timing"]) == {"finished", "seconds", "resumed_from"}
    assert record["timing"]["resumed_from"] is record["cut_at"] is None
    assert made.run.settings == make_settings(options=OPTIONS)


def test_oof_and_scores(made: Made) -> None:
    """Every score in run.json, from oof.csv by numpy alone."""
    oof, record = read(made.run.path / "oof.csv"), made.run.record
    assert list(oof.columns) == ["Id", "true", "predicted", "fold", "row"]
    assert oof["row"].tolist() == list(range(1, len(oof) + 1))
    truth = read(made.folder / "train.csv")["Price"]
    np.testing.assert_array_equal(oof["true"], truth)
    np.testing.assert_array_equal(oof["fold"], read(made.run.path / "folds.csv")["fold"])
    error = np.square(np.log(oof["predicted"]) - np.log(oof["true"]))
    by_fold = np.sqrt(error.groupby(oof["fold"]).mean())
    scores = record["scores"]
    assert scores["oof"] == pytest.approx(np.sqrt(error.mean()), rel=1e-12)
    assert scores["fold_mean"] == pytest.approx(by_fold.mean(), rel=1e-12)
    assert scores["fold_sd"] == pytest.approx(by_fold.std(ddof=1), rel=1e-12)
    assert scores["mean_squared_log_error"] == pytest.approx((by_fold**2).mean(), rel=1e-12)
    assert [fold["fold"] for fold in record["folds"]] == [1, 2, 3]
    assert [fold["validation"] for fold in record["folds"]] == pytest.approx(by_fold.tolist())
    trained = [fold["train"] for fold in record["folds"]]
    assert scores["train_mean"] == pytest.approx(np.mean(trained))


def test_folds_have_the_hash_that_earlier_versions_gave_them(made: Made) -> None:
    """That of folds.csv without row numbers: a baseline of then is one of the same folds."""
    folds = read(made.run.path / "folds.csv")[["Id", "fold"]]
    text = folds.to_csv(index=False, lineterminator="\n")
    assert made.run.folds_sha256 == hashlib.sha256(text.encode()).hexdigest()


def test_history(made: Made) -> None:
    history = read(made.run.path / "history.csv")
    assert list(history.columns) == ["member", "fold", "seed", "epoch", "train", "validation"]
    assert list(history["epoch"].unique()) == [2, 4]
    last = history[history["epoch"] == 4]
    assert list(zip(last["member"], last["fold"], last["seed"], strict=True)) == [
        (0, 1, 0),
        (1, 1, 1),
        (2, 2, 0),
        (3, 2, 1),
        (4, 3, 0),
        (5, 3, 1),
    ]
    members = made.run.record["members"]
    for name in ("validation", "train"):
        assert [m[name] for m in members] == pytest.approx(last[name].tolist())


# Loading.


def test_a_loaded_run_predicts_the_written_oof_bit_for_bit(made: Made) -> None:
    run = Run.read(made.run.path)
    ensemble = run.ensemble()
    predictions = ensemble.predict(made.data.tables.train.features)
    oof = WeightedPredictions(ensemble.members, predictions).out_of_fold(
        made.result.split, made.result.scale, None
    )
    np.testing.assert_array_equal(oof, read(made.run.path / "oof.csv")["predicted"].to_numpy())
    test = made.data.tables.test.features
    np.testing.assert_array_equal(ensemble.predict(test), made.result.ensemble.predict(test))


@pytest.mark.parametrize(
    "options",
    [
        {"activation": ("gelu", "tanh"), "dropout": ((0.3,), (0.1,)), "seeds": 3},
        {"activation": ("prelu", "silu"), "dropout": ((0.2,), (0.0,), (0.5,)), "seeds": 7},
        {"embedding": "none", "soft_bound": None, "feature_scales": False},
        {"embedding": "none", "activation": ("prelu", "relu"), "batch_norm": True},
        {"frequencies": 1, "feature_scales": False, "dtype": "float64"},
        {"model": "linear"},
    ],
    ids=lambda options: " ".join(options),
)
def test_a_run_of_any_network_is_loaded_bit_for_bit(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    """Which random start a member is decides what it is; all else is in the weights."""
    made = make(tmp_path, **options)
    run = Run.read(made.run.path)
    assert run.settings == made.result.settings
    ensemble = run.ensemble()
    assert ensemble.members == made.result.ensemble.members
    for table in (made.data.tables.train, made.data.tables.test):
        predictions = ensemble.predict(table.features)
        np.testing.assert_array_equal(predictions, made.result.ensemble.predict(table.features))
        assert len(np.unique(predictions, axis=0)) == len(ensemble.members)


def test_the_same_twice_is_the_same_bytes(made: Made, tmp_path: Path) -> None:
    again = make(tmp_path)
    assert content(made.run.path) == content(again.run.path)
    assert made.run.record["timing"] != again.run.record["timing"]


def test_another_seed_is_another_run(made: Made, tmp_path: Path) -> None:
    place = workflow.RuntimeConfig(tmp_path, "cpu", 1)
    settings = make_settings(options={**OPTIONS, "seed": 6, "fold_seed": 5})
    run, _ = workflow.cross_validate(made.source, settings, place)
    first, second = content(made.run.path), content(run.path)
    assert first["folds.csv"] == second["folds.csv"]
    assert first["weights.safetensors"] != second["weights.safetensors"]


# Names.


def test_names_count_on(copied: Made) -> None:
    assert [copied.write().name for _ in range(2)] == ["mlp-002", "mlp-003"]
    copied.write("mlp-041")
    copied.write("other")
    assert copied.write().name == "mlp-042"
    linear = make_settings(options={"model": "linear"})
    assert runs.new_name(copied.runs_dir, copied.competition, linear) == "linear-001"


@pytest.mark.parametrize("taken", ["MLP-007", "mlp-007", "mlp-²"])
@pytest.mark.parametrize("kind", [Path.mkdir, Path.touch], ids=["folder", "file"])
def test_a_name_is_free_whatever_lies_there(
    made: Made, tmp_path: Path, taken: str, kind: Callable[[Path], None]
) -> None:
    (tmp_path / "small").mkdir()
    kind(tmp_path / "small" / taken)
    expected = "mlp-001" if "²" in taken else "mlp-008"
    assert made.write(runs_dir=tmp_path).name == expected


def test_many_writers_at_once(made: Made, tmp_path: Path) -> None:
    with ThreadPoolExecutor(6) as pool:
        written = list(pool.map(lambda _: made.write(runs_dir=tmp_path), range(12)))
    assert sorted(run.name for run in written) == [f"mlp-{i:03d}" for i in range(1, 13)]
    for run in written:
        assert run.record["run"] == run.name
        assert len(run.ensemble().members) == 6
    assert len(list((tmp_path / "small").iterdir())) == 12


@pytest.mark.parametrize("name", [None, "mlp-001"])
def test_a_name_taken_meanwhile_is_not_overwritten(
    copied: Made, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    """Another process takes the name between the choice and the renaming."""
    before, free, check = content(copied.run.path), iter(["mlp-001", "mlp-002"]), runs.check_name
    monkeypatch.setattr(writing, "new_name", lambda *_: next(free))
    checks = iter([lambda *_: None, check])
    monkeypatch.setattr(writing, "check_name", lambda *given: next(checks)(*given))
    if name is None:
        assert copied.write().name == "mlp-002"
    else:
        with pytest.raises(UsageError, match="there is a run 'mlp-001'"):
            copied.write(name)
        assert [p.name for p in copied.run.path.parent.iterdir()] == ["mlp-001"]
    assert content(copied.run.path) == before


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-x", ".hidden", "a b", "ä", "x\n"])
def test_names_that_cannot_be(made: Made, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be"):
        runs.check_name(made.runs_dir, made.competition, name)


# Whole or not there.


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("where", ["sha256", "_write_tables", "_place", "_make_record"])
def test_a_failure_leaves_nothing(
    made: Made,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    failure: BaseException,
) -> None:
    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(writing, where, fail)
    expected = OutputError if isinstance(failure, OSError) else KeyboardInterrupt
    with pytest.raises(expected, match=r"No space left|^$"):
        made.write(runs_dir=tmp_path)
    assert list((tmp_path / "small").iterdir()) == []


def test_weights_of_another_shape(copied: Made) -> None:
    """Damage that a digest of its own would hide."""
    record = json.loads(json.dumps({k: v for k, v in copied.run.record.items() if k != "digest"}))
    record["settings"]["model"]["hidden"] = [9]
    write_record(copied.run.path, record)
    with pytest.raises(RunFolderError, match="cannot be loaded"):
        Run.read(copied.run.path).ensemble()


# Ids whose column has the name of another one.


@pytest.mark.parametrize("column", ["fold", "true", "predicted"])
def test_no_id_is_lost(tmp_path: Path, made: Made, column: str) -> None:
    for name in ("train.csv", "test.csv", "small.toml"):
        text = (made.folder / name).read_text(encoding="utf-8").replace("Id", column)
        (tmp_path / name).write_text(text, encoding="utf-8")
    source = workflow.DatasetRef(read_competition(tmp_path / "small.toml"), tmp_path / "data")
    runtime = workflow.RuntimeConfig(tmp_path / "runs", "cpu", 1)
    settings = make_settings(options={**OPTIONS, "epochs": 1})
    run, result = workflow.cross_validate(source, settings, runtime)
    again, _ = workflow.cross_validate(source, settings, runtime, folds=run.path / "folds.csv")
    oof_header = [column, "true", "predicted", "fold", "row"]
    for name, header in [("folds.csv", [column, "fold", "row"]), ("oof.csv", oof_header)]:
        lines = [line.split(",") for line in (run.path / name).read_text().splitlines()]
        assert lines[0] == header
        assert [line[0] for line in lines[1:]] == [str(i) for i in range(1, ROWS + 1)]
        assert [int(line[-2]) - 1 for line in lines[1:]] == result.split.fold_of_row.tolist()
        assert (again.path / name).read_bytes() == (run.path / name).read_bytes()
    np.testing.assert_array_equal(run.predictions["predicted"], result.oof)
    assert list(ScoredRun(run).oof.columns) == oof_header


@pytest.fixture
def long_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is learned of few rows is long enough for a file of arrays."""
    monkeypatch.setattr(fitted, "_LONG", 8)


@pytest.mark.usefixtures("long_tables")
def test_a_recipes_long_tables_are_read_from_their_file(tmp_path: Path) -> None:
    made = make(tmp_path, impute="knn")
    names = [name for name in made.run.record["files"] if name.endswith(".safetensors")]
    assert names == [f"recipes/fold-{k}.safetensors" for k in (1, 2, 3)] + ["weights.safetensors"]
    features = made.data.tables.test.features
    expected = made.result.ensemble.predict(features)
    assert made.run.ensemble().predict(features).tobytes() == expected.tobytes()


@pytest.mark.usefixtures("long_tables")
@pytest.mark.parametrize("spoilt", ["an unknown type", "none", "cut"])
def test_forged_arrays_of_a_recipe_are_refused(tmp_path: Path, spoilt: str) -> None:
    run = make(tmp_path, impute="knn").run
    name = "recipes/fold-2.safetensors"
    own = load_file(run.path / name)
    if spoilt == "cut":
        (run.path / name).write_bytes((run.path / name).read_bytes()[:-8])
    elif spoilt == "none":
        save_file({"other": torch.ones(2)}, run.path / name)
    else:
        save_file({key: value.bfloat16() for key, value in own.items()}, run.path / name)
    record = {**run.record, "files": {**run.record["files"], name: sha256(run.path / name)}}
    write_record(run.path, record)
    with pytest.raises(RunFolderError, match="cannot be loaded"):
        Run.read(run.path).ensemble()
