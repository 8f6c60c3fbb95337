"""Checkpoints: what an interrupted run had learned, for the same command to go on with.

A checkpoint is a folder `.unfinished-KEY` beside the runs of its competition. KEY is a hash of
everything that decides what is trained, so the same command finds it again, and no other does.
One process at a time has it: a lock that the operating system drops with its owner. In it lies a
file for each group of members that was trained for a while, and, for the list of runs, what decides
as identity.json.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from filelock import BaseFileLock
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file as load_arrays
from safetensors.numpy import save as save_arrays
from safetensors.torch import load_file, save

from kaggleprice.core.errors import DivergenceError, OutputError, UsageError
from kaggleprice.core.files import replacing, take_lock
from kaggleprice.core.progress import SILENT, Progress
from kaggleprice.runs import IDENTITY, UNFINISHED
from kaggleprice.training.loop import Callback, Group, Moment, TimeLimit, TrainingLoop

# Between two runs of a program a clock that is set changes nothing: no times are compared. All
# processes of a machine share it.
_clock = time.monotonic

Floats = NDArray[np.float64]

_DAMAGED = (SafetensorError, OSError, KeyError, TypeError, ValueError)


def key_of(identity: Mapping[str, Any]) -> str:
    """Return the name of all runs that would compute the same: 16 hexadecimal digits."""
    text = json.dumps(identity, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# Groups of a later stage of training lie in a folder of their own.
_STAGE = "stage-"
# What the networks of a stage of a search predicted.
_PREDICTED = "predicted-"


def _kept_groups(folder: Path) -> dict[Group, Path]:
    """Return the groups whose state lies in a folder, the smallest first."""
    found = {}
    for file in folder.glob("members-*-*.safetensors"):
        _, first, count = file.stem.split("-")
        found[Group(int(first), int(count))] = file
    return dict(sorted(found.items(), key=lambda item: (item[0].count, item[0].first)))


@dataclass
class GroupCheckpoint(Callback):
    """Keeps a group's state now and then, and takes up what an earlier process kept of it.

    Attributes:
        folder: of the checkpoint.
        every: seconds between two states.
        began: when the run began.
    """

    folder: Path
    every: float
    began: Moment

    def __post_init__(self) -> None:
        self._kept_at, self._kept_epoch = self.began, 0

    def of_stage(self, stage: int) -> GroupCheckpoint:
        """Return what keeps the groups of a stage apart from those of the first, stage 0."""
        if stage == 0:
            return self
        folder = self.folder / f"{_STAGE}{stage}"
        folder.mkdir(parents=True, exist_ok=True)
        return GroupCheckpoint(folder, self.every, self.began)

    def on_train_begin(self, loop: TrainingLoop) -> None:
        """Take up the group's state, or its part of that of a larger group, if there is one.

        Raises:
            MemoryError: where an earlier process went on with parts of this group, because there
                was no room for it.
        """
        span = loop.group.span
        for kept, file in _kept_groups(self.folder).items():
            if kept.span.start <= span.start and span.stop <= kept.span.stop:
                loop.load_state_dict(load_file(file), loop.group.first - kept.first)
                self._kept_epoch = loop.epoch
                return
            if span.start <= kept.span.start and kept.span.stop <= span.stop:
                raise MemoryError("there was no room for this group before")

    def on_epoch_end(self, loop: TrainingLoop) -> None:
        """Keep the state where it is time to.

        Raises:
            OutputError: where it cannot be written.
        """
        if _clock() - self._kept_at.at >= self.every:
            self._keep(loop)

    def on_train_end(self, loop: TrainingLoop) -> None:
        """Keep the last state while other groups are trained.

        Skipped where the run began less than `every` seconds ago.

        Raises:
            OutputError: where it cannot be written.
        """
        if _clock() - self.began.at >= self.every and loop.epoch > self._kept_epoch:
            self._keep(loop)

    def _keep(self, loop: TrainingLoop) -> None:
        state = {name: value.detach().cpu() for name, value in loop.state_dict().items()}
        content = save({name: value.contiguous().clone() for name, value in state.items()})
        file = self.folder / f"members-{loop.group.first}-{loop.group.count}.safetensors"
        with replacing(file) as beside:
            beside.write_bytes(content)
        self._kept_at, self._kept_epoch = Moment(_clock()), loop.epoch


class Checkpoint:
    """The folder of a run's checkpoint, and the callbacks that keep its training and end it.

    Within `with`, the folder is this process's; where another process has it, training goes on
    without being kept. It is left behind, for the same command to go on with, where the block
    fails.
    """

    def __init__(
        self,
        parent: Path,
        identity: Mapping[str, Any],
        every: float | None,
        time_limit: float | None = None,
        progress: Progress = SILENT,
    ) -> None:
        """Prepare; nothing is written yet.

        Args:
            parent: the folder of the competition's runs.
            identity: plain data that decide what is trained.
            every: seconds between two checkpoints of a group; None for none at all.
            time_limit: seconds from now after which no further epoch is begun that would not
                end in time; at least one epoch of each group is trained. None for no limit.
            progress: told where training goes on.
        """
        self.folder = parent / f"{UNFINISHED}{key_of(identity)}"
        self._identity, self._every, self._progress = identity, every, progress
        self._began = _clock()
        self._deadline = None if time_limit is None else self._began + time_limit
        self._lock: BaseFileLock | None = None
        # Folders that are made for this one, the innermost first.
        self._made = [p for p in (parent, parent.parent) if not p.exists()]

    @property
    def callbacks(self) -> list[Callback]:
        """What training is to call."""
        found = list[Callback]()
        if self._lock is not None and self._every is not None:
            found.append(GroupCheckpoint(self.folder, self._every, Moment(self._began)))
        if self._deadline is not None:
            found.append(TimeLimit(Moment(self._deadline)))
        return found

    @property
    def own(self) -> Path | None:
        """The folder, where this process has it."""
        return None if self._lock is None else self.folder

    @property
    def kept(self) -> dict[Group, int]:
        """The epoch up to which each group is kept, where an earlier process left its state.

        Groups of the first stage of training alone.
        """
        if self._every is None:
            return {}
        found = {group: _epoch_of(file) for group, file in _kept_groups(self.folder).items()}
        return {group: epoch for group, epoch in found.items() if epoch is not None}

    def keep_stage(self, stage: int, make: Callable[[], Floats]) -> Floats:
        """Return what a stage of a search predicted, from before or made now; keep it.

        Args:
            stage: counted from 0.
            make: trains, and predicts.

        Raises:
            OutputError: where it cannot be written.
        """
        if self._lock is None:
            return make()
        file = self.folder / f"{_PREDICTED}{stage}.safetensors"
        try:
            return load_arrays(file)["predicted"]
        except FileNotFoundError:
            pass
        except _DAMAGED:
            self._progress.notice(f"{file} is damaged: its networks are trained again")
        made = make()
        with replacing(file) as beside:
            beside.write_bytes(save_arrays({"predicted": made}))
        # What the stage's networks had learned is no use any more.
        folder = self.folder / f"{_STAGE}{stage}" if stage else self.folder
        for state in _kept_groups(folder).values():
            state.unlink()
        return made

    @property
    def _stages(self) -> int:
        """How many stages of a search are kept."""
        return len(list(self.folder.glob(f"{_PREDICTED}*")))

    def __enter__(self) -> Checkpoint:
        """Take the folder; say where training goes on.

        Raises:
            OutputError: where it cannot be taken.
        """
        if self._every is None:
            return self
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = take_lock(self.folder)
            if lock is None:
                self._progress.notice(
                    "another process trains this very run: this one keeps no checkpoints"
                )
                return self
            with replacing(self.folder / IDENTITY) as beside:
                beside.write_text(json.dumps(self._identity, allow_nan=False), encoding="utf-8")
        except OSError as error:
            raise OutputError(
                f"cannot write a checkpoint to {self.folder}: {error.strerror or error}."
            ) from None
        except OutputError:
            if self.folder.is_dir():
                raise
            raise OutputError(
                f"{self.folder}, the folder of this run's checkpoint, was removed while it was "
                "written; give the same command again."
            ) from None
        self._lock = lock
        self._look_at_kept()
        return self

    def _look_at_kept(self) -> None:
        """Say where training goes on; remove states that cannot be read."""
        kept = self.kept
        for folder in (self.folder, *self.folder.glob(f"{_STAGE}*")):
            for file in _kept_groups(folder).values():
                if _epoch_of(file) is None:
                    # Nothing is lost but time, and the user is told.
                    self._progress.notice(f"{file} is damaged: training of its members begins anew")
                    file.unlink()
        if self._stages:
            self._progress.notice(f"going on after {self._stages} stages, where this was left")
        elif kept:
            where = _describe_epochs(kept)
            self._progress.notice(f"going on after {where}, where this run was left")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give the folder back; what is no use to anybody is removed."""
        if self._lock is None:
            return
        kept = self.kept
        # What diverged would diverge again.
        useful = kept or self._stages
        if kind is None or issubclass(kind, DivergenceError) or not useful:
            # First, so that what is left where the process dies is known for no checkpoint.
            (self.folder / IDENTITY).unlink(missing_ok=True)
            shutil.rmtree(self.folder, ignore_errors=True)
            with suppress(OSError):  # not empty: a run lies there
                for made in self._made:
                    made.rmdir()
        else:
            # What is wrong with the command, such as a name that was taken meanwhile, stays so.
            other = " with another --run" if issubclass(kind, UsageError) else ""
            where = f"{self._stages} stages" if self._stages else _describe_epochs(kept)
            self._progress.notice(
                f"training is kept up to {where}: the same command{other} goes on there"
            )
        self._lock.release()
        self._lock = None


def _epoch_of(file: Path) -> int | None:
    """Return up to which epoch a group is kept in a file; None where it cannot be read."""
    try:
        with safe_open(file, framework="pt") as opened:
            return int(opened.get_tensor("epoch"))
    except _DAMAGED:
        return None


def _describe_epochs(kept: Mapping[Group, int]) -> str:
    """Return `epoch 3` where all groups are that far, else `epoch 3 to 60 of 4 groups`."""
    first, last = min(kept.values()), max(kept.values())
    return f"epoch {first}" if first == last else f"epoch {first} to {last} of {len(kept)} groups"
