"""Studies: proposals that depend on the seed and on what was told, and a database of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest

from kaggleprice.core.errors import OutputError, UsageError
from kaggleprice.evaluation.studies import FoldStudy, Storage
from kaggleprice.settings.search import SPACE, START

STARTS = ["robust", "tanh"]
STATES = optuna.trial.TrialState


def searched(seed: int = 0, fold: int = 0, generations: int = 4) -> FoldStudy:
    """Tell that a large rate and little dropout are good; the better half goes on."""
    study = FoldStudy(SPACE, STARTS, seed, fold)
    for _ in range(generations):
        asked = study.ask(8)
        ranks = [1 / values["lr"] + values["dropout"] for _, values in asked]
        middle = sorted(ranks)[4]
        longs = {n: r for (n, _), r in zip(asked, ranks, strict=True) if r < middle}
        study.tell(ranks, longs)
    return study


def params(study: FoldStudy) -> list[dict[str, Any]]:
    return [trial.params for trial in study.trials]


def test_the_same_search_makes_the_same_proposals() -> None:
    assert params(searched()) == params(searched())
    assert params(searched()) != params(searched(seed=1))
    assert params(searched()) != params(searched(fold=1))
    # A shorter search is the beginning of a longer one.
    assert params(searched(generations=2)) == params(searched())[:16]


def test_proposals_learn() -> None:
    rates = [values["lr"] for values in params(searched(generations=8))]
    assert sum(rates[-16:]) > 1.5 * sum(rates[:16])


def test_those_that_do_not_go_on_are_pruned() -> None:
    trials = searched(generations=1).trials
    states = [trial.state for trial in trials]
    assert (states.count(STATES.COMPLETE), states.count(STATES.PRUNED)) == (4, 4)
    assert all(set(trial.intermediate_values) >= {0} for trial in trials)


def test_one_start_is_no_choice() -> None:
    study = FoldStudy(SPACE, ["tanh"], 0, 0)
    ((_, values),) = study.ask(1)
    assert values[START] == "tanh"
    study.tell([float("inf")], {})
    assert START not in study.trials[0].params


@pytest.mark.parametrize("greater", [False, True])
def test_a_database_has_the_scores(tmp_path: Path, greater: bool) -> None:
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    study = searched(generations=1)
    Storage(url).keep("one", study, greater_is_better=greater)
    study.tell([1.0 for _ in study.ask(2)], {})
    # Only what is new is added.
    Storage(url).keep("one", study, greater_is_better=greater)
    (kept,) = Storage(url).studies(["one"])
    assert [trial.params for trial in kept.trials] == params(study)
    assert [trial.state for trial in kept.trials] == [trial.state for trial in study.trials]
    sign = -1 if greater else 1
    best = min(trial.intermediate_values.get(1, float("inf")) for trial in study.trials)
    assert kept.best_value == sign * best
    with pytest.raises(UsageError, match="two"):
        Storage(url).studies(["two"])


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all.db", "nonsense", "mysql+no://x/y"])
def test_a_database_that_cannot_be_opened_is_said(url: str) -> None:
    with pytest.raises(OutputError, match="storage"):
        Storage(url)
