"""A portfolio: members of unlike architectures, each exactly as if its setting were alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from members import CPU, assert_equal, make_task

from kaggleprice.competitions.tables import Tables
from kaggleprice.models.portfolio import networks_of
from kaggleprice.settings.portfolio import Variant
from kaggleprice.settings.training import Member
from kaggleprice.training.engine import predict_members
from kaggleprice.training.task import TrainingTask
from kaggleprice.training.train import make_groups, train

# Unlike in layers, in frequencies, in epochs.
UNLIKE: dict[str, Any] = {"portfolio": "robust,tanh,shallow"}


@pytest.mark.parametrize("options", [{}, {"patience": 1, "lr": 0.05}], ids=["", "stopping"])
@pytest.mark.parametrize("blocks", [1, 2])
def test_each_setting_is_trained_as_if_it_were_alone(
    sample_tables: Tables, options: dict[str, Any], blocks: int
) -> None:
    task = make_task(sample_tables, **UNLIKE, **options, inner_blocks=blocks)
    # Robust and tanh are of one shape.
    assert (len(task.spans), len(task.variant_spans)) == (2, 3)
    check_alone(task, group_size=3)


def check_alone(task: TrainingTask, group_size: int | None) -> None:
    """Train all members, and those of each variant alone: they are the same."""
    together, fit = train(task, [CPU], group_size=group_size)
    predicted = predict_members(together, task.rows_on(CPU), fit)
    for span, network in zip(task.variant_spans, networks_of(together).values(), strict=True):
        alone, own_fit = train(task.of(span), [CPU])
        own = slice(span.start, span.stop)
        history = [line for line in fit.history if line.member in range(span.start, span.stop)]
        assert [line.epoch for line in history] == [line.epoch for line in own_fit.history]
        for name, value in alone.state_dict().items():
            torch.testing.assert_close(network.state_dict()[name], value, rtol=0, atol=1e-9)
        alone_predicts = predict_members(alone, task.of(span).rows_on(CPU), own_fit)
        np.testing.assert_allclose(predicted[own], alone_predicts, rtol=0, atol=1e-9)


# Settings that members of one batched network may each have for themselves.
POPULATION: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"activation": ("tanh",)}, {"lr": 0.003}),
    ({"activation": ("prelu",), "frequency_scale": 2.0}, {"weight_decay": 0.5}),
    ({"dropout": ((0.4,),)}, {"loss": "huber 0.3", "clip_norm": 0.1}),
    ({}, {"loss": "huber 0.3", "schedule": "onecycle"}),
    ({}, {"loss": "mae", "label_noise": 0.3}),
]


@pytest.mark.parametrize(
    "options",
    [{}, {"optimizer": "momentum", "batch_size": 7}, {"patience": 1, "lr": 0.05}],
    ids=["", "unequal steps", "stopping"],
)
@pytest.mark.parametrize("group_size", [None, 5])
def test_a_population_of_unlike_settings_is_one_network(
    sample_tables: Tables, options: dict[str, Any], group_size: int | None
) -> None:
    task = population(make_task(sample_tables, **options))
    assert task.spans == [slice(0, len(task.members))]
    assert max(group.count for group in make_groups(task, CPU)) == len(task.members)
    check_alone(task, group_size)


def population(task: TrainingTask) -> TrainingTask:
    """Members of every setting of `POPULATION`, two of each fold."""
    settings = task.settings
    varied = tuple(
        Variant(f"{i}", replace(settings.model, **model), replace(settings.training, **training))
        for i, (model, training) in enumerate(POPULATION)
    )
    members = [replace(m, variant=v) for v in range(len(varied)) for m in task.members]
    return replace(task, members=members, settings=replace(settings, portfolio=varied))


def test_each_setting_of_a_population_has_its_effect(sample_tables: Tables) -> None:
    task = population(make_task(sample_tables))
    network, fit = train(task, [CPU])
    predicted = predict_members(network, task.rows_on(CPU), fit)
    of_fold = [
        line
        for member, line in zip(task.members, predicted, strict=True)
        if (member.fold, member.seed) == (0, 0)
    ]
    assert len({line.tobytes() for line in of_fold}) == len(POPULATION)


def test_a_group_has_members_of_one_shape(sample_tables: Tables) -> None:
    task = make_task(sample_tables, **UNLIKE)
    groups = make_groups(task, CPU, 5)
    assert [m for g in groups for m in range(g.first, g.span.stop)] == list(
        range(len(task.members))
    )
    for group in groups:
        own = task.members[group.span]
        assert len({task.variant_of(member).model.hidden for member in own}) == 1


def test_any_groups_give_the_same_members(sample_tables: Tables) -> None:
    task = make_task(sample_tables, **UNLIKE)
    assert_equal(train(task, [CPU]), train(task, [CPU], group_size=3))


def test_random_starts_leave_out_each_training_row_once(sample_tables: Tables) -> None:
    task = make_task(sample_tables, **UNLIKE, seeds=4, inner_blocks=4)
    task = replace(task, settings=replace(task.settings, scouts=4))
    for fold, (training, _) in enumerate(task.folds):
        splits = [task.inner_split(Member(fold, seed)) for seed in range(4)]
        left_out = np.concatenate([rest for _, rest in splits])
        assert sorted(left_out.tolist()) == sorted(training.tolist())
        sizes = [len(rest) for _, rest in splits]
        assert max(sizes) - min(sizes) <= 1
        for kept, rest in splits:
            assert sorted([*kept.tolist(), *rest.tolist()]) == sorted(training.tolist())
        # The same rows whatever the setting; the later starts train on all.
        other = task.inner_split(Member(fold, 1, 0, 2))
        assert np.array_equal(other[1], splits[1][1])
        assert np.array_equal(task.inner_split(Member(fold, 4))[0], training)


def test_targets_of_rows_that_a_member_leaves_out_do_not_reach_it(sample_tables: Tables) -> None:
    task = make_task(sample_tables, **UNLIKE, inner_blocks=2)
    spoilt = task.target.copy()
    rest = task.inner_split(Member(0, 1))[1]
    spoilt[rest] += np.linspace(0, 1, len(rest))
    networks = [
        networks_of(train(one, [CPU])[0])[1] for one in (task, replace(task, target=spoilt))
    ]
    own = [m for m in task.members if m.variant == 1].index(Member(0, 1, 0, 1))
    other = [m for m in task.members if m.variant == 1].index(Member(0, 0, 0, 1))
    states = [network.state_dict() for network in networks]
    assert all(torch.equal(states[0][name][own], states[1][name][own]) for name in states[0])
    assert any(not torch.equal(states[0][n][other], states[1][n][other]) for n in states[0])
