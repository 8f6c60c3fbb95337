"""What averaging all folds gains, held against what it did gain where targets are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_friedman1
from sklearn.model_selection import KFold, RepeatedKFold
from sklearn.tree import DecisionTreeRegressor

from kaggleprice.competitions.metrics import METRICS
from kaggleprice.competitions.transforms import LOG, LOG1P, NONE, TargetTransform
from kaggleprice.evaluation.averaging_gain import averaging_gain, spread_of_folds
from kaggleprice.evaluation.ensemble import WeightedPredictions
from kaggleprice.evaluation.folds import Folds
from kaggleprice.evaluation.target_scale import TargetScale
from kaggleprice.settings.training import Member

ROWS, NEW = 600, 4000


def simulate(
    metric: str, transform: TargetTransform, repeats: int, seed: int
) -> tuple[float | None, float]:
    """Grow a tree per fold on transformed targets; return the gain by estimate, and the true one.

    The true one is the mean score of the folds' predictions of new rows, each of the mean of
    `repeats` of them, less the score of the mean of all.
    """
    x, y = make_friedman1(ROWS + NEW, noise=1.0, random_state=seed)
    y = np.maximum(y, 0.1)
    splitter: Any = KFold(5, shuffle=True, random_state=seed)
    if repeats > 1:
        splitter = RepeatedKFold(n_splits=5, n_repeats=repeats, random_state=seed)
    split = Folds(list(splitter.split(x[:ROWS])), ROWS)
    scored = METRICS[metric]
    scale = TargetScale.learn(scored, transform, y[:ROWS], split, bound=False)
    found = np.empty((len(split), len(x)))
    for k, (train, _) in enumerate(split):
        tree = DecisionTreeRegressor(max_features=0.5, min_samples_leaf=2, random_state=k)
        found[k] = tree.fit(x[train], transform.forward(y[train])).predict(x)
    members = [Member(k, 0) for k in range(len(split))]
    oof = WeightedPredictions(members, found[:, :ROWS]).out_of_fold(split, scale, None)
    new = WeightedPredictions(members, found[:, ROWS:])
    estimate = averaging_gain(
        scored,
        y[:ROWS],
        split.pool(oof),
        spread_of_folds(new, len(split), scale, None),
        split,
        transform,
        None,
    )
    truth, random = y[ROWS:], np.random.default_rng(seed)
    alone = [
        scored.score(
            truth,
            WeightedPredictions([members[k] for k in chosen], new.predictions[chosen]).combine(
                scale, None
            ),
        )
        for chosen in (
            [5 * r + random.integers(5) for r in range(repeats)] for _ in range(20 * repeats)
        )
    ]
    average = scored.score(truth, new.combine(scale, None))
    return estimate, float(scored.worse_by(float(np.mean(alone)), average))


@pytest.mark.parametrize(
    ("metric", "transform", "repeats"),
    [
        ("rmse", NONE, 1),
        ("rmse", NONE, 3),
        ("r2", NONE, 1),
        ("log_rmse", LOG, 1),
        ("rmsle", LOG1P, 1),
        ("mae", NONE, 1),
    ],
)
def test_the_gain_of_trees(metric: str, transform: TargetTransform, repeats: int) -> None:
    both = np.array([simulate(metric, transform, repeats, seed) for seed in range(4)], dtype=float)
    estimated, true = both.mean(axis=0)
    assert true > 0
    assert estimated == pytest.approx(true, rel=0.1)


def test_the_ambiguity_is_exact() -> None:
    """The mean squared error of folds is that of their mean, plus the ambiguity."""
    random = np.random.default_rng(0)
    truth, predictions = random.normal(size=50), random.normal(size=(6, 50))
    members = [Member(fold, seed) for fold in range(3) for seed in range(2)]
    folds = [(np.arange(40), np.arange(40, 50))] * 3
    scale = TargetScale.learn(METRICS["rmse"], NONE, truth, folds, bound=False)
    each = predictions.reshape(3, 2, 50).mean(axis=1)
    found = spread_of_folds(WeightedPredictions(members, predictions), 3, scale, None)
    together = ((each.mean(axis=0) - truth) ** 2).mean()
    assert ((each - truth) ** 2).mean() == pytest.approx(together + found[0])


def gain(split: list[tuple[Any, Any]], spread: float) -> float | None:
    truth = np.arange(20.0)
    rows = np.unique(np.concatenate([held for _, held in split]))
    off = truth[rows] + np.where(rows % 2, 1.0, -1.0)
    return averaging_gain(
        METRICS["rmse"], truth[rows], off, np.array([spread]), Folds(split, 20), NONE, None
    )


def test_of_two_targets_it_is_the_mean() -> None:
    truth = np.arange(40.0).reshape(20, 2)
    off = truth + np.where(np.arange(20) % 2, 1.0, -1.0)[:, None] * [1.0, 2.0]
    rows, rmse = np.arange(20), METRICS["rmse"]
    split = Folds([(rows[10:], rows[:10]), (rows[:10], rows[10:])], 20)
    found = averaging_gain(rmse, truth, off, np.array([0.19, 0.76]), split, NONE, None)
    assert found == pytest.approx((0.1 + 0.2) / 2)


def test_where_nothing_is_known() -> None:
    all_rows = np.arange(20)
    halves = [(all_rows[10:], all_rows[:10]), (all_rows[:10], all_rows[10:])]
    assert gain(halves, 0.19) == pytest.approx(0.1)
    assert gain(halves, 0.0) == 0
    # Folds that differ by more than they err were not trained for these rows.
    assert gain(halves, 2.0) is None
    assert gain(halves[:1], 0.19) is None
    forward = [(all_rows[:5], all_rows[5:10]), (all_rows[:10], all_rows[10:15])]
    assert gain(forward, 0.19) is None
