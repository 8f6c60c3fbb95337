"""Members trained in groups that take turns: the same members, however they are cut."""

from __future__ import annotations

import re
import subprocess
import sys
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from kaggleprice.competitions.catalog import COMPETITIONS
from kaggleprice.competitions.tables import Table, Tables, read_tables
from kaggleprice.core.errors import DivergenceError, RunError
from kaggleprice.evaluation.cross_validation import Problem, prepare
from kaggleprice.evaluation.folds import make_folds
from kaggleprice.models.networks import MemberMLP, MemberNetwork
from kaggleprice.settings.run import make_settings
from kaggleprice.settings.training import OPTIMIZERS
from kaggleprice.training import train
from kaggleprice.training.devices import lacks_memory, settle
from kaggleprice.training.engine import Fit, Training
from kaggleprice.training.groups import Turns, cut, join, split
from kaggleprice.training.loop import TrainingState
from kaggleprice.training.task import Work

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
CPU = torch.device("cpu")
ROWS, EPOCHS, MEMBERS = 90, 4, 8
OPTIONS = {"k": 4, "seeds": 2, "epochs": EPOCHS, "hidden": (8, 4), "batch_size": 16}
EXACT = {**OPTIONS, "dtype": "float64"}
# Half of the members have slopes, which the groups of the others lack.
MIXED = {"activation": ("gelu", "prelu")}
STOPPING = {"patience": 1, "lr": 0.05, "epochs": 30, "history_every": 1}


@dataclass
class Heard:
    """A `Progress` that keeps what it is told."""

    notices: list[str] = field(default_factory=list)

    def notice(self, message: str) -> None:
        self.notices.append(message)

    def detail(self, message: str) -> None:
        pass

    def advance(self, *_: Any) -> None:
        pass


@dataclass
class Keeping:
    """Keeps every epoch's state as a file would; cuts training after an epoch, where asked."""

    cut_at: int | None = None
    kept: bytes = b""
    epoch: int = 0

    def resume(self) -> TrainingState | None:
        return TrainingState(self.epoch, load(self.kept)) if self.kept else None

    def go_on(self, epoch: int, state: Callable[[], TrainingState]) -> bool:
        self.kept = save({n: t.contiguous().clone() for n, t in state().tensors.items()})
        self.epoch = epoch
        return epoch != self.cut_at


def read_sample() -> Tables:
    return read_tables(COMPETITIONS["sample"], SAMPLE / "train.csv", SAMPLE / "test.csv")


@pytest.fixture(scope="module")
def tables() -> Tables:
    whole = read_sample()
    train = whole.train
    few = Table(train.ids[:ROWS], train.features.head(ROWS), train.known_target[:ROWS])
    return replace(whole, train=few)


def problem(tables: Tables, **options: Any) -> Problem:
    settings = make_settings(options={**EXACT, **options})
    folds = make_folds(len(tables.train), settings.k, seed=0)
    return prepare(COMPETITIONS["sample"], tables, folds, settings, CPU)


def in_turns(given: Problem, turns: int) -> Turns:
    return Turns(given.work, given.network, CPU, turns)


def assert_equal(
    one: Fit, network: MemberNetwork, other: Fit, other_network: MemberNetwork, within: float = 1e-9
) -> None:
    """The same members with the same history, up to rounding."""
    assert one.epochs.tolist() == other.epochs.tolist()
    np.testing.assert_array_equal(one.target_center, other.target_center)
    for mine, theirs in zip(one.history, other.history, strict=True):
        assert (mine.member, mine.epoch) == (theirs.member, theirs.epoch)
        assert mine.train == pytest.approx(theirs.train, abs=within)
        assert mine.validation == pytest.approx(theirs.validation, abs=within)
    assert network.state_dict().keys() == other_network.state_dict().keys()
    norms = any(name.startswith("norms") for name in network.state_dict())
    for name, value in network.state_dict().items():
        # Batch norm takes away what a bias before it adds, which is driven by rounding alone.
        if norms and within and re.fullmatch(r"linears\.[01]\.bias|norms\..\.running_mean", name):
            continue
        found = other_network.state_dict()[name]
        torch.testing.assert_close(found, value, rtol=0, atol=within, msg=name)


@pytest.mark.parametrize(
    ("count", "groups", "sizes"),
    [(8, 1, [8]), (8, 3, [3, 2, 3]), (7, 2, [4, 3]), (3, 5, [1, 1, 1]), (1, 1, [1])],
)
def test_members_are_cut_evenly(count: int, groups: int, sizes: list[int]) -> None:
    spans = split(count, groups)
    assert [span.stop - span.start for span in spans] == sizes
    assert [m for span in spans for m in range(count)[span]] == list(range(count))


