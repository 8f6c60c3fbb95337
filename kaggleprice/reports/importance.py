"""Permutation importance of the CSV's own columns, on rows that the networks did not train on.

Breiman (2001), "Random Forests", section 10: permute one column among rows that were held out,
predict again, and see how much worse it gets. What is permuted is a column as it stands in the
file, so that everything made of it (engineered features, logs, indicators, one-hot levels) moves
with it. Two columns that say the same cover for each other: both then look unimportant.

Where that takes too long, `by_association` orders columns by what each explains by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kaggleprice.competitions.catalog import Competition
from kaggleprice.competitions.metrics import METRICS
from kaggleprice.competitions.tables import Table, engineer
from kaggleprice.core.progress import SILENT, Progress
from kaggleprice.evaluation.ensemble import Ensemble, WeightedPredictions, device_rows
from kaggleprice.evaluation.folds import Folds
from kaggleprice.evaluation.target_scale import TargetScale
from kaggleprice.reports import DEFAULT_REPEATS
from kaggleprice.training.batches import pad_rows
from kaggleprice.training.devices import place_network
from kaggleprice.training.engine import predict_members
from kaggleprice.training.executors import Executor, Worker

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

# Of a larger table this many rows are drawn; every column is predicted again for each.
MOST_ROWS = 10_000
# Groups that `by_association` makes of a numeric column.
_BINS = 10


@dataclass(frozen=True)
class ColumnImportance:
    """One column's importance, in units of the metric; NaN where the metric was undefined.

    Attributes:
        column: its name in the CSV.
        increase: how much worse the pooled out-of-fold score of the networks is, averaged over
            repeats.
        repeat_sd: standard deviation (ddof 1) over repeats; None for a single one.
        member_mean, member_sd: mean and standard deviation (ddof 1) over the members of each
            member's own increase on its fold's rows, averaged over repeats; the deviation is None
            for a single member.
    """

    column: str
    increase: float
    repeat_sd: float | None
    member_mean: float
    member_sd: float | None


@dataclass(frozen=True)
class Importance:
    """The importance of all columns.

    Attributes:
        baseline: pooled out-of-fold score of the networks, nothing permuted.
        repeats: permutations of each column.
        rows: number of out-of-fold rows.
        columns: the most important first.
    """

    baseline: float
    repeats: int
    rows: int
    columns: list[ColumnImportance]


def measure_importance(
    ensemble: Ensemble,
    competition: Competition,
    table: Table,
    split: Folds,
    scale: TargetScale,
    *,
    how: str | None,
    repeats: int = DEFAULT_REPEATS,
    seed: int = 0,
    most_rows: int = MOST_ROWS,
    executor: Executor,
    progress: Progress = SILENT,
) -> Importance:
    """Compute how much worse the networks predict without each column.

    A row is predicted by the members of a fold that validates it, which did not train on it, and
    a value is exchanged only with rows of the same fold.

    Args:
        ensemble: the members.
        competition: for the metric.
        table: n training rows, as they stand in the CSV.
        split: the folds of the n rows.
        scale: of the target, in each fold.
        how: members are combined: a name in `COMBINES`; None chooses by the target's transform.
        repeats: permutations of each column.
        seed: of the permutations.
        most_rows: of more out-of-fold predictions as many are drawn.
        executor: what measures columns, one by one or at once.
        progress: told after every column.
    """
    scorer = _Scorer(ensemble, competition, table, split, scale, how, seed, most_rows)
    names, done = [str(name) for name in table.features], count(1)

    def report(message: Sequence[float]) -> None:
        progress.advance("importance", next(done), len(names), names[int(message[0])], "columns")

    progress.advance("importance", 0, len(names), unit="columns")
    measure = partial(_measure_column, scorer, names, repeats)
    found = executor.map(measure, range(len(names)), report)
    return Importance(
        baseline=scorer.pooled,
        repeats=repeats,
        rows=scorer.rows,
        # What cannot be scored is worse than anything that can.
        columns=sorted(found, key=lambda c: -np.nan_to_num(c.increase, nan=np.inf)),
    )


def _measure_column(
    scorer: _Scorer, names: Sequence[str], repeats: int, worker: Worker, number: int
) -> ColumnImportance:
    """Measure one column, given which, on a worker's device."""
    scorer.move(worker)
    name, metric = names[number], scorer.metric
    scores = [scorer.score(permuted) for permuted in scorer.permute(number, name, repeats)]
    increases = np.array([metric.worse_by(pooled, scorer.pooled) for pooled, _ in scores])
    members = np.array([metric.worse_by(own, scorer.own) for _, own in scores]).mean(axis=0)
    worker.report([number])
    return ColumnImportance(
        column=name,
        increase=float(increases.mean()),
        repeat_sd=_deviation(increases),
        member_mean=float(members.mean()),
        member_sd=_deviation(members),
    )


def _deviation(values: Floats) -> float | None:
    return float(values.std(ddof=1)) if len(values) > 1 else None


