"""Executors: where and when independent jobs run: in threads, or in a process per device.

An executor has one method, `map`. Another way to run jobs, such as a cluster's, is one more class.
"""

from __future__ import annotations

import os
import re
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from multiprocessing import current_process
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, Protocol, TypeVar

import joblib
import torch

from kaggleprice.core.errors import RunError
from kaggleprice.core.files import remove_abandoned, working_folder
from kaggleprice.training.devices import freed_memory_kept

J = TypeVar("J")
R = TypeVar("R")
# Takes what jobs report while they run: plain data, from several jobs in any order.
Report = Callable[[Sequence[float]], None]

# Seconds between two looks for Ctrl-C and for what processes report.
_BEAT = 0.2


class HaltedError(Exception):
    """A job was ended because another one failed, or because of Ctrl-C."""


@dataclass(frozen=True)
class Worker:
    """What runs a job.

    Attributes:
        device: where it computes.
        report: tells whoever called `map` something while the job runs.
        halted: set where the job is to end.
    """

    device: torch.device
    report: Report
    halted: Event = field(default_factory=Event)

    def check(self) -> None:
        """Return where the job may go on; called at every step.

        Raises:
            HaltedError: where it is to end.
        """
        if self.halted.is_set():
            raise HaltedError


def _ignore(_: Sequence[float]) -> None:
    """Report nothing."""


class Executor(Protocol):
    """Runs jobs that do not depend on each other.

    Attributes:
        workers: how many jobs run at once.
    """

    workers: int

    def map(
        self, function: Callable[[Worker, J], R], jobs: Sequence[J], report: Report = _ignore
    ) -> list[R]:
        """Call a function for each job; return the results in the jobs' order.

        Args:
            function: takes the worker and a job.
            jobs: begun in this order.
            report: takes what jobs report; it is never called twice at the same time.

        Raises:
            Exception: what a job raised first; the others are then ended.
            RunError: where a worker cannot be started, or died.
        """


class Threads:
    """One or several jobs at once on one device, each in a thread of its own.

    torch lets go of Python's lock while it computes. So what the threads of one operation cannot
    share (small products, what is done element by element, random numbers) is done for several
    jobs at a time. Every job has a new thread: where oneDNN once had no room for the code that it
    makes, it makes none in that thread ever after.
    """

    def __init__(self, device: torch.device, workers: int, threads: int) -> None:
        """Prepare; no thread is started yet.

        Args:
            device: where all of them compute.
            workers: jobs at once.
            threads: how many of torch's threads each of them computes with.
        """
        self._device, self.workers, self._threads = device, workers, threads

    def map(
        self, function: Callable[[Worker, J], R], jobs: Sequence[J], report: Report = _ignore
    ) -> list[R]:
        """Run them; as in `Executor.map`."""
        before, one = torch.get_num_threads(), Lock()

        def report_alone(message: Sequence[float]) -> None:
            with one:
                report(message)

        worker, running = Worker(self._device, report_alone), dict[Future[R], Thread]()

        def start(_: int, job: J) -> Future[R]:
            future: Future[R] = Future()
            do = partial(function, worker, job)
            thread = Thread(None, _fulfil, "kaggleprice group", (future, self._threads, do))
            thread.start()
            running[future] = thread
            return future

        def check() -> None:
            # A thread that has no memory even to say so ends without a word.
            if any(not thread.is_alive() and not one.done() for one, thread in running.items()):
                raise MemoryError

        try:
            return _keep_busy(self.workers, jobs, start, check)
        finally:
            worker.halted.set()
            for thread in running.values():
                thread.join()
            torch.set_num_threads(before)


def _fulfil(future: Future[R], threads: int, do: Callable[[], R]) -> None:
    """Do a job in this thread, with so many of torch's."""
    try:
        torch.set_num_threads(threads)
        # A thread that never asked would take what another one sets meanwhile.
        torch.get_num_threads()
        found = do()
    except BaseException as error:  # raised again for whoever waits
        future.set_exception(error)
    else:
        future.set_result(found)


def _keep_busy(
    slots: int,
    jobs: Sequence[J],
    start: Callable[[int, J], Future[R]],
    on_beat: Callable[[], None] = lambda: None,
) -> list[R]:
    """Run each job in the next slot that is free; return the results in order.

    Args:
        slots: how many there are; each takes one job at a time.
        jobs: in the order in which they begin.
        start: begins a job in a slot, counted from 0.
        on_beat: called several times a second, and after the last job.
    """
    free, running, started = list(range(slots)), dict[Future[R], int](), list[Future[R]]()
    while len(started) < len(jobs) or running:
        while free and len(started) < len(jobs):
            slot = free.pop(0)
            started.append(start(slot, jobs[len(started)]))
            running[started[-1]] = slot
        done, _ = wait(running, _BEAT, FIRST_COMPLETED)
        on_beat()
        for future in done:
            free.append(running.pop(future))
            future.result()
    return [future.result() for future in started]