def test_what_was_cut_is_joined() -> None:
    whole = {"a": torch.arange(6.0).view(3, 2), "b": torch.arange(3)}
    spans = [slice(0, 2), slice(2, 3)]
    groups = [cut(whole, span) for span in spans]
    assert all(torch.equal(whole[n], v) for n, v in join(groups, spans).items())
    del groups[0]["b"]
    assert join(groups, spans)["b"].tolist() == [0, 0, 2]


@pytest.mark.parametrize(
    "options",
    [
        *({"optimizer": name} for name in sorted(OPTIMIZERS)),
        {"batch_size": 17, "clip_norm": 1.0, "l1": 0.01},
        {"batch_norm": True, **MIXED},
        {**STOPPING, **MIXED},
        {**STOPPING, "batch_norm": True},
    ],
    ids=lambda options: "-".join(map(str, options)),
)
def test_groups_that_take_turns_are_one_batch(tables: Tables, options: dict[str, Any]) -> None:
    whole, cut_up = problem(tables, **options), problem(tables, **options)
    expected = whole.training().run()
    found = in_turns(cut_up, 3).run()
    assert (expected.groups, found.groups) == ((8,), (3, 2, 3))
    if "patience" in options:
        assert len(set(expected.epochs)) > 1
    assert_equal(expected, whole.network, found, cut_up.network)


def test_in_single_precision_groups_differ_by_rounding(tables: Tables) -> None:
    whole, cut_up = problem(tables, dtype="float32"), problem(tables, dtype="float32")
    expected, found = whole.training().run(), in_turns(cut_up, 3).run()
    assert_equal(expected, whole.network, found, cut_up.network, within=1e-5)


@pytest.mark.parametrize("options", [{}, {**STOPPING, **MIXED}], ids=["plain", "stopping"])
def test_turns_that_were_interrupted_go_on_to_the_last_bit(
    tables: Tables, options: dict[str, Any]
) -> None:
    straight, resumed = problem(tables, **options), problem(tables, **options)
    expected = in_turns(straight, 3).run()
    keeper = Keeping(cut_at=2)
    in_turns(problem(tables, **options), 3).run(keeper)
    found = in_turns(resumed, 3).run(replace(keeper, cut_at=None))
    assert (expected.resumed_from, found.resumed_from) == (None, 2)
    assert_equal(expected, straight.network, found, resumed.network, within=0)


@pytest.mark.parametrize("options", [{}, {"batch_size": 17}, {**STOPPING, **MIXED}], ids=str)
def test_any_groups_take_up_what_others_left(tables: Tables, options: dict[str, Any]) -> None:
    """A state of one batch goes on in groups, and the other way round."""
    straight = problem(tables, **options)
    expected = straight.training().run()
    for first, second in [(1, 3), (3, 1), (3, 5)]:
        keeper, resumed = Keeping(cut_at=2), problem(tables, **options)
        course(problem(tables, **options), first).run(keeper)
        found = course(resumed, second).run(replace(keeper, cut_at=None))
        assert found.resumed_from == 2
        assert_equal(expected, straight.network, found, resumed.network)


def course(given: Problem, turns: int) -> Training | Turns:
    return given.training() if turns == 1 else in_turns(given, turns)


def test_groups_are_cut_after_the_same_epoch(tables: Tables) -> None:
    whole, cut_up = problem(tables), problem(tables)
    expected = whole.training().run(Keeping(cut_at=2))
    found = in_turns(cut_up, 3).run(Keeping(cut_at=2))
    assert (found.cut_at, found.epochs.tolist()) == (2, [2] * MEMBERS)
    assert_equal(expected, whole.network, found, cut_up.network)


def test_divergence_names_the_same_members(tables: Tables) -> None:
    def said(make: Callable[[Problem], Any]) -> str:
        with pytest.raises(DivergenceError) as caught:
            make(problem(tables, lr=1e30, clip_norm=1e30, optimizer="sgd")).run()
        return str(caught.value)

    whole = said(lambda p: p.training())
    assert "of 8 members (fold 1 seed 0" in whole
    assert said(lambda p: in_turns(p, 3)) == whole


def test_one_group_at_a_time_is_there(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref[Training]] = []
    original = Work.training

    def watched(work: Work, *given: Any) -> Training:
        assert not any(earlier() for earlier in made)
        training = original(work, *given)
        made.append(weakref.ref(training))
        return training

    monkeypatch.setattr(Work, "training", watched)
    in_turns(problem(tables), 4).run()
    assert len(made) > 4 * EPOCHS


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


