"""Search: settings proposed in generations, trained as populations, and chosen inside each fold.

Each fold is searched for itself. A generation's proposals are trained for a short time, leaving out
one block of the fold's training rows; those that predict it best are trained to the end, as the
portfolio's own settings are, and join the fold's library (successive halving, Jamieson and
Talwalkar 2016). From the library a few are selected and weighed on the rows that they left out. A
fold's validation rows have no part in any of it, so the score on them is that of the whole search,
the choice included (nested cross-validation, Cawley and Talbot 2010).

All folds are trained side by side; of each fold, settings of one shape are one network.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaggleprice.competitions.metrics import METRICS, TARGET_TRANSFORMS
from kaggleprice.core.errors import UsageError
from kaggleprice.core.progress import SILENT, Progress
from kaggleprice.evaluation.cross_validation import PreparedRun, resolve
from kaggleprice.evaluation.studies import FoldStudy
from kaggleprice.evaluation.weighting import Objective, greedy_weights, select
from kaggleprice.settings.portfolio import Change, Variant, vary
from kaggleprice.settings.run import RunSettings
from kaggleprice.settings.search import (
    START,
    Space,
    change_of,
    check_space,
    rounded,
    values_of,
)
from kaggleprice.settings.training import Member
from kaggleprice.training.batches import pad_rows
from kaggleprice.training.cluster import Cluster
from kaggleprice.training.loop import Callback
from kaggleprice.training.task import TrainingTask
from kaggleprice.training.train import train_and_predict

Floats = NDArray[np.float64]
# A proposal: setting → value, and `START` → the setting of the portfolio that it starts from.
Values = Mapping[str, Any]
# Returns what a stage of training predicted, counted from 0: from before, or made now.
Keep = Callable[[int, Callable[[], Floats]], Floats]

# A proposal is first trained for this part of its epochs; then the best of so many go on.
_SHORT, _HALVING = 1 / 3, 4
# The portfolio's own weights count as so many steps of the selection; so many steps follow, each
# to any setting. On few rows the best of many is best by chance: most of the weight stays where it
# was learned from few.
_TRUST, _STEPS = 25, 8
# A setting is kept where it has this part of the weight that it had if all had the same; at most
# so many are.
_COUNTS, _SELECTED = 0.5, 12


@dataclass(frozen=True)
class SearchPlan:
    """How much is searched.

    Attributes:
        trials: proposals for each fold.
        population: proposals of a generation, for each fold.
        deadline: in seconds of `time.monotonic`: no generation is begun that would not end in
            time, the networks that score the choice included; None for no limit.
    """

    trials: int
    population: int
    deadline: float | None = None


@dataclass(frozen=True)
class Tried:
    """One setting, and what a fold's networks of it predict; the transformed target of T targets.

    Attributes:
        name: of the setting.
        values: its proposal.
        inner: shape (T, L), of the L rows that the fold's scouts leave out, block after block.
        outer: shape (S, T, V), of the V validation rows, by each of S scouts.
        rank: of its score on the rows left out; the lowest is the best.
    """

    name: str
    values: Values
    inner: Floats
    outer: Floats
    rank: float


@dataclass
class FoldSearch:
    """The search of one fold.

    Attributes:
        study: its proposals.
        left_out: the rows that each of its S scouts leaves out.
        validation: its validation rows.
        library: the settings that were trained to the end, those of the portfolio first.
        chosen: for each of T targets, the numbers in the library that were selected, and weights.
    """

    study: FoldStudy
    left_out: list[NDArray[np.int64]]
    validation: NDArray[np.int64]
    library: list[Tried] = field(default_factory=list)
    chosen: list[tuple[list[int], Floats]] = field(default_factory=list)


@dataclass(frozen=True)
class Choice:
    """A setting that was chosen.

    Attributes:
        name: of the setting.
        values: its proposal: setting → value, and `START` → what it starts from.
        weight: its share of the ensemble, from 0 to 1; mean over folds and targets.
        folds: how many folds chose it.
    """

    name: str
    values: Values
    weight: float
    folds: int


@dataclass(frozen=True)
class Tuned:
    """The result of a search; all scores are by the competition's metric.

    Attributes:
        oof: shape (L,), or (L, T) of T targets, out-of-fold predictions, for `Folds.lines`.
        naive: mean score of the first networks on the rows that chose their settings and weights.
        nested: that of the very same networks on validation rows, which chose nothing.
        untuned: mean over folds of the score of the portfolio's own first networks, weighed.
        tuned: the same of the chosen settings' first networks.
        winners: the chosen settings that count most over all folds, at most 8, by weight.
        trials: proposals for each fold.
        complete: whether all that were asked for were made in time.
    """

    oof: Floats
    naive: float
    nested: float
    untuned: float
    tuned: float
    winners: list[Choice]
    trials: int
    complete: bool


class Search:
    """The search of all folds, side by side.

    Attributes:
        folds: the search of each.
        metric: the competition's.
    """

    def __init__(
        self,
        problem: PreparedRun,
        asked: RunSettings,
        changes: Mapping[str, Change],
        space: Space,
        plan: SearchPlan,
    ) -> None:
        """Prepare; nothing is trained yet.

        Args:
            problem: prepared with the settings.
            asked: the settings, as they were before the data were known.
            changes: what the names of their portfolio mean.
            space: what is searched.
            plan: how much.

        Raises:
            UsageError: for settings whose weights are not learned, and where nothing is searched.
        """
        self._problem, self._task, self._asked = problem, problem.task, asked
        settings = problem.task.settings
        if not settings.learns_weights:
            raise UsageError(
                "tune chooses settings by what they predict of rows that they left out: give "
                "--inner-blocks 2 or more, a portfolio of several settings, and no --combine "
                "median."
            )
        if settings.base_models:
            raise UsageError(
                "tune searches the settings of networks; leave --base-models to "
                "`kaggleprice cv --preset NAME --base-models ...`, with the preset that it writes."
            )
        metric = METRICS[problem.competition.metric]
        if metric.training_loss != "mse":
            # Any other loss would learn something else than the metric asks for.
            space = {name: own for name, own in space.items() if name != "loss"}
        check_space(space)
        self._space, self._plan, self.metric = space, plan, metric
        self._starts = {v.name: changes[v.name] for v in settings.variants if v.tried}
        self._scouts = settings.scouts or 1
        columns = problem.tables.train.known_target
        self._truth = columns.reshape(len(columns), -1).T
        self._transform = TARGET_TRANSFORMS[problem.competition.target_transform].load()
        task, seed = self._task, settings.seed
        self.folds = [
            FoldSearch(
                FoldStudy(space, list(self._starts), seed, fold),
                [task.inner_split(Member(fold, b))[1] for b in range(self._scouts)],
                validation,
            )
            for fold, (_, validation) in enumerate(task.folds)
        ]

    def run(
        self,
        keep: Keep,
        callbacks: Sequence[Callback] = (),
        progress: Progress = SILENT,
        on_generation: Callable[[], None] = lambda: None,
        cluster: Cluster | None = None,
    ) -> Tuned:
        """Search, choose, and score the choice.

        Args:
            keep: called for each stage.
            callbacks: called between epochs; each stage has its own.
            progress: told what happens.
            on_generation: called after each.
            cluster: that trains the networks; None for this machine.
        """
        self._cluster = cluster
        self._keep, self._callbacks, self._progress = keep, callbacks, progress
        self._stage = 0
        began = time.monotonic()
        everyone = [[(name, {START: name}) for name in self._starts] for _ in self.folds]
        known = {v.name: values_of(v, self._space) for v in self._task.settings.variants}
        for fold, found in zip(self.folds, self._train(everyone), strict=True):
            fold.library += found
            for tried in found:
                fold.study.know(known[tried.name], tried.rank)
        on_generation()
        first = time.monotonic() - began
        last, asked, generation = self._seconds_of_generation(first), 0, 0
        while asked < self._plan.trials:
            if self._too_late(first, last):
                break
            began = time.monotonic()
            count = min(self._plan.population, self._plan.trials - asked)
            asked, generation = asked + count, generation + 1
            self._generation(count, generation)
            on_generation()
            last = time.monotonic() - began
        for number, fold in enumerate(self.folds):
            fold.chosen = [self._choose(number, target) for target in range(len(self._truth))]
        return self._score(asked)

    def _seconds_of_generation(self, first: float) -> float:
        """Return what a generation takes, given the seconds of the portfolio's networks."""
        count = min(self._plan.population, self._plan.trials)
        networks = _SHORT * count + self._scouts * -(-count // _HALVING)
        return first * networks / (len(self._starts) * self._scouts)

    def _too_late(self, first: float, last: float) -> bool:
        """Whether another generation would not end in time, given the seconds of stages."""
        if self._plan.deadline is None:
            return False
        settings = self._task.settings
        later = max(0, settings.starts - self._scouts)
        # As many settings as can be chosen; of which only the later starts are left to train.
        score = first * _SELECTED / len(self._starts) * later / self._scouts
        return time.monotonic() + last + score > self._plan.deadline

    def _generation(self, count: int, generation: int) -> None:
        """Ask for proposals, train them, and tell what became of them."""
        proposals = [
            [(number, rounded(values)) for number, values in fold.study.ask(count)]
            for fold in self.folds
        ]
        named = [
            [(f"fold-{k}-trial-{number}", values) for number, values in own]
            for k, own in enumerate(proposals, 1)
        ]
        shorts = self._train(named, short=True)
        kept = [_best(found, -(-count // _HALVING)) for found in shorts]
        longs = self._train([[own[i] for i in one] for own, one in zip(named, kept, strict=True)])
        for fold, own, short, one, long in zip(
            self.folds, proposals, shorts, kept, longs, strict=True
        ):
            ranks = {own[i][0]: tried.rank for i, tried in zip(one, long, strict=True)}
            fold.study.tell([tried.rank for tried in short], ranks)
            fold.library += [tried for tried in long if math.isfinite(tried.rank)]
        best = np.mean([min(tried.rank for tried in fold.library) for fold in self.folds])
        shown = self.metric.rank(float(best))
        self._progress.notice(
            f"generation {generation}: {count} setting{'s' * (count != 1)} tried in each fold; the "
            "best alone scores "
            f"{shown:.5g} on rows that they left out (mean of folds)"
        )

    def _train(
        self, settings: Sequence[Sequence[tuple[str, Values]]], *, short: bool = False
    ) -> list[list[Tried]]:
        """Train the scouts of some settings of each fold; return what they predict.

        Args:
            settings: of each fold, names and proposals.
            short: whether for a short time, and the first scout alone.
        """
        scouts = 1 if short else self._scouts
        starts = range(scouts)
        variants, places = self._variants(settings, _SHORT if short else 1.0)
        targets = range(len(self._truth))
        members = [
            Member(fold, seed, target, variant)
            for variant, (fold, _) in enumerate(places)
            for seed in starts
            for target in targets
        ]
        predicted = dict(zip(members, self._predict(members, variants), strict=True))
        found: list[list[Tried | None]] = [[None] * len(own) for own in settings]
        for variant, (fold, place) in enumerate(places):
            own = self.folds[fold]
            lines = [[predicted[Member(fold, s, t, variant)] for t in targets] for s in starts]
            counts = [len(own.left_out[s]) for s in starts]
            pairs = [(np.stack(line), count) for line, count in zip(lines, counts, strict=True)]
            inner = np.concatenate([line[:, :count] for line, count in pairs], axis=1)
            end = len(own.validation)
            outer = np.stack([line[:, count : count + end] for line, count in pairs])
            found[fold][place] = Tried(
                *settings[fold][place], inner, outer, self._rank(fold, inner)
            )
        return [[tried for tried in own if tried is not None] for own in found]

    def _variants(
        self, settings: Sequence[Sequence[tuple[str, Values]]], share: float
    ) -> tuple[tuple[Variant, ...], list[tuple[int, int]]]:
        """Return the settings of all folds as variants, those of one shape side by side.

        Args:
            settings: of each fold, names and proposals.
            share: of the epochs that they are trained for.

        Returns:
            The variants, and the fold and the place in its list of each.
        """
        asked = self._asked
        given = asked.model, asked.training, asked.fixed
        places = [(fold, i) for fold, own in enumerate(settings) for i in range(len(own))]
        made = [
            vary({name: change_of(values, self._starts)}, *given)[0]
            for name, values in (settings[fold][i] for fold, i in places)
        ]
        rows = max(len(train) for train, _ in self._task.folds)
        resolved = resolve(
            replace(asked, portfolio=tuple(made)),
            self.metric,
            self._transform,
            rows,
            self._task.encoding.width,
        )
        variants = [_for_a_while(variant, share) for variant in resolved.portfolio]
        batches = list(dict.fromkeys(variant.batch for variant in variants))
        order = sorted(
            range(len(variants)),
            key=lambda i: (
                places[i][0],
                batches.index(variants[i].batch),
                variants[i].model.activation,
                variants[i].training.loss or "",
                i,
            ),
        )
        return tuple(variants[i] for i in order), [places[i] for i in order]

    def _predict(self, members: Sequence[Member], variants: tuple[Variant, ...]) -> Floats:
        """Train members, and return what they predict, shape (M, R).

        First of the rows that a member leaves out, then of its fold's validation rows.
        """
        task = self._task_of(members, variants)
        index = pad_rows(
            [np.concatenate([task.inner_split(m)[1], task.folds[m.fold][1]]) for m in members]
        )
        stage, self._stage = self._stage, self._stage + 1
        callbacks = [callback.of_stage(stage) for callback in self._callbacks]
        devices = self._problem.devices
        return self._keep(
            stage,
            lambda: train_and_predict(
                task, index, devices, callbacks, self._progress, self._cluster
            ),
        )

    def _task_of(self, members: Sequence[Member], variants: tuple[Variant, ...]) -> TrainingTask:
        settings = replace(self._task.settings, portfolio=variants)
        return replace(self._task, members=members, settings=settings, folds_apart=True)

    def _objective(self, rows: NDArray[np.int64], fold: int, target: int) -> Objective:
        """Return the loss of predictions of some rows, given their numbers."""
        task = self._task
        return Objective(
            self._truth[target][rows],
            None if task.weights is None else task.weights[rows],
            self.metric,
            self._problem.scale,
            Member(fold, 0, target),
            task.settings.combine,
        )

    def _rank(self, fold: int, inner: Floats) -> float:
        """Return the mean rank over targets of one setting's predictions of rows left out."""
        rows = np.concatenate(self.folds[fold].left_out)[: inner.shape[1]]
        ranks = []
        for target, line in enumerate(inner):
            if not np.isfinite(line).all():
                return math.inf
            ranks.append(self._objective(rows, fold, target)(line[None], np.ones(1)))
        return float(np.mean(ranks))

    def _choose(self, fold: int, target: int) -> tuple[list[int], Floats]:
        """Select settings of a fold's library, and weigh them, on the rows that they left out."""
        own, usual = self.folds[fold], self._weigh_portfolio(fold, target)
        before = np.zeros(len(own.library))
        before[: len(usual)] = _TRUST * usual
        weights = select(*self._compared(fold, target), before, _STEPS)
        least = _COUNTS / np.count_nonzero(weights)
        order = sorted(range(len(weights)), key=lambda i: -weights[i])[:_SELECTED]
        kept = sorted(i for i in order if weights[i] >= least)
        return kept, weights[kept] / weights[kept].sum()

    def _weigh_portfolio(self, fold: int, target: int) -> Floats:
        """Return the weights of the portfolio's own settings, as cross-validation learns them."""
        lines, objective = self._compared(fold, target)
        count = len(self._starts)
        return greedy_weights(lines[:count], objective, sharing=count)

    def _compared(self, fold: int, target: int) -> tuple[Floats, Objective]:
        """Return what a fold's library predicts of the rows left out, and the loss of it."""
        own = self.folds[fold]
        rows = np.concatenate(own.left_out)
        lines = np.stack([tried.inner[target] for tried in own.library])
        return lines, self._objective(rows, fold, target)

    def _score(self, trials: int) -> Tuned:
        """Train the later starts of what was chosen, and score all."""
        split = self._problem.task.folds
        later = self._train_later()
        targets, count = len(self._truth), sum(len(validation) for _, validation in split)
        oof, first = np.empty((count, targets)), 0
        by_fold: list[dict[str, list[float]]] = []
        for k, own in enumerate(self.folds):
            scores: dict[str, list[float]] = {}
            for t in range(targets):
                chosen, weights = own.chosen[t]
                lines, shares = list[Floats](), list[float]()
                for number, weight in zip(chosen, weights, strict=True):
                    extra = later[k, t].get(number, [])
                    networks = [*own.library[number].outer[:, t], *extra]
                    lines += networks
                    shares += [weight / len(networks)] * len(networks)
                objective = self._objective(own.validation, k, t)
                predicted = objective.predicted(np.stack(lines), np.array(shares))
                oof[first : first + len(own.validation), t] = predicted
                for name, value in self._compare(k, t).items():
                    scores.setdefault(name, []).append(value)
            first += len(own.validation)
            by_fold.append(scores)
        means = {
            name: float(np.mean([np.mean(scores[name]) for scores in by_fold]))
            for name in by_fold[0]
        }
        rows = np.concatenate([validation for _, validation in split])
        folds = np.repeat(range(len(split)), [len(validation) for _, validation in split])
        by_row = oof[np.lexsort((folds, rows))]
        return Tuned(
            oof=by_row[:, 0] if targets == 1 else by_row,
            **means,
            winners=self._winners(),
            trials=trials,
            complete=trials == self._plan.trials,
        )

    def _train_later(self) -> dict[tuple[int, int], dict[int, list[Floats]]]:
        """Train further starts of what was chosen on all rows of its fold.

        Returns:
            Fold, target → number in the library → what each predicts of the validation rows.
        """
        settings = self._task.settings
        starts = range(self._scouts, settings.starts)
        chosen = [
            {i: (own.library[i].name, own.library[i].values) for one in own.chosen for i in one[0]}
            for own in self.folds
        ]
        variants, places = self._variants([list(own.values()) for own in chosen], 1.0)
        numbers = [list(own) for own in chosen]
        members = [
            Member(fold, seed, target, variant)
            for variant, (fold, place) in enumerate(places)
            for seed in starts
            for target in range(len(self._truth))
            if numbers[fold][place] in self.folds[fold].chosen[target][0]
        ]
        found: dict[tuple[int, int], dict[int, list[Floats]]] = {
            place: {} for place in product(range(len(self.folds)), range(len(self._truth)))
        }
        if not members:
            return found
        for member, line in zip(members, self._predict(members, variants), strict=True):
            fold, place = places[member.variant]
            own = line[: len(self.folds[fold].validation)]
            number = numbers[fold][place]
            if np.isfinite(own).all():
                found[fold, member.target].setdefault(number, []).append(own)
        return found

    def _compare(self, fold: int, target: int) -> dict[str, float]:
        """Score the first networks of a fold, by the names that they have in `Tuned`."""
        own = self.folds[fold]
        chosen, weights = own.chosen[target]
        validation = self._objective(own.validation, fold, target)
        naive, nested, begin = [], [], 0
        for scout, rows in enumerate(own.left_out):
            span = slice(begin, begin + len(rows))
            inner = np.stack([own.library[i].inner[target, span] for i in chosen])
            naive.append(self._objective(rows, fold, target)(inner, weights))
            outer = np.stack([own.library[i].outer[scout, target] for i in chosen])
            nested.append(validation(outer, weights))
            begin = span.stop
        usual = self._weigh_portfolio(fold, target)
        pairs = {"tuned": (chosen, weights), "untuned": (list(range(len(usual))), usual)}
        sign = self.metric.rank(1.0)
        means = {"naive": float(np.mean(naive)), "nested": float(np.mean(nested))}
        for name, (numbers, shares) in pairs.items():
            lines = np.concatenate([own.library[i].outer[:, target] for i in numbers])
            means[name] = validation(lines, np.repeat(shares, self._scouts))
        return {name: sign * value for name, value in means.items()}

    def _winners(self) -> list[Choice]:
        """Return the settings that count most over all folds and targets."""
        count = len(self.folds) * len(self._truth)
        found: dict[str, Choice] = {}
        for own in self.folds:
            for name, values, weight in _weights_of(own):
                before = found.get(name, Choice(name, values, 0.0, 0))
                found[name] = replace(
                    before, weight=before.weight + weight / count, folds=before.folds + 1
                )
        return sorted(found.values(), key=lambda one: (-one.weight, one.name))[:_SELECTED]


def _weights_of(fold: FoldSearch) -> list[tuple[str, Values, float]]:
    """Return the settings that a fold chose, and their weights, summed over targets."""
    total: dict[int, float] = {}
    for numbers, weights in fold.chosen:
        for number, weight in zip(numbers, weights.tolist(), strict=True):
            total[number] = total.get(number, 0.0) + weight
    return [(fold.library[i].name, fold.library[i].values, w) for i, w in total.items()]


def _best(found: Sequence[Tried], count: int) -> list[int]:
    """Return the places of the best, ascending."""
    return sorted(sorted(range(len(found)), key=lambda i: found[i].rank)[:count])


def _for_a_while(variant: Variant, share: float) -> Variant:
    """Return a setting that is trained for a part of its epochs, with one line of history."""
    epochs = max(1, round(share * variant.training.passes))
    training = replace(variant.training, epochs=epochs, history_every=epochs)
    return replace(variant, training=training, tried=True)