class Processes:
    """One job at a time on each of several devices of this machine, in a process per device.

    The processes are joblib's loky: they do not run the user's script again, so it needs no
    `if __name__ == "__main__"`. They take the function, with the rows that it holds, from a file
    mapped into memory, which all of them share; they ignore Ctrl-C, which is the parent's to
    answer; and none outlives the parent, however that ends.
    """

    def __init__(self, devices: Sequence[torch.device], threads: int) -> None:
        """Prepare; no process is started yet.

        Args:
            devices: one or more; one may be named twice.
            threads: how many CPU threads each process computes with.
        """
        self._devices, self.workers, self._threads = devices, len(devices), threads

    def map(
        self, function: Callable[[Worker, J], R], jobs: Sequence[J], report: Report = _ignore
    ) -> list[R]:
        """Run them; as in `Executor.map`."""
        if current_process().daemon:
            raise RunError(
                "several devices take a process each, and a daemonic process, such as a worker of "
                "a pool, may start none; name one device."
            )
        # Whoever has one device needs none of this.
        from joblib.externals.loky import ProcessPoolExecutor
        from joblib.externals.loky.backend import get_context

        with ExitStack() as stack:
            place = Path(tempfile.gettempdir())
            remove_abandoned(place)
            file = store(function, stack.enter_context(working_folder(place)))
            reports, pools = get_context("loky").SimpleQueue(), list[Any]()
            for device in self._devices:
                given = (os.getpid(), self._threads, device, reports)
                pools.append(ProcessPoolExecutor(1, initializer=_begin, initargs=given))
                stack.callback(pools[-1].shutdown, kill_workers=True)

            def start(slot: int, job: J) -> Future[R]:
                with _interrupts_held():
                    future: Future[R] = pools[slot].submit(_run, file, job)
                return future

            def pass_on() -> None:
                while not reports.empty():
                    report(reports.get())

            try:
                return _keep_busy(self.workers, jobs, start, pass_on)
            except Exception as error:
                if type(error).__name__ != "TerminatedWorkerError":
                    raise
                raise self._death(error) from None

    def _death(self, error: Exception) -> RunError:
        found = re.search(r"\{(.*)\}", str(error))
        how = f" ({found[1]})" if found else ""
        names = ",".join(map(str, self._devices))
        return RunError(
            f"a process that trained members on one of {names} was killed{how}; where memory ran "
            "out, fewer --seeds, a smaller --hidden or --batch-size help."
        )


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Let processes that are started in the block never be reached by Ctrl-C; none is lost."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def store(function: Callable[[Worker, J], R], folder: Path) -> Path:
    """Write a function, with the arrays that it holds, into a folder that only this user can read.

    Raises:
        RunError: where there is no room for it.
    """
    try:
        joblib.dump(function, folder / "function")
    except OSError as error:
        raise RunError(
            f"cannot hand the rows to the processes of several devices through {folder}: "
            f"{error.strerror or error}; set TMPDIR to a folder with room."
        ) from None
    return folder / "function"


@cache
def _fetch(file: Path) -> Callable[[Worker, Any], Any]:
    """Read what `store` wrote; arrays are mapped, and what is written to them stays one's own."""
    # Elsewhere a file that is mapped cannot be removed.
    mode = "c" if os.name == "posix" else None
    function: Callable[[Worker, Any], Any] = joblib.load(file, mmap_mode=mode)
    return function


# What a process of a device is, from its beginning on.
_own: list[Worker] = []


def _begin(parent: int, threads: int, device: torch.device, reports: Any) -> None:
    """Make a new process the worker of a device."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, args=(parent,), daemon=True).start()
    torch.set_num_threads(threads)
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)
    _own[:] = [Worker(device, reports.put)]


def _end_with_parent(parent: int) -> None:
    """End soon after the parent, also in the middle of an epoch."""
    while os.getppid() == parent:
        time.sleep(_BEAT)
    os._exit(1)


def _run(file: Path, job: Any) -> Any:
    """Run a job in the process of a device."""
    with freed_memory_kept():
        return _fetch(file)(_own[0], job)
