"""Layout: how members are trained on one device."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from kaggleprice.core.progress import SILENT, Progress
from kaggleprice.models.networks import MemberNetwork
from kaggleprice.training.groups import Turns, split
from kaggleprice.training.loop import Course
from kaggleprice.training.task import Work
from kaggleprice.training.threads import Threads

# Groups at once on the CPU. More of them wait for each other in Python; of fewer members than
# these, two threads are no faster apart than together.
MOST_GROUPS, LEAST_MEMBERS = 4, 2
# Of fewer operations per step a second thread costs more time than it saves.
LEAST_OPERATIONS = 1e8


def lay_out(
    work: Work,
    network: MemberNetwork,
    device: torch.device,
    turns: int,
    progress: Progress = SILENT,
) -> Course:
    """Return what trains members on one device; whoever asks closes it.

    Args:
        work: of M members.
        network: theirs, changed in place.
        device: where to.
        turns: in how many groups that take turns; 1 for all at once, on the CPU in groups with
            threads of their own where there are several.
        progress: told after every epoch.
    """
    if device.type == "cpu":
        return _in_threads(work, network.cpu(), device, turns, progress)
    if turns == 1:
        return work.training(network, work.rows_on(device), progress)
    return Turns(work, network.cpu(), device, turns, progress)


def _in_threads(
    work: Work, network: MemberNetwork, device: torch.device, turns: int, progress: Progress
) -> Course:
    count = len(work.members)
    if turns > 1:

        def take_turns(_: slice, whole: MemberNetwork) -> Course:
            return Turns(work, whole, device, turns)

        whole = split(count, 1)
        threads = _threads(work, network, whole)
        return Threads(work, network, whole, threads, take_turns, progress)

    # Kept once for all groups.
    rows = work.rows_on(device)

    def at_once(span: slice, part: MemberNetwork) -> Course:
        return work.of(span).training(part, rows.of(span))

    groups = min(torch.get_num_threads(), MOST_GROUPS, count // LEAST_MEMBERS)
    spans = split(count, max(1, groups))
    return Threads(work, network, spans, _threads(work, network, spans), at_once, progress)


def _threads(work: Work, network: MemberNetwork, spans: Sequence[slice]) -> list[int]:
    """Share torch's threads out among groups, as evenly as can be, as far as they are worth it."""
    total, row = torch.get_num_threads(), network.operations()
    shares = [total // len(spans) + (g < total % len(spans)) for g in range(len(spans))]
    steps = [(s.stop - s.start) * work.settings.training.batch_size * row for s in spans]
    return [
        max(1, min(share, 1 + int(step // LEAST_OPERATIONS)))
        for share, step in zip(shares, steps, strict=True)
    ]
