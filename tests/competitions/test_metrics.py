"""Metrics against scikit-learn and the bootstrap; transforms against their own inverses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from sklearn.metrics import (
    mean_absolute_error,
    mean_pinball_loss,
    mean_poisson_deviance,
    mean_tweedie_deviance,
    root_mean_squared_error,
    root_mean_squared_log_error,
)
from sklearn.preprocessing import PowerTransformer, QuantileTransformer

from kaggleprice.competitions.metrics import METRICS, TARGET_TRANSFORMS
from kaggleprice.core.errors import UsageError
from kaggleprice.settings.training import LOSSES

PRICES = np.random.default_rng(0).lognormal(12, 0.4, (2, 500))
# One line for each metric: what it is, by other means.
REFERENCES = {
    "log_rmse": lambda a, b: root_mean_squared_error(np.log(a), np.log(b)),
    "rmsle": root_mean_squared_log_error,
    "rmse": root_mean_squared_error,
    "mae": mean_absolute_error,
    "medae": lambda a, b: np.median(np.abs(a - b)),
    "mape": lambda a, b: np.mean(np.abs(a - b) / np.abs(a)),
    "smape": lambda a, b: np.mean(2 * np.abs(a - b) / (np.abs(a) + np.abs(b))),
    "pinball": lambda a, b: np.mean(np.abs(a - b)) / 2,
    "pinball 0.9": lambda a, b: mean_pinball_loss(a, b, alpha=0.9),
    "poisson": mean_poisson_deviance,
    "tweedie": lambda a, b: mean_tweedie_deviance(a, b, power=1.5),
    "tweedie 1.2": lambda a, b: mean_tweedie_deviance(a, b, power=1.2),
    "r2": lambda a, b: 1 - np.sum((a - b) ** 2) / np.sum((a - a.mean()) ** 2),
}
DOMAINS = {
    "log": st.floats(1e-300, 1e300),
    "log1p": st.floats(0, 1e300),
    "sqrt": st.floats(0, 1e300),
    "quantile": st.floats(-1e3, 1e3),
    "yeo-johnson": st.floats(-1e3, 1e3),
    "none": st.floats(-1e300, 1e300),
}


def sample(rows: int = 400) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    truth = np.exp(random.normal(3, 0.4, rows))
    return truth, truth * np.exp(random.standard_t(5, rows) * 0.1)


@pytest.mark.parametrize("name", REFERENCES)
def test_conformance(name: str) -> None:
    """What is asked of every metric."""
    metric, reference, (truth, prediction) = METRICS[name], REFERENCES[name], PRICES
    assert metric.name == name
    assert metric.help
    score = metric.score(truth, prediction)
    assert type(score) is float
    assert score == pytest.approx(reference(truth, prediction), rel=1e-12)
    # The direction: a perfect prediction is the best there is.
    best = metric.score(truth, truth)
    assert metric.worse_by(score, best) > 0 > metric.worse_by(best, score)
    assert metric.rank(best) < metric.rank(score)
    # Float32 predictions and whole-number prices: still computed in float64.
    whole = truth.astype(np.int64)
    assert metric.score(whole.tolist(), prediction.astype(np.float32)) == pytest.approx(
        reference(whole.astype(float), prediction), rel=1e-5
    )
    with np.errstate(all="ignore"):
        assert np.isnan(metric.score(truth, np.full(len(truth), np.nan)))
    # A weight of 2 is a row that stands there twice, one of 0 a row that does not.
    weights = np.arange(len(truth)) % 3
    repeated = np.repeat([truth, prediction], weights, axis=1)
    assert metric.score(truth, prediction, weights * 1.5) == pytest.approx(
        reference(*repeated), rel=1e-12
    )
    assert metric.training_loss in LOSSES


def test_every_metric_has_its_line() -> None:
    assert set(METRICS) <= set(REFERENCES)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", [n for n in REFERENCES if METRICS[n].row_loss is not None])
def test_row_losses_make_the_score_and_its_standard_error(name: str, weighted: bool) -> None:
    (truth, predicted), metric = sample(), METRICS[name]
    weights = np.random.default_rng(2).gamma(3, size=len(truth)) if weighted else None
    losses = metric.row_losses(truth, predicted, weights)
    assert losses is not None
    mean = np.average(losses, weights=weights)
    score = np.sqrt(mean) if metric.root else 1 - mean if metric.complement else mean
    assert score == pytest.approx(metric.score(truth, predicted, weights), rel=1e-12)
    assert np.mean(metric.influence(losses, weights)) == pytest.approx(0, abs=1e-12)
    random = np.random.default_rng(1)
    rows = random.integers(len(truth), size=(800, len(truth)))
    scores = [
        metric.score(truth[drawn], predicted[drawn], None if weights is None else weights[drawn])
        for drawn in rows
    ]
    bootstrap = np.std(scores, ddof=1)
    # 800 draws give a standard deviation to about 3 %; the delta method is of first order.
    assert metric.standard_error(losses, weights) == pytest.approx(bootstrap, rel=0.08)


@pytest.mark.parametrize("name", [n for n in REFERENCES if METRICS[n].row_loss is not None])
def test_influence_is_the_derivative_of_the_score(name: str) -> None:
    """By a row's weight, in differences; n times, since a row weighs 1 / n."""
    (truth, predicted), metric, step = sample(60), METRICS[name], 1e-6
    losses = metric.row_losses(truth, predicted)
    assert losses is not None
    for row in range(0, 60, 7):
        heavier = np.ones(60)
        heavier[row] += step
        moved = metric.score(truth, predicted, heavier) - metric.score(
            truth, predicted, np.ones(60)
        )
        expected = metric.influence(losses)[row]
        if metric.complement:
            # The mean of the target moves as well, to second order of a small share.
            assert np.sign(moved) == np.sign(expected)
        else:
            assert 60 * moved / step == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_what_a_score_lacks() -> None:
    assert METRICS["r2"].error(0.75) == 0.25
    assert METRICS["rmse"].error(0.75) == 0.75


