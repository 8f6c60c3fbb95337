"""What members count: a weighted mean that is the best, or nearly so, by the metric."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from members import CPU, make_task
from scipy.optimize import minimize

from kaggleprice.competitions.metrics import METRICS, TARGET_TRANSFORMS
from kaggleprice.competitions.tables import Tables
from kaggleprice.evaluation.ensemble import Ensemble
from kaggleprice.evaluation.folds import Folds
from kaggleprice.evaluation.target_scale import TargetScale
from kaggleprice.evaluation.weighting import LearnedWeights, greedy_weights, learn_weights
from kaggleprice.settings.training import Member
from kaggleprice.training.engine import predict_members
from kaggleprice.training.task import TrainingTask
from kaggleprice.training.train import train


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
    with warnings.catch_warnings():
        # SLSQP of some versions steps out of the bounds by a rounding, and says so.
        warnings.simplefilter("ignore", RuntimeWarning)
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


def test_weights_of_settings_that_count_little_go_to_the_others() -> None:
    """In the first fold one of three goes; in the second a base model has nearly everything."""
    learned = LearnedWeights(
        np.array([[0.5, 0.3, 0.06, 0.0], [0.05, 0.05, 0.05, 0.0]]), np.array([[0.14, 0.85]])
    )
    kept = learned.of_those_that_count()
    np.testing.assert_allclose(kept.settings[0], np.array([0.5, 0.3, 0, 0]) * 0.86 / 0.8)
    np.testing.assert_array_equal(kept.settings[1], learned.settings[1])
    assert not learned.counts[1].any()
    total = kept.settings.sum(axis=1) + kept.base_models.sum(axis=0)
    np.testing.assert_allclose(total, 1)


def test_members_of_a_setting_share_its_weight() -> None:
    learned = LearnedWeights(np.array([[0.7, 0.3], [0.4, 0.6]]), np.zeros((0, 2)))
    members = [Member(0, 0), Member(0, 1), Member(0, 0, 0, 1), Member(1, 0)]
    np.testing.assert_allclose(learned.of_members(members, targets=1), [0.35, 0.35, 0.3, 0.4])


@pytest.fixture(scope="module")
def task(sample_tables: Tables) -> TrainingTask:
    return make_task(sample_tables, portfolio="robust,tanh", seeds=2, inner_blocks=3, epochs=2)


def test_weights_are_those_of_the_rows_that_members_left_out(
    task: TrainingTask, sample_tables: Tables
) -> None:
    """Held against the whole table's predictions, and greedy selection on the rows left out."""
    network, fit = train(task, [CPU])
    ensemble = Ensemble(task.encoding, network, task.members, fit)
    target = sample_tables.train.known_target
    metric = METRICS["log_rmse"]
    split = Folds(task.folds, len(target))
    scale = TargetScale.learn(metric, TARGET_TRANSFORMS["log"].load(), target, split, bound=False)
    found = learn_weights(ensemble, task, target, metric, scale)
    everything = predict_members(network, task.rows_on(CPU), fit)
    for fold in range(len(task.folds)):
        candidates = []
        for variant in range(2):
            chosen = [
                (row, everything[m, row])
                for m, member in enumerate(task.members)
                if (member.fold, member.variant) == (fold, variant)
                for row in task.inner_split(member)[1].tolist()
            ]
            candidates.append(dict(chosen))
        rows = sorted(candidates[0])
        assert rows == sorted(candidates[1])
        assert set(rows) <= set(task.folds[fold][0].tolist())
        predictions = np.array([[one[row] for row in rows] for one in candidates])
        expected = greedy_weights(predictions, rmse_of(np.log(target[rows])), sharing=2)
        np.testing.assert_allclose(found.settings[fold], expected)
