"""Training that is interrupted goes on, to the last bit, as if it had not been."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from kaggleprice.competitions.catalog import COMPETITIONS
from kaggleprice.competitions.tables import Table, Tables, read_tables
from kaggleprice.evaluation.cross_validation import Problem, prepare
from kaggleprice.evaluation.folds import make_folds
from kaggleprice.settings.run import RunSettings, make_settings
from kaggleprice.settings.training import OPTIMIZERS
from kaggleprice.training.engine import Fit
from kaggleprice.training.loop import UNSUPERVISED, TrainingState

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
ROWS, EPOCHS = 90, 5
OPTIONS = {"k": 4, "seeds": 2, "epochs": EPOCHS, "hidden": (8, 4), "batch_size": 16}


class InterruptedTrainingError(Exception):
    """The process ends here."""


@dataclass
class Interrupting:
    """Keeps the state of one epoch, through bytes as a file would, and ends the process."""

    at: int
    kept: dict[int, bytes] = field(default_factory=dict)

    def resume(self) -> TrainingState | None:
        return None

    def go_on(self, epoch: int, state: Callable[[], TrainingState]) -> bool:
        if epoch == self.at:
            tensors = {n: t.contiguous().clone() for n, t in state().tensors.items()}
            self.kept[epoch] = save(tensors)
            raise InterruptedTrainingError
        return True


@dataclass(frozen=True)
class Resuming:
    """Goes on from a kept state."""

    state: TrainingState

    def resume(self) -> TrainingState | None:
        return self.state

    def go_on(self, epoch: int, state: Callable[[], TrainingState]) -> bool:
        return True


@dataclass(frozen=True)
class Cutting:
    """Ends training after an epoch."""

    at: int

    def resume(self) -> TrainingState | None:
        return None

    def go_on(self, epoch: int, state: Callable[[], TrainingState]) -> bool:
        return epoch < self.at


@pytest.fixture(scope="module")
def tables() -> Tables:
    whole = read_tables(COMPETITIONS["sample"], SAMPLE / "train.csv", SAMPLE / "test.csv")
    train = whole.train
    few = Table(train.ids[:ROWS], train.features.head(ROWS), train.known_target[:ROWS])
    return replace(whole, train=few)


def problem(tables: Tables, settings: RunSettings) -> Problem:
    folds = make_folds(ROWS, settings.k, seed=0)
    return prepare(COMPETITIONS["sample"], tables, folds, settings, torch.device("cpu"))


def state_of(trained: Problem) -> dict[str, torch.Tensor]:
    return dict(trained.network.state_dict())


def assert_same(one: Fit, other: Fit) -> None:
    for array in ("target_center", "target_scale", "epochs"):
        np.testing.assert_array_equal(getattr(one, array), getattr(other, array))
    assert one.history == other.history


@pytest.mark.parametrize(
    "options",
    [
        *({"optimizer": name} for name in sorted(OPTIMIZERS)),
        {"patience": 1, "lr": 0.05},
        {"batch_norm": True, "history_every": 2},
        {"clip_norm": 1.0, "l1": 0.01, "schedule": "onecycle"},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
@pytest.mark.parametrize("at", [2])
def test_interrupted_training_ends_as_if_it_had_not_been(
    tables: Tables, options: dict[str, object], at: int
) -> None:
    settings = make_settings(options={**OPTIONS, **options})
    straight = problem(tables, settings)
    expected = straight.training().run(UNSUPERVISED)
    interrupted, keeper = problem(tables, settings), Interrupting(at)
    with pytest.raises(InterruptedTrainingError):
        interrupted.training().run(keeper)
    resumed = problem(tables, settings)
    found = resumed.training().run(Resuming(TrainingState(at, load(keeper.kept[at]))))
    assert found.resumed_from == at
    assert expected.resumed_from is None
    assert_same(found, expected)
    for name, value in state_of(straight).items():
        assert torch.equal(value, state_of(resumed)[name]), name
    # What makes the comparison one: the interrupted network is not there yet.
    assert not torch.equal(state_of(interrupted)["linears.0.weight"], value) or at == EPOCHS


def test_training_that_is_cut_is_the_beginning_of_the_whole(tables: Tables) -> None:
    settings = make_settings(options={**OPTIONS, "history_every": 1})
    whole, part = problem(tables, settings), problem(tables, settings)
    expected = whole.training().run(UNSUPERVISED)
    found = part.training().run(Cutting(2))
    assert found.cut_at == 2
    assert found.epochs.tolist() == [2] * len(part.work.members)
    assert found.history == [line for line in expected.history if line.epoch <= 2]


def test_a_cut_is_recorded_though_its_epoch_would_not_be(tables: Tables) -> None:
    settings = make_settings(options={**OPTIONS, "history_every": EPOCHS})
    found = problem(tables, settings).training().run(Cutting(3))
    assert {line.epoch for line in found.history} == {3}


def test_nobody_is_asked_after_the_last_epoch(tables: Tables) -> None:
    settings = make_settings(options=OPTIONS)
    found = problem(tables, settings).training().run(Cutting(EPOCHS))
    assert found.cut_at is None
