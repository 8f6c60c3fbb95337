"""What each setting of a portfolio counts in a fold: learned from the fold's training rows alone.

Members leave out parts of their fold's training rows, in turn. What the members of each variant
predict of rows that they left out is what a stacked model learns from (Wolpert 1992, "Stacked
generalization"); the weights are found by greedy selection with replacement (Caruana et al. 2004,
"Ensemble selection from libraries of models"): a weighted mean, which cannot go wrong by much where
rows are few. The fold's validation rows have no part in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from kaggleprice.competitions.metrics import Metric
from kaggleprice.evaluation.ensemble import Ensemble, combine, device_rows
from kaggleprice.evaluation.target_scale import TargetScale
from kaggleprice.settings.training import Member
from kaggleprice.training.batches import pad_rows
from kaggleprice.training.engine import predict_members
from kaggleprice.training.task import TrainingTask

Floats = NDArray[np.float64]

# Steps of the greedy selection, and what part of the weight all networks share.
_ROUNDS, _SHARED = 25, 0.25
# A setting counts where it has this part of the weight that it had if all had the same.
_COUNTS = 0.5


@dataclass(frozen=True)
class LearnedWeights:
    """What settings and base models count in each of K folds, for each of T targets.

    Attributes:
        settings: shape (K * T, V), by fold, then target; 0 for settings that were not tried.
        base_models: shape (P, K * T); P may be 0. With the settings of a fold and target they sum
            to 1.
    """

    settings: Floats
    base_models: Floats

    @property
    def counts(self) -> NDArray[np.bool_]:
        """Which settings count in which fold, shape (K * T, V)."""
        parts = (self.settings > 0).sum(axis=1, keepdims=True) + len(self.base_models)
        counts: NDArray[np.bool_] = self.settings >= _COUNTS / parts
        return counts

    def of_those_that_count(self) -> LearnedWeights:
        """Give the weight of all settings to those that count; where none does, all keep theirs."""
        kept = np.where(self.counts, self.settings, 0.0)
        kept = np.where(kept.any(axis=1, keepdims=True), kept, self.settings)
        factors = self.settings.sum(axis=1) / kept.sum(axis=1)
        return replace(self, settings=kept * factors[:, None])

    def of_members(self, members: Sequence[Member], targets: int) -> Floats:
        """Return what each of M members counts, shape (M,): those of a setting share its weight."""
        places = [(member.fold * targets + member.target, member.variant) for member in members]
        return np.array([self.settings[place] / places.count(place) for place in places])


def greedy_weights(
    predictions: Floats, loss: Callable[[Floats, Floats], float], sharing: int
) -> Floats:
    """Return weights of C candidates, shape (C,), of sum 1.

    A quarter of the weight is shared by the first, the rest is selected.

    Args:
        predictions: shape (C, n), of rows that the candidates did not learn from.
        loss: of predictions and weights; lower is better.
        sharing: how many share; the others count only what they are selected for.
    """
    shared = np.zeros(len(predictions))
    shared[:sharing] = _SHARED / (1 - _SHARED) / sharing
    return select(predictions, loss, shared * _ROUNDS, _ROUNDS)


def select(
    predictions: Floats, loss: Callable[[Floats, Floats], float], counts: Floats, rounds: int
) -> Floats:
    """Return weights, shape (C,), of sum 1, after so many steps from given counts.

    Each step goes to the candidate with which the weighted mean is best.

    Args:
        predictions: shape (C, n), of rows that the candidates did not learn from.
        loss: of predictions and weights; lower is better.
        counts: shape (C,), what candidates count before, in steps.
        rounds: steps.
    """
    for _ in range(rounds):
        tried = [counts + one for one in np.eye(len(predictions))]
        losses = [loss(predictions, weights) for weights in tried]
        counts = tried[int(np.argmin(losses))]
    return np.asarray(counts / counts.sum())


def learn_weights(
    ensemble: Ensemble,
    task: TrainingTask,
    truth: Floats,
    metric: Metric,
    scale: TargetScale,
    base_models: Floats | None = None,
) -> LearnedWeights:
    """Learn what settings and base models count, from what they predict of rows they left out.

    Args:
        ensemble: trained members of the task; those that left out no rows teach nothing.
        task: says which of its n rows each member left out.
        truth: shape (n,) or (n, T), the target in its own unit.
        metric: what the combination is to be good at.
        scale: of the target.
        base_models: shape (P, K * T, n), what P base models predict of the training rows that they
            left out, elsewhere NaN; None for P = 0.
    """
    columns = truth.reshape(len(truth), -1).T
    places, variants = len(task.folds) * len(columns), len(task.settings.variants)
    if base_models is None:
        base_models = np.empty((0, places, len(truth)))
    members, left_out = ensemble.members, [task.inner_split(m)[1] for m in ensemble.members]
    own = device_rows(ensemble.encoding, task.rows, members, ensemble.network)
    predictions = predict_members(ensemble.network, own, ensemble.fit, pad_rows(left_out))
    learned = LearnedWeights(np.zeros((places, variants)), np.zeros((len(base_models), places)))
    for place, (fold, target) in enumerate(product(range(len(task.folds)), range(len(columns)))):
        networks, count = np.zeros((2, variants, len(truth)))
        for member, chosen, predicted in zip(members, left_out, predictions, strict=True):
            if (member.fold, member.target) == (fold, target):
                networks[member.variant, chosen] += predicted[: len(chosen)]
                count[member.variant, chosen] += 1
        tried = np.flatnonzero(count.any(axis=1))
        with np.errstate(invalid="ignore"):
            networks = (networks / count)[tried]
        candidates = np.concatenate([networks, base_models[:, place]])
        rows = np.flatnonzero(np.isfinite(candidates).all(axis=0))
        found = greedy_weights(
            candidates[:, rows],
            Objective(
                columns[target][rows],
                None if task.weights is None else task.weights[rows],
                metric,
                scale,
                Member(fold, 0, target),
                task.settings.combine,
            ),
            # Settings of networks differ little; a base model may fit a competition badly.
            sharing=len(tried),
        )
        learned.settings[place, tried] = found[: len(tried)]
        learned.base_models[:, place] = found[len(tried) :]
    return learned


@dataclass(frozen=True)
class Objective:
    """The loss of some weights on n rows that were left out.

    Attributes:
        truth: shape (n,), the target in its own unit.
        weights: shape (n,), how much each row counts; None where all count the same.
        metric: whose rank it is: lower is better.
        scale: of the target.
        member: of the fold and the target that are predicted.
        how: predictions are combined, as in `combine`.
    """

    truth: Floats
    weights: Floats | None
    metric: Metric
    scale: TargetScale
    member: Member
    how: str | None

    def __call__(self, predictions: Floats, weights: Floats) -> float:
        """Return the loss; infinite where the score is not defined.

        Args:
            predictions: shape (C, n), the transformed target.
            weights: shape (C,).
        """
        values = self.predicted(predictions, weights)
        score = self.metric.score(self.truth, values, self.weights)
        return self.metric.rank(score) if np.isfinite(score) else np.inf

    def predicted(self, predictions: Floats, weights: Floats) -> Floats:
        """Return the combined predictions in the target's own unit, shape (n,)."""
        own = self.scale.of_target(self.member.target)
        combined = combine(predictions, self.scale.of([self.member]), self.how, weights)
        return own.keep_inside(combined, [self.member.fold])