def test_of_all_metrics_one_cannot_be_divided_by_a_target_of_0() -> None:
    assert [name for name, metric in METRICS.items() if metric.relative] == ["mape"]


def test_formulas_of_standard_errors() -> None:
    truth, predicted = sample(50)
    error = predicted - truth
    assert METRICS["mae"].standard_error(np.abs(error)) == pytest.approx(stats.sem(np.abs(error)))
    squared = error**2
    by_hand = squared.std(ddof=1) / (2 * np.sqrt(squared.mean()) * np.sqrt(50))
    assert METRICS["rmse"].standard_error(squared) == pytest.approx(by_hand)
    assert METRICS["rmse"].standard_error(np.zeros(5)) == 0.0


def test_a_metric_with_a_number() -> None:
    assert METRICS["pinball 0.90"].name == "pinball 0.9"
    assert METRICS["pinball 0.9"].training_loss == "pinball 0.9"
    assert METRICS["pinball 0.5"] is METRICS["pinball"]
    assert METRICS["tweedie 1.2"].help == "Tweedie deviance of power 1.2"
    for name in ("pinball 1", "pinball nan", "pinball x", "tweedie 2"):
        with pytest.raises(UsageError, match=f"{name.split()[0]} takes a .* found '{name[8:]}'"):
            METRICS[name]
    for name in ("mae 0.9", "pinball0.9", "0.9", ""):
        assert name not in METRICS


@pytest.mark.parametrize("name", ["poisson", "tweedie", "tweedie 1.9"])
def test_deviances_are_undefined_outside_their_domain(name: str) -> None:
    metric = METRICS[name]
    assert metric.score([0.0, 1.0], [0.5, 0.5]) > 0
    assert np.isnan(metric.score([0.0, 1.0], [0.0, 0.5]))
    assert np.isnan(metric.score([-1.0, 1.0], [0.5, 0.5]))
    # What predictions are kept above is small, and above 0.
    assert metric.floor(np.array([0.0, 0.0, 6.0])) == pytest.approx(2 / 3)
    assert METRICS["rmse"].floor(np.array([0.0])) == -np.inf


def test_smape_of_nothing_as_nothing_is_no_error() -> None:
    assert METRICS["smape"].score([0.0, 0.0], [0.0, 1.0]) == pytest.approx(1.0)


def test_a_metric_of_which_more_is_better() -> None:
    r2, (truth, _) = METRICS["r2"], sample()
    assert r2.score(truth, truth) == 1.0
    assert r2.worse_by(0.7, 0.9) == pytest.approx(0.2)
    assert r2.rank(0.9) < r2.rank(0.7)
    assert r2.direction == "greater is better"


