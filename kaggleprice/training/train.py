"""Parts: members spread over devices, and over groups that take turns where memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import TypeVar

import torch

from kaggleprice.core.errors import RunError
from kaggleprice.core.progress import SILENT, Progress
from kaggleprice.models.networks import MemberNetwork
from kaggleprice.training.devices import freed_memory_kept, lacks_memory, release, settle
from kaggleprice.training.groups import prefixed, put, split
from kaggleprice.training.loop import UNSUPERVISED, Course, Fit, Supervisor, turns_of
from kaggleprice.training.placement import lay_out
from kaggleprice.training.task import Work

T = TypeVar("T")


class _Layout:
    """How members are cut: over devices, and on each into groups that take turns."""

    def __init__(self, members: int, devices: Sequence[torch.device]) -> None:
        self._members, self.devices = members, devices[:members]
        self.turns = 1

    @property
    def groups(self) -> list[int]:
        """How many members each group has."""
        spans = split(self._members, len(self.devices))
        parts = [part for s in spans for part in split(s.stop - s.start, self.turns)]
        return [part.stop - part.start for part in parts]

    def halve(self) -> str:
        """Halve the groups; say so.

        Raises:
            RunError: where they have one member each.
        """
        before = max(self.groups)
        if before == 1:
            raise RunError(
                f"out of memory on {self.devices[0]} with one member at a time; try a smaller "
                "--hidden or --batch-size, or another --device."
            )
        self.turns *= 2
        now = self.groups
        size = f"up to {max(now)}" if len(set(now)) > 1 else f"{now[0]}"
        return (
            f"out of memory with {before} members at once: going on with {len(now)} groups of "
            f"{size}"
        )

    def first_that_fits(
        self, attempt: Callable[[], T], anew: Callable[[], object], progress: Progress
    ) -> T:
        """Try, and halve the groups until memory suffices.

        Args:
            attempt: what needs memory.
            anew: called between two attempts.
            progress: told what is done about it.
        """
        while True:
            try:
                return attempt()
            except Exception as error:
                if not lacks_memory(error):
                    raise
            # Only here has the error gone, and with it what it held on to.
            for device in self.devices:
                release(device)
            progress.notice(self.halve())
            anew()


def train(
    work: Work,
    network: MemberNetwork,
    devices: Sequence[torch.device],
    supervisor: Supervisor = UNSUPERVISED,
    progress: Progress = SILENT,
) -> Fit:
    """Train a network of members in place; it is then on the first device, where it fits there.

    On one device all members are trained at once. Several get a process and a group of neighbours
    each, as even as can be. Where memory runs out, groups are halved, and training begins anew from
    the last kept state; groups of a device then take turns, epoch by epoch.

    Args:
        work: of M members.
        network: theirs, as `work.network` returns it.
        devices: one or more; one may be named twice.
        supervisor: asked between epochs, once for all groups.
        progress: told after every epoch.

    Raises:
        DivergenceError: where members leave the finite numbers.
        RunError: where not even one member at a time fits into memory; where a process died.
    """
    layout = _Layout(len(work.members), devices)

    def attempt() -> Fit:
        with _opened(work, network, layout.devices, progress) as laid_out:
            state = supervisor.resume()
            # A kept state knows how much fits; with other groups it would end with other bits.
            layout.turns = max(layout.turns, turns_of(state))
            with closing(laid_out(layout.turns)) as course:
                course.begin(state)
                del state
                return course.train(supervisor)

    def anew() -> None:
        network.zero_grad(set_to_none=True)
        network.cpu()
        # One by one: there may be no room for a second network of all.
        for m in range(len(work.members)):
            span = slice(m, m + 1)
            put(network, span, prefixed(work.of(span).network().state_dict()))

    with freed_memory_kept():
        fit = layout.first_that_fits(attempt, anew, progress)
    settle(network, devices[0], progress)
    return fit


@contextmanager
def _opened(
    work: Work, network: MemberNetwork, devices: Sequence[torch.device], progress: Progress
) -> Iterator[Callable[[int], Course]]:
    """Make the devices ready; what is returned makes a course of so many turns."""
    if len(devices) == 1:
        yield partial(lay_out, work, network, devices[0], progress=progress)
        return
    # Not above: whoever has one device needs no processes.
    from kaggleprice.training.processes import Processes

    progress.advance("preparing", 0, None, f"{len(devices)} processes")
    with Processes(work, network.cpu(), devices, progress) as course:
        yield course.laid_out


def time_step(work: Work, devices: Sequence[torch.device], seconds: float) -> float:
    """Return the time of a step of all members, measured for about so many seconds.

    It is measured in this process, with the members of the first device; with those of all where
    there are only CPUs, which share the threads.
    """
    shared = all(device.type == "cpu" for device in devices)
    layout = _Layout(len(work.members), devices[:1] if shared else devices)
    threads = torch.get_num_threads()
    own, device = work.of(split(len(work.members), len(layout.devices))[0]), layout.devices[0]

    def attempt() -> float:
        with closing(lay_out(own, own.network(), device, layout.turns)) as course:
            return course.time_step(seconds)

    torch.set_num_threads(max(1, threads // len(layout.devices)))
    try:
        with freed_memory_kept():
            return layout.first_that_fits(attempt, lambda: None, SILENT)
    finally:
        torch.set_num_threads(threads)
