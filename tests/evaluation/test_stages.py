"""Two stages: scouts of every setting, then further starts of those that count."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from members import CPU, make_task

from kaggleprice.competitions.tables import Tables
from kaggleprice.evaluation.ensemble import Ensemble
from kaggleprice.evaluation.stages import train_others, train_scouts
from kaggleprice.evaluation.weighting import LearnedWeights
from kaggleprice.settings.training import Member
from kaggleprice.training.task import TrainingTask
from kaggleprice.training.train import train

SHARE = [0.7, 0.25, 0.05]


@pytest.fixture(scope="module")
def task(sample_tables: Tables) -> TrainingTask:
    """Three settings, four starts, of which two are scouts."""
    made = make_task(sample_tables, portfolio="robust,tanh,shallow", seeds=4)
    assert made.settings.scouts == 2
    return made


def fit(task: TrainingTask, stage: int) -> Ensemble:
    network, found = train(task, [CPU])
    return Ensemble(task.encoding, network, task.members, found)


def learn(ensemble: Ensemble) -> LearnedWeights:
    """Say the same of every fold: that the third setting hardly counts."""
    return LearnedWeights(np.tile(SHARE, (4, 1)), np.zeros((0, 4)))


def test_further_starts_are_of_settings_that_count(task: TrainingTask) -> None:
    scouts = train_scouts(task, fit)
    assert {member.seed for member in scouts.members} == {0, 1}
    assert {member.variant for member in scouts.members} == {0, 1, 2}
    everybody, _ = train_others(task, fit, scouts, learn)
    later = {(member.variant, member.seed) for member in everybody.members if member.seed > 1}
    assert later == {(0, 2), (0, 3), (1, 2), (1, 3)}
    share = np.zeros((4, 3))
    assert everybody.weights is not None
    for member, weight in zip(everybody.members, everybody.weights, strict=True):
        share[member.fold, member.variant] += weight
    np.testing.assert_allclose(share, np.tile([0.7 / 0.95, 0.25 / 0.95, 0.0], (4, 1)))


def test_three_starts_and_one_more_are_four(task: TrainingTask) -> None:
    """Members that are known are not trained again."""
    at_once, _ = train_others(task, fit, train_scouts(task, fit), learn)
    fewer = replace(task, members=[member for member in task.members if member.seed < 3])
    first, _ = train_others(fewer, fit, train_scouts(fewer, fit), learn)
    trained = list[Member]()

    def counted(some: TrainingTask, stage: int) -> Ensemble:
        trained.extend(some.members)
        return fit(some, stage)

    extended, _ = train_others(task, counted, train_scouts(task, counted, first), learn)
    assert {member.seed for member in trained} == {3}
    assert list(extended.members) == list(at_once.members)
    states = [one.network.state_dict() for one in (at_once, extended)]
    for name, value in states[0].items():
        np.testing.assert_allclose(states[1][name], value, rtol=0, atol=1e-9)


def test_where_time_is_up_no_further_stage_is_kept(task: TrainingTask) -> None:
    scouts = train_scouts(task, fit)
    cut = replace(scouts, fit=replace(scouts.fit, groups_cut_at=(2,)))
    everybody, _ = train_others(task, fit, cut, learn)
    assert everybody.members == cut.members

    def cutting(some: TrainingTask, stage: int) -> Ensemble:
        made = fit(some, stage)
        return replace(made, fit=replace(made.fit, groups_cut_at=(1,)))

    assert train_others(task, cutting, scouts, learn)[0].members == scouts.members


def test_weights_are_learned_once_from_the_rows_that_scouts_left_out(task: TrainingTask) -> None:
    """Later starts have seen these rows: what they predict of them teaches nothing."""
    learned = list[Ensemble]()

    def watched(ensemble: Ensemble) -> LearnedWeights:
        learned.append(ensemble)
        return learn(ensemble)

    scouts = train_scouts(task, fit)
    train_others(task, fit, scouts, watched)
    assert learned == [scouts]
