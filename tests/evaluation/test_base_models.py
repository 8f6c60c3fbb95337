"""Partners: fitted per fold, honest, reproducible; and how their vote is counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import is_regressor

from kaggleprice.api.workflow import PredictRequest, RuntimeConfig, cross_validate, predict
from kaggleprice.competitions.catalog import COMPETITIONS
from kaggleprice.competitions.data import DatasetRef
from kaggleprice.competitions.tables import Table, Tables, read_tables
from kaggleprice.competitions.transforms import LOG
from kaggleprice.core.errors import RunFolderError, UnknownNameError, UsageError
from kaggleprice.evaluation import cross_validation
from kaggleprice.evaluation.base_models import BaseModelPredictions, fit_partners
from kaggleprice.evaluation.cross_validation import CrossValidation, fit_recipes
from kaggleprice.evaluation.ensemble import WeightedPredictions
from kaggleprice.evaluation.folds import make_folds
from kaggleprice.runs.reading import read_run
from kaggleprice.settings.base_models import PARTNERS
from kaggleprice.settings.run import RunSettings, make_settings
from kaggleprice.settings.training import Member

SAMPLE = COMPETITIONS["sample"]
FOLDER = Path(__file__).parents[2] / "data" / "sample"
TINY = {"hidden": (8,), "epochs": 2, "seeds": 2, "k": 3}
ROWS = 120


@pytest.fixture(scope="module")
def tables() -> Tables:
    read = read_tables(SAMPLE, FOLDER / "train.csv", FOLDER / "test.csv")
    train, test = read.train, read.test
    return Tables(
        Table(train.ids[:ROWS], train.features.head(ROWS), train.known_target[:ROWS]),
        Table(test.ids[:30], test.features.head(30)),
    )


def votes_of(
    tables: Tables, names: tuple[str, ...], seed: int = 0, threads: int = 1
) -> BaseModelPredictions:
    settings = make_settings(options=TINY)
    folds = make_folds(ROWS, 3, shuffle=True, seed=0)
    recipes = fit_recipes(tables, folds, settings)
    target = np.log(tables.train.known_target)
    return fit_partners(names, tables, recipes, folds, target, seed, threads)


def run(tables: Tables, settings: RunSettings) -> CrossValidation:
    folds = make_folds(len(tables.train), settings.k, shuffle=True, seed=0)
    return cross_validation.cross_validate(SAMPLE, tables, folds, settings, torch.device("cpu"))


@pytest.mark.parametrize("name", PARTNERS)
def test_conformance(tables: Tables, name: str) -> None:
    """What is asked of every entry: a regressor, better than the mean, the same twice."""
    assert is_regressor(PARTNERS[name].load()(3))
    votes = votes_of(tables, (name,))
    assert votes.names == (name,)
    assert votes.train.shape == (1, 3, ROWS)
    assert votes.test.shape == (1, 3, 30)
    target, folds = np.log(tables.train.known_target), make_folds(ROWS, 3, shuffle=True, seed=0)
    oof = votes.train[0, folds, np.arange(ROWS)]
    assert np.sqrt(np.mean((oof - target) ** 2)) < 0.8 * target.std()
    again = votes_of(tables, (name,), threads=2)
    assert np.array_equal(votes.train, again.train)
    assert np.array_equal(votes.test, again.test)


def test_ridge_is_scikit_learns(tables: Tables) -> None:
    from sklearn.linear_model import RidgeCV

    folds = make_folds(ROWS, 3, shuffle=True, seed=0)
    recipe = fit_recipes(tables, folds, make_settings(options=TINY))[1]
    features, target = recipe.transform(tables.train.features), np.log(tables.train.known_target)
    expected = RidgeCV(np.logspace(-1, 4, 16)).fit(features[folds != 1], target[folds != 1])
    votes = votes_of(tables, ("boosting", "ridge"))
    np.testing.assert_allclose(votes.train[1, 1], expected.predict(features), rtol=1e-4)


def test_trees_depend_on_seed_and_fold(tables: Tables) -> None:
    first, other = votes_of(tables, ("boosting",)), votes_of(tables, ("boosting",), seed=1)
    assert not np.array_equal(first.test, other.test)
    assert not np.array_equal(first.test[0, 0], first.test[0, 1])


def test_garbage_targets_reach_no_partner_of_their_fold(tables: Tables) -> None:
    settings = make_settings(options={**TINY, "partners": ("boosting", "ridge")})
    held = make_folds(ROWS, 3, shuffle=True, seed=0) == 1
    target = np.where(held, 1e9, tables.train.known_target)
    clean = run(tables, settings)
    garbled = run(Tables(replace(tables.train, target=target), tables.test), settings)
    assert clean.votes is not None
    assert garbled.votes is not None
    assert np.array_equal(clean.votes.train[:, 1], garbled.votes.train[:, 1])
    assert np.array_equal(clean.votes.test[:, 1], garbled.votes.test[:, 1])
    assert not np.array_equal(clean.votes.test[:, 0], garbled.votes.test[:, 0])
    assert np.array_equal(clean.oof[held], garbled.oof[held])


def test_the_vote_is_counted_by_hand(tables: Tables) -> None:
    settings = make_settings(
        options={**TINY, "partners": ("boosting", "ridge"), "partner_share": 0.3}
    )
    result, alone = run(tables, settings), run(tables, make_settings(options=TINY))
    assert result.votes is not None
    rows = np.arange(ROWS)
    partners = result.votes.train[:, result.fold_of_row, rows]
    logs = 0.7 * np.log(alone.oof) + 0.15 * partners[0] + 0.15 * partners[1]
    np.testing.assert_allclose(result.oof, np.exp(logs), rtol=1e-12)
    truth = np.log(tables.train.known_target)
    assert result.scores.oof == pytest.approx(np.sqrt(np.mean((logs - truth) ** 2)))
    assert result.scores.networks_oof == pytest.approx(alone.scores.oof, rel=1e-12)
    assert [p.name for p in result.partners] == ["boosting", "ridge"]
    for p, score in enumerate(result.partners):
        assert score.oof == pytest.approx(np.sqrt(np.mean((partners[p] - truth) ** 2)))


def test_without_partners_the_networks_are_everybody(tables: Tables) -> None:
    result = run(tables, make_settings(options=TINY))
    assert result.votes is None
    assert result.partners == []
    assert result.scores.networks_oof == result.scores.oof


def test_test_rows_are_voted_on_by_every_fold() -> None:
    settings = make_settings(options={**TINY, "partners": ("ridge",), "partner_share": 0.5})
    members = [Member(fold, seed) for fold in range(3) for seed in range(2)]
    rng = np.random.default_rng(0)
    networks, partners = rng.normal(size=(6, 4)), rng.normal(size=(1, 3, 4))
    voices = WeightedPredictions.with_partners(members, networks, partners, settings)
    expected = 0.5 * networks.mean(axis=0) + 0.5 * partners[0].mean(axis=0)
    np.testing.assert_allclose(np.log(voices.combine(LOG, None)), expected, rtol=1e-12)


def test_a_saved_run_votes_the_same(tables: Tables, tmp_path: Path) -> None:
    source, runtime = DatasetRef(SAMPLE, tmp_path / "data"), RuntimeConfig(tmp_path / "runs")
    settings = make_settings(options={**TINY, "partners": ("ridge",)})
    saved, result = cross_validate(source, settings, runtime)
    votes = read_run(saved.path).votes()
    assert votes is not None
    assert result.votes is not None
    assert np.array_equal(votes.train, result.votes.train)
    assert np.array_equal(votes.test, result.votes.test)
    made = predict(source, runtime, output=tmp_path / "a.csv").submission
    networks = result.ensemble.predict(tables_of(source).test.features).mean(axis=0)
    expected = np.exp(0.6 * networks + 0.4 * votes.test[0].mean(axis=0))
    np.testing.assert_allclose(made.iloc[:, 1], expected, rtol=1e-6)
    with pytest.raises(UsageError, match="--partners none"):
        predict(
            source,
            runtime,
            PredictRequest(options={"combine": "median"}),
            output=tmp_path / "b.csv",
        )
    assert not (tmp_path / "b.csv").exists()
    (saved.path / "votes.safetensors").write_bytes(b"")
    with pytest.raises(RunFolderError, match=r"votes\.safetensors was truncated or altered"):
        predict(source, runtime, output=tmp_path / "c.csv")


def tables_of(source: DatasetRef) -> Tables:
    from kaggleprice.competitions.data import load

    return load(source).tables


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"partners": ("boosting", "boosting")}, "partners must differ"),
        ({"partners": ("ridge",), "partner_share": 0.0}, "above 0 and below 1"),
        ({"partner_share": 1.0}, "above 0 and below 1"),
    ],
)
def test_settings_that_cannot_be(options: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make_settings(options=options)


def test_an_unknown_partner_is_named() -> None:
    with pytest.raises(UnknownNameError, match="boosting"):
        make_settings(options={"partners": ("bosting",)})
