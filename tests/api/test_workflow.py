"""The commands as a library: the same calls from a notebook, silent and without a console."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small import TEST_ROWS, content, place_in, source_in, write_small

from kaggleprice.api import workflow
from kaggleprice.api.workflow import DatasetRef, PredictRequest, RuntimeConfig
from kaggleprice.competitions import csv_reader
from kaggleprice.competitions.catalog import COMPETITIONS
from kaggleprice.competitions.transforms import LOG, LOG1P
from kaggleprice.core import large_arrays
from kaggleprice.core.errors import DataError, OutputError, UnknownNameError, UsageError
from kaggleprice.evaluation import ensemble

OPTIONS: dict[str, Any] = {
    "k": 3,
    "portfolio": (),
    "seeds": 2,
    "epochs": 2,
    "hidden": (8,),
    "dropout": ((0.1,),),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    write_small(folder)
    settings = workflow.make_settings(options=OPTIONS)
    workflow.cross_validate(source_in(folder), settings, place_in(folder))
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """The small competition and one run of it."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return tmp_path


def predict(folder: Path, **asked: Any) -> workflow.Prediction:
    request, output = PredictRequest(**asked), folder / "submission.csv"
    return workflow.predict(source_in(folder), place_in(folder), request, output=output)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"lr": 0.02}, "lr 0.01, not 0.02"),
        ({"seed": 1}, "seed 0, not 1"),
        ({"recipe": "book"}, "recipe standard, not book"),
        ({"model": "linear"}, "model mlp, not linear"),
        ({"soft_bound": None}, "soft_bound 2.0, not none"),
        ({"feature_scales": False}, "feature_scales True, not False"),
        ({"activation": ("tanh", "gelu")}, "activation gelu, not tanh/gelu;"),
        ({"dropout": ((0.1,), (0.2,))}, "dropout 0.1, not 0.1/0.2;"),
        ({"dropout": ((0.1, 0.2), (0.3,))}, "dropout 0.1, not 0.1,0.2/0.3;"),
        ({**OPTIONS, "epochs": 3}, "epochs 2, not 3"),
    ],
)
def test_options_that_contradict_the_run(folder: Path, options: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=f"run mlp-001 was trained with {named}"):
        predict(folder, options=options)
    assert not (folder / "submission.csv").exists()


def test_presets_and_folds_that_contradict_the_run(folder: Path) -> None:
    with pytest.raises(UsageError, match="was trained with"):
        predict(folder, preset="book")
    with pytest.raises(UsageError, match="has its folds already"):
        predict(folder, folds=folder / "runs" / "small" / "mlp-001" / "folds.csv")


def test_options_of_the_run_are_accepted(folder: Path) -> None:
    plain = predict(folder)
    for options in (OPTIONS, {"k": 3}, {"recipe": "standard", "scale": "standard"}):
        assert predict(folder, options=options).submission.equals(plain.submission)
    assert predict(folder, preset="default", options=OPTIONS).submission.equals(plain.submission)


def test_unknown_names_are_refused_beside_a_run_too(folder: Path) -> None:
    with pytest.raises(UnknownNameError, match="arithmetic, geometric, median"):
        predict(folder, options={"combine": "mean"})
    with pytest.raises(UnknownNameError, match="there are: mlp-001"):
        predict(folder, name="mlp-002")


def test_combinations_are_what_numpy_says(folder: Path) -> None:
    run = predict(folder).run
    test = workflow.load(source_in(folder)).tables.test
    prices = np.exp(run.ensemble().predict(test.features))
    assert prices.shape == (6, TEST_ROWS)
    expected = {
        "geometric": np.prod(prices, axis=0) ** (1 / 6),
        "arithmetic": prices.sum(axis=0) / 6,
        "median": np.median(prices, axis=0),
    }
    for how, values in expected.items():
        made = predict(folder, options={"combine": how}).submission["Price"]
        np.testing.assert_allclose(made, values, rtol=1e-12)
        written = pd.read_csv(folder / "submission.csv")["Price"]
        np.testing.assert_allclose(written, values, rtol=1e-12)
    assert predict(folder).submission["Price"].to_numpy() == pytest.approx(expected["geometric"])
    spread = expected["arithmetic"] - expected["geometric"]
    assert (spread > 0).all(), "the means differ, so the test tells them apart"


