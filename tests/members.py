"""Small training tasks, how two ways of training are compared, and jobs for executors."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch

from kaggleprice.competitions.catalog import COMPETITIONS
from kaggleprice.competitions.tables import Table, Tables
from kaggleprice.core.errors import RunError
from kaggleprice.evaluation.cross_validation import prepare
from kaggleprice.evaluation.folds import make_folds
from kaggleprice.models.networks import MemberNetwork
from kaggleprice.settings.run import make_settings
from kaggleprice.training.executors import Worker
from kaggleprice.training.loop import Callback, TrainingLoop
from kaggleprice.training.task import TrainingResult, TrainingTask

CPU = torch.device("cpu")
ROWS, EPOCHS, MEMBERS = 90, 4, 8
OPTIONS: dict[str, Any] = {
    **{"k": 4, "portfolio": (), "seeds": 2, "epochs": EPOCHS, "hidden": (8, 4), "batch_size": 16},
    "dtype": "float64",
}
# Half of the members have slopes, which the groups of the others lack.
MIXED: dict[str, Any] = {"activation": ("gelu", "prelu")}
STOPPING: dict[str, Any] = {"patience": 1, "lr": 0.05, "epochs": 30, "history_every": 1}

Trained = tuple[MemberNetwork, TrainingResult]


def make_task(sample: Tables, rows: int = ROWS, **options: Any) -> TrainingTask:
    """8 members over 4 folds of the sample's first rows, in double precision."""
    train = sample.train
    few = Table(train.ids[:rows], train.features.head(rows), train.known_target[:rows])
    own = dict(OPTIONS)
    if options.get("portfolio"):
        # Settings of a portfolio differ in their layers as well.
        del own["hidden"]
    settings = make_settings(options={**own, **options})
    folds = make_folds(rows, settings.k, seed=0)
    return prepare(COMPETITIONS["sample"], replace(sample, train=few), folds, settings, CPU).task


def assert_equal(expected: Trained, found: Trained, within: float = 1e-9) -> None:
    """The same members with the same history, up to rounding."""
    (network, one), (other_network, other) = expected, found
    assert one.epochs.tolist() == other.epochs.tolist()
    np.testing.assert_array_equal(one.target_center, other.target_center)
    np.testing.assert_array_equal(one.target_scale, other.target_scale)
    for mine, line in zip(one.history, other.history, strict=True):
        assert (mine.member, mine.epoch) == (line.member, line.epoch)
        assert (mine.train, mine.validation) == pytest.approx(
            (line.train, line.validation), rel=0, abs=within
        )
    assert network.state_dict().keys() == other_network.state_dict().keys()
    norms = any(name.startswith("norms") for name in network.state_dict())
    for name, value in network.state_dict().items():
        # Batch norm takes away what a bias before it adds, which is driven by rounding alone.
        if norms and within and re.fullmatch(r"linears\.[01]\.bias|norms\..\.running_mean", name):
            continue
        found_value = other_network.state_dict()[name]
        torch.testing.assert_close(found_value, value, rtol=0, atol=within, msg=name)


@dataclass
class Heard:
    """A `Progress` that keeps what it is told."""

    notices: list[str] = field(default_factory=list)
    advanced: list[tuple[Any, ...]] = field(default_factory=list)

    def notice(self, message: str) -> None:
        self.notices.append(message)

    def detail(self, message: str) -> None:
        pass

    def advance(self, *given: Any) -> None:
        self.advanced.append(given)


class InterruptedTrainingError(Exception):
    """The process ends here."""


@dataclass
class Interrupting(Callback):
    """Ends the process after an epoch of the group that has a member."""

    at: int
    member: int = 0

    def on_epoch_end(self, loop: TrainingLoop) -> None:
        span = loop.group.span
        if loop.epoch == self.at and span.start <= self.member < span.stop:
            raise InterruptedTrainingError


@dataclass
class Cutting(Callback):
    """Stops every group after an epoch; those further back in the run later by `later` each."""

    at: int
    later: int = 0

    def on_epoch_end(self, loop: TrainingLoop) -> None:
        if loop.epoch == self.at + self.later * loop.group.first:
            loop.stop()


# Jobs of executors, which other processes import from here.


def square(array: np.ndarray, worker: Worker, number: int) -> tuple[int, str, int, int, bool, bool]:
    """Report a number; return its square, where it was made, if the array is mapped, and untouched.

    The array, which all jobs share, is written into.
    """
    worker.check()
    worker.report((number, 0.5))
    mapped, untouched = isinstance(array, np.memmap), bool(array[0] == 0)
    array[0] = 7
    where = str(worker.device), torch.get_num_threads(), os.getpid()
    return number**2, *where, mapped, untouched


def fail(worker: Worker, number: int) -> int:
    """Fail, only for 1."""
    if number == 1:
        raise RunError("job 1 cannot be done.")
    return number
