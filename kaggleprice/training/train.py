"""Training: members are cut into groups, which are fitted independently and joined.

A member's result does not depend on who is trained beside it (README.md of this folder), so
groups may be fitted anywhere and in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from kaggleprice.core.errors import RunError, lacks_memory
from kaggleprice.core.progress import SILENT, Progress
from kaggleprice.models.networks import MemberNetwork
from kaggleprice.models.portfolio import networks_of
from kaggleprice.training.cluster import Cluster
from kaggleprice.training.devices import freed_memory_kept, place_network, release
from kaggleprice.training.engine import Engine, predict_members
from kaggleprice.training.executors import Executor, Processes, Report, Threads, Worker
from kaggleprice.training.loop import Callback, Group, TrainingLoop
from kaggleprice.training.task import HistoryLine, TrainingResult, TrainingTask

T = TypeVar("T")
# By name, each of shape (M, ...): a network's state.
Weights = dict[str, NDArray[np.generic]]

# Multiplications and additions that a group's step has at least, where there are enough members:
# fewer of them keep a device waiting for Python.
_CPU_OPERATIONS, _ACCELERATOR_OPERATIONS = 5e8, 1e10
# Two groups on the CPU are worth it much earlier: two threads compute apart better than together.
_TWO_GROUPS_OPERATIONS = 1.5e8
# Of fewer operations per step a second thread costs more time than it saves.
_THREAD_OPERATIONS = 1e8


def fit(
    task: TrainingTask, callbacks: Sequence[Callback], worker: Worker, group: Group
) -> tuple[Weights, TrainingResult]:
    """Train one group of members on a worker's device; return their weights and the rest.

    Args:
        task: of all members.
        callbacks: called between epochs; each is copied for the group.
        worker: where.
        group: which of the members to train.

    Raises:
        DivergenceError: where members leave the finite numbers.
    """
    loop = TrainingLoop(task.of(group.span), group, worker.device, worker.check)
    result = loop.run([*map(copy, callbacks), _Reporter(worker.report)])
    state = loop.engine.network.state_dict()
    return {name: value.detach().cpu().numpy() for name, value in state.items()}, result


def fit_and_predict(
    task: TrainingTask,
    index: NDArray[np.int64],
    callbacks: Sequence[Callback],
    worker: Worker,
    group: Group,
) -> tuple[Weights, TrainingResult]:
    """Train one group of members on a worker's device; return what they predict, and the rest.

    Args:
        task: of all M members.
        index: shape (M, R), the numbers of the rows that each member is to predict.
        callbacks: called between epochs; each is copied for the group.
        worker: where.
        group: which of the members to train.
    """
    own = task.of(group.span)
    loop = TrainingLoop(own, group, worker.device, worker.check, strict=False)
    result = loop.run([*map(copy, callbacks), _Reporter(worker.report)])
    engine = loop.engine
    predicted = predict_members(engine.network, engine.rows, result, index[group.span])
    return {"predicted": predicted}, result


def train_and_predict(
    task: TrainingTask,
    index: NDArray[np.int64],
    devices: Sequence[torch.device],
    callbacks: Sequence[Callback] = (),
    progress: Progress = SILENT,
    cluster: Cluster | None = None,
) -> NDArray[np.float64]:
    """Train all members, and keep nothing but what they predict, the transformed target.

    What is predicted by members that diverged is no number, or far off.

    Args:
        task: of M members.
        index: shape (M, R), the numbers of the rows that each member is to predict.
        devices: one or more, as for `train`.
        callbacks: called between the epochs of each group.
        progress: told after every epoch.
        cluster: that trains the groups; None for this machine.

    Returns:
        Shape (M, R), float64.

    Raises:
        RunError: where not even one member at a time fits into memory; where a process died.
    """
    job = partial(fit_and_predict, task, index, callbacks)
    groups, report = make_groups(task, devices[0]), _JoinedProgress(task, progress)
    with freed_memory_kept():
        fitted = _fit_all(task, groups, devices, job, report, cluster)
    return np.concatenate([arrays["predicted"] for arrays, _ in fitted.values()])


def train(
    task: TrainingTask,
    devices: Sequence[torch.device],
    callbacks: Sequence[Callback] = (),
    progress: Progress = SILENT,
    group_size: int | None = None,
    cluster: Cluster | None = None,
) -> tuple[MemberNetwork, TrainingResult]:
    """Train all members; return their network, on the first device where it fits there.

    Where memory runs out for a group, it is halved, and its halves go on from its last kept state.

    Args:
        task: of M members.
        devices: one or more; one may be named twice. Several get a process each.
        callbacks: called between the epochs of each group.
        progress: told after every epoch.
        group_size: members of a group at most; None for what the settings ask for.
        cluster: that trains the groups; None for this machine.

    Raises:
        DivergenceError: where members leave the finite numbers.
        RunError: where not even one member at a time fits into memory; where a process died.
    """
    groups = make_groups(task, devices[0], group_size)
    if len(groups) < len(devices):
        used = ",".join(map(str, devices[: len(groups)]))
        progress.notice(
            f"the networks are too small for {len(devices)} devices: only {used} trains"
        )
    report = _JoinedProgress(task, progress)
    with freed_memory_kept():
        job = partial(fit, task, callbacks)
        fitted = _fit_all(task, groups, devices, job, report, cluster)
    network = task.blank_network()
    for span, part in zip(task.variant_spans, networks_of(network).values(), strict=True):
        for group, (weights, _) in fitted.items():
            _copy(weights, group.first, part.state_dict(), span)
    place_network(network, devices[0], progress)
    results = {group: result for group, (_, result) in fitted.items()}
    result = _join(task, results)
    if result.cut_at is not None:
        last = max(epoch for epoch in result.groups_cut_at if epoch is not None)
        where = f"{last}" if last == result.cut_at else f"{result.cut_at} to {last}"
        progress.notice(f"time is up after epoch {where}: training ends here")
    return network, result


def _copy(weights: Weights, first: int, state: Mapping[str, torch.Tensor], span: slice) -> None:
    """Copy the weights of a group's members into the network of a variant.

    Args:
        weights: of the group.
        first: where its members begin.
        state: of the network; it may lack what only the group's other members have.
        span: where its members stand.
    """
    count = len(next(iter(weights.values())))
    begin, end = max(first, span.start), min(first + count, span.stop)
    for name, value in state.items() if begin < end else ():
        if name in weights:
            own = weights[name][begin - first : end - first]
            value.numpy()[begin - span.start : end - span.start] = own


def make_groups(
    task: TrainingTask, device: torch.device, group_size: int | None = None
) -> list[Group]:
    """Cut the members that can be trained as one into groups of neighbours, as even as can be.

    The settings, and whether it is a CPU, decide; not how many threads or devices there are. So
    the same groups are trained, to the same bytes, wherever they run. Their number is a power of
    two, which keeps 2, 4 or 8 workers busy to the end.
    """
    return [
        group
        for span in task.spans
        for group in _groups_of_span(task.of(span), span.start, device, group_size)
    ]


def _groups_of_span(
    task: TrainingTask, first: int, device: torch.device, group_size: int | None
) -> list[Group]:
    count = len(task.members)
    if group_size is not None:
        return _cut(Group(first, count), -(-count // group_size))
    operations = count * task.step_operations()
    if device.type == "cpu":
        two = min(2, int(operations / _TWO_GROUPS_OPERATIONS))
        most_groups = max(1, two, int(operations / _CPU_OPERATIONS))
    else:
        most_groups = max(1, int(operations / _ACCELERATOR_OPERATIONS))
    return _cut(Group(first, count), min(count, 2 ** (most_groups.bit_length() - 1)))


def _cut(group: Group, parts: int) -> list[Group]:
    ends = group.first + np.linspace(0, group.count, parts + 1).round().astype(int)
    return [Group(first, end - first) for first, end in pairwise(ends.tolist())]


def _fit_all(
    task: TrainingTask,
    groups: Sequence[Group],
    devices: Sequence[torch.device],
    job: Callable[[Worker, Group], tuple[Weights, TrainingResult]],
    report: _JoinedProgress,
    cluster: Cluster | None,
) -> dict[Group, tuple[Weights, TrainingResult]]:
    """Fit all groups, halving those that do not fit into memory; return them in order."""
    fitted, waiting, alone = dict[Group, tuple[Weights, TrainingResult]](), list(groups), False
    while waiting:
        executor = _choose_executor(task, waiting, devices, alone=alone, cluster=cluster)
        if isinstance(executor, Processes):
            report.progress.advance("preparing", 0, None, f"{executor.workers} processes")
        jobs = [
            replace(group, queue=-(-(len(waiting) - i) // executor.workers))
            for i, group in enumerate(waiting)
        ]
        found = executor.map(partial(_if_it_fits, job), jobs, report)
        fitted |= {g: one for g, one in zip(waiting, found, strict=True) if one is not None}
        lacking = [g for g, one in zip(waiting, found, strict=True) if one is None]
        waiting = _halve(task, lacking, devices, report.progress) if lacking else []
        # Those that run beside a group leave less memory to it.
        alone = True
    return dict(sorted(fitted.items(), key=lambda item: item[0].first))


def _choose_executor(
    task: TrainingTask,
    groups: Sequence[Group],
    devices: Sequence[torch.device],
    *,
    alone: bool,
    cluster: Cluster | None = None,
) -> Executor:
    """Return where to run groups.

    Args:
        task: of all members.
        groups: to be trained.
        devices: on these.
        alone: whether there is room for one at a time in the CPU's memory.
        cluster: that trains them; None for this machine.
    """
    threads, workers = torch.get_num_threads(), min(len(devices), len(groups))
    cpu = all(device.type == "cpu" for device in devices)
    if cluster is None and workers > 1 and not (cpu and alone):
        return Processes(devices[:workers], max(1, threads // workers))
    if not cpu:
        if cluster is not None:
            return cluster.executor(devices[0], threads, _most_bytes(task, groups))
        return Threads(devices[0], 1, threads)
    # With a cluster as many threads train a group as without: they decide the bytes.
    workers = 1 if alone else min(threads, len(groups))
    operations = max(task.of(group.span).step_operations() * group.count for group in groups)
    useful = 1 + int(operations // _THREAD_OPERATIONS)
    each = max(1, min(threads // workers, useful))
    if cluster is not None:
        return cluster.executor(devices[0], each, _most_bytes(task, groups))
    return Threads(devices[0], workers, each)


def _most_bytes(task: TrainingTask, groups: Sequence[Group]) -> int:
    """Return about how much memory of its own the training of the largest group takes.

    That is its weights, their gradient and the optimizer's two moments, and, for each row, what a
    member learns of it, its place in the order, and what is predicted; rows are shared.
    """
    size = task.dtype.itemsize
    return max(
        4 * size * task.of(group.span).parameters + group.count * (size + 12) * len(task.rows)
        for group in groups
    )


def _if_it_fits(do: Callable[[Worker, Group], T], worker: Worker, group: Group) -> T | None:
    """Return what is done with a group; None where memory runs out."""
    try:
        return do(worker, group)
    except Exception as error:
        if not lacks_memory(error):
            raise
    # Only here has the error gone, and with it what it held on to.
    release(worker.device)
    return None


def _halve(
    task: TrainingTask,
    groups: Sequence[Group],
    devices: Sequence[torch.device],
    progress: Progress,
) -> list[Group]:
    """Halve groups that do not fit into memory; say so.

    Raises:
        RunError: where one of them has one member.
    """
    if alone := [group for group in groups if group.count == 1]:
        raise RunError(
            f"out of memory on {devices[0]} with one member at a time, which takes about "
            f"{_most_bytes(task, alone) / 1e6:,.0f} MB beside the data; try a smaller --hidden or "
            "--batch-size, or another --device."
        )
    halves = [half for group in groups for half in _cut(group, 2)]
    sizes = {half.count for half in halves}
    size = f"up to {max(sizes)}" if len(sizes) > 1 else f"{max(sizes)}"
    progress.notice(
        f"out of memory with {max(group.count for group in groups)} members at once: going on "
        f"with {len(halves)} groups of {size}"
    )
    return halves


def _join(task: TrainingTask, results: dict[Group, TrainingResult]) -> TrainingResult:
    """Return the result of all members, given those of their groups, in order."""
    history = list[HistoryLine]()
    for span in task.spans:
        own = {g: r for g, r in results.items() if span.start <= g.first < span.stop}
        last = max(result.history[-1].epoch for result in own.values())
        recorded = task.of(span).settings.training.recorded_epochs
        history += [
            replace(line, member=group.first + line.member)
            for group, result in own.items()
            for line in _history_until(last, result, recorded)
        ]
    found = list(results.values())
    return TrainingResult(
        target_center=np.concatenate([result.target_center for result in found]),
        target_scale=np.concatenate([result.target_scale for result in found]),
        epochs=np.concatenate([result.epochs for result in found]),
        history=sorted(history, key=lambda line: (line.epoch, line.member)),
        resumed_from=min(
            (r.resumed_from for r in found if r.resumed_from is not None), default=None
        ),
        groups=tuple(group.count for group in results),
        groups_cut_at=tuple(result.cut_at for result in found),
    )


def _history_until(
    last: int, result: TrainingResult, recorded: Sequence[int]
) -> Iterable[HistoryLine]:
    """Return a group's history until an epoch: members that have stopped keep their errors."""
    end = result.history[-1].epoch
    if end == last or result.cut_at is not None:
        return result.history
    resting = [line for line in result.history if line.epoch == end]
    before = [line for line in result.history if line.epoch < end or end in recorded]
    later = sorted({epoch for epoch in recorded if end < epoch < last} | {last})
    return before + [replace(line, epoch=epoch) for epoch in later for line in resting]


