"""Metrics, transforms, bounds and weights in a cross-validation: none sees held-out rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from kaggleprice.competitions.catalog import COMPETITIONS, Competition
from kaggleprice.competitions.metrics import METRICS, TARGET_TRANSFORMS
from kaggleprice.competitions.tables import Table, Tables
from kaggleprice.competitions.transforms import LOG1P, NONE, QUANTILE, YEO_JOHNSON
from kaggleprice.core.errors import DataError, UsageError
from kaggleprice.evaluation import cross_validation
from kaggleprice.evaluation.cross_validation import CrossValidation
from kaggleprice.evaluation.folds import Folds, make_folds
from kaggleprice.evaluation.target_scale import TargetScale
from kaggleprice.settings.run import make_settings
from kaggleprice.settings.training import Member

ROWS = 120
SPLIT = make_folds(ROWS, 3)
TINY = {"hidden": (8,), "epochs": 2, "portfolio": (), "seeds": 1, "k": 3}


@pytest.fixture(scope="module")
def tables(sample_tables: Tables) -> Tables:
    """Some rows of the sample, with a target in thousands and weights."""
    train = sample_tables.train
    part = Table(
        train.ids[:ROWS],
        train.features[["GrLivArea", "LotArea", "Neighborhood"]].head(ROWS),
        train.known_target[:ROWS] / 1000,
        weights=np.random.default_rng(0).gamma(2, size=ROWS),
    )
    test = sample_tables.test
    few = test.features[part.features.columns].head(30)
    return Tables(part, Table(test.ids[:30], few))


def run(tables: Tables, options: dict[str, Any] | None = None, **keys: Any) -> CrossValidation:
    competition: Competition = replace(COMPETITIONS["sample"], engineering=None, **keys)
    settings = make_settings(options={**TINY, "base_models": ("ridge",), **(options or {})})
    return cross_validation.cross_validate(
        competition, tables, SPLIT, settings, torch.device("cpu")
    )


@pytest.mark.parametrize(
    ("key", "name"),
    [("metric", name) for name in [*METRICS, "pinball 0.9"]]
    + [("target_transform", name) for name in TARGET_TRANSFORMS],
)
def test_garbage_reaches_nothing_of_its_fold(tables: Tables, key: str, name: str) -> None:
    """Targets and weights of validation rows are unknown to what is scored on them."""
    keys = {"metric": "rmse", "target_transform": "log1p", key: name}
    held, train = SPLIT.fold_of_row == 1, tables.train
    assert train.weights is not None
    garbage = replace(
        train,
        target=np.where(held, 5e4, train.known_target),
        weights=np.where(held, 70.0, train.weights),
    )
    clean, garbled = run(tables, **keys), run(Tables(garbage, tables.test), **keys)
    assert np.array_equal(clean.oof[held], garbled.oof[held])
    assert not np.array_equal(clean.oof[~held], garbled.oof[~held])
    for one, other in [
        (clean.scale.transforms[1].learned, garbled.scale.transforms[1].learned),
        (clean.scale.lowest[1], garbled.scale.lowest[1]),
        (clean.scale.highest[1], garbled.scale.highest[1]),
        (clean.scale.floor[1], garbled.scale.floor[1]),
        (clean.ensemble.fit.target_center[1], garbled.ensemble.fit.target_center[1]),
    ]:
        assert one == other
    state, other_state = (r.ensemble.network.state_dict() for r in (clean, garbled))
    assert all(torch.equal(state[name][1], other_state[name][1]) for name in state)
    assert clean.base_models is not None
    assert garbled.base_models is not None
    assert np.array_equal(clean.base_models.train[:, 1], garbled.base_models.train[:, 1])


def test_bounds_are_those_of_the_folds_training_rows(tables: Tables) -> None:
    target = tables.train.known_target.copy()
    target[5] = 10 * target.max()
    wide = Tables(replace(tables.train, target=target), tables.test)
    # Far from trained, at a rate that makes networks guess wildly.
    options = {"lr": 0.2, "base_models": (), "dropout": ((0.5,),)}
    keys = {"metric": "rmse", "target_transform": "none"}
    free = run(wide, {**options, "bound": False}, **keys)
    bound = run(wide, options, **keys)
    fold = SPLIT.fold_of_row
    low = np.array([target[rows].min() for rows, _ in SPLIT])[fold]
    high = np.array([target[rows].max() for rows, _ in SPLIT])[fold]
    np.testing.assert_array_equal(bound.oof, np.clip(free.oof, low, high))
    outside = int(((free.oof < low) | (free.oof > high)).sum())
    assert free.outside == bound.outside == outside > 0
    assert bound.scores.oof == pytest.approx(
        METRICS["rmse"].score(target, bound.oof, wide.train.weights)
    )


def test_new_rows_are_bounded_by_all_folds(tables: Tables) -> None:
    target = np.array([1.0, 2.0, 3.0, 8.0])
    folds = Folds.of_rows(np.array([0, 0, 1, 1]))
    scale = TargetScale.learn(METRICS["rmse"], NONE, target, folds, bound=True)
    values = np.array([0.0, 2.0, 5.0, 9.0])
    assert scale.keep_inside(values, [0]).tolist() == [3.0, 3.0, 5.0, 8.0]
    assert scale.keep_inside(values, [0, 1]).tolist() == [1.0, 2.0, 5.0, 8.0]
    assert scale.outside(values, [0, 1]).tolist() == [True, False, False, True]
    assert scale.unbounded.keep_inside(values, [0]) is values


@pytest.mark.parametrize("bound", [True, False])
def test_a_deviance_keeps_predictions_above_zero(bound: bool) -> None:
    target = np.array([0.0, 0.0, 3.0, 0.0, 0.0, 1.0])
    folds = Folds.of_rows(np.array([0, 0, 0, 1, 1, 1]))
    metric = METRICS["poisson"]
    scale = TargetScale.learn(metric, LOG1P, target, folds, bound=bound)
    nothing = scale.keep_inside(np.zeros(3), [0])
    assert nothing == pytest.approx(np.full(3, 1 / 9))
    assert np.isfinite(metric.score(target[:3], nothing))


@pytest.mark.parametrize("transform", [NONE, QUANTILE, YEO_JOHNSON])
def test_a_scale_is_kept_as_plain_data(transform: Any) -> None:
    target = np.random.default_rng(0).gamma(2, size=40)
    folds = make_folds(40, 2)
    scale = TargetScale.learn(METRICS["poisson"], transform, target, folds, bound=True)
    again = TargetScale.from_record(transform, scale.to_record(), bound=True)
    assert again.to_record() == scale.to_record()
    predictions = np.random.default_rng(1).normal(size=(2, 9))
    for kept in (scale, again):
        # Each line is turned back by the transform of its own fold.
        turned = kept.of([Member(0, 0), Member(1, 0)]).inverse(predictions)
        for fold in (0, 1):
            own = scale.transforms[fold].inverse(predictions[fold])
            np.testing.assert_array_equal(turned[fold], own)


def test_weights_decide_what_is_learned_and_scored(tables: Tables) -> None:
    """Rows of weight 0 may hold anything."""
    target, fold = tables.train.known_target, SPLIT.fold_of_row
    ignored = np.arange(ROWS) % 4 == 0
    weights = np.where(ignored, 0.0, 1.0)
    results = []
    for value in (target.min(), target.max()):
        changed = replace(tables.train, target=np.where(ignored, value, target), weights=weights)
        keys = {"metric": "mae", "target_transform": "none"}
        results.append(run(Tables(changed, tables.test), {"bound": False}, **keys))
    first, second = results
    np.testing.assert_allclose(first.oof, second.oof, rtol=1e-5)
    assert first.scores.oof == pytest.approx(second.scores.oof, rel=1e-5)
    kept = ~ignored
    assert first.scores.oof == pytest.approx(np.abs(first.oof - target)[kept].mean())
    in_first = kept & (fold == 0)
    assert first.folds[0].validation == pytest.approx(np.abs(first.oof - target)[in_first].mean())


def test_equal_weights_change_nothing_but_rounding(tables: Tables) -> None:
    plain = run(Tables(replace(tables.train, weights=None), tables.test))
    equal = run(Tables(replace(tables.train, weights=np.full(ROWS, 3.0)), tables.test))
    np.testing.assert_allclose(plain.oof, equal.oof, rtol=1e-4)
    assert plain.scores.oof_error == pytest.approx(equal.scores.oof_error, rel=1e-3)


def test_a_fold_without_weight_is_told(tables: Tables) -> None:
    weights = (SPLIT.fold_of_row != 2).astype(float)
    with pytest.raises(DataError, match="'size' is 0 in all 40 validation rows of fold 3"):
        run(Tables(replace(tables.train, weights=weights), tables.test), weight_column="size")


def test_the_loss_suits_metric_and_transform(tables: Tables) -> None:
    settings = make_settings(options=TINY)

    def loss(metric: str, transform: Any, **options: Any) -> str | None:
        given = make_settings(options={**TINY, **options}) if options else settings
        found = cross_validation.resolve(given, METRICS[metric], transform, 100, 10)
        return found.training.loss

    assert loss("pinball 0.9", NONE) == "pinball 0.9"
    assert loss("tweedie 1.2", LOG1P) == "tweedie 1.2"
    # The mean is what both ask for.
    assert loss("poisson", NONE) == "mse"
    assert loss("poisson", LOG1P, loss="huber") == "huber"
    # A setting of the portfolio has a loss of its own only in place of squared errors.
    for metric, expected in [("rmse", "huber 0.3"), ("mae", "mae"), ("pinball 0.9", "pinball 0.9")]:
        given = make_settings(options={"portfolio": "fine,robust"})
        found = cross_validation.resolve(given, METRICS[metric], NONE, 100, 10)
        assert found.portfolio[1].training.loss == expected
    with pytest.raises(UsageError, match="--loss poisson needs a target"):
        loss("rmse", NONE, loss="poisson")


def test_a_quantile_is_what_pinball_learns(tables: Tables) -> None:
    """Of a target that nothing explains, nine in ten lie below the quantile at 0.9."""
    noise = np.random.default_rng(0).gamma(2, size=ROWS)
    plain = Tables(replace(tables.train, target=noise, weights=None), tables.test)
    options = {"base_models": (), "epochs": 60, "weight_decay": 1.0, "batch_size": 20}
    found = run(plain, options, metric="pinball 0.9", target_transform="log1p")
    assert 0.8 < (noise <= found.oof).mean() < 0.98


def test_a_deviance_learns_the_mean(tables: Tables) -> None:
    """Squared errors of logs would learn the geometric mean, which is lower."""
    counts = np.random.default_rng(0).poisson(0.7, size=ROWS).astype(float)
    plain = Tables(replace(tables.train, target=counts, weights=None), tables.test)
    options = {"base_models": (), "epochs": 60, "weight_decay": 1.0, "dropout": 0.3}
    options |= {"frequencies": 4, "frequency_scale": 0.1}
    keys = {"metric": "poisson", "target_transform": "log1p"}
    deviance = run(plain, options, **keys)
    squares = run(plain, {**options, "loss": "mse"}, **keys)
    assert deviance.oof.mean() == pytest.approx(counts.mean(), rel=0.15)
    assert squares.oof.mean() < 0.85 * counts.mean()
    assert deviance.scores.oof < squares.scores.oof
