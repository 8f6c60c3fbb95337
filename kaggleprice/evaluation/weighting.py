"""What each setting of a portfolio counts in a fold: learned from the fold's training rows alone.

Members leave out parts of their fold's training rows, in turn. What the members of each variant
predict of rows that they left out is what a stacked model learns from (Wolpert 1992, "Stacked
generalization"); the weights are found by greedy selection with replacement (Caruana et al. 2004,
"Ensemble selection from libraries of models"): a weighted mean, which cannot go wrong by much where
rows are few. The fold's validation rows have no part in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from kaggleprice.competitions.metrics import Metric
from kaggleprice.evaluation.ensemble import combine
from kaggleprice.evaluation.target_scale import TargetScale
from kaggleprice.settings.training import Member
from kaggleprice.training.task import TrainingTask

Floats = NDArray[np.float64]

# Steps of the greedy selection, and what part of the weight all networks share.
_ROUNDS, _SHARED = 25, 0.25


@dataclass(frozen=True)
class LearnedWeights:
    """What members and base models count.

    Attributes:
        networks: shape (M,); those of each fold and target, with its base models, sum to 1.
        base_models: shape (P, K * T), by fold, then target; P may be 0.
    """

    networks: Floats
    base_models: Floats


def greedy_weights(
    predictions: Floats, loss: Callable[[Floats, Floats], float], sharing: int
) -> Floats:
    """Return weights of C candidates, shape (C,), of sum 1.

    A quarter of the weight is shared by the first, the rest selected one step at a time: each goes
    to the candidate with which the weighted mean is best.

    Args:
        predictions: shape (C, n), of rows that the candidates did not learn from.
        loss: of predictions and weights; lower is better.
        sharing: how many share; the others count only what they are selected for.
    """
    count = len(predictions)
    counts = np.zeros(count)
    counts[:sharing] = _ROUNDS * _SHARED / (1 - _SHARED) / sharing
    for _ in range(_ROUNDS):
        tried = [counts + one for one in np.eye(count)]
        losses = [loss(predictions, weights) for weights in tried]
        counts = tried[int(np.argmin(losses))]
    return np.asarray(counts / counts.sum())


def learn_weights(
    task: TrainingTask,
    predictions: Floats,
    base_models: Floats,
    truth: Floats,
    metric: Metric,
    scale: TargetScale,
    how: str | None,
) -> LearnedWeights:
    """Learn what members and base models count.

    Args:
        task: of all M members; says which rows each of them left out.
        predictions: shape (M, n), of the transformed target.
        base_models: shape (P, K * T, n), what P base models predict of the training rows that they
            left out.
        truth: shape (n,) or (n, T), the target in its own unit.
        metric: what the combination is to be good at.
        scale: of the target.
        how: predictions are combined, as in `combine`.
    """
    learned = LearnedWeights(np.zeros(len(task.members)), np.zeros(base_models.shape[:2]))
    columns = truth.reshape(len(truth), -1).T
    left_out = [_left_out(task, member) for member in task.members]
    for place, (fold, target) in enumerate(product(range(len(task.folds)), range(len(columns)))):
        own: dict[int, list[int]] = {}
        for m, member in enumerate(task.members):
            if (member.fold, member.target) == (fold, target):
                own.setdefault(member.variant, []).append(m)
        # Each variant's random starts leave out the same rows.
        usable = np.any([left_out[m] for m in next(iter(own.values()))], axis=0)
        rows = np.flatnonzero(usable & np.isfinite(base_models[:, place]).all(axis=0))
        networks = [
            _mean_of_left_out(predictions, left_out, members, rows) for members in own.values()
        ]
        candidates = np.stack([*networks, *base_models[:, place, rows]])
        found = greedy_weights(
            candidates,
            _Objective(
                columns[target][rows],
                None if task.weights is None else task.weights[rows],
                metric,
                scale,
                Member(fold, 0, target),
                how,
            ),
            # Settings of networks differ little; a base model may fit a competition badly.
            sharing=len(own),
        )
        for weight, members in zip(found, own.values(), strict=False):
            learned.networks[members] = weight / len(members)
        learned.base_models[:, place] = found[len(own) :]
    return learned


@dataclass(frozen=True)
class _Objective:
    """The loss of some weights on rows that were left out."""

    truth: Floats
    weights: Floats | None
    metric: Metric
    scale: TargetScale
    member: Member
    how: str | None

    def __call__(self, predictions: Floats, weights: Floats) -> float:
        own = self.scale.of_target(self.member.target)
        combined = combine(predictions, self.scale.of([self.member]), self.how, weights)
        values = own.keep_inside(combined, [self.member.fold])
        score = self.metric.score(self.truth, values, self.weights)
        return self.metric.rank(score) if np.isfinite(score) else np.inf


def _left_out(task: TrainingTask, member: Member) -> NDArray[np.bool_]:
    """Tell which of the n rows a member left out of its fold's training rows."""
    chosen = np.zeros(len(task.rows), dtype=bool)
    chosen[task.inner_split(member)[1]] = True
    return chosen


def _mean_of_left_out(
    predictions: Floats,
    left_out: Sequence[NDArray[np.bool_]],
    members: Sequence[int],
    rows: NDArray[np.int64],
) -> Floats:
    """Return the mean of what some members predict of rows, by those that left each of them out."""
    used = np.stack([left_out[m][rows] for m in members])
    total: Floats = (predictions[members][:, rows] * used).sum(axis=0) / used.sum(axis=0)
    return total
