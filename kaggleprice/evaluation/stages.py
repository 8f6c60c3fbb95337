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

Fit = Callable[[TrainingTask], Ensemble]

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
    return _with(first, task, fit, known)


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
    share = dict[tuple[int, int, int], float]()
    for member, weight in zip(scouts.members, learned.networks.tolist(), strict=True):
        key = (member.fold, member.target, member.variant)
        share[key] = share.get(key, 0.0) + weight
    parts = len(task.settings.variants) + len(learned.base_models)

    def counts(member: Member) -> bool:
        return share[member.fold, member.target, member.variant] >= _COUNTS / parts

    first = task.settings.scouts or 0
    chosen = [member for member in task.members if member.seed < first or counts(member)]
    everybody = _with(chosen, task, fit, scouts)
    if everybody is scouts or everybody.fit.cut_at is not None:
        return scouts, learned
    return everybody, learn(everybody)


def _with(
    members: Sequence[Member], task: TrainingTask, fit: Fit, known: Ensemble | None
) -> Ensemble:
    """Return the ensemble of some members, of which those that are not known yet are trained."""
    if known is None:
        return fit(replace(task, members=members))
    have = set(known.members)
    lacking = [member for member in members if member not in have]
    if not lacking:
        return known
    fresh, all_of_them = fit(replace(task, members=lacking)), {*have, *lacking}
    order = [member for member in task.members if member in all_of_them]
    return join(known, fresh, order, task.settings.variants)
