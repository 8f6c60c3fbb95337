"""Training in two stages: what settings are worth, then more networks of those that count.

At first the members that leave rows out, the scouts, are trained of all settings; what they predict
of these rows says what each setting counts in their fold. Later random starts train on all of their
fold's training rows, and only of the settings that count there: poor ones end early, and leave
their time to the others. Validation rows have no part in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from kaggleprice.evaluation.ensemble import Ensemble, join
from kaggleprice.evaluation.weighting import LearnedWeights
from kaggleprice.settings.training import Member
from kaggleprice.training.task import TrainingTask

# Trains members, given the stage, counted from 0.
Fit = Callable[[TrainingTask, int], Ensemble]


def train_scouts(task: TrainingTask, fit: Fit, known: Ensemble | None = None) -> Ensemble:
    """Train the members that are trained whatever they are worth.

    They are the scouts where weights are learned, else all.

    Args:
        task: of all members that there may be.
        fit: trains members.
        known: of an earlier run of fewer starts; its members are not trained again.
    """
    settings = task.settings
    scouts = settings.scouts if settings.learns_weights else None
    first = [member for member in task.members if scouts is None or member.seed < scouts]
    return _with(first, task, fit, known, stage=0)


def train_others(
    task: TrainingTask, fit: Fit, scouts: Ensemble, learn: Callable[[Ensemble], LearnedWeights]
) -> tuple[Ensemble, LearnedWeights]:
    """Train further starts of the settings that count; return all members, and what they count.

    Where a time limit ended the training of a stage, no member of a later one is kept.

    Args:
        task: of all members that there may be.
        fit: trains members.
        scouts: as `train_scouts` returns them.
        learn: learns what settings count from the rows that scouts left out.
    """
    learned, everybody = learn(scouts), scouts
    targets = len(learned.settings) // len(task.folds)
    if scouts.fit.cut_at is None:
        counts, first = learned.counts, task.settings.scouts or 0
        chosen = [
            member
            for member in task.members
            if member.seed < first or counts[member.fold * targets + member.target, member.variant]
        ]
        found = _with(chosen, task, fit, scouts, stage=1)
        everybody = scouts if found.fit.cut_at is not None else found
        learned = learned.of_those_that_count()
    weights = learned.of_members(everybody.members, targets)
    return replace(everybody, weights=weights), learned


def _with(
    members: Sequence[Member], task: TrainingTask, fit: Fit, known: Ensemble | None, stage: int
) -> Ensemble:
    """Return the ensemble of some members, of which those that are not known yet are trained."""
    if known is None:
        return fit(replace(task, members=members), stage)
    have = set(known.members)
    lacking = [member for member in members if member not in have]
    if not lacking:
        return known
    fresh, all_of_them = fit(replace(task, members=lacking), stage), {*have, *lacking}
    order = [member for member in task.members if member in all_of_them]
    return join(known, fresh, order, task.settings.variants)
