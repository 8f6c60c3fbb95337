"""Members trained in groups: the same members, however they are cut and wherever they run."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from members import (
    CPU,
    EPOCHS,
    MEMBERS,
    MIXED,
    STOPPING,
    Cutting,
    Heard,
    InterruptedTrainingError,
    Interrupting,
    assert_equal,
    make_task,
)

from kaggleprice.api.regressor import KagglePriceRegressor
from kaggleprice.competitions.tables import Tables
from kaggleprice.core.errors import DivergenceError, RunError
from kaggleprice.models.mlp import MemberMLP
from kaggleprice.runs.checkpoints import Checkpoint
from kaggleprice.settings.training import OPTIMIZERS
from kaggleprice.training.devices import place_network
from kaggleprice.training.engine import Engine
from kaggleprice.training.loop import Moment, TimeLimit
from kaggleprice.training.task import TrainingTask
from kaggleprice.training.train import make_groups, time_step, train

TWO = [CPU, CPU]


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    assert torch.get_num_threads() == 2, "training leaves the number of threads as it was"
    torch.set_num_threads(before)


def sizes(task: TrainingTask, device: str = "cpu", group_size: int | None = None) -> list[int]:
    return [group.count for group in make_groups(task, torch.device(device), group_size)]


@pytest.mark.parametrize(
    ("group_size", "expected"),
    [(None, [8]), (8, [8]), (5, [4, 4]), (3, [3, 2, 3]), (1, [1] * 8), (100, [8])],
)
def test_members_are_cut_evenly(
    sample_tables: Tables, group_size: int | None, expected: list[int]
) -> None:
    task = make_task(sample_tables)
    groups = make_groups(task, CPU, group_size)
    assert sizes(task, group_size=group_size) == expected
    assert [m for group in groups for m in range(MEMBERS)[group.span]] == list(range(MEMBERS))


def test_the_size_of_a_step_makes_the_groups(sample_tables: Tables) -> None:
    """A power of two, however many threads there are; larger groups on an accelerator."""
    large = make_task(sample_tables, k=5, seeds=6, hidden=(128, 64), batch_size=64, frequencies=4)
    assert sizes(large) == [15, 15]
    assert sizes(large, "cuda:1") == sizes(large, "mps") == [30]
    huge = make_task(sample_tables, hidden=(1024, 1024), batch_size=64)
    assert sizes(huge) == [1] * 8
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    assert sizes(large) == [15, 15]
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    "options",
    [
        *({"optimizer": name} for name in sorted(OPTIMIZERS)),
        {"batch_size": 17, "clip_norm": 1.0, "l1": 0.01},
        MIXED,
        {"batch_norm": True, **MIXED},
        {**STOPPING, **MIXED},
        {**STOPPING, "history_every": 7},
    ],
    ids=lambda options: "-".join(map(str, options)),
)
@pytest.mark.usefixtures("two_threads")
def test_groups_are_one_batch(sample_tables: Tables, options: dict[str, Any]) -> None:
    task = make_task(sample_tables, **options)
    expected, found = train(task, [CPU]), train(task, [CPU], group_size=3)
    assert (expected[1].groups, found[1].groups) == ((8,), (3, 2, 3))
    assert_equal(expected, found)
    if "patience" in options:
        assert len(set(found[1].epochs)) > 1
        assert max(line.epoch for line in found[1].history) < STOPPING["epochs"]


def test_threads_and_processes_leave_the_same_bytes(sample_tables: Tables) -> None:
    task = make_task(sample_tables, dtype="float32", **MIXED)
    expected, before = train(task, [CPU], group_size=3), torch.get_num_threads()
    torch.set_num_threads(2)
    assert_equal(expected, train(task, [CPU], group_size=3), within=0)
    assert_equal(expected, train(task, TWO, group_size=3), within=0)
    torch.set_num_threads(before)


def test_devices_without_a_group_are_named(sample_tables: Tables) -> None:
    heard = Heard()
    _, found = train(make_task(sample_tables), TWO, progress=heard)
    assert found.groups == (8,)
    assert heard.notices == ["the networks are too small for 2 devices: only cpu trains"]


def test_a_regressor_may_have_several_devices() -> None:
    x = np.random.default_rng(0).normal(size=(60, 3))
    options: dict[str, Any] = {"seeds": 2, "epochs": 2, "hidden": (128,), "batch_size": 16384}
    options["portfolio"] = ()
    options["random_state"] = 0
    one = KagglePriceRegressor(device="cpu", **options).fit(x, x.sum(axis=1))
    two = KagglePriceRegressor(device="cpu,cpu", **options).fit(x, x.sum(axis=1))
    assert len(two.ensemble_.fit.groups) == 2
    np.testing.assert_array_equal(two.predict(x), one.predict(x))


def test_progress_is_joined(sample_tables: Tables) -> None:
    heard = Heard()
    train(make_task(sample_tables, history_every=1), [CPU], progress=heard, group_size=3)
    stages, done, total, details, units = zip(*heard.advanced, strict=True)
    assert set(stages) == {"training"}
    assert (list(done), set(total), set(units)) == (sorted(done), {EPOCHS}, {"epochs"})
    assert (done[0], done[-1]) == (0, EPOCHS)
    assert details[0] == "8 members"
    assert details[-1].startswith("validation RMSE 0.")
    assert details[-1].endswith(", 8 members")


def test_groups_may_be_cut_after_different_epochs(sample_tables: Tables) -> None:
    task, heard = make_task(sample_tables, history_every=1), Heard()
    expected = train(task, [CPU])[1]
    # Groups begin with members 0, 3 and 5; the last is not cut.
    found = train(task, [CPU], [Cutting(1, later=1)], heard, group_size=3)[1]
    assert (found.cut_at, found.groups_cut_at) == (1, (1, None, None))
    found = train(task, [CPU], [Cutting(2)], heard, group_size=3)[1]
    assert (found.cut_at, found.groups_cut_at, set(found.epochs)) == (2, (2, 2, 2), {2})
    assert [(x.member, x.epoch) for x in found.history] == [
        (x.member, x.epoch) for x in expected.history if x.epoch <= 2
    ]
    assert heard.notices == [
        "time is up after epoch 1: training ends here",
        "time is up after epoch 2: training ends here",
    ]


def test_a_time_limit_trains_every_fold(sample_tables: Tables) -> None:
    """However late it is: an epoch of each group."""
    found = train(make_task(sample_tables), [CPU], [TimeLimit(Moment(0.0))], group_size=3)[1]
    assert (found.cut_at, found.epochs.tolist()) == (1, [1] * MEMBERS)


@pytest.mark.parametrize("devices", [[CPU], TWO], ids=["threads", "processes"])
def test_divergence_names_the_members_of_a_group(
    sample_tables: Tables, devices: list[torch.device]
) -> None:
    """One fold's members train on rows whose targets are too large for the numbers."""
    # Of two kinds: a fold has members in both groups.
    kinds = {"activation": ("gelu", "tanh")}
    task = make_task(sample_tables, target_scale="none", optimizer="sgd", lr=1e-3, **kinds)
    spoilt = task.members[-1].fold
    folds = [*task.folds]
    task.target[folds[spoilt][1]] = 1e200
    for fold, (rows, held) in enumerate(folds):
        if fold != spoilt:
            folds[fold] = np.setdiff1d(rows, folds[spoilt][1]), held
    folds[spoilt] = folds[spoilt][1], folds[spoilt][0]
    task = TrainingTask(task.encoding, task.rows, task.target, folds, task.members, task.settings)
    with pytest.raises(DivergenceError, match=r"in epoch 1 for 1 of 4 .*\(fold 4 seed [01]\)"):
        train(task, devices, group_size=4)