def test_a_run_trained_to_combine_otherwise_predicts_so(folder: Path) -> None:
    settings = workflow.make_settings(options={**OPTIONS, "combine": "median"})
    workflow.cross_validate(source_in(folder), settings, place_in(folder))
    made, asked = predict(folder), predict(folder, options={"combine": "median"})
    assert made.submission.equals(asked.submission)


def test_a_changed_test_file_is_refused(folder: Path) -> None:
    file = folder / "test.csv"
    file.write_bytes(file.read_bytes().replace(b"brick", b"stone", 1))
    with pytest.raises(DataError, match=r"test\.csv changed since run mlp-001"):
        predict(folder)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('target_transform = "log1p"', "log then, log1p now"),
        ('missing_values = ["NA", "brick"]', "missing_values of small changed"),
        ('missing_values_of.Area = "?"', r"missing_values_of of small changed .*none then"),
    ],
)
def test_another_reading_of_the_data_is_refused(folder: Path, line: str, says: str) -> None:
    toml = folder / "small.toml"
    toml.write_text(f"{line}\n{toml.read_text(encoding='utf-8')}", encoding="utf-8")
    with pytest.raises(DataError, match=says):
        predict(folder)


def test_folds_of_a_run_reproduce_it(folder: Path) -> None:
    first = folder / "runs" / "small" / "mlp-001"
    settings, own = workflow.make_settings(options=OPTIONS), first / "folds.csv"
    run, _ = workflow.cross_validate(source_in(folder), settings, place_in(folder), folds=own)
    assert run.name == "mlp-002"
    for name in ("folds.csv", "oof.csv", "weights.safetensors"):
        assert (run.path / name).read_bytes() == (first / name).read_bytes()


def test_preprocess_writes_both_files_or_none(folder: Path) -> None:
    (folder / "features.recipe.json").mkdir()
    with pytest.raises(OutputError, match=r"features\.recipe\.json"):
        workflow.preprocess(source_in(folder), output=folder / "features.csv")
    assert not (folder / "features.csv").exists()


def test_a_failed_command_makes_no_folder(folder: Path) -> None:
    (folder / "train.csv").write_bytes(b"")
    new = RuntimeConfig(folder / "new" / "runs", "cpu")
    with pytest.raises(DataError):
        workflow.cross_validate(source_in(folder), workflow.make_settings(), new)
    assert not (folder / "new").exists()


def test_a_library_says_nothing(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source, place = source_in(folder), place_in(folder)
    workflow.download(DatasetRef(COMPETITIONS["sample"], folder / "data"))
    workflow.preprocess(source, output=folder / "features.npz")
    workflow.cross_validate(source, workflow.make_settings(options=OPTIONS), place)
    workflow.predict(source, place, output=folder / "submission.csv")
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_geometric_means_of_prices_from_zero_on() -> None:
    assert ensemble.combine(np.log1p([[0.0], [3.0]]), LOG1P, None) == pytest.approx([1.0])


def test_an_overflow_is_infinite_and_no_warning() -> None:
    assert np.isinf(ensemble.combine(np.array([[1e4]]), LOG, "arithmetic")).all()


def test_the_same_bytes_where_everything_lies_in_files(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine whose memory the data do not fit into."""
    write_small(tmp_path)
    mapped, in_file = list[int](), large_arrays._in_file
    # The file has more than an eighth of this, and no array less than a 32nd.
    monkeypatch.setattr(large_arrays, "memory", lambda: 30)
    monkeypatch.setattr(csv_reader, "memory", lambda: 30)
    monkeypatch.setattr(large_arrays, "_SEGMENT", 64)
    monkeypatch.setattr(large_arrays, "_in_file", lambda n: mapped.append(n) or in_file(n))
    settings = workflow.make_settings(options=OPTIONS)
    run, _ = workflow.cross_validate(source_in(tmp_path), settings, place_in(tmp_path))
    predict(tmp_path)
    assert len(mapped) > 20
    (alone,) = (trained / "runs" / "small").iterdir()
    assert content(alone) == {
        name: text for name, text in content(run.path).items() if name != "submission.csv"
    }
