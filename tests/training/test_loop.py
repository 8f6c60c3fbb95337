"""Training that is interrupted goes on, to the last bit, as if it had not been; or ends in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from members import (
    CPU,
    EPOCHS,
    MIXED,
    STOPPING,
    Cutting,
    InterruptedTrainingError,
    Interrupting,
    Trained,
    assert_equal,
    make_task,
)
from safetensors.torch import load, save

from kaggleprice.competitions.tables import Tables
from kaggleprice.settings.training import OPTIMIZERS
from kaggleprice.training import loop
from kaggleprice.training.loop import Callback, Group, Moment, TimeLimit, TrainingLoop
from kaggleprice.training.task import TrainingTask

ALL = Group(0, 8)


@dataclass
class Keeping(Callback):
    """Keeps every epoch's state, through bytes as a file would."""

    kept: dict[int, bytes] = field(default_factory=dict)

    def on_epoch_end(self, loop: TrainingLoop) -> None:
        state = loop.state_dict()
        self.kept[loop.epoch] = save({n: t.contiguous().clone() for n, t in state.items()})


@dataclass
class Resuming(Callback):
    """Goes on from a kept state, of this group or of a larger one."""

    kept: bytes
    first: int = 0

    def on_train_begin(self, loop: TrainingLoop) -> None:
        loop.load_state_dict(load(self.kept), self.first)


def run(task: TrainingTask, *callbacks: Callback, group: Group = ALL) -> Trained:
    trained = TrainingLoop(task.of(group.span), group, CPU)
    result = trained.run(callbacks)
    return trained.engine.network, result


@pytest.mark.parametrize(
    "options",
    [
        *({"optimizer": name} for name in sorted(OPTIMIZERS)),
        {**STOPPING, **MIXED},
        {"batch_size": 17, "history_every": 3},
        {"batch_norm": True, "history_every": 2, "dtype": "float32"},
        {"clip_norm": 1.0, "l1": 0.01, "schedule": "onecycle"},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_interrupted_training_ends_as_if_it_had_not_been(
    sample_tables: Tables, options: dict[str, Any]
) -> None:
    task, keeper = make_task(sample_tables, **options), Keeping()
    expected = run(task)
    with pytest.raises(InterruptedTrainingError):
        run(task, keeper, Interrupting(2))
    found = run(task, Resuming(keeper.kept[2]))
    assert (expected[1].resumed_from, found[1].resumed_from) == (None, 2)
    assert found[1].history == expected[1].history
    assert_equal(expected, found, within=0)


def test_the_last_state_only_ends(sample_tables: Tables) -> None:
    """A group that was finished, or had stopped, is not trained again."""
    for options in ({}, STOPPING):
        task, keeper, again = make_task(sample_tables, **options), Keeping(), Keeping()
        expected = run(task, keeper)
        found = run(task, Resuming(keeper.kept[max(keeper.kept)]), again)
        assert_equal(expected, found, within=0)
        assert not again.kept


@pytest.mark.parametrize("group", [Group(0, 3), Group(5, 3)], ids=["first", "last"])
@pytest.mark.parametrize("options", [{"batch_size": 17}, {**STOPPING, **MIXED}], ids=str)
def test_a_part_of_a_group_takes_up_its_state(
    sample_tables: Tables, options: dict[str, Any], group: Group
) -> None:
    task, keeper = make_task(sample_tables, **options), Keeping()
    network, expected = run(task, keeper)
    part, found = run(task, Resuming(keeper.kept[2], group.first), group=group)
    for name, value in part.state_dict().items():
        whole = network.state_dict()[name][group.span]
        torch.testing.assert_close(value, whole, rtol=0, atol=1e-9)
    assert found.epochs.tolist() == expected.epochs[group.span].tolist()
    known = {(line.member - group.first, line.epoch) for line in expected.history}
    assert {(line.member, line.epoch) for line in found.history} <= known


def test_a_cut_is_recorded_though_its_epoch_would_not_be(sample_tables: Tables) -> None:
    _, found = run(make_task(sample_tables, history_every=EPOCHS), Cutting(3))
    assert {line.epoch for line in found.history} == {found.cut_at} == {3}
    _, whole = run(make_task(sample_tables), Cutting(EPOCHS))
    assert whole.cut_at is None, "nothing was left to cut"


@pytest.mark.parametrize(
    ("limit", "queue", "epochs"),
    [(1, 1, 1), (10, 1, 3), (12, 1, 4), (24, 2, 4), (100, 1, 6), (10, 5, 1)],
)
def test_a_time_limit_leaves_out_the_epoch_that_would_not_fit(
    monkeypatch: pytest.MonkeyPatch, limit: float, queue: int, epochs: int
) -> None:
    """Epochs of 3 seconds; groups that wait for their turn get their share of the time."""
    now = [100.0]
    monkeypatch.setattr(loop, "monotonic", lambda: now[0])
    stopped: list[int] = []
    callback = TimeLimit(Moment(now[0] + limit))
    stand_in: Any = SimpleNamespace(group=Group(0, 8, queue), stop=lambda: stopped.append(1))
    callback.on_train_begin(stand_in)
    done = 0
    while done < 6 and not stopped:
        now[0], done = now[0] + 3, done + 1
        callback.on_epoch_end(stand_in)
    assert done == epochs


def test_callbacks_are_called_in_order(sample_tables: Tables) -> None:
    called: list[Sequence[Any]] = []

    class Noting(Callback):
        def on_train_begin(self, loop: TrainingLoop) -> None:
            called.append(("begin", loop.epoch))

        def on_epoch_end(self, loop: TrainingLoop) -> None:
            called.append((loop.epoch, loop.engine.active, len(loop.history)))

        def on_train_end(self, loop: TrainingLoop) -> None:
            called.append(("end", loop.epoch))

    run(make_task(sample_tables, epochs=2, history_every=2), Noting())
    assert called == [("begin", 0), (1, 8, 0), (2, 8, 8), ("end", 2)]
