"""Honest cross-validation: what validation rows can reach, and how scores are computed."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from members import Heard
from sklearn.metrics import root_mean_squared_error

from kaggleprice.competitions.catalog import COMPETITIONS, Competition
from kaggleprice.competitions.metrics import METRICS
from kaggleprice.competitions.tables import Table, Tables
from kaggleprice.competitions.transforms import LOG, LOG1P
from kaggleprice.core.errors import DivergenceError, UsageError
from kaggleprice.evaluation import cross_validation, memory
from kaggleprice.evaluation.cross_validation import CrossValidation, make_members
from kaggleprice.evaluation.ensemble import WeightedPredictions
from kaggleprice.evaluation.folds import Folds, make_folds
from kaggleprice.evaluation.target_scale import TargetScale
from kaggleprice.models.portfolio import networks_of
from kaggleprice.preprocessing.encoding import EncodedRows, Encoding
from kaggleprice.settings.fold_schemes import FOLD_SCHEMES
from kaggleprice.settings.recipe import IMPUTES, RECIPES, SCALES
from kaggleprice.settings.run import PRESETS, RunSettings, make_settings
from kaggleprice.settings.training import Member

SAMPLE, CPU = COMPETITIONS["sample"], torch.device("cpu")
TINY = {"hidden": (8,), "epochs": 3, "portfolio": (), "seeds": 2, "k": 3}


@dataclass(frozen=True)
class Case:
    """A part of the sample competition."""

    tables: Tables

    def run(self, settings: RunSettings) -> CrossValidation:
        return cross_validation.cross_validate(
            SAMPLE, self.tables, folds_of(settings), settings, torch.device("cpu")
        )


def folds_of(settings: RunSettings) -> Folds:
    return make_folds(200, settings.k, scheme=settings.fold_scheme, seed=0)


@pytest.fixture(scope="module")
def case(sample_tables: Tables) -> Case:
    train = sample_tables.train
    part = Table(train.ids[:200], train.features.head(200), train.known_target[:200])
    test = sample_tables.test
    return Case(Tables(part, Table(test.ids[:30], test.features.head(30))))


def spoilt(case: Case, fold: int, settings: RunSettings) -> Case:
    """Replace the validation targets of one fold by garbage."""
    train = case.tables.train
    held = folds_of(settings).fold_of_row == fold
    target = np.where(held, 1e9, train.known_target)
    return Case(Tables(replace(train, target=target), case.tables.test))


OPTIONS = {
    "": {},
    "early stopping": {"patience": 1, "lr": 0.05},
    "target statistics": {"target_encode_levels": 3},
    "learned weights": {"portfolio": "robust,tanh", "loss": "mse", "inner_blocks": 3},
}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_garbage_targets_reach_nothing_of_their_fold(
    case: Case, preset: str, options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kaggleprice.evaluation.regressors._ENSEMBLES", 1)
    monkeypatch.setattr("kaggleprice.evaluation.regressors._ROUNDS", 20)
    monkeypatch.setattr("kaggleprice.evaluation.regressors._TREES", 20)
    settings = make_settings(preset, {**TINY, **options})
    clean, garbled = case.run(settings), spoilt(case, 1, settings).run(settings)
    check_second_fold(clean, garbled)


RECIPE_OPTIONS: list[dict[str, Any]] = [
    *({"recipe": name} for name in RECIPES),
    *({"scale": name} for name in SCALES),
    *({"impute": name} for name in IMPUTES),
    {"scale": "quantile", "impute": "knn"},
    {"base_models": ("ridge",), "clip": 2.0, "min_rows": 9},
]


@pytest.mark.parametrize("options", RECIPE_OPTIONS, ids=lambda o: "-".join(map(str, o.values())))
def test_garbage_targets_reach_no_encoding_of_their_fold(
    case: Case, options: dict[str, Any]
) -> None:
    """Folds and transforms are held fixed: both are declared, and know no validation row."""
    settings = make_settings("fast", {**TINY, **options})
    check_second_fold(case.run(settings), spoilt(case, 1, settings).run(settings))


def check_second_fold(clean: CrossValidation, garbled: CrossValidation) -> None:
    """Hold recipe, predictions and weights of the fold whose targets were spoilt to the others."""
    held = clean.split.fold_of_row == 1
    recipes = clean.ensemble.encoding.recipes[1], garbled.ensemble.encoding.recipes[1]
    recipe = clean.settings.recipe
    taught = recipe.scope == "fold" and recipe.target_encode_levels == 3
    assert bool(recipes[0].targets) == taught
    assert (recipes[0].context is not None) == (recipe.group_context is not None)
    assert recipes[0].to_json() == recipes[1].to_json()
    assert np.array_equal(clean.oof[held], garbled.oof[held])
    assert not np.array_equal(clean.oof[~held], garbled.oof[~held])
    check_members_of_fold(clean, garbled, 1)


def check_members_of_fold(clean: CrossValidation, garbled: CrossValidation, fold: int) -> None:
    """The same parameters, and what they count, to the last bit."""
    ensembles = clean.ensemble, garbled.ensemble
    members = ensembles[0].members
    first = 0
    networks = (networks_of(ensemble.network).values() for ensemble in ensembles)
    for parts in zip(*networks, strict=True):
        for a, b in zip(*(part.state_dict().values() for part in parts), strict=True):
            for m in range(parts[0].members):
                if members[first + m].fold == fold:
                    assert torch.equal(a[m], b[m])
        first += parts[0].members
    assert first == len(members)
    own = [m for m, member in enumerate(members) if member.fold == fold]
    if ensembles[0].weights is not None and ensembles[1].weights is not None:
        assert np.array_equal(ensembles[0].weights[own], ensembles[1].weights[own])
    if clean.base_models is not None and garbled.base_models is not None:
        targets = len(clean.scale.transforms) // len(clean.split)
        place = slice(fold * targets, (fold + 1) * targets)
        weights = (r.base_models.weights[:, place] for r in (clean, garbled) if r.base_models)
        assert np.array_equal(*weights)


SPLITS: dict[str, dict[str, Any]] = {
    **{scheme: {"scheme": scheme} for scheme in FOLD_SCHEMES},
    "forward with a gap": {"scheme": "forward", "gap": 5},
    "repeated": {"repeats": 2},
    "repeated groups": {"scheme": "grouped", "repeats": 2},
}


@pytest.mark.parametrize("name", SPLITS)
def test_garbage_targets_reach_nothing_of_a_fold_of_any_scheme(case: Case, name: str) -> None:
    """Folds held fixed; every row that does not train in the fold is spoilt, also later ones."""
    train = case.tables.train
    split = make_folds(
        200, 3, target=train.known_target, groups=np.arange(200) // 4, **SPLITS[name]
    )
    settings = make_settings(options={**TINY, "base_models": "ridge"})
    fold = len(split) // 2
    target = train.known_target.copy()
    target[split.left_out[fold]] = 1e9
    clean, garbled = (
        cross_validation.cross_validate(
            SAMPLE, Tables(replace(train, target=t), case.tables.test), split, settings, CPU
        )
        for t in (train.known_target, target)
    )
    assert clean.ensemble.encoding.recipes[fold] == garbled.ensemble.encoding.recipes[fold]
    own = split.places[fold]
    assert np.array_equal(clean.oof[own], garbled.oof[own])
    check_members_of_fold(clean, garbled, fold)
    if len(split) > 1:
        others = np.setdiff1d(np.arange(len(clean.oof)), own)
        assert not np.array_equal(clean.oof[others], garbled.oof[others])


@pytest.mark.parametrize("name", ["forward", "hold-out", "repeated"])
def test_scores_of_folds_that_rows_are_not_in_once(case: Case, name: str) -> None:
    """From the out-of-fold lines by pandas alone."""
    target = case.tables.train.known_target
    split = make_folds(200, 3, **SPLITS[name])
    settings = make_settings(options=TINY)
    found = cross_validation.cross_validate(SAMPLE, case.tables, split, settings, CPU)
    rows, folds = split.lines
    lines = pd.DataFrame({"row": rows, "fold": folds, "predicted": found.oof, "true": target[rows]})
    by_row = lines.groupby("row")[["predicted", "true"]].mean()
    error = np.log(by_row["predicted"]) - np.log(by_row["true"])
    assert found.scores.oof == pytest.approx(np.sqrt((error**2).mean()), rel=1e-12)
    expected = (np.log(lines["predicted"]) - np.log(lines["true"])) ** 2
    by_fold = np.sqrt(expected.groupby(lines["fold"]).mean())
    assert [fold.validation for fold in found.folds] == pytest.approx(by_fold.tolist())
    assert len(found.ensemble.members) == 2 * len(split)
    if name == "hold-out":
        assert found.scores.fold_sd is None
    else:
        assert found.scores.fold_sd == pytest.approx(by_fold.std(ddof=1))
    assert found.scores.scored == len(by_row)


def test_stopping_on_validation_rows_is_marked_and_does_see_them(case: Case) -> None:
    """The option that is not honest says so; the test above would fail for it."""
    watching = {"stop_on": "validation", "epochs": 12, "patience": 12, "seeds": 4}
    settings = make_settings(options={**TINY, **watching})
    assert any(note.startswith("Optimistic") for note in settings.notes)
    clean, garbled = case.run(settings), spoilt(case, 1, settings).run(settings)
    held = clean.split.fold_of_row == 1
    assert not np.array_equal(clean.oof[held], garbled.oof[held])


def test_garbage_features_of_validation_rows_reach_nothing_of_their_fold(case: Case) -> None:
    """Standard recipes learn nothing from them; the book's does, and says so."""
    settings = make_settings(options=TINY)
    folds = folds_of(settings).fold_of_row
    features = case.tables.train.features.astype({"LotArea": np.float64, "Street": "str"})
    features.loc[folds == 1, "LotArea"] = 1e6
    features.loc[folds == 1, "Street"] = "Canal"
    garbled = Case(Tables(replace(case.tables.train, features=features), case.tables.test))
    for preset, same in [("default", True), ("book", False)]:
        settings = make_settings(preset, {**TINY, "fold_scheme": "shuffled"})
        states = [
            run.ensemble.encoding.recipes[1] for run in (case.run(settings), garbled.run(settings))
        ]
        assert (states[0] == states[1]) is same
        assert any("has seen the features" in note for note in settings.notes) is not same


