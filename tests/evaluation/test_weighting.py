"""What members count: a weighted mean that is the best, or nearly so, by the metric."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from kaggleprice.evaluation.weighting import greedy_weights


def rmse_of(truth: np.ndarray):  # type: ignore[no-untyped-def]
    return lambda predictions, weights: float(
        np.sqrt(np.mean((np.average(predictions, axis=0, weights=weights) - truth) ** 2))
    )


@pytest.mark.parametrize("seed", range(4))
def test_greedy_weights_are_near_the_best_convex_ones(seed: int) -> None:
    """Held against the minimum, found by scipy, where a quarter of the weight is shared."""
    random = np.random.default_rng(seed)
    truth = random.normal(size=400)
    errors = random.normal(size=(5, 400)) * random.uniform(0.3, 2.0, size=(5, 1))
    predictions = truth + errors + 0.3 * random.normal(size=400)
    loss = rmse_of(truth)
    found = greedy_weights(predictions, loss, sharing=5)
    assert found.shape == (5,)
    assert found.sum() == pytest.approx(1)
    # Each candidate keeps its part of the shared quarter.
    assert found.min() >= 0.05 - 1e-12
    best = minimize(
        lambda w: loss(predictions, w),
        np.full(5, 0.2),
        bounds=[(0.05, 1.0)] * 5,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        method="SLSQP",
    )
    assert loss(predictions, found) <= best.fun * 1.002
    assert loss(predictions, found) <= loss(predictions, np.ones(5))


def test_a_candidate_that_shares_nothing_counts_only_where_it_helps() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(size=400)
    good = truth + random.normal(size=(3, 400))
    bad = truth + 40 * random.normal(size=(1, 400))
    loss = rmse_of(truth)
    found = greedy_weights(np.concatenate([good, bad]), loss, sharing=2)
    assert found[3] == 0
    assert found[2] > 0.2
    assert found[:2].min() >= 0.125 - 1e-12
    assert found.sum() == pytest.approx(1)
