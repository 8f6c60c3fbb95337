"""Training in two stages: what settings are worth, then more networks of those that count.

At first the members that leave rows out, the scouts, are trained of all settings; what they predict
of these rows says what each setting counts in their fold. Later random starts train on all of their
fold's training rows, and only of the settings that count there: poor ones end early, and leave
their time to the others. Validation rows have no part in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from kaggleprice.evaluation.ensemble import Ensemble, join
from kaggleprice.evaluation.weighting import LearnedWeights
from kaggleprice.settings.training import Member
from kaggleprice.training.task import TrainingTask

# Trains members, given the stage, counted from 0.
Fit = Callable[[TrainingTask, int], Ensemble]

# A setting counts in a fold where it has this part of the weight that it had if all had the same.
_COUNTS = 0.5


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
        learn: learns what the members of an ensemble count.
    """
    learned = learn(scouts)
    if scouts.fit.cut_at is not None:
        return scouts, learned
    counting = _settings_that_count(task, scouts, learned)
    first = task.settings.scouts or 0
    chosen = [m for m in task.members if m.seed < first or _setting(m) in counting]
    everybody = _with(chosen, task, fit, scouts, stage=1)
    if everybody.fit.cut_at is not None:
        everybody = scouts
    elif everybody is not scouts:
        learned = learn(everybody)
    return everybody, _of_those_that_count(everybody, learned, counting)


# Fold, target and variant.
Setting = tuple[int, int, int]


def _setting(member: Member) -> Setting:
    return member.fold, member.target, member.variant


def _settings_that_count(
    task: TrainingTask, scouts: Ensemble, learned: LearnedWeights
) -> set[Setting]:
    share = dict[Setting, float]()
    for member, weight in zip(scouts.members, learned.networks.tolist(), strict=True):
        share[_setting(member)] = share.get(_setting(member), 0.0) + weight
    parts = sum(variant.tried for variant in task.settings.variants) + len(learned.base_models)
    return {setting for setting, weight in share.items() if weight >= _COUNTS / parts}


def _of_those_that_count(
    ensemble: Ensemble, learned: LearnedWeights, counting: set[Setting]
) -> LearnedWeights:
    """Return the weights without those of settings that do not count, of the same sum."""
    weights = np.array(
        [
            weight * (_setting(member) in counting)
            for member, weight in zip(ensemble.members, learned.networks.tolist(), strict=True)
        ]
    )
    places = [(member.fold, member.target) for member in ensemble.members]
    for place in set(places):
        own = np.array([other == place for other in places])
        if weights[own].any():
            weights[own] *= learned.networks[own].sum() / weights[own].sum()
        else:
            # Base models have nearly all the weight there.
            weights[own] = learned.networks[own]
    return replace(learned, networks=weights)


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