def test_levels_that_only_validation_rows_have_change_no_network_of_their_fold(case: Case) -> None:
    """Which categories have vectors, and how many, is the business of a fold's training rows."""
    options = {**TINY, "category_embedding": 3, "min_rows": 1, "dtype": "float64"}
    settings = make_settings(options=options)
    held = folds_of(settings).fold_of_row == 1
    features = case.tables.train.features.astype({"Street": "str"})
    features.loc[held, "Street"] = [f"street {i}" for i in range(held.sum())]
    garbled = Case(Tables(replace(case.tables.train, features=features), case.tables.test))
    clean, other = (which.run(settings).ensemble for which in (case, garbled))
    sizes = [ensemble.encoding.inputs.vectors for ensemble in (clean, other)]
    assert len(sizes[1]) == len(sizes[0]) + 1
    own = [m.fold == 1 for m in clean.members]
    made = [ensemble.predict(case.tables.train.features) for ensemble in (clean, other)]
    np.testing.assert_allclose(made[1][own], made[0][own], rtol=1e-9)


def test_training_rows_are_encoded_once_and_nothing_engineered_is_kept(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a million rows each further copy is seen in the peak of memory."""
    encoded: list[int] = []
    encode = Encoding.encode

    def counted(self: Encoding, frame: pd.DataFrame) -> EncodedRows:
        encoded.append(len(frame))
        return encode(self, frame)

    monkeypatch.setattr(Encoding, "encode", counted)
    settings = make_settings(options=TINY)
    case.run(settings)
    assert encoded == [200]
    problem = cross_validation.prepare(
        SAMPLE, case.tables, folds_of(settings), settings, torch.device("cpu")
    )
    assert problem.tables is case.tables
    assert "TotalSF" not in problem.tables.train.features
    assert "TotalSF" in problem.engineered().train.features
    # The network's rows are the encoded ones themselves.
    numeric = problem.task.rows_on(torch.device("cpu"))._numeric
    assert numeric.data_ptr() == problem.task.rows.numeric.ctypes.data


def test_scores_are_the_metrics_of_the_predictions(case: Case) -> None:
    """Pooled ones, and those of folds, are held against oof.csv where it is written."""
    result = case.run(make_settings(options={**TINY, "bound": False}))
    truth, fold_of_row = np.log(case.tables.train.known_target), result.split.fold_of_row
    predictions = result.ensemble.predict(case.tables.train.features)
    for fold in result.folds:
        own = [m.fold == fold.fold - 1 for m in result.ensemble.members]
        rows = fold_of_row != fold.fold - 1
        train = np.sqrt(np.mean((predictions[own].mean(axis=0) - truth)[rows] ** 2))
        assert fold.train == pytest.approx(train, rel=1e-12)
    for member, line in zip(result.members, predictions, strict=True):
        held = fold_of_row == member.fold - 1
        single = np.sqrt(np.mean((line - truth)[held] ** 2))
        assert member.validation == pytest.approx(single, rel=1e-12)


# Six turns: a seventh start is the first network again.
MIX = {
    "activation": ("gelu", "tanh", "prelu"),
    "dropout": ((0.3,), (0.0,)),
    "dtype": "float64",
}


@pytest.mark.parametrize(
    ("options", "few", "more", "close"),
    [({}, 1, 3, 1e-4), (MIX, 2, 7, 1e-9), ({**MIX, "embedding": "none"}, 4, 5, 1e-9)],
    ids=["default", "mix", "mix without embedding"],
)
def test_more_seeds_leave_the_first_ones_as_they_were(
    case: Case, options: dict[str, object], few: int, more: int, close: float
) -> None:
    few_scores, more_scores = (
        {
            (m.fold, m.seed): m.validation
            for m in case.run(make_settings(options={**TINY, **options, "seeds": seeds})).members
        }
        for seeds in (few, more)
    )
    assert (len(few_scores), len(more_scores)) == (3 * few, 3 * more)
    for key, score in few_scores.items():
        assert more_scores[key] == pytest.approx(score, rel=close)


def test_members_of_the_same_architecture_stand_together() -> None:
    """Then by fold, then seed: so that an activation is applied to neighbours at once."""
    plain = make_settings(options={"portfolio": (), "seeds": 3, "activation": ("tanh",)})
    assert make_members(2, plain) == [Member(f, s) for f in (0, 1) for s in (0, 1, 2)]
    pair = make_settings(options={"portfolio": (), "seeds": 3, "activation": ("gelu", "tanh")})
    assert make_members(2, pair) == [
        *[Member(f, s) for f in (0, 1) for s in (0, 2)],
        *[Member(f, 1) for f in (0, 1)],
    ]
    mix = make_settings(options={**MIX, "portfolio": (), "seeds": 8})
    turns = [(0, 6), (1, 7), (2,), (3,), (4,), (5,)]
    assert make_members(2, mix) == [Member(f, s) for seeds in turns for f in (0, 1) for s in seeds]


def test_more_starts_than_memory_holds_are_refused(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, before there are so many members."""
    monkeypatch.setattr(memory, "memory", lambda: 10**6)
    settings = make_settings(options={**TINY, "seeds": 2000})
    with pytest.raises(UsageError, match=r"6,000 networks \(--seeds 2000\)"):
        cross_validation.prepare(SAMPLE, case.tables, folds_of(settings), settings, CPU)


def test_starts_of_a_turn_are_the_same_network() -> None:
    model = make_settings(options={**MIX, "dropout": ((0.3, 0.1), (0.2,))}).model
    made = [(model.activation_of(s), model.rates_of(s)) for s in range(12)]
    assert (
        made[:6]
        == made[6:]
        == [
            ("gelu", (0.3, 0.1)),
            ("tanh", (0.2, 0.2)),
            ("prelu", (0.3, 0.1)),
            ("gelu", (0.2, 0.2)),
            ("tanh", (0.3, 0.1)),
            ("prelu", (0.2, 0.2)),
        ]
    )
    assert [model.turn_of(s) for s in range(12)] == [*range(6), *range(6)]


def test_out_of_fold_uses_only_members_that_did_not_train_on_the_row() -> None:
    members = [Member(0, 0), Member(1, 0), Member(0, 1), Member(1, 1)]
    predictions = np.log([[1.0, 1.0], [10.0, 10.0], [4.0, 4.0], [1000.0, 1000.0]])
    networks, folds = WeightedPredictions(members, predictions), Folds.of_rows(np.array([1, 0]))
    scale = TargetScale.learn(METRICS["rmse"], LOG, np.array([1.0, 3.0]), folds, bound=False)
    assert networks.out_of_fold(folds, scale, "geometric") == pytest.approx([100.0, 2.0])
    assert networks.out_of_fold(folds, scale, "arithmetic") == pytest.approx([505.0, 2.5])


def test_predictions_that_the_metric_cannot_score_are_told(case: Case) -> None:
    """The log of 1 + x says nothing of what is below -1, which untransformed networks predict."""
    competition = replace(SAMPLE, metric="log1p_rmse", target_transform="none")
    train = case.tables.train
    wide = np.exp(np.random.default_rng(0).normal(0, 3, len(train)))
    tables = Tables(replace(train, target=wide), case.tables.test)
    settings = make_settings(options={**TINY, "epochs": 1, "bound": False})
    folds = folds_of(settings)
    with pytest.raises(DivergenceError, match="metric rmsle is not defined"):
        cross_validation.cross_validate(competition, tables, folds, settings, torch.device("cpu"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"budget": 0.01}, [r"\d+ epochs of \d+ rows per step"]),
        ({"epochs": 1}, []),
    ],
)
def test_epochs_that_data_decided_are_said(
    case: Case, options: dict[str, Any], said: list[str]
) -> None:
    rest = {name: value for name, value in TINY.items() if name != "epochs"}
    settings, heard = make_settings(options={**rest, "seeds": 1, **options}), Heard()
    cross_validation.cross_validate(
        SAMPLE, case.tables, folds_of(settings), settings, CPU, progress=heard
    )
    found = [notice for notice in heard.notices if "epochs of" in notice]
    assert len(found) == len(said)
    assert all(re.fullmatch(*pair) for pair in zip(said, found, strict=True))


