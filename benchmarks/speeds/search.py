"""Search: a population of unlike settings, and time to the score of one fit per trial."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import torch
from numpy.typing import NDArray

from benchmarks.speeds.effort import Effort, say
from benchmarks.speeds.loops import lone_members, plain_loop
from benchmarks.speeds.problems import FOLDS, make_problem
from benchmarks.speeds.ratios import alternate, timed
from benchmarks.speeds.results import Line, Outcome, at_least, at_most
from kaggleprice.evaluation.cross_validation import PreparedRun
from kaggleprice.evaluation.studies import FoldStudy
from kaggleprice.settings.portfolio import PORTFOLIO, Variant, vary
from kaggleprice.settings.search import SPACE, START, Space, change_of, rounded
from kaggleprice.settings.training import Member
from kaggleprice.training.batches import pad_rows
from kaggleprice.training.task import TrainingTask
from kaggleprice.training.train import train, train_and_predict

Floats = NDArray[np.float64]

TITLE = "Search"
MEANING = (
    "First: 32 networks of 32 settings, drawn evenly from all that `kaggleprice tune` searches, "
    "against 32 networks of one setting, of the same layers, as `cv` trains them. Second: learning "
    "rate, weight decay and dropout of one setting of the portfolio are searched, once by Optuna "
    "with one fit per trial (plain torch, one network after the other, fused optimizer), once in "
    "generations of 16 as `tune` trains them, on the same folds; the time until the best score of "
    "all the one-by-one trials is reached. Both score on validation rows: here nobody asks how "
    "honest that is."
)
POPULATION = 32
NAMES = ("lr", "weight_decay", "dropout")
NARROW: Space = {name: SPACE[name] for name in NAMES}
BEGIN = "robust"


def population(problem: PreparedRun, count: int) -> TrainingTask:
    """Return as many members as there are, each of settings of its own."""
    study, settings = FoldStudy(SPACE, [BEGIN], 0, 0), problem.task.settings
    made = []
    for number, (_, values) in enumerate(study.ask(count)):
        # No dropout at all would be other layers.
        values = rounded({**values, "dropout": max(0.01, values["dropout"])})
        change = {f"{number}": change_of(values, PORTFOLIO)}
        varied = vary(change, settings.model, settings.training)
        training = replace(
            varied[0].training,
            epochs=settings.training.epochs,
            batch_size=settings.training.batch_size,
        )
        made.append(replace(varied[0], training=training))
    ordered = sorted(made, key=lambda v: (v.model.activation, v.training.loss or ""))
    members = [
        replace(member, variant=i) for i, member in enumerate(sorted(problem.task.members[:count]))
    ]
    # Neighbours in the order of their settings.
    return replace(
        problem.task, members=members, settings=replace(settings, portfolio=tuple(ordered))
    )


def _options(effort: Effort, epochs: int) -> dict[str, Any]:
    change = PORTFOLIO[BEGIN]
    return {**change.values, "epochs": 2 if effort.quick else epochs, "history_every": epochs}


def measure(effort: Effort) -> Outcome:
    """Measure both."""
    outcome, data = Outcome(), effort.load()
    competition, tables = effort.source.competition, data.tables
    problem = make_problem(competition, tables, POPULATION, _options(effort, 4))
    alike, unlike = problem.task, population(problem, POPULATION)
    pairs = alternate(
        timed(lambda: train(alike, problem.devices), least=effort.least),
        timed(lambda: train(unlike, problem.devices), least=effort.least),
        effort.pairs,
    )
    threads = torch.get_num_threads()
    outcome.lines.append(
        Line(
            f"{POPULATION} networks of {POPULATION} settings",
            f"{POPULATION} networks of one setting",
            "times the seconds",
            pairs.costs(),
            threads,
            at_most(1.3),
        )
    )
    say(str(outcome.lines[-1]))
    trials = 4 if effort.quick else POPULATION
    race = Race(effort, trials)
    best = race.one_by_one()
    say(f"one by one, {trials} trials: {best:.4f}")
    found = alternate(
        timed(race.one_by_one),
        timed(lambda: race.populations(best)),
        min(effort.pairs, 3),
        warm=False,
    )
    outcome.lines.append(
        Line(
            f"search in generations, to {race.reached:.4f} with {race.tried} settings",
            f"Optuna, one fit per trial, {trials} settings: {best:.4f}",
            "times as fast",
            found.faster(),
            threads,
            at_least(5),
        )
    )
    say(str(outcome.lines[-1]))
    return outcome


class Race:
    """The same search twice.

    Attributes:
        reached, tried: the best score of the populations, and of how many settings.
    """

    def __init__(self, effort: Effort, trials: int) -> None:
        data = effort.load()
        self._problem = make_problem(
            effort.source.competition, data.tables, FOLDS, _options(effort, 24)
        )
        self._trials, self._generation = trials, 2 if effort.quick else 16
        self.reached, self.tried = np.inf, 0
        truth = self._problem.task.target
        self._truths = [truth[rows] for _, rows in self._problem.task.folds]

    def _variant(self, values: dict[str, Any], share: float = 1.0) -> Variant:
        settings = self._problem.task.settings
        made = vary({"own": change_of(values, PORTFOLIO)}, settings.model, settings.training)[0]
        epochs = max(1, round(share * settings.training.passes))
        batch_size = settings.training.batch_size
        training = replace(
            made.training, epochs=epochs, batch_size=batch_size, history_every=epochs
        )
        return replace(made, training=training)

    def _score(self, predicted: list[Floats]) -> float:
        """Return the pooled RMSE of what each fold's network predicts of its validation rows."""
        squares = [(p - t) ** 2 for p, t in zip(predicted, self._truths, strict=True)]
        score = float(np.sqrt(np.concatenate(squares).mean()))
        return score if np.isfinite(score) else np.inf

    def one_by_one(self) -> float:
        """Let Optuna propose a setting at a time; return the best score."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))

        def score(trial: optuna.Trial) -> float:
            values: dict[str, Any] = {START: BEGIN}
            for name, own in NARROW.items():
                values[name] = trial.suggest_float(name, own.low, own.high, log=own.log)
            variant, task = self._variant(values), self._problem.task
            settings = replace(task.settings, model=variant.model, training=variant.training)
            lone = lone_members(replace(self._problem, task=replace(task, settings=settings)))
            predicted = []
            frame = self._problem.engineered().train.features
            for fold, one in enumerate(lone):
                plain_loop(one, variant.training.passes)
                train_rows, rows = task.folds[fold]
                x = task.encoding.recipes[fold].transform(frame.loc[rows], np.float32)
                own = task.target[train_rows]
                with torch.inference_mode():
                    made = one.network.eval()(torch.from_numpy(x)).double().numpy()[:, 0]
                predicted.append(made * own.std() + own.mean())
            return self._score(predicted)

        study.optimize(score, n_trials=self._trials)
        return study.best_value

    def populations(self, goal: float) -> None:
        """Search in generations until a score is reached."""
        study = FoldStudy(NARROW, [BEGIN], 0, 0)
        self.reached, self.tried = np.inf, 0
        while self.reached > goal and self.tried < 8 * self._trials:
            asked = study.ask(self._generation)
            shorts = self._scores([values for _, values in asked], 1 / 3)
            order = np.argsort(shorts)[: -(-len(asked) // 4)]
            longs = self._scores([asked[i][1] for i in order], 1.0)
            ranks = {asked[i][0]: rank for i, rank in zip(order.tolist(), longs, strict=True)}
            study.tell(shorts, ranks)
            self.reached, self.tried = min(self.reached, *longs), self.tried + len(asked)

    def _scores(self, proposals: list[dict[str, Any]], share: float) -> list[float]:
        task = self._problem.task
        variants = tuple(self._variant(rounded(values), share) for values in proposals)
        members = [Member(fold, 0, 0, v) for v in range(len(variants)) for fold in range(FOLDS)]
        settings = replace(task.settings, portfolio=variants)
        index = pad_rows([task.folds[member.fold][1] for member in members])
        predicted = train_and_predict(
            replace(task, members=members, settings=settings), index, self._problem.devices
        )
        return [
            self._score(
                [predicted[v * FOLDS + fold][: len(self._truths[fold])] for fold in range(FOLDS)]
            )
            for v in range(len(variants))
        ]