@pytest.mark.parametrize("name", TARGET_TRANSFORMS)
@given(data=st.data())
def test_transform_and_inverse(name: str, data: st.DataObject) -> None:
    y = data.draw(arrays(np.float64, st.integers(1, 20), elements=DOMAINS[name]))
    transform = TARGET_TRANSFORMS[name].load().fitted(y)
    assert transform.accepts(y).all()
    there = transform.forward(y)
    assert np.isfinite(there).all()
    # An error of one bit of a log is one of that many bits of the value: logs go up to 700.
    tight = {"rtol": 2e-13, "atol": 1e-300}
    # What learns may lose differences that are small beside the others.
    near = {"rtol": 1e-6, "atol": 1e-6 * (1 + np.abs(y).max())}
    np.testing.assert_allclose(transform.inverse(there), y, **(near if transform.learn else tight))
    order = np.argsort(y, kind="stable")
    assert (np.diff(there[order]) >= 0).all()
    # From plain numbers it is the same again.
    again = TARGET_TRANSFORMS[name].load().knowing(transform.learned)
    assert np.array_equal(again.forward(y), there)
    # Whatever a network says, the target could be it.
    wild = transform.inverse(np.array([-50.0, -3.0, 0.0, 3.0, 50.0]))
    assert transform.accepts(wild[np.isfinite(wild) & (wild != 0)]).all()
    if transform.learn:
        assert np.isfinite(wild).all()


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("log", [False, False, False, False, False, True, True]),
        ("log1p", [False, False, False, False, True, True, True]),
        ("sqrt", [False, False, False, False, True, True, True]),
        ("quantile", [False, False, False, True, True, True, True]),
        ("yeo-johnson", [False, False, False, True, True, True, True]),
        ("none", [False, False, False, True, True, True, True]),
    ],
)
def test_domains(name: str, accepted: list[bool]) -> None:
    values = np.array([np.nan, np.inf, -np.inf, -1e-9, 0.0, 5e-324, 1e308])
    assert TARGET_TRANSFORMS[name].load().accepts(values).tolist() == accepted


def test_forward_is_numpys() -> None:
    y = PRICES[0]
    expected = {"log": np.log(y), "log1p": np.log1p(y), "sqrt": np.sqrt(y), "none": y}
    for name, transformed in expected.items():
        transform = TARGET_TRANSFORMS[name].load()
        assert np.array_equal(transform.forward(y), transformed)
        assert transform.logarithmic is name.startswith("log")
        assert transform.fitted(y) is transform


def test_learned_transforms_are_scikit_learns() -> None:
    y = np.random.default_rng(0).gamma(1.5, size=400) - 1
    new = np.linspace(y.min(), y.max(), 50)
    references = {
        "quantile": QuantileTransformer(output_distribution="normal", n_quantiles=400),
        "yeo-johnson": PowerTransformer(standardize=False),
    }
    for name, reference in references.items():
        transform = TARGET_TRANSFORMS[name].load().fitted(y)
        reference.fit(y[:, None])
        expected = reference.transform(new[:, None])[:, 0]
        np.testing.assert_allclose(transform.forward(new), expected, rtol=1e-9, atol=1e-12)
        back = reference.inverse_transform(expected[:, None])[:, 0]
        np.testing.assert_allclose(transform.inverse(expected), back, rtol=1e-7, atol=1e-12)
        with pytest.raises(ValueError, match="must be fitted"):
            TARGET_TRANSFORMS[name].load().forward(y)
    # Beyond its bound no value lies; a range's width beyond the largest is far enough.
    skewed = TARGET_TRANSFORMS["yeo-johnson"].load().fitted(np.exp(3 * y))
    top = np.exp(3 * y).max()
    assert skewed.inverse(np.array([1e9]))[0] == pytest.approx(2 * top - np.exp(3 * y).min())


def test_log1p_predictions_below_zero_become_zero() -> None:
    """A network may put log(1 + y) a little below 0, where no count can be."""
    transform = TARGET_TRANSFORMS["log1p"].load()
    predicted = transform.inverse(np.array([-0.01, 0.0, 1.0, np.nan]))
    np.testing.assert_array_equal(predicted, [0.0, 0.0, np.expm1(1.0), np.nan])
    assert transform.accepts(predicted[:3]).all()
