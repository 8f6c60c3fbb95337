"""Clusters: groups of members trained by the workers of a Ray cluster, on one machine or many.

Which members form a group, and how many threads compute it, the settings and `--threads` decide. So
a cluster of any size writes the bytes that one machine of the same kind writes. The rows travel
once, into Ray's object store; each group's weights come back.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar

import torch

from kaggleprice.core.errors import RunError, UsageError
from kaggleprice.core.progress import SILENT, Progress
from kaggleprice.training.devices import freed_memory_kept
from kaggleprice.training.executors import Report, Worker

J = TypeVar("J")
R = TypeVar("R")

# How often a group is tried whose worker, or its machine, died.
_TRIES = 3
# Seconds between two looks for Ctrl-C, for what workers report, and for groups that are done.
_BEAT = 0.5
# Seconds that a cluster's head has to answer.
_PATIENCE = 10.0


@dataclass(frozen=True)
class ClusterAddress:
    """Which cluster is joined.

    Attributes:
        address: `HOST:PORT` of its head; None for one that is started on this machine, and ended
            with the command.
        workers: CPUs that a cluster started here has.
    """

    address: str | None
    workers: int


@contextmanager
def joined(address: ClusterAddress, progress: Progress = SILENT) -> Iterator[Cluster]:
    """Join a Ray cluster for as long as the block lasts; end one that was started here.

    Raises:
        UsageError: where Ray is not installed, or there is no such cluster.
    """
    # Nothing of what is trained concerns anybody else.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ray announces that it will leave CUDA_VISIBLE_DEVICES alone where a job needs no GPU: let it.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        ray: Any = import_module("ray")
    except ImportError:
        raise UsageError(
            "`--engine ray` needs Ray, which is not installed; install it with "
            '`pip install "kaggleprice[ray]"`.'
        ) from None
    where = address.address
    if where is not None:
        _check_answers(where)
    own: dict[str, Any] = {"num_cpus": address.workers} if where is None else {}
    # Ray tells of machines that are gone on stdout, where results stand.
    with redirect_stdout(sys.stderr):
        try:
            ray.init(
                address=where or "local",
                include_dashboard=None if where else False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                **own,
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise UsageError(
                f"cannot join a Ray cluster at {where or 'this machine'}: {reason}; where "
                "`ray start` has said that it asks for a token, `docs/cluster.md` says how to "
                "give it."
            ) from None
        try:
            nodes = [node for node in ray.nodes() if node["Alive"]]
            progress.notice(
                f"joined a Ray cluster: {len(nodes)} machine{'s' * (len(nodes) != 1)}, "
                f"{int(ray.cluster_resources().get('CPU', 0))} CPUs"
            )
            yield Cluster(ray)
        finally:
            ray.shutdown()


class Cluster:
    """A Ray cluster that was joined."""

    def __init__(self, ray: Any) -> None:
        """Take the module, which has joined it."""
        self._ray = ray

    def executor(self, device: torch.device, threads: int, memory: int = 0) -> ClusterExecutor:
        """Return what runs jobs of so many threads and bytes, each on a device of this kind."""
        return ClusterExecutor(self._ray, device, threads, memory)


class ClusterExecutor:
    """Runs jobs on the workers of a cluster, as many at once as there is room for."""

    def __init__(self, ray: Any, device: torch.device, threads: int, memory: int) -> None:
        """Prepare; no job is begun yet."""
        self._ray, self._device, self._threads = ray, device, threads
        # No more than the largest machine has: on another one a job would wait for ever.
        most = max(int(n["Resources"].get("memory", 0)) for n in ray.nodes() if n["Alive"])
        self._needs = {
            "num_cpus": threads,
            "num_gpus": int(device.type == "cuda"),
            "memory": min(memory, most),
        }
        self.workers = self._room()

    def _room(self) -> int:
        """Return how many jobs the machines that there are now have room for."""
        there = self._ray.cluster_resources()
        fits = [int(there.get("CPU", 0) // self._threads)]
        if self._needs["num_gpus"]:
            fits.append(int(there.get("GPU", 0)))
        if self._needs["memory"]:
            fits.append(int(there.get("memory", 0) // self._needs["memory"]))
        return max(1, min(fits))

    def map(
        self,
        function: Callable[[Worker, J], R],
        jobs: Sequence[J],
        report: Report = lambda message: None,
    ) -> list[R]:
        """Run them; as in `Executor.map`."""
        ray = self._ray
        # Beside this process: no machine whose loss it survives takes the reports along.
        here = import_module("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        reports = ray.remote(num_cpus=0, scheduling_strategy=here)(_Reports).remote()
        shared = ray.put(function)
        options = {**self._needs, "max_retries": _TRIES - 1, "scheduling_strategy": "SPREAD"}
        run = ray.remote(**options)(_run)
        started, running = list[Any](), dict[Any, J]()
        try:
            while running or len(started) < len(jobs):
                # No more than there is room for: what waited at one machine would not move to
                # another that joins later.
                for job in jobs[len(started) : len(started) + self._room() - len(running)]:
                    started.append(run.remote(shared, job, self._device, self._threads, reports))
                    running[started[-1]] = job
                done, _ = ray.wait(list(running), timeout=_BEAT)
                for message in ray.get(reports.take.remote()):
                    report(message)
                for ref in done:
                    self._check(ref, running.pop(ref))
            return [ray.get(ref) for ref in started]
        finally:
            for ref in running:
                with suppress(Exception):
                    ray.cancel(ref, force=True)
            ray.kill(reports)

    def _check(self, ref: Any, job: Any) -> None:
        """Raise what a job raised; say which job was lost.

        Raises:
            RunError: where its worker died more often than it is tried.
        """
        exceptions = self._ray.exceptions
        try:
            self._ray.get(ref)
        except exceptions.RayTaskError as error:
            raise error.cause from None
        except exceptions.RayError as error:
            raise RunError(
                f"{_name(job)} was tried {_TRIES} times, and its worker died each time "
                f"({type(error).__name__}); the same command goes on with what is kept."
            ) from None


def _check_answers(address: str) -> None:
    """Check that somebody listens where a cluster's head should; Ray itself asks for minutes.

    Raises:
        UsageError: where nobody does.
    """
    host, _, port = address.rpartition(":")
    if "//" in address or not port.isdigit():
        # Such as `auto`.
        return
    try:
        socket.create_connection((host, int(port)), _PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"there is no Ray cluster at {address}: {error}; start one with `ray start --head`, or "
            "leave --address away."
        ) from None


def _name(job: Any) -> str:
    span = getattr(job, "span", None)
    return "a job" if span is None else f"the group of members {span.start + 1} to {span.stop}"


class _Reports:
    """What jobs report, kept until it is taken."""

    def __init__(self) -> None:
        self._kept: list[Sequence[float]] = []

    def put(self, message: Sequence[float]) -> None:
        self._kept.append(message)

    def take(self) -> list[Sequence[float]]:
        taken, self._kept = self._kept, []
        return taken


def _run(
    function: Callable[[Worker, J], R], job: J, device: torch.device, threads: int, reports: Any
) -> R:
    """Run a job in a worker."""
    torch.set_num_threads(threads)

    def report(message: Sequence[float]) -> None:
        reports.put.remote(tuple(message))

    with freed_memory_kept(), warnings.catch_warnings():
        # Rows lie in the object store, which nobody writes to.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return function(Worker(device, report), job)
