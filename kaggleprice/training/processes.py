"""Processes: one per device, each with a group of the members, driven over pipes in lockstep.

Processes are spawned through `torch.multiprocessing`. They take rows from files mapped into memory,
which all of them share; they ignore Ctrl-C, which is the parent's to answer; and none outlives the
parent, however that ends.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import connection, parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Lock, Thread
from types import ModuleType
from typing import Any

import joblib
import torch
from torch import Tensor
from torch import multiprocessing as processes

from kaggleprice.core.errors import RunError
from kaggleprice.core.progress import SILENT, Progress
from kaggleprice.models.networks import MemberNetwork
from kaggleprice.training.devices import freed_memory_kept
from kaggleprice.training.groups import Groups, prefixed, put, split
from kaggleprice.training.loop import Course, Ended
from kaggleprice.training.placement import lay_out
from kaggleprice.training.task import Work

_starting = Lock()


class Processes(Groups):
    """Groups in processes of their own; a context that ends them."""

    def __init__(
        self,
        work: Work,
        network: MemberNetwork,
        devices: Sequence[torch.device],
        progress: Progress = SILENT,
    ) -> None:
        """Start a process for each device, and hand out the work.

        Args:
            work: of at least as many members as there are devices.
            network: of all members, on the CPU; it gets their weights in the end.
            devices: one or more; the CPU's threads are shared out evenly.
            progress: told after every epoch.

        Raises:
            RunError: where processes cannot be started.
        """
        super().__init__(work, network, split(len(work.members), len(devices)), progress)
        self._devices, self._children = devices, list[Any]()
        self._pipes = list[Connection]()
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        context = processes.get_context("spawn")
        if processes.current_process().daemon:
            raise RunError(
                "several devices take a process each, and a daemonic process, such as a worker of "
                "a pool, may start none; name one device."
            )
        with _main_left_alone(), _interrupts_held():
            for device in self._devices:
                ours, theirs = context.Pipe()
                self._pipes.append(ours)
                child = context.Process(
                    target=serve, args=(theirs,), daemon=True, name=f"kaggleprice on {device}"
                )
                self._children.append(child)
                child.start()
                theirs.close()
        threads = max(1, torch.get_num_threads() // len(self._devices))
        with tempfile.TemporaryDirectory(prefix="kaggleprice-") as folder:
            store(self.work, Path(folder))
            orders = zip(self.spans, self._devices, strict=True)
            self.ask("load", {g: (folder, *order, threads) for g, order in enumerate(orders)})

    def laid_out(self, turns: int) -> Processes:
        """Let each process train its members in so many groups that take turns; return itself."""
        groups = self._ask_all("lay_out", turns)
        self.turns, self.groups = turns, tuple(count for own in groups for count in own)
        return self

    def ask(self, what: str, arguments: Mapping[int, Sequence[Any]]) -> dict[int, Any]:
        """Send a request to each process, and wait for all answers; as in `Groups`.

        Raises:
            RunError: where a process died.
            Exception: what a process raised.
        """
        for g, given in arguments.items():
            try:
                self._pipes[g].send((what, [_portable(value) for value in given]))
            except OSError:
                raise self._death_of(g) from None
        answers: dict[int, Any] = {}
        while len(answers) < len(arguments):
            waiting = {self._pipes[g]: g for g in arguments if g not in answers}
            for pipe in connection.wait(list(waiting)):
                g = waiting[pipe]  # type: ignore[index]
                try:
                    answer = self._pipes[g].recv()
                except (EOFError, OSError):
                    raise self._death_of(g) from None
                if isinstance(answer, Exception):
                    raise answer
                answers[g] = _taken(answer)
        return answers

    def _death_of(self, g: int) -> RunError:
        self._children[g].join()
        code = self._children[g].exitcode
        how = f"ended with exit code {code}"
        if code < 0:
            how = f"was killed by {signal.Signals(-code).name}"
        span = self.spans[g]
        return RunError(
            f"the process that trained {span.stop - span.start} of {len(self.members)} members on "
            f"{self._devices[g]} {how}; where memory ran out, fewer --seeds, a smaller --hidden or "
            "--batch-size help."
        )

    def finish(self, epoch: int) -> Ended:
        """Let all groups finish, and take their weights over; as in `Groups`."""
        ended = super().finish(epoch)
        for span, weights in zip(self.spans, self._ask_all("weights"), strict=True):
            put(self.network, span, weights)
        return ended

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all processes, whatever they are doing."""
        started = [child for child in self._children if child.pid is not None]
        for child in started:
            child.kill()
        for child in started:
            child.join()
            child.close()
        for pipe in self._pipes:
            pipe.close()
        self._children, self._pipes = [], []