def test_members_are_halved_where_memory_runs_out(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, halved, heard = problem(tables), problem(tables), Heard()
    expected = whole.train()
    lacking(monkeypatch, 2)
    found = halved.train(progress=heard)
    assert heard.notices == [
        "out of memory with 8 members at once: going on with 2 groups of 4",
        "out of memory with 4 members at once: going on with 4 groups of 2",
    ]
    assert (expected.groups, found.groups) == ((8,), (2, 2, 2, 2))
    assert_equal(expected, whole.network, found, halved.network)


def test_memory_that_runs_out_later_costs_the_epochs_since_the_last_state(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, halved, keeper = problem(tables), problem(tables), Keeping()
    expected = whole.train()
    # 5 steps are an epoch.
    lacking(monkeypatch, 4, after=12)
    found = halved.train(keeper)
    assert (found.resumed_from, found.groups) == (2, (4, 4))
    assert_equal(expected, whole.network, found, halved.network)


def test_a_state_of_groups_is_taken_up_in_groups(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What did not fit then is not tried again; the bits are those of the uninterrupted run."""
    straight, resumed, keeper, heard = problem(tables), problem(tables), Keeping(2), Heard()
    lacking(monkeypatch, 4)
    expected = straight.train()
    problem(tables).train(keeper)
    found = resumed.train(replace(keeper, cut_at=None), heard)
    assert (found.resumed_from, found.groups, heard.notices) == (2, (4, 4), [])
    assert_equal(expected, straight.network, found, resumed.network, within=0)


def test_too_little_memory_for_one_member_is_told(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking(monkeypatch, 0)
    with pytest.raises(RunError, match="out of memory on cpu with one member at a time; try a s"):
        problem(tables).train()


def test_a_step_is_timed_in_groups_where_memory_runs_out(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking(monkeypatch, 3)
    seen: list[int] = []
    monkeypatch.setattr(Training, "time_step", lambda t, _: seen.append(len(t.members)) or 1.0)
    assert train.time_step(problem(tables).work, [CPU], 0.01) == 1.0
    assert train.time_step(problem(tables).work, [CPU, CPU], 0.01) == 1.0
    assert seen == [8, 8]
    monkeypatch.undo()
    lacking(monkeypatch, 3)
    assert train.time_step(problem(tables).work, [CPU], 0.01) > 0


def test_other_errors_are_not_about_memory(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> torch.Tensor:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(MemberMLP, "forward", broken)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        problem(tables).train()


@pytest.mark.parametrize(
    "ask",
    [
        lambda: torch.empty(2**50),
        lambda: np.empty(2**50),
        lambda: bytearray(2**60),
    ],
    ids=["torch", "numpy", "python"],
)
def test_real_wants_of_memory_are_seen(ask: Callable[[], object]) -> None:
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        ask()
    assert lacks_memory(caught.value)


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (torch.OutOfMemoryError("whatever"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("could not create a primitive"), True),
        (RuntimeError("could not create a memory object"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
        (RunError("out of memory"), False),
    ],
)
def test_which_errors_are_about_memory(error: Exception, is_one: bool) -> None:
    assert lacks_memory(error) is is_one


def test_weights_that_do_not_fit_predict_on_the_cpu(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, heard = problem(tables).network, Heard()

    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(network, "to", full)
    settle(network, torch.device("cuda"), heard)
    assert heard.notices == [
        "the weights of 8 networks do not fit into the memory of cuda: predicting on cpu"
    ]


# Activations of 12 deep members take about twice what the limit leaves; weights a tenth of it.
_LIMITED = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_train as t
t.torch.set_num_threads(1)
options = dict(seeds=4, k=3, epochs=1, hidden=(128,) * 12, batch_size=400, dtype="float32")
tables = t.read_sample()
# What is loaded on the first use is there before memory is counted.
t.problem(tables, seeds=1).train()
given, heard = t.problem(tables, **options), t.Heard()
if sys.argv[2] != "0":
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = used + int(sys.argv[2]) * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
fit = given.train(progress=heard)
print(len(fit.groups), sum(line.validation for line in fit.history))
print(*heard.notices, sep="\\n")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space of a process")
def test_real_memory_runs_out() -> None:
    def run(mebibytes: int) -> tuple[int, float, list[str]]:
        tests = str(Path(__file__).parent)
        command = [sys.executable, "-c", _LIMITED, tests, str(mebibytes)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        first, *notices = done.stdout.splitlines()
        count, score = first.split()
        return int(count), float(score), [n for n in notices if n]

    (one, expected, silence), (several, found, notices) = run(0), run(120)
    assert (one, silence) == (1, [])
    assert several in (2, 4, 8)
    assert notices[0] == "out of memory with 12 members at once: going on with 2 groups of 6"
    assert found == pytest.approx(expected, abs=1e-4)