@pytest.mark.parametrize(
    ("metric", "asked", "clip_norm"),
    [("poisson", None, 1.0), ("poisson", 5.0, 5.0), ("rmse", None, None), ("rmse", 5.0, 5.0)],
)
def test_gradients_of_a_loss_of_logs_are_bounded(
    metric: str, asked: float | None, clip_norm: float | None
) -> None:
    settings = make_settings(options={"clip_norm": asked} if asked else {})
    found = cross_validation.resolve(settings, METRICS[metric], LOG1P, 100, 10).training
    assert (found.loss, found.clip_norm) == (METRICS[metric].training_loss, clip_norm)


BOTH = replace(SAMPLE, target_column=("SalePrice", "LotArea"))


def with_two_targets(case: Case) -> Case:
    """Return the case with a second target: a column that is no feature any more."""
    second = case.tables.train.features["LotArea"].to_numpy(np.float64)
    tables = Tables(
        *(
            replace(table, features=table.features.drop(columns="LotArea"))
            for table in (case.tables.train, case.tables.test)
        )
    )
    target = np.column_stack([tables.train.known_target, second])
    return Case(Tables(replace(tables.train, target=target), tables.test))


@pytest.fixture(scope="module")
def two(case: Case) -> Case:
    return with_two_targets(case)


