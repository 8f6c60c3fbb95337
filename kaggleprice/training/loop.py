"""The training loop of one group of members: epoch after epoch, and what is called between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from time import monotonic, time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kaggleprice.core.errors import DivergenceError
from kaggleprice.training.engine import Engine
from kaggleprice.training.task import HistoryLine, TrainingResult, TrainingTask


@dataclass(frozen=True)
class Group:
    """Some members of a task that are trained together, as one batched network.

    Attributes:
        first, count: they are the members from `first` on, counted from 0 in the whole task.
        queue: how many groups, this one included, are trained one after the other until all are.
    """

    first: int
    count: int
    queue: int = 1

    @property
    def span(self) -> slice:
        """Which members they are."""
        return slice(self.first, self.first + self.count)


class Callback:
    """What a loop calls; these do nothing. What a method raises ends the training.

    Every group of a run gets a shallow copy of its own, in whatever thread or process it is
    trained; so a callback can be pickled, and may keep in itself what belongs to the group.
    """

    def of_stage(self, stage: int) -> Callback:
        """Return what is called in a later stage of training, counted from 0, of other members."""
        return self

    def on_train_begin(self, loop: TrainingLoop) -> None:
        """Do something before the first epoch, such as `loop.load_state_dict`."""

    def on_epoch_end(self, loop: TrainingLoop) -> None:
        """Do something after each epoch, such as `loop.stop`."""

    def on_train_end(self, loop: TrainingLoop) -> None:
        """Do something after the last epoch, before the best weights are put in place."""


@dataclass(frozen=True)
class Moment:
    """A moment that stays itself in another process, on a machine with a clock of its own.

    Attributes:
        at: in seconds of `time.monotonic`.
    """

    at: float

    @classmethod
    def _of_wall_clock(cls, at: float) -> Moment:
        return cls(monotonic() + at - time())

    def __reduce__(self) -> tuple[Any, ...]:
        return Moment._of_wall_clock, (time() + self.at - monotonic(),)


@dataclass
class TimeLimit(Callback):
    """Ends training in time: no epoch is begun that would not end before the deadline.

    Groups that are trained one after the other share what is left evenly, so that each of them,
    and so each fold, is trained. At least one epoch is.

    Attributes:
        deadline: when it is.
    """

    deadline: Moment

    def on_train_begin(self, loop: TrainingLoop) -> None:
        """Take the group's share of the time that is left."""
        self._epoch_at, self._slowest = monotonic(), 0.0
        self._own = self._epoch_at + (self.deadline.at - self._epoch_at) / loop.group.queue

    def on_epoch_end(self, loop: TrainingLoop) -> None:
        """Stop where another epoch, as long as the slowest, would not fit."""
        now = monotonic()
        self._slowest, self._epoch_at = max(self._slowest, now - self._epoch_at), now
        if now + self._slowest > self._own:
            loop.stop()


class TrainingLoop:
    """Trains a group of members, each exactly as if it were alone.

    Attributes:
        task: of the group's M members only.
        group: where they stand in the whole task.
        engine: trains them for an epoch.
        epoch: how many are finished.
        history: as in `TrainingResult`.
    """

    def __init__(
        self,
        task: TrainingTask,
        group: Group,
        device: torch.device,
        check: Callable[[], object] = lambda: None,
        *,
        strict: bool = True,
    ) -> None:
        """Prepare.

        Args:
            task: as the attribute.
            group: as the attribute.
            device: where to train.
            check: called at every step; what it raises ends the training.
            strict: whether members that diverge are an error; else they predict no numbers.
        """
        self.task, self.group, self._strict = task, group, strict
        self.engine = Engine(task, device, check)
        self.epoch, self.history = 0, list[HistoryLine]()
        self._stopped = False

    def run(self, callbacks: Sequence[Callback] = ()) -> TrainingResult:
        """Train, from where a callback says, to the last epoch.

        Raises:
            DivergenceError: where members leave the finite numbers; names them and the epoch.
        """
        last = self.task.settings.training.passes
        for callback in callbacks:
            callback.on_train_begin(self)
        resumed_from = self.epoch or None
        while self.epoch < last and self.engine.active and not self._stopped:
            self.train_epoch()
            for callback in callbacks:
                callback.on_epoch_end(self)
        unfinished = self.epoch < last and self.engine.active > 0
        if not self.history or self.history[-1].epoch != self.epoch:
            self._record()
        for callback in callbacks:
            callback.on_train_end(self)
        epochs = self.engine.restore_best(self.epoch)
        self._refuse(self.engine.unlearned(), f"by epoch {self.epoch}")
        return replace(
            self.engine.scales,
            epochs=epochs,
            history=self.history,
            resumed_from=resumed_from,
            groups=(self.group.count,),
            groups_cut_at=(self.epoch if unfinished else None,),
        )

    def train_epoch(self) -> None:
        """Take one pass over every member's rows, and look at early stopping."""
        self.epoch += 1
        losses = self.engine.train_epoch(self.epoch)
        self._refuse(np.flatnonzero(~np.isfinite(losses)).tolist(), f"in epoch {self.epoch}")
        self.engine.watch(self.epoch)
        if self.epoch in self.task.settings.training.recorded_epochs:
            self._record()

    def stop(self) -> None:
        """Train no further epoch."""
        self._stopped = True

    def state_dict(self) -> dict[str, Tensor]:
        """Return all that later epochs, and the result, depend on."""
        lines = [astuple(line) for line in self.history]
        history = torch.tensor(lines, dtype=torch.float64).reshape(-1, 4)
        own = {"epoch": torch.tensor(self.epoch), "history": history}
        return own | self.engine.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor], first: int = 0) -> None:
        """Take up what `state_dict` returned, of this group or of a larger one.

        Args:
            state: of a group.
            first: where this group's members begin in it.
        """
        span = slice(first, first + self.group.count)
        tensors = dict(state)
        self.epoch = int(tensors.pop("epoch"))
        self.history = [
            HistoryLine(int(member) - first, int(epoch), train, validation)
            for member, epoch, train, validation in tensors.pop("history").tolist()
            if span.start <= member < span.stop
        ]
        self.engine.load_state_dict({name: value[span] for name, value in tensors.items()})

    def _record(self) -> None:
        """Add the errors after the epoch that is finished to the history, by member."""
        errors = zip(*self.engine.errors().tolist(), strict=True)
        self.history += [HistoryLine(m, self.epoch, *pair) for m, pair in enumerate(errors)]

    def _refuse(self, diverged: Sequence[int], when: str) -> None:
        if not diverged or not self._strict:
            return
        members, lr = self.task.members, self.task.settings.training.lr
        named = [f"fold {members[m].fold + 1} seed {members[m].seed}" for m in diverged]
        shown = ", ".join(named[:4]) + (f" and {len(named) - 4} more" if len(named) > 4 else "")
        raise DivergenceError(
            f"training diverged {when} for {len(named)} of {len(members)} members ({shown}) at "
            f"learning rate {lr:g}; try a smaller one, such as "
            f"--lr {lr / 10:g}."
        )
