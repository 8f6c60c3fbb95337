"""The search: honest by construction, the same every time, one population one network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from kaggleprice.competitions.catalog import COMPETITIONS
from kaggleprice.competitions.metrics import METRICS
from kaggleprice.competitions.tables import Table, Tables
from kaggleprice.core.errors import UsageError
from kaggleprice.evaluation import tuning
from kaggleprice.evaluation.cross_validation import PreparedRun, make_members, prepare
from kaggleprice.evaluation.ensemble import Ensemble
from kaggleprice.evaluation.folds import make_folds
from kaggleprice.evaluation.tuning import Search, SearchPlan, Tuned
from kaggleprice.evaluation.weighting import learn_weights
from kaggleprice.settings.portfolio import PORTFOLIO
from kaggleprice.settings.run import make_settings
from kaggleprice.settings.search import SPACE, Space
from kaggleprice.training.task import TrainingTask
from kaggleprice.training.train import make_groups, train

SAMPLE, CPU = COMPETITIONS["sample"], torch.device("cpu")
# Folds are not all of one size, nor are the rows that networks leave out.
ROWS, FOLDS = 130, 3
OPTIONS: dict[str, Any] = {
    "portfolio": "robust,tanh",
    **{"k": FOLDS, "seeds": 3, "epochs": 3, "inner_blocks": 4, "batch_size": 16, "hidden": (8,)},
}
PLAN = SearchPlan(trials=6, population=4)

Floats = NDArray[np.float64]


@dataclass
class Kept:
    """What stages predicted, and how many were made."""

    stages: dict[int, Floats] = field(default_factory=dict)
    made: int = 0

    def __call__(self, stage: int, make: Callable[[], Floats]) -> Floats:
        if stage not in self.stages:
            self.stages[stage] = make()
            self.made += 1
        return self.stages[stage]


@dataclass(frozen=True)
class Case:
    """A part of the sample competition."""

    tables: Tables

    def prepare(self, **options: Any) -> tuple[PreparedRun, Any]:
        settings = make_settings(options={**OPTIONS, **options})
        split = make_folds(ROWS, FOLDS, seed=0)
        return prepare(SAMPLE, self.tables, split, settings, CPU), settings

    def search(self, plan: SearchPlan = PLAN, space: Space = SPACE, **options: Any) -> Search:
        problem, settings = self.prepare(**options)
        return Search(problem, settings, PORTFOLIO, space, plan)

    def run(
        self, plan: SearchPlan = PLAN, kept: Kept | None = None, **options: Any
    ) -> tuple[Search, Tuned]:
        search = self.search(plan, **options)
        return search, search.run(kept or Kept())


@pytest.fixture(scope="module")
def case(sample_tables: Tables) -> Case:
    train = sample_tables.train
    part = Table(train.ids[:ROWS], train.features.head(ROWS), train.known_target[:ROWS])
    return Case(Tables(part, sample_tables.test))


@pytest.fixture(scope="module")
def whole(case: Case) -> tuple[Search, Tuned]:
    return case.run()


def seen(search: Search, fold: int) -> Any:
    """All that a fold's search did and made."""
    own = search.folds[fold]
    return (
        [(trial.params, trial.state, trial.intermediate_values) for trial in own.study.trials],
        [(t.name, dict(t.values), t.inner.tobytes(), t.outer.tobytes()) for t in own.library],
        [(numbers, weights.tobytes()) for numbers, weights in own.chosen],
    )


def test_garbage_targets_reach_nothing_of_their_fold(
    case: Case, whole: tuple[Search, Tuned]
) -> None:
    train = case.tables.train
    held = make_folds(ROWS, FOLDS, seed=0)[1][1]
    target = train.known_target.copy()
    target[held] = 1e9
    spoilt = Case(Tables(replace(train, target=target), case.tables.test))
    search, tuned = spoilt.run()
    assert seen(search, 1) == seen(whole[0], 1)
    assert seen(search, 0) != seen(whole[0], 0)
    assert np.array_equal(tuned.oof[held], whole[1].oof[held])


def test_the_same_search_is_the_same(case: Case, whole: tuple[Search, Tuned]) -> None:
    search, tuned = case.run()
    for fold in range(FOLDS):
        assert seen(search, fold) == seen(whole[0], fold)
    assert np.array_equal(tuned.oof, whole[1].oof)
    assert tuned.winners == whole[1].winners


def test_what_was_kept_is_not_trained_again(case: Case, whole: tuple[Search, Tuned]) -> None:
    kept = Kept()
    case.run(kept=kept)
    made = kept.made
    # The last stages are lost.
    kept.stages = {stage: kept.stages[stage] for stage in range(made - 2)}
    _, tuned = case.run(kept=kept)
    assert kept.made == made + 2
    assert np.array_equal(tuned.oof, whole[1].oof)


def test_no_generation_is_begun_too_late(case: Case) -> None:
    """What is left is the portfolio, with the weights that it has without a search."""
    search, tuned = case.run(replace(PLAN, deadline=0.0))
    assert (tuned.trials, tuned.complete) == (0, False)
    assert {choice.name for choice in tuned.winners} <= {"robust", "tanh"}
    assert tuned.tuned == pytest.approx(tuned.untuned, rel=0.05)
    # A generation of 4 is 4 thirds of a network and one setting by 2 scouts; the portfolio was 2
    # settings by 2 scouts.
    assert search._seconds_of_generation(12.0) == pytest.approx(12 * (4 / 3 + 2) / 4)