def validate(competition: Competition, case: Case, settings: RunSettings) -> CrossValidation:
    return cross_validation.cross_validate(
        competition, case.tables, folds_of(settings), settings, torch.device("cpu")
    )


SETTINGS_OF_TWO = make_settings(
    "fast",
    # Context is chosen for all targets together.
    {**TINY, "engineering": False, "group_context": None, "base_models": ("ridge",)},
)


def test_each_target_is_predicted_as_if_it_were_the_only_one(two: Case) -> None:
    together = validate(BOTH, two, SETTINGS_OF_TWO)
    for number, name in enumerate(BOTH.targets):
        alone = validate(BOTH.of_target(name), Case(two.tables.of_target(number)), SETTINGS_OF_TWO)
        assert together.scores.targets[name] == pytest.approx(alone.scores.oof, rel=1e-4)
        assert np.allclose(together.oof[:, number], alone.oof, rtol=1e-4)


def test_the_score_is_the_mean_over_targets(two: Case) -> None:
    found = validate(BOTH, two, SETTINGS_OF_TWO)
    logs = np.log(two.tables.train.known_target), np.log(found.oof)
    rmse = root_mean_squared_error(*logs, multioutput="raw_values")
    assert list(found.scores.targets.values()) == pytest.approx(rmse)
    assert found.scores.oof == pytest.approx(rmse.mean())
    assert {member.target for member in found.members} == {1, 2}
    # The delta method on the mean of two roots, each row's influences of both together.
    squares = (logs[1] - logs[0]) ** 2
    influence = ((squares - squares.mean(axis=0)) / (2 * rmse)).mean(axis=1)
    error = influence.std(ddof=1) / np.sqrt(len(influence))
    assert found.scores.oof_error == pytest.approx(error)


def test_garbage_in_several_targets_reaches_nothing_of_its_fold(two: Case) -> None:
    held = folds_of(SETTINGS_OF_TWO).fold_of_row == 1
    target = np.where(held[:, None], 1e9, two.tables.train.known_target)
    garbled = Case(Tables(replace(two.tables.train, target=target), two.tables.test))
    clean, spoiled = (validate(BOTH, case, SETTINGS_OF_TWO) for case in (two, garbled))
    assert np.array_equal(clean.oof[held], spoiled.oof[held])
    assert not np.array_equal(clean.oof[~held], spoiled.oof[~held])
