"""Metrics against scikit-learn's; transforms against their own inverses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import (
    mean_absolute_error,
    root_mean_squared_error,
    root_mean_squared_log_error,
)

from kaggleprice.competitions.metrics import METRICS, TARGET_TRANSFORMS

PRICES = np.random.default_rng(0).lognormal(12, 0.4, (2, 500))
REFERENCES = {
    "log_rmse": lambda a, b: root_mean_squared_error(np.log(a), np.log(b)),
    "log1p_rmse": root_mean_squared_log_error,
    "rmse": root_mean_squared_error,
    "mae": mean_absolute_error,
}
DOMAINS = {
    "log": st.floats(1e-300, 1e300),
    "log1p": st.floats(0, 1e300),
    "none": st.floats(-1e300, 1e300),
}


@pytest.mark.parametrize("name", METRICS)
def test_metric_is_scikit_learns(name: str) -> None:
    metric, (truth, prediction) = METRICS[name].load(), PRICES
    assert metric(truth, prediction) == pytest.approx(REFERENCES[name](truth, prediction), rel=1e-9)
    assert metric(truth, truth) == 0.0
    assert type(metric(truth, prediction)) is float
    # Float32 predictions and whole-number prices: still computed in float64.
    whole = truth.astype(np.int64)
    assert metric(whole.tolist(), prediction.astype(np.float32)) == pytest.approx(
        REFERENCES[name](whole.astype(float), prediction), rel=1e-5
    )


@pytest.mark.parametrize("name", TARGET_TRANSFORMS)
@given(data=st.data())
def test_transform_and_inverse(name: str, data: st.DataObject) -> None:
    transform = TARGET_TRANSFORMS[name].load()
    y = data.draw(arrays(np.float64, st.integers(1, 20), elements=DOMAINS[name]))
    assert transform.accepts(y).all()
    there = transform.forward(y)
    assert np.isfinite(there).all()
    # An error of one bit of a log is one of that many bits of the value: logs go up to 700.
    np.testing.assert_allclose(transform.inverse(there), y, rtol=2e-13, atol=1e-300)
    order = np.argsort(y, kind="stable")
    assert (np.diff(there[order]) >= 0).all()


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("log", [False, False, False, False, False, True, True]),
        ("log1p", [False, False, False, False, True, True, True]),
        ("none", [False, False, False, True, True, True, True]),
    ],
)
def test_domains(name: str, accepted: list[bool]) -> None:
    values = np.array([np.nan, np.inf, -np.inf, -1e-9, 0.0, 5e-324, 1e308])
    assert TARGET_TRANSFORMS[name].load().accepts(values).tolist() == accepted


def test_forward_is_numpys() -> None:
    y = PRICES[0]
    expected = {"log": np.log(y), "log1p": np.log1p(y), "none": y}
    for name, entry in TARGET_TRANSFORMS.items():
        assert np.array_equal(entry.load().forward(y), expected[name])
        assert entry.load().logarithmic is (name != "none")


def test_log1p_predictions_below_zero_become_zero() -> None:
    """A network may put log(1 + y) a little below 0, where no count can be."""
    transform = TARGET_TRANSFORMS["log1p"].load()
    predicted = transform.inverse(np.array([-0.01, 0.0, 1.0, np.nan]))
    np.testing.assert_array_equal(predicted, [0.0, 0.0, np.expm1(1.0), np.nan])
    assert transform.accepts(predicted[:3]).all()
