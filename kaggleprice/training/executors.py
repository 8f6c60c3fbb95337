"""Executors: where and when independent jobs run: in sequence, in threads, in processes.

An executor has one method, `map`. Another way to run jobs, such as a cluster's, is one more class.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from multiprocessing import current_process
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, Protocol, TypeVar

import joblib
import torch

from kaggleprice.core.errors import RunError
from kaggleprice.training.devices import freed_memory_kept

J = TypeVar("J")
R = TypeVar("R")
# Takes what jobs report while they run: plain data, from several jobs in any order.
Report = Callable[[Sequence[float]], None]

# Seconds between two looks for Ctrl-C and for what processes report.
_BEAT = 0.2


class HaltedError(Exception):
    """A job was ended because another one failed, or because of Ctrl-C."""


def _ignore(_: Sequence[float]) -> None:
    """Report nothing."""


class Worker:
    """What runs a job.

    Attributes:
        device: where it computes.
        report: tells whoever called `map` something while the job runs.
    """

    def __init__(
        self, device: torch.device, report: Report = _ignore, halted: Event | None = None
    ) -> None:
        self.device, self.report, self._halted = device, report, halted

    def check(self) -> None:
        """Return where the job may go on; called at every step.

        Raises:
            HaltedError: where it is to end.
        """
        if self._halted is not None and self._halted.is_set():
            raise HaltedError


class Executor(Protocol):
    """Runs jobs that do not depend on each other."""

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


class InSequence:
    """One job after another on one device, in the thread that asks."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def map(
        self, function: Callable[[Worker, J], R], jobs: Sequence[J], report: Report = _ignore
    ) -> list[R]:
        """Run them; as in `Executor.map`."""
        worker = Worker(self._device, report)
        return [function(worker, job) for job in jobs]


class Threads:
    """Some jobs at once on the CPU, each in a thread of its own.

    torch lets go of Python's lock while it computes. So what the threads of one operation cannot
    share (small products, what is done element by element, random numbers) is done for several
    jobs at a time. Every job has a new thread: where oneDNN once had no room for the code that it
    makes, it makes none in that thread ever after.
    """

    def __init__(self, workers: int, threads: int) -> None:
        """Prepare; no thread is started yet.

        Args:
            workers: jobs at once.
            threads: how many of torch's threads each of them computes with.
        """
        self._workers, self._threads = workers, threads

    def map(
        self, function: Callable[[Worker, J], R], jobs: Sequence[J], report: Report = _ignore
    ) -> list[R]:
        """Run them; as in `Executor.map`."""
        before, halted, one = torch.get_num_threads(), Event(), Lock()

        def report_alone(message: Sequence[float]) -> None:
            with one:
                report(message)

        worker = Worker(torch.device("cpu"), report_alone, halted)

        pools: list[ThreadPoolExecutor] = []

        def start(_: int, job: J) -> Future[R]:
            pool = ThreadPoolExecutor(1, "kaggleprice group", _use_threads, (self._threads,))
            pools.append(pool)
            return pool.submit(function, worker, job)

        try:
            return _keep_busy(range(self._workers), jobs, start)
        finally:
            halted.set()
            for pool in pools:
                pool.shutdown()
            torch.set_num_threads(before)


def _use_threads(count: int) -> None:
    torch.set_num_threads(count)
    # A thread that never asked would take what another one sets meanwhile.
    torch.get_num_threads()


