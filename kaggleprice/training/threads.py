"""Threads: groups of members side by side on the CPU, each in a thread of its own.

torch lets go of Python's lock while it computes. So what the threads of one operation cannot share
(small products, what is done element by element, random numbers, Python between two operations) is
done for several groups at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Any

import torch

from kaggleprice.core.progress import SILENT, Progress
from kaggleprice.models.networks import MemberNetwork
from kaggleprice.training.groups import Groups
from kaggleprice.training.loop import Course
from kaggleprice.training.task import Work

# Seconds between two looks for Ctrl-C, where waiting for a thread does not let it through.
_BEAT = 0.2

Begin = Callable[[slice, MemberNetwork], Course]


class Threads(Groups):
    """Groups in threads; whoever made them closes them.

    Training is never done by the thread that asked for it. Where oneDNN once had no room for the
    code that it makes, it makes none in that thread ever after; a new one begins afresh.
    """

    def __init__(
        self,
        work: Work,
        network: MemberNetwork,
        spans: Sequence[slice],
        threads: Sequence[int],
        begin: Begin,
        progress: Progress = SILENT,
    ) -> None:
        """Start a thread for each group, and begin in it.

        Args:
            work: of all members.
            network: of all members, on the CPU; the groups' networks are parts of it.
            spans: which members each group has.
            threads: how many of torch's threads each group computes with.
            begin: makes a group's course, of which members it has and their network.
            progress: told after every epoch.
        """
        super().__init__(work, network, spans, progress)
        self._pools = [
            ThreadPoolExecutor(1, thread_name_prefix=f"kaggleprice group {g + 1}")
            for g in range(len(spans))
        ]
        try:
            self._hand_out(threads)
            self._courses = self._side_by_side(
                {g: partial(begin, span, self._part(span)) for g, span in enumerate(spans)}
            )
        except BaseException:
            self.close()
            raise
        for course in self._courses.values():
            course.halted = self.halted
        if len(spans) == 1:
            self.groups, self.turns = self._courses[0].groups, self._courses[0].turns
        else:
            self.groups = (len(self.members),)

    def _hand_out(self, threads: Sequence[int]) -> None:
        before = torch.get_num_threads()
        try:
            # One by one: what one thread says counts for all that have not asked yet.
            for pool, count in zip(self._pools, threads, strict=True):
                pool.submit(_use_threads, count).result()
        finally:
            torch.set_num_threads(before)

    def _part(self, span: slice) -> MemberNetwork:
        """Return the network of some members, whose values are those of the network of all."""
        if span == slice(0, len(self.members)):
            return self.network
        part, whole = self.work.of(span).blank_network(), self.network.state_dict()
        views = {name: whole[name][span] for name in part.state_dict()}
        part.load_state_dict(views, assign=True)
        return part

    def ask(self, what: str, arguments: Mapping[int, Sequence[Any]]) -> dict[int, Any]:
        """Let each group's course answer in its thread; as in `Groups`.

        Raises:
            Exception: what a course raised; the others then end at their next step.
        """
        return self._side_by_side(
            {g: partial(getattr(self._courses[g], what), *given) for g, given in arguments.items()}
        )

    def _side_by_side(self, calls: Mapping[int, Callable[[], Any]]) -> dict[int, Any]:
        futures: dict[int, Future[Any]] = {}
        try:
            for g, call in calls.items():
                futures[g] = self._pools[g].submit(call)
            pending = set(futures.values())
            while pending:
                done, pending = wait(pending, _BEAT, FIRST_EXCEPTION)
                for future in done:
                    future.result()
        except BaseException:
            self.halted.set()
            wait(futures.values())
            raise
        return {g: future.result() for g, future in futures.items()}

    def close(self) -> None:
        """End all threads; as in `Course`."""
        self.halted.set()
        for pool in self._pools:
            pool.shutdown()


def _use_threads(count: int) -> None:
    torch.set_num_threads(count)
    # A thread that never asked would take what another one sets meanwhile.
    torch.get_num_threads()
