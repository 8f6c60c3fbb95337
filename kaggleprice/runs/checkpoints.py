"""Checkpoints: what an interrupted run had learned, and the time after which training ends.

A checkpoint is a folder `.unfinished-KEY` beside the runs of its competition. KEY is a hash of
everything that decides what is trained, so the same command finds it again, and no other does.
One process at a time has it: a lock that the operating system drops with its owner. For the list of
runs, what decides lies in it as identity.json.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from kaggleprice.core.errors import DivergenceError, OutputError, UsageError
from kaggleprice.core.files import replacing
from kaggleprice.core.progress import SILENT, Progress
from kaggleprice.runs import IDENTITY, UNFINISHED
from kaggleprice.training.loop import TrainingState

_STATE = "checkpoint.safetensors"
# Between two runs of a program a clock that is set changes nothing: no times are compared.
_clock = time.monotonic

_DAMAGED = (SafetensorError, OSError, KeyError, TypeError, ValueError)


def _epoch_of(file: Path) -> int:
    with safe_open(file, framework="pt") as kept:
        return int(kept.metadata()["epoch"])


def key_of(identity: Mapping[str, Any]) -> str:
    """Return the name of all runs that would compute the same: 16 hexadecimal digits."""
    text = json.dumps(identity, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Checkpoint:
    """Keeps a run's training now and then, and ends it in time.

    A supervisor of `kaggleprice.training`. Within `with`, the folder is this process's; where
    another process has it, training goes on without being kept. It is left behind, for the same
    command to go on with, where the block fails.
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
            every: seconds between two checkpoints; None for none at all.
            time_limit: seconds from now after which no further epoch is begun that would not
                end in time; at least one epoch is trained. None for no limit.
            progress: told where training goes on.
        """
        self.folder = parent / f"{UNFINISHED}{key_of(identity)}"
        self._identity, self._every, self._progress = identity, every, progress
        self._kept_at = self._epoch_at = _clock()
        self._deadline = None if time_limit is None else self._epoch_at + time_limit
        self._slowest, self._kept_epoch = 0.0, 0
        self._lock: FileLock | None = None

    @property
    def kept(self) -> int | None:
        """The epoch whose state an earlier process left to go on from; None where none did."""
        file = self.folder / _STATE
        if self._every is None or not file.is_file():
            return None
        try:
            return _epoch_of(file)
        except _DAMAGED:
            return None

    def __enter__(self) -> Checkpoint:
        """Take the folder, where there is one; otherwise it is made with the first checkpoint.

        Raises:
            OutputError: where it cannot be taken.
        """
        if self._every is not None and self.folder.is_dir():
            self._take()
        return self

    def _take(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / "lock")
            lock.acquire(timeout=0)
            with replacing(self.folder / IDENTITY) as beside:
                beside.write_text(json.dumps(self._identity, allow_nan=False), encoding="utf-8")
        except Timeout:
            self._every = None
            self._progress.notice(
                "another process trains this very run: this one keeps no checkpoints"
            )
        except OSError as error:
            raise OutputError(
                f"cannot write a checkpoint to {self.folder}: {error.strerror or error}."
            ) from None
        else:
            self._lock = lock

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give the folder back; what is no use to anybody is removed."""
        if self._lock is None:
            return
        # What diverged would diverge again.
        if (
            kind is None
            or issubclass(kind, DivergenceError)
            or not (self.folder / _STATE).is_file()
        ):
            shutil.rmtree(self.folder, ignore_errors=True)
        elif self._kept_epoch:
            # What is wrong with the command, such as a name that was taken meanwhile, stays so.
            other = (
                " with another --run" if kind is not None and issubclass(kind, UsageError) else ""
            )
            self._progress.notice(
                f"training is kept up to epoch {self._kept_epoch}: the same command{other} goes "
                "on there"
            )
        self._lock.release()
        self._lock = None

    def resume(self) -> TrainingState | None:
        """Return the state that an earlier process left; None where there is none."""
        self._epoch_at = _clock()
        file = self.folder / _STATE
        if self._lock is None or not file.is_file():
            return None
        try:
            state = TrainingState(_epoch_of(file), load_file(file))
        except _DAMAGED as error:
            # Nothing is lost but time, and the user is told.
            self._progress.notice(f"{file} is damaged ({error}): training begins anew")
            return None
        self._kept_epoch = state.epoch
        self._progress.notice(f"going on after epoch {state.epoch}, where this run was left")
        return state

    def go_on(self, epoch: int, state: Callable[[], TrainingState]) -> bool:
        """Keep the state where it is time to; say whether another epoch fits into the limit.

        Raises:
            OutputError: where the checkpoint cannot be written.
        """
        now = _clock()
        self._slowest = max(self._slowest, now - self._epoch_at)
        due = self._every is not None and now - self._kept_at >= self._every
        if due and self._lock is None:
            self._take()
        if due and self._lock is not None:
            self._keep(state())
            self._kept_at = _clock()
        self._epoch_at = _clock()
        if self._deadline is None or self._epoch_at + self._slowest <= self._deadline:
            return True
        self._progress.notice(f"time is up after epoch {epoch}: training ends here")
        return False

    def _keep(self, state: TrainingState) -> None:
        tensors = {name: value.detach().cpu() for name, value in state.tensors.items()}
        content = save(
            {name: value.contiguous().clone() for name, value in tensors.items()},
            metadata={"epoch": str(state.epoch)},
        )
        with replacing(self.folder / _STATE) as beside:
            beside.write_bytes(content)
        self._kept_epoch = state.epoch