def _keep_busy(
    slots: Sequence[int],
    jobs: Sequence[J],
    start: Callable[[int, J], Future[R]],
    on_beat: Callable[[], None] = lambda: None,
) -> list[R]:
    """Run each job in the next slot that is free; return the results in order.

    Args:
        slots: their numbers; each takes one job at a time.
        jobs: in the order in which they begin.
        start: begins a job in a slot.
        on_beat: called several times a second, and after the last job.
    """
    free, running, started = list(slots), dict[Future[R], int](), list[Future[R]]()
    while len(started) < len(jobs) or running:
        while free and len(started) < len(jobs):
            slot = free.pop(0)
            future = start(slot, jobs[len(started)])
            started.append(future)
            running[future] = slot
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
        self._devices, self._threads = devices, threads

    def map(
        self, function: Callable[[Worker, J], R], jobs: Sequence[J], report: Report = _ignore
    ) -> list[R]:
        """Run them; as in `Executor.map`."""
        if current_process().daemon:
            raise RunError(
                "several devices take a process each, and a daemonic process, such as a worker of "
                "a pool, may start none; name one device."
            )
        with ExitStack() as stack:
            name = stack.enter_context(tempfile.TemporaryDirectory(prefix="kaggleprice-"))
            folder = Path(name)
            store(function, folder)
            pools = [stack.enter_context(self._process(device)) for device in self._devices]

            def start(slot: int, job: J) -> Future[R]:
                with _interrupts_held():
                    future: Future[R] = pools[slot].submit(
                        _run, folder, self._devices[slot], slot, job
                    )
                return future

            reports = _Reports(folder, len(pools), report)
            try:
                return _keep_busy(range(len(pools)), jobs, start, reports.read)
            except Exception as error:
                if type(error).__name__ != "TerminatedWorkerError":
                    raise
                raise self._death(error) from None

    @contextmanager
    def _process(self, device: torch.device) -> Iterator[Any]:
        # Whoever has one device needs none of this.
        from joblib.externals.loky import ProcessPoolExecutor

        pool = ProcessPoolExecutor(
            1, initializer=_begin, initargs=(os.getpid(), self._threads, device)
        )
        try:
            yield pool
        finally:
            pool.shutdown(kill_workers=True)

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


_FUNCTION = "function"


def store(function: Callable[[Worker, J], R], folder: Path) -> None:
    """Write a function, with the arrays that it holds, into a folder that only this user can read.

    Raises:
        RunError: where there is no room for it.
    """
    try:
        joblib.dump(function, folder / _FUNCTION)
    except OSError as error:
        raise RunError(
            f"cannot hand the rows to the processes of several devices through {folder}: "
            f"{error.strerror or error}; set TMPDIR to a folder with room."
        ) from None


@cache
def fetch(folder: Path) -> Callable[[Worker, Any], Any]:
    """Read what `store` wrote; arrays are mapped, and what is written to them stays one's own."""
    # Elsewhere a file that is mapped cannot be removed.
    mode = "c" if os.name == "posix" else None
    function: Callable[[Worker, Any], Any] = joblib.load(folder / _FUNCTION, mmap_mode=mode)
    return function


class _Reports:
    """What processes report, a line of JSON each, in a file per process."""

    def __init__(self, folder: Path, processes: int, report: Report) -> None:
        self._files = [_report_file(folder, slot) for slot in range(processes)]
        self._read, self._report = [0] * processes, report

    def read(self) -> None:
        """Pass on what is new."""
        for slot, file in enumerate(self._files):
            if not file.exists():
                continue
            with file.open("rb") as opened:
                opened.seek(self._read[slot])
                for line in opened:
                    # The end of a line may not be there yet.
                    if not line.endswith(b"\n"):
                        break
                    self._read[slot] += len(line)
                    self._report(json.loads(line))


def _report_file(folder: Path, slot: int) -> Path:
    return folder / f"reports-{slot}"


def _append(file: Path, message: Sequence[float]) -> None:
    with file.open("ab") as opened:
        opened.write(json.dumps(message).encode() + b"\n")


def _begin(parent: int, threads: int, device: torch.device) -> None:
    """Make a new process the worker of a device."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, args=(parent,), daemon=True).start()
    torch.set_num_threads(threads)
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)


def _end_with_parent(parent: int) -> None:
    """End soon after the parent, also in the middle of an epoch."""
    while os.getppid() == parent:
        time.sleep(_BEAT)
    os._exit(1)


def _run(folder: Path, device: torch.device, slot: int, job: Any) -> Any:
    """Run a job in the process of a device."""
    worker = Worker(device, partial(_append, _report_file(folder, slot)))
    try:
        with freed_memory_kept():
            return fetch(folder)(worker, job)
    except Exception as error:
        raise picklable_error(error) from None


def picklable_error(error: Exception) -> Exception:
    """Return an error that survives the way to the parent, with where it happened."""
    where = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - written a moment ago
    except Exception:
        error = RuntimeError(str(error))
    error.add_note(f"In the process of a device:\n{where}")
    return error