class _Reporter(Callback):
    """Reports first member, members, epoch, mean validation RMSE (NaN where there is none)."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def on_train_begin(self, loop: TrainingLoop) -> None:
        self.on_epoch_end(loop)

    def on_epoch_end(self, loop: TrainingLoop) -> None:
        last = loop.history[-loop.group.count :]
        rmse = np.mean([line.validation for line in last]) if last else np.nan
        self._report((loop.group.first, loop.group.count, loop.epoch, float(rmse)))


class _JoinedProgress:
    """Makes one line of progress of what the groups report."""

    def __init__(self, task: TrainingTask, progress: Progress) -> None:
        self.progress = progress
        variants = task.settings.variants
        self._epochs = np.array([variants[m.variant].training.passes for m in task.members])
        self._epoch, self._rmse = np.zeros(len(self._epochs)), np.full(len(self._epochs), np.nan)

    def __call__(self, message: Sequence[float]) -> None:
        first, count, epoch, rmse = message
        span = slice(int(first), int(first + count))
        self._epoch[span], self._rmse[span] = epoch, rmse
        total = len(self._epoch)
        words = [f"{total} member{'s' * (total != 1)}"]
        known = self._rmse[np.isfinite(self._rmse)]
        if len(known):
            words.insert(0, f"validation RMSE {known.mean():.4f}")
        # Where variants differ in their epochs, as many as the longest has stand for the whole.
        most = int(self._epochs.max())
        done = int(most * self._epoch.sum() / self._epochs.sum())
        self.progress.advance("training", done, most, ", ".join(words), "epochs")


def time_step(
    task: TrainingTask,
    devices: Sequence[torch.device],
    seconds: float,
    group_size: int | None = None,
) -> float:
    """Return the time of a step of all members, measured for about so many seconds.

    It is measured in this process, with the groups that would be trained first.
    """
    groups = make_groups(task, devices[0], group_size)
    cpu = all(device.type == "cpu" for device in devices)
    while True:
        executor = _choose_executor(task, groups, devices[:1], alone=False)
        first = groups[: executor.workers]
        with freed_memory_kept():
            found = executor.map(partial(_if_it_fits, partial(_time, task, seconds)), first)
        times = [took for took in found if took is not None]
        if len(times) == len(first):
            return max(times) * -(-len(groups) // (len(first) if cpu else len(devices)))
        groups = _halve(task, groups, devices, SILENT)


def _time(task: TrainingTask, seconds: float, worker: Worker, group: Group) -> float:
    return Engine(task.of(group.span), worker.device, worker.check).time_step(seconds)