# What an interrupted run had kept.


@pytest.mark.parametrize(
    ("devices", "options"),
    [([CPU], {}), ([CPU], {**STOPPING, **MIXED}), (TWO, {**STOPPING, **MIXED})],
    ids=["threads, plain", "threads, stopping", "processes, stopping"],
)
def test_groups_go_on_to_the_last_bit(
    sample_tables: Tables, tmp_path: Path, devices: list[torch.device], options: dict[str, Any]
) -> None:
    """The first group is finished, the second is not, the third has not begun."""
    task = make_task(sample_tables, **options)
    expected = train(task, [CPU], group_size=3)
    with pytest.raises(InterruptedTrainingError), Checkpoint(tmp_path, {}, 0) as checkpoint:
        train(task, [CPU], [*checkpoint.callbacks, Interrupting(2, member=3)], group_size=3)
    kept = {group.first: epoch for group, epoch in Checkpoint(tmp_path, {}, 0).kept.items()}
    assert kept[3] == 2
    assert 0 in kept
    assert 5 not in kept
    with Checkpoint(tmp_path, {}, 0) as checkpoint:
        found = train(task, devices, checkpoint.callbacks, group_size=3)
    assert found[1].resumed_from == 2
    assert_equal(expected, found, within=0)
    assert list(tmp_path.iterdir()) == []


# Where memory runs out.


def lacking(monkeypatch: pytest.MonkeyPatch, most: int, after: int = 0) -> None:
    """Let a network of more than `most` members fail as a GPU does, after so many steps."""
    forward, steps = MemberMLP.forward, [0]

    def bounded(network: MemberMLP, *given: Any) -> torch.Tensor:
        steps[0] += network.training
        if network.members > most and network.training and steps[0] > after:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")
        return forward(network, *given)

    monkeypatch.setattr(MemberMLP, "forward", bounded)


