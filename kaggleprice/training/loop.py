"""A course of training: epoch after epoch, what a supervisor says between them, and its history.

Whoever trains members, all at once, in groups that take turns, or on several devices, is a
`Course`: it says what an epoch is, and the rest is the same for all of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from functools import partial
from threading import Event
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kaggleprice.core.errors import DivergenceError
from kaggleprice.core.progress import SILENT, Progress
from kaggleprice.settings.training import Member, TrainingSettings


@dataclass(frozen=True)
class TrainingState:
    """Training after an epoch.

    Attributes:
        epoch: how many are finished.
        tensors: by name: parameters, the optimizer's moments, history, best weights.
    """

    epoch: int
    tensors: Mapping[str, Tensor]


class Supervisor(Protocol):
    """What the engine asks between epochs."""

    def resume(self) -> TrainingState | None:
        """Return the state to go on from; None to begin."""

    def go_on(self, epoch: int, state: Callable[[], TrainingState]) -> bool:
        """Say, after an epoch that is not the last, whether to train another.

        Args:
            epoch: how many are finished.
            state: makes the state to keep; costs a copy of all parameters.
        """


class Unsupervised:
    """Begins at the beginning and trains to the end."""

    def resume(self) -> TrainingState | None:
        """Begin."""
        return None

    def go_on(self, epoch: int, state: Callable[[], TrainingState]) -> bool:
        """Train another."""
        return True


UNSUPERVISED = Unsupervised()


_HISTORY, _TURNS = "history", "turns"


@dataclass(frozen=True)
class HistoryLine:
    """One member after one epoch (counted from 1); RMSEs of the transformed target."""

    member: int
    epoch: int
    train: float
    validation: float


@dataclass(frozen=True)
class Fit:
    """What training leaves beside the network's own parameters.

    Attributes:
        target_center, target_scale: shape (M,), float64; a network's output times scale plus
            center is the transformed target.
        epochs: shape (M,), the epoch (counted from 1) whose weights each member has.
        history: by epoch, then member.
        cut_at: the epoch after which a supervisor ended training early; None where nobody did.
        resumed_from: the epoch after which a kept state was taken up; None where training began.
        groups: how many members were trained at once, group by group; empty where nobody knows.
    """

    target_center: NDArray[np.float64]
    target_scale: NDArray[np.float64]
    epochs: NDArray[np.int64]
    history: list[HistoryLine] = field(default_factory=list)
    cut_at: int | None = None
    resumed_from: int | None = None
    groups: tuple[int, ...] = ()


@dataclass(frozen=True)
class Passed:
    """What an epoch left.

    Attributes:
        active: how many members are still training.
        diverged: members that left the finite numbers.
        lines: the history of this epoch, where it was asked for and nobody diverged.
    """

    active: int
    diverged: tuple[int, ...] = ()
    lines: Sequence[HistoryLine] = ()


@dataclass(frozen=True)
class Ended:
    """What training left.

    Attributes:
        center, scale, epochs: as in `Fit`.
        diverged: members that are finite, but far worse than a network that says nothing.
    """

    center: NDArray[np.float64]
    scale: NDArray[np.float64]
    epochs: NDArray[np.int64]
    diverged: tuple[int, ...]


class HaltedError(Exception):
    """Training was ended from another thread."""


class Course(ABC):
    """M members trained epoch by epoch.

    Attributes:
        members: M of them; in what a course says of members, they are counted from 0.
        settings: how to train.
        groups: how many members are trained at once, group by group.
        turns: how many groups share a device.
        progress: told after every epoch.
        halted: set by another thread to end training at the next step.
    """

    members: Sequence[Member]
    settings: TrainingSettings
    groups: tuple[int, ...]
    turns: int = 1
    progress: Progress = SILENT
    halted: Event

    _history: list[HistoryLine]
    _begun: int | None = None

    @abstractmethod
    def train_epoch(self, epoch: int, record: bool) -> Passed:
        """Take one pass over every member's rows.

        Args:
            epoch: counted from 1.
            record: whether the history gets lines.
        """

    @abstractmethod
    def record(self, epoch: int) -> list[HistoryLine]:
        """Return the history of an epoch that is finished, by member."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """Return all that later epochs depend on, by name, each of shape (M, ...).

        They do not depend on how members are grouped, so any course of these members may
        `restore` them.
        """

    @abstractmethod
    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `tensors` returned; names of parameters that it lacks are left alone."""

    @abstractmethod
    def finish(self, epoch: int) -> Ended:
        """Put each member's best weights in place.

        Args:
            epoch: the last one that was trained.
        """

    @abstractmethod
    def time_step(self, seconds: float) -> float:
        """Train for about so many seconds; return the median of a step of all members.

        What is trained by it is spoilt: no `run` may follow.
        """

    def close(self) -> None:  # noqa: B027 - most have nothing to end
        """End what only training needs, such as threads; nothing may be asked afterwards."""

    def run(self, supervisor: Supervisor = UNSUPERVISED) -> Fit:
        """Train from where the supervisor says; arguments and errors as in `train`."""
        self.begin(supervisor.resume())
        return self.train(supervisor)

    def begin(self, state: TrainingState | None) -> None:
        """Begin, or take up a state."""
        self._history, self._begun = [], None
        if state is None:
            return
        tensors = dict(state.tensors)
        tensors.pop(_TURNS, None)
        for member, epoch, train, validation in tensors.pop(_HISTORY).tolist():
            self._history.append(HistoryLine(int(member), int(epoch), train, validation))
        self.restore(tensors)
        self._begun = state.epoch

    def train(self, supervisor: Supervisor = UNSUPERVISED) -> Fit:
        """Train epoch by epoch, after `begin`.

        Args:
            supervisor: asked between epochs.

        Raises:
            DivergenceError: where members leave the finite numbers; names them and the epoch.
        """
        recorded, last = set(self.settings.recorded_epochs), self.settings.epochs
        begun, cut_at = self._begun or 0, None
        self._tell(begun)
        for epoch in range(begun + 1, last + 1):
            passed = self.train_epoch(epoch, epoch in recorded)
            self._refuse(passed.diverged, f"in epoch {epoch}")
            self._history += passed.lines
            going = passed.active > 0
            if going and epoch < last and not supervisor.go_on(epoch, partial(self._state, epoch)):
                cut_at, going = epoch, False
            if not going and epoch not in recorded:
                self._history += self.record(epoch)
            self._tell(epoch)
            if not going:
                break
        ended = self.finish(epoch)
        self._refuse(ended.diverged, f"by epoch {epoch}")
        return Fit(
            target_center=ended.center,
            target_scale=ended.scale,
            epochs=ended.epochs,
            history=self._history,
            cut_at=cut_at,
            resumed_from=self._begun,
            groups=self.groups,
        )

    def _state(self, epoch: int) -> TrainingState:
        """Return all that later epochs, and the result, depend on."""
        lines = [astuple(line) for line in self._history]
        history = torch.tensor(lines, dtype=torch.float64).reshape(-1, 4)
        own = {_HISTORY: history, _TURNS: torch.tensor(self.turns)}
        return TrainingState(epoch, {**own, **self.tensors()})

    def _tell(self, epoch: int) -> None:
        self.progress.advance("training", epoch, self.settings.epochs, self._describe(), "epochs")

    def _describe(self) -> str:
        members = f"{len(self.members)} member{'s' * (len(self.members) != 1)}"
        if not self._history:
            return members
        last = self._history[-1].epoch
        scores = [line.validation for line in self._history if line.epoch == last]
        return f"validation RMSE {np.mean(scores):.4f}, {members}"

    def _refuse(self, diverged: Sequence[int], when: str) -> None:
        if len(diverged) == 0:
            return
        named = [f"fold {self.members[m].fold + 1} seed {self.members[m].seed}" for m in diverged]
        shown = ", ".join(named[:4]) + (f" and {len(named) - 4} more" if len(named) > 4 else "")
        raise DivergenceError(
            f"training diverged {when} for {len(named)} of {len(self.members)} members ({shown}) "
            f"at learning rate {self.settings.lr:g}; try a smaller one, such as "
            f"--lr {self.settings.lr / 10:g}."
        )


def turns_of(state: TrainingState | None) -> int:
    """Return how many groups shared a device where a state was made; 1 for none."""
    return 1 if state is None else int(state.tensors.get(_TURNS, torch.tensor(1)))