class _Scorer:
    """Predicts and scores n out-of-fold rows, as they are and with one column permuted.

    A row that several folds validate stands here once for each.

    Attributes:
        metric: of the competition.
        pooled: the score of the rows as they are.
        own: shape (M,), every member's on its fold's rows.
        rows: n.
    """

    def __init__(
        self,
        ensemble: Ensemble,
        competition: Competition,
        table: Table,
        split: Folds,
        scale: TargetScale,
        how: str | None,
        seed: int,
        most_rows: int,
    ) -> None:
        self._ensemble, self._how, self._seed = ensemble, how, seed
        self.metric = METRICS[competition.metric]
        self._scale = scale
        rows, folds = split.lines
        if len(rows) > most_rows:
            random = np.random.default_rng(np.random.SeedSequence((seed, 2)))
            chosen = np.sort(random.choice(len(rows), most_rows, replace=False))
            rows, folds = rows[chosen], folds[chosen]
        self.rows = len(rows)
        self._frame = table.features.iloc[rows].reset_index(drop=True)
        self._target, self._folds = table.known_target[rows], folds
        self._weights = None if table.weights is None else table.weights[rows]
        self._split = Folds.of_rows(folds)
        # Predictions of one row are scored by their mean.
        self._first, self._same = np.unique(rows, return_index=True, return_inverse=True)[1:]
        # A row stays NaN for the members that trained on it: nothing may look there.
        self._predicted = np.full((len(ensemble.members), self.rows), np.nan)
        self._predict(self._frame, np.arange(self.rows), self._predicted)
        self.pooled, self.own = self.score(self._predicted)

    def move(self, worker: Worker) -> None:
        """Let a worker's device predict."""
        place_network(self._ensemble.network, worker.device)

    def permute(self, number: int, name: str, repeats: int) -> list[Floats]:
        """Predict with a column permuted; one array of shape (M, n) for each repeat.

        Args:
            number: of the column, for its random numbers.
            name: of the column.
            repeats: how many.
        """
        orders = np.stack([self._permutation(number, repeat) for repeat in range(repeats)])
        # A row that got a value like its own is predicted as before; in many columns most do.
        codes = pd.factorize(self._frame[name], use_na_sentinel=False)[0]
        repeat_of, changed = np.nonzero(codes[orders] != codes)
        frame = self._frame.take(changed).reset_index(drop=True)
        frame[name] = self._frame[name].take(orders[repeat_of, changed]).reset_index(drop=True)
        predicted = np.tile(self._predicted, repeats)
        if len(frame):
            self._predict(frame, repeat_of * self.rows + changed, predicted)
        return np.split(predicted, repeats, axis=1)

    def _permutation(self, number: int, repeat: int) -> Rows:
        """Return the row, of the same fold, whose value each row gets; shape (n,)."""
        random = np.random.default_rng(np.random.SeedSequence((self._seed, 3, number, repeat)))
        order = np.arange(self.rows)
        for fold in np.unique(self._folds):
            own = np.flatnonzero(self._folds == fold)
            order[own] = random.permutation(own)
        return order

    def _predict(self, frame: pd.DataFrame, places: Rows, predicted: Floats) -> None:
        """Predict rows, each by the members of its fold, into their places of `predicted`.

        Args:
            frame: r rows of the CSV's columns.
            places: shape (r,), where each belongs: its row, plus n for each repeat before.
            predicted: shape (M, n * repeats), the transformed target; changed in place.
        """
        ensemble = self._ensemble
        if ensemble.engineering is not None:
            frame = engineer(frame, ensemble.engineering)
        folds = self._folds[places % self.rows]
        own_rows = [np.flatnonzero(folds == member.fold) for member in ensemble.members]
        encoded = ensemble.encoding.encode(frame)
        rows = device_rows(ensemble.encoding, encoded, ensemble.members, ensemble.network)
        values = predict_members(ensemble.network, rows, ensemble.fit, pad_rows(own_rows))
        for line, own, value in zip(predicted, own_rows, values, strict=True):
            line[places[own]] = value[: len(own)]

    def score(self, predicted: Floats) -> tuple[float, Floats]:
        """Score predictions of shape (M, n): pooled, and every member, shape (M,)."""
        members = self._ensemble.members
        # A metric of logs is undefined where a permuted row is predicted below its domain.
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            oof = WeightedPredictions(members, predicted, self._ensemble.weights).out_of_fold(
                self._split, self._scale, self._how
            )
            own = []
            for member, line in zip(members, predicted, strict=True):
                held = self._folds == member.fold
                own.append(self._score(held, self._scale.turn_back(line[held], member)))
            pooled = oof
            if len(self._first) < self.rows:
                pooled = np.bincount(self._same, weights=oof) / np.bincount(self._same)
            return self._score(self._first, pooled), np.array(own)

    def _score(self, rows: NDArray[np.generic], predicted: Floats) -> float:
        """Score predictions of some of the rows, given which."""
        weights = None if self._weights is None else self._weights[rows]
        return self.metric.score(self._target[rows], predicted, weights)


def by_association(table: Table, target: Floats) -> list[str]:
    """Return the columns, the one that explains most of the target's variance first.

    The measure is the correlation ratio, corrected for the number of groups (Kelley 1935,
    "An unbiased correlation ratio measure"): 1 - (1 - eta²)(n - 1)/(n - k). Groups are levels,
    or ten bins of equally many numbers; missing is a group.

    Args:
        table: n rows.
        target: shape (n,), the transformed target.
    """
    numeric = set(table.numeric_columns)
    explained = {
        str(name): _explained(table.features[name], str(name) in numeric, target)
        for name in table.features
    }
    return sorted(explained, key=lambda name: -explained[name])


def _explained(column: pd.Series, numeric: bool, target: Floats) -> float:
    if numeric and column.nunique() > _BINS:
        column = pd.qcut(column, _BINS, labels=False, duplicates="drop")
    group = pd.factorize(column, use_na_sentinel=False)[0]
    counts = np.bincount(group)
    free = len(target) - len(counts)
    if free < 1 or np.ptp(target) == 0:
        return 0.0
    within = target - (np.bincount(group, weights=target) / counts)[group]
    return float(1 - within @ within / free / target.var(ddof=1))