@pytest.mark.parametrize(
    ("group_size", "groups", "lacks"),
    [
        (None, (2, 2, 2, 2), ["8 members .* 2 groups of 4", "4 members .* 4 groups of 2"]),
        # Only the groups that do not fit are halved.
        (3, (2, 1, 2, 2, 1), ["3 members .* 4 groups of up to 2"]),
    ],
)
def test_members_are_halved_where_memory_runs_out(
    sample_tables: Tables,
    monkeypatch: pytest.MonkeyPatch,
    group_size: int | None,
    groups: tuple[int, ...],
    lacks: list[str],
) -> None:
    task, heard = make_task(sample_tables), Heard()
    expected = train(task, [CPU])
    lacking(monkeypatch, 2)
    found = train(task, [CPU], progress=heard, group_size=group_size)
    for said, words in zip(heard.notices, lacks, strict=True):
        assert re.fullmatch(f"out of memory with {words}", said)
    assert found[1].groups == groups
    assert_equal(expected, found)


def test_halves_go_on_from_the_last_state_and_are_resumed(
    sample_tables: Tables, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What did not fit is not tried again; the bits are those of the uninterrupted run."""
    task = make_task(sample_tables)
    whole = train(task, [CPU])
    # 5 steps are an epoch.
    lacking(monkeypatch, 4, after=12)
    with Checkpoint(tmp_path / "other", {}, 0) as checkpoint:
        expected = train(task, [CPU], checkpoint.callbacks)
    assert (expected[1].resumed_from, expected[1].groups) == (2, (4, 4))
    assert_equal(whole, expected)
    monkeypatch.undo()
    lacking(monkeypatch, 4, after=12)
    with pytest.raises(InterruptedTrainingError), Checkpoint(tmp_path, {}, 0) as checkpoint:
        train(task, [CPU], [*checkpoint.callbacks, Interrupting(3, member=7)])
    monkeypatch.undo()
    heard = Heard()
    with Checkpoint(tmp_path, {}, 0) as checkpoint:
        found = train(task, [CPU], checkpoint.callbacks, heard)
    assert heard.notices == ["out of memory with 8 members at once: going on with 2 groups of 4"]
    assert found[1].groups == (4, 4)
    assert_equal(expected, found, within=0)


def test_too_little_memory_for_one_member_is_told(
    sample_tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking(monkeypatch, 0)
    with pytest.raises(
        RunError, match=r"out of memory on cpu with one member at a time, .* \d+ MB .*; try a s"
    ):
        train(make_task(sample_tables), [CPU])


@pytest.mark.usefixtures("two_threads")
def test_a_step_is_timed_group_by_group(
    sample_tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On two threads: the slower of two groups, and as long again for those that wait."""
    task, seen = make_task(sample_tables), list[int]()

    def step(engine: Engine, _: float) -> float:
        seen.append(len(engine.members))
        return float(len(engine.members))

    monkeypatch.setattr(Engine, "time_step", step)
    assert time_step(task, [CPU], 0.01) == 8
    assert time_step(task, [CPU], 0.01, group_size=3) == 3 * 2
    assert time_step(task, TWO, 0.01, group_size=2) == 2 * 2
    assert sorted(seen) == [2, 2, 2, 3, 8]
    monkeypatch.undo()
    lacking(monkeypatch, 3)
    assert time_step(task, [CPU], 0.01) > 0


def test_weights_that_do_not_fit_predict_on_the_cpu(
    sample_tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, heard = make_task(sample_tables).network(), Heard()

    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(network, "to", full)
    place_network(network, torch.device("cuda"), heard)
    assert heard.notices == [
        "the weights of 8 networks do not fit into the memory of cuda: predicting on cpu"
    ]


# Activations of 12 deep members take about twice what the limit leaves; weights a tenth of it.
_LIMITED = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import members as m
from kaggleprice.competitions.tables import read_tables
from kaggleprice.training.train import train
m.torch.set_num_threads(1)
folder = Path(sys.argv[1]).parent / "data" / "sample"
tables = read_tables(m.COMPETITIONS["sample"], folder / "train.csv", folder / "test.csv")
options = dict(seeds=4, k=3, epochs=1, hidden=(128,) * 12, batch_size=400, dtype="float32")
# What is loaded on the first use is there before memory is counted.
train(m.make_task(tables, seeds=1), [m.CPU])
task, heard = m.make_task(tables, len(tables.train), **options), m.Heard()
if sys.argv[2] != "0":
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = used + int(sys.argv[2]) * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
_, fit = train(task, [m.CPU], progress=heard, group_size=12)
print(len(fit.groups), sum(line.validation for line in fit.history))
print(*heard.notices, sep="\\n")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space of a process")
def test_real_memory_runs_out() -> None:
    def run(mebibytes: int) -> tuple[int, float, list[str]]:
        tests = str(Path(__file__).parents[1])
        command = [sys.executable, "-c", _LIMITED, tests, str(mebibytes)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        first, *notices = done.stdout.splitlines()
        count, score = first.split()
        return int(count), float(score), [n for n in notices if n]

    (one, expected, silence), (several, found, notices) = run(0), run(120)
    assert (one, silence) == (1, [])
    assert 1 < several <= 12
    assert notices[0] == "out of memory with 12 members at once: going on with 2 groups of 6"
    assert found == pytest.approx(expected, abs=1e-4)
