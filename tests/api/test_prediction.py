"""`predict`: which run, what contradicts it, and how members and runs are averaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small import OPTIONS, TEST_ROWS, place_in, source_in

from kaggleprice.api import prediction, workflow
from kaggleprice.api.prediction import Prediction, PredictRequest
from kaggleprice.competitions.data import load
from kaggleprice.core.errors import DataError, UnknownNameError, UsageError
from kaggleprice.settings.run import make_settings


def predict(folder: Path, **asked: Any) -> Prediction:
    request, output = PredictRequest(**asked), folder / "submission.csv"
    return prediction.predict(source_in(folder), place_in(folder), request, output=output)


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
    test = load(source_in(folder)).tables.test
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
    settings = make_settings(options={**OPTIONS, "combine": "median"})
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
