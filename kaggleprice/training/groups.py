"""Groups: members cut into parts that are trained epoch by epoch in lockstep.

Members do not depend on who is trained beside them, so groups leave what one batch of all would,
up to the rounding of products of another size.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from threading import Event
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kaggleprice.core.progress import SILENT, Progress
from kaggleprice.models.networks import MemberNetwork
from kaggleprice.training.devices import release
from kaggleprice.training.loop import Course, Ended, HistoryLine, Passed
from kaggleprice.training.task import Work

_NETWORK = "network."


def split(count: int, groups: int) -> list[slice]:
    """Cut `count` members into groups of neighbours, as even as can be; none is empty."""
    ends = np.linspace(0, count, min(count, groups) + 1).round().astype(int).tolist()
    return [slice(a, b) for a, b in pairwise(ends)]


class Groups(Course):
    """Groups of members, each a course of its own.

    Attributes:
        network: of all members, on the CPU.
        spans: which members each group has.
    """

    def __init__(
        self, work: Work, network: MemberNetwork, spans: Sequence[slice], progress: Progress
    ) -> None:
        self.work, self.network, self.spans, self.progress = work, network, list(spans), progress
        self.members, self.settings = work.members, work.settings.training
        self.groups = tuple(span.stop - span.start for span in spans)
        self.halted = Event()
        self._active = [True] * len(self.spans)

    @abstractmethod
    def ask(self, what: str, arguments: Mapping[int, Sequence[Any]]) -> dict[int, Any]:
        """Call a method of some groups' courses.

        Args:
            what: its name.
            arguments: by group, counted from 0.

        Returns:
            What each group answers.
        """

    def _ask_all(self, what: str, *arguments: Any) -> list[Any]:
        answers = self.ask(what, dict.fromkeys(range(len(self.spans)), arguments))
        return [answers[g] for g in range(len(self.spans))]

    def train_epoch(self, epoch: int, record: bool) -> Passed:
        """Let each group with a member that is still training take its pass; as in `Course`."""
        # Batch norm's statistics follow the rows of a member that has stopped as well, and the
        # history sees it.
        everybody = self.work.settings.model.batch_norm
        going = [g for g, active in enumerate(self._active) if active or everybody]
        passed = self.ask("train_epoch", dict.fromkeys(going, (epoch, record)))
        diverged = [m for g in going for m in self._named(g, passed[g].diverged)]
        lines = {g: passed[g].lines for g in going}
        if record and not diverged:
            resting = set(range(len(self.spans))) - set(going)
            lines |= self.ask("record", dict.fromkeys(sorted(resting), (epoch,)))
        for g in going:
            self._active[g] = passed[g].active > 0
        return Passed(
            active=sum(passed[g].active for g in going),
            diverged=tuple(diverged),
            lines=self._joined_lines([lines.get(g, ()) for g in range(len(self.spans))]),
        )

    def record(self, epoch: int) -> list[HistoryLine]:
        """Return the history of all groups; as in `Course`."""
        return self._joined_lines(self._ask_all("record", epoch))

    def tensors(self) -> dict[str, Tensor]:
        """Return those of all groups; as in `Course`."""
        return self._joined(self._ask_all("tensors"))

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Give each group its own; as in `Course`."""
        own = [cut(tensors, span) for span in self.spans]
        self.ask("restore", {g: (kept,) for g, kept in enumerate(own)})
        self._note_active(own)

    def _joined(self, tensors: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """Join the groups' tensors; what a group has no use for is as in the network of all."""
        if len(tensors) == 1:
            return dict(tensors[0])
        state = self.network.state_dict()
        idle = prefixed(state) | {f"best.weights.{name}": value for name, value in state.items()}
        return join(tensors, self.spans, idle)

    def _note_active(self, own: Sequence[Mapping[str, Tensor]]) -> None:
        """See in each group's restored tensors whether somebody of it is still training."""
        self._active = ["best.active" not in t or bool(t["best.active"].any()) for t in own]

    def finish(self, epoch: int) -> Ended:
        """Let all groups finish; the network of all gets their weights. As in `Course`."""
        ended: list[Ended] = self._ask_all("finish", epoch)
        named = [self._named(g, own.diverged) for g, own in enumerate(ended)]
        return Ended(
            center=np.concatenate([own.center for own in ended]),
            scale=np.concatenate([own.scale for own in ended]),
            epochs=np.concatenate([own.epochs for own in ended]),
            diverged=tuple(m for members in named for m in members),
        )

    def time_step(self, seconds: float) -> float:
        """Return the time of the slowest group; as in `Course`."""
        return float(max(self._ask_all("time_step", seconds)))

    def _named(self, group: int, members: Sequence[int]) -> list[int]:
        return [self.spans[group].start + m for m in members]

    def _joined_lines(self, lines: Sequence[Sequence[HistoryLine]]) -> list[HistoryLine]:
        return [
            replace(line, member=span.start + line.member)
            for span, own in zip(self.spans, lines, strict=True)
            for line in own
        ]


class Turns(Groups):
    """Groups that take turns on one device, which has room for one of them at a time.

    Between turns, what a group keeps lies in the CPU's memory: its weights in the network of all,
    the rest beside it. The rows stay on the device.
    """

    def __init__(
        self,
        work: Work,
        network: MemberNetwork,
        device: torch.device,
        turns: int,
        progress: Progress = SILENT,
    ) -> None:
        """Cut the members into `turns` groups; arguments otherwise as in `Groups`."""
        super().__init__(work, network, split(len(work.members), turns), progress)
        self.turns, self._device = turns, device
        self._rows = work.rows_on(device)
        self._tidy = False
        self._kept: list[dict[str, Tensor]] = [{} for _ in self.spans]

    def ask(self, what: str, arguments: Mapping[int, Sequence[Any]]) -> dict[int, Any]:
        """Give each group its turn; as in `Groups`."""
        answers = {}
        for g, given in arguments.items():
            answers[g] = self._turn(g, what, given)
            if not self._tidy:
                # What torch loads on its first step refers to that step's memory.
                release(self._device)
                self._tidy = True
        return answers

    def _turn(self, g: int, what: str, given: Sequence[Any]) -> Any:
        """Put a group on the device, let it do what it is asked, and put what became of it back.

        Nothing of the group stays on the device when this returns.
        """
        span, own = self.spans[g], self.work.of(self.spans[g])
        network, whole = own.blank_network(), self.network.state_dict()
        network.load_state_dict({name: whole[name][span] for name in network.state_dict()})
        training = own.training(network, self._rows.of(span))
        if self._kept[g]:
            training.restore(self._kept[g] | prefixed(network.state_dict()))
        training.halted = self.halted
        answer = getattr(training, what)(*given)
        tensors = training.tensors()
        put(self.network, span, tensors)
        self._kept[g] = {name: value.detach().cpu() for name, value in _others(tensors).items()}
        return answer

    def time_step(self, seconds: float) -> float:
        """Return the time of all turns; as in `Course`."""
        return float(sum(self._ask_all("time_step", seconds / len(self.spans))))

    def tensors(self) -> dict[str, Tensor]:
        """Return what lies in the CPU's memory: nobody needs a turn for it."""
        return prefixed(self.network.state_dict()) | self._joined(self._kept)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Put all of it into the CPU's memory."""
        put(self.network, slice(None), tensors)
        # Copies, so that what was given need not be kept.
        self._kept = [
            {name: value.clone() for name, value in cut(_others(tensors), span).items()}
            for span in self.spans
        ]
        self._note_active(self._kept)


def cut(tensors: Mapping[str, Tensor], span: slice) -> dict[str, Tensor]:
    """Return some members' part of tensors that have members first."""
    return {name: value[span] for name, value in tensors.items()}


def join(
    tensors: Sequence[Mapping[str, Tensor]],
    spans: Sequence[slice],
    idle: Mapping[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    """Undo `cut` for all spans, in order.

    Args:
        tensors: by group; a group may lack names that others have, such as slopes.
        spans: members of each group.
        idle: of all members, what stands for a name that a group lacks; zeros where it has none.
    """
    like = {name: value for own in tensors for name, value in own.items()}

    def parts(name: str) -> Iterator[Tensor]:
        for own, span in zip(tensors, spans, strict=True):
            if name not in own and idle is not None and name in idle:
                yield idle[name][span]
            else:
                blank = like[name].new_zeros(span.stop - span.start, *like[name].shape[1:])
                yield own.get(name, blank)

    return {name: torch.cat(list(parts(name))) for name in like}


def put(network: MemberNetwork, span: slice, tensors: Mapping[str, Tensor]) -> None:
    """Write some members' `network.` tensors into the network of all."""
    for name, value in network.state_dict().items():
        if _NETWORK + name in tensors:
            value[span] = tensors[_NETWORK + name].to(value.device)


def prefixed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a network's state under the names that `Course.tensors` has for it."""
    return {_NETWORK + name: value for name, value in state.items()}


def _others(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in tensors.items() if not name.startswith(_NETWORK)}