def test_a_deadline_keeps_the_beginning(
    case: Case, whole: tuple[Search, Tuned], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = iter([False, True])
    monkeypatch.setattr(Search, "_too_late", lambda *_: next(asked))
    search, tuned = case.run(replace(PLAN, deadline=0.0))
    assert (tuned.trials, tuned.complete) == (PLAN.population, False)
    for one, other in zip(search.folds, whole[0].folds, strict=True):
        shorter, longer = ([t.params for t in fold.study.trials] for fold in (one, other))
        assert shorter == longer[: len(shorter)]
    assert whole[1].complete


def test_a_generation_of_one_architecture_is_one_network(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = list[TrainingTask]()
    monkeypatch.setattr(
        tuning,
        "train_and_predict",
        lambda task, index, *_: tasks.append(task) or np.zeros(index.shape),
    )
    case.run(SearchPlan(trials=4, population=4), hidden=(8,))
    # Robust and tanh have the same layers.
    generation = tasks[1]
    assert len(generation.settings.variants) == 4 * FOLDS
    shapes = {(m.fold, generation.variant_of(m).model.drops) for m in generation.members}
    assert len(generation.spans) == len(shapes)
    assert len(make_groups(generation, CPU)) == len(shapes)


def test_weights_of_the_portfolio_are_those_of_cross_validation(case: Case) -> None:
    """By another way: networks, and what they predict, in place of predictions alone."""
    problem, _ = case.prepare()
    settings = problem.task.settings
    members = [m for m in make_members(FOLDS, settings) if m.seed < (settings.scouts or 0)]
    task = replace(problem.task, members=members)
    network, fit = train(task, [CPU])
    ensemble = Ensemble(task.encoding, network, task.members, fit)
    truth = case.tables.train.known_target
    learned = learn_weights(ensemble, task, truth, METRICS[SAMPLE.metric], problem.scale)
    search, _ = case.run(SearchPlan(trials=1, population=1))
    for fold in range(FOLDS):
        own = search._weigh_portfolio(fold, 0)
        np.testing.assert_allclose(own, learned.settings[fold])


def test_winners_count_as_all_folds_do(case: Case, whole: tuple[Search, Tuned]) -> None:
    """What a fold's settings count sums to 1; of all folds, those are left out that count least."""
    search, tuned = whole
    counts = dict[str, float]()
    for own in search.folds:
        numbers, weights = own.chosen[0]
        for number, weight in zip(numbers, weights, strict=True):
            name = own.library[number].name
            counts[name] = counts.get(name, 0.0) + float(weight) / len(search.folds)
    assert sum(counts.values()) == pytest.approx(1)
    for winner in tuned.winners:
        assert winner.weight == pytest.approx(counts[winner.name])


def test_a_small_space_is_searched(case: Case) -> None:
    space = {name: SPACE[name] for name in ("lr", "dropout")}
    search = case.search(PLAN, space)
    search.run(Kept())
    for fold in search.folds:
        for trial in fold.study.trials:
            assert set(trial.params) == {"start", "lr", "dropout"}


def test_settings_that_diverge_are_not_chosen(case: Case) -> None:
    """At an absurd rate no network ends with numbers that the metric takes."""
    wild = {"lr": replace(SPACE["lr"], low=1e9, high=1e12)}
    search = case.search(PLAN, wild)
    tuned = search.run(Kept())
    assert {winner.name for winner in tuned.winners} <= {"robust", "tanh"}
    assert np.isfinite(tuned.oof).all()


def test_several_targets(case: Case) -> None:
    train = case.tables.train
    twice = np.column_stack([train.known_target, train.known_target[::-1]])
    names = ("SalePrice", "Other")
    competition = replace(SAMPLE, target_column=names)
    tables = Tables(replace(train, target=twice), case.tables.test)
    settings = make_settings(options=OPTIONS)
    problem = prepare(competition, tables, make_folds(ROWS, FOLDS, seed=0), settings, CPU)
    search = Search(problem, settings, PORTFOLIO, SPACE, SearchPlan(trials=4, population=4))
    tuned = search.run(Kept())
    assert tuned.oof.shape == (ROWS, 2)
    assert np.isfinite(tuned.oof).all()
    assert sum(winner.weight for winner in tuned.winners) <= 1 + 1e-9


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"inner_blocks": 1}, "--inner-blocks"),
        ({"portfolio": "tanh"}, "--inner-blocks"),
        ({"combine": "median"}, "median"),
        ({"base_models": "ridge"}, "--base-models"),
    ],
)
def test_what_cannot_be_searched_is_said(case: Case, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        case.search(**options)


def test_a_metric_with_a_loss_of_its_own_keeps_it(case: Case) -> None:
    settings = make_settings(options=OPTIONS)
    absolute = replace(SAMPLE, metric="mae")
    problem = prepare(absolute, case.tables, make_folds(ROWS, FOLDS, seed=0), settings, CPU)
    search = Search(problem, settings, PORTFOLIO, SPACE, PLAN)
    ((_, values),) = search.folds[0].study.ask(1)
    assert "loss" not in values
    assert "lr" in values