def _portable(value: Any) -> Any:
    """Turn named tensors into arrays, which are sent as bytes and belong to nobody."""
    if isinstance(value, dict):
        return {name: tensor.detach().cpu().numpy() for name, tensor in value.items()}
    return value


def _taken(value: Any) -> Any:
    """Undo `_portable`."""
    if isinstance(value, dict):
        return {name: torch.from_numpy(array) for name, array in value.items()}
    return value


@contextmanager
def _main_left_alone() -> Iterator[None]:
    """Let a new process not run the user's script again, as it would to know its functions.

    So a script needs no `if __name__ == "__main__"`, and a notebook no file.
    """
    with _starting:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach, not even while they import; none is lost."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # It is started with the first process, and then lets signals through.
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_WORK = "work"


def store(work: Work, folder: Path) -> None:
    """Write the work into a folder that only this user can read.

    Raises:
        RunError: where there is no room for it.
    """
    try:
        joblib.dump(work, folder / _WORK)
    except OSError as error:
        raise RunError(
            f"cannot hand the rows to the processes of several devices through {folder}: "
            f"{error.strerror or error}; set TMPDIR to a folder with room."
        ) from None


def fetch(folder: Path) -> Work:
    """Read what `store` wrote; arrays are mapped, and what is written to them stays one's own."""
    # Elsewhere a file that is mapped cannot be removed.
    work: Work = joblib.load(folder / _WORK, mmap_mode="c" if os.name == "posix" else None)
    return work


class _Worker:
    """What a process does when it is asked."""

    course: Course | None = None

    def load(self, folder: str, span: slice, device: torch.device, threads: int) -> None:
        """Take some members' work from a folder."""
        torch.set_num_threads(threads)
        if device.type == "cuda" and device.index is not None:
            torch.cuda.set_device(device)
        self._work, self._device = fetch(Path(folder)).of(span), device

    def lay_out(self, turns: int) -> tuple[int, ...]:
        """Begin, with members grouped so; return the sizes of the groups."""
        if self.course is not None:
            self.course.close()
        self._network = self._work.network()
        self.course = lay_out(self._work, self._network, self._device, turns)
        return self.course.groups

    def weights(self) -> dict[str, Tensor]:
        """Return the network as it is now."""
        return prefixed(self._network.state_dict())

    def answer(self, what: str, arguments: Sequence[Any]) -> Any:
        """Do what is asked; return an error instead of raising it."""
        try:
            asked = getattr(self if hasattr(self, what) else self.course, what)
            return _portable(asked(*[_taken(value) for value in arguments]))
        except Exception as error:
            return _carried(error)


def _carried(error: Exception) -> Exception:
    """Return an error that survives the way to the parent, with where it happened."""
    where = traceback.format_exc()
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - written a moment ago
    except Exception:
        error = RuntimeError(str(error))
    error.add_note(f"In the process of a device:\n{where}")
    return error


def serve(pipe: Connection) -> None:
    """Be the process of a device: answer requests until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()
    worker = _Worker()
    with freed_memory_kept():
        while True:
            try:
                what, arguments = pipe.recv()
                pipe.send(worker.answer(what, arguments))
            except (EOFError, OSError):
                return


def _end_with_parent() -> None:
    """End at once with the parent, also in the middle of an epoch."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
