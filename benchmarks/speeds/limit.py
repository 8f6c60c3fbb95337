"""Against the limit: the machine's own rate of matrix products."""

from __future__ import annotations

from collections.abc import Callable

import torch

from benchmarks.speeds.effort import Effort, say
from benchmarks.speeds.loops import Lone, book_loop, lone_members, plain_loop
from benchmarks.speeds.machine import cores
from benchmarks.speeds.problems import dense_problem, operations_per_epoch, train
from benchmarks.speeds.ratios import Timer, alternate, timed, timed_between
from benchmarks.speeds.results import Line, Outcome, at_least, at_most
from kaggleprice.evaluation.cross_validation import PreparedRun
from kaggleprice.training.devices import taking_threads

TITLE = "Against the limit"
MEANING = (
    "The dense network 313 → 256 → 128 → 1 (silu, dropout 0.2, AdamW) on 1168 training rows of "
    "random numbers. *Of the rate*: operations of matrix products (forward, gradient of the "
    "weights, gradient of inputs except of the data) per second, over those that a product of "
    "1024 by 1024 float32 matrices reaches with as many threads. Seconds are per epoch of all "
    "members, of the matrix product per product; a training of one epoch is subtracted from one "
    "of many, so that what is done once per training does not count. The plain loop indexes "
    "tensors and has the fused optimizer."
)
SIDE = 1024
PRODUCT = 2.0 * SIDE**3
REACHES = {64: at_least(0.5), 256: at_least(0.65)}


def measure(effort: Effort) -> Outcome:
    """Take all ratios, with one thread and with all that there are."""
    outcome = Outcome()
    for count in [1] if effort.quick else sorted({1, min(2, cores())}):
        with taking_threads(count):
            _measure_with(count, outcome, effort)
    return outcome


def _measure_with(count: int, outcome: Outcome, effort: Effort) -> None:
    def add(line: Line) -> None:
        outcome.lines.append(line)
        say(str(line))

    size, many = ((200, 30), 5) if effort.quick else ((), 20)
    batches = (64,) if effort.quick else (64, 256)
    problems = {
        (members, batch): dense_problem(members, batch, *size)
        for members in (1, many)
        for batch in batches
    }
    for (members, batch), problem in problems.items():
        share = alternate(product(effort), epoch(problem, effort), effort.pairs)
        add(
            Line(
                f"{_named(members)}, batch {batch}",
                "the matrix product's rate",
                "of the rate",
                share.faster(operations_per_epoch(problem) / PRODUCT),
                count,
                REACHES[batch] if members == 20 else None,
            )
        )
    single, several = problems[1, 64], problems[many, 64]
    lone = lone_members(single)[0]
    for name, loop in [("plain", plain_loop), ("book's", book_loop)]:
        pairs = alternate(product(effort), _epoch_of_loop(loop, lone, effort), effort.pairs)
        ratio = pairs.faster(operations_per_epoch(single) / PRODUCT)
        what = f"the {name} loop, 1 member, batch 64"
        add(Line(what, "the matrix product's rate", "of the rate", ratio, count))
    base = _epoch_of_loop(plain_loop, lone, effort)
    faster = alternate(base, epoch(single, effort), effort.pairs).faster()
    against = "the plain loop"
    add(Line("1 member, batch 64", against, "times as fast", faster, count, at_least(1)))
    costs = alternate(epoch(single, effort), epoch(several, effort), effort.pairs).costs(1 / many)
    what = f"a member of {many}, batch 64"
    reach = at_most(0.5) if many == 20 else None
    add(Line(what, "1 member alone", "times the cost", costs, count, reach))
    if count > 1:
        apart, one = epoch(several, effort), epoch(several, effort, together=True)
        faster = alternate(one, apart, effort.pairs).faster()
        what = f"{_named(many)}, batch 64, a group for each thread"
        add(Line(what, "all in one batch", "times as fast", faster, count))


def _named(members: int) -> str:
    return f"{members} member{'s' * (members != 1)}"


def product(effort: Effort) -> Timer:
    """Return the timer of one product of 1024 by 1024 float32 matrices."""
    first, second = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
    result = torch.empty(SIDE, SIDE)
    return timed(lambda: torch.mm(first, second, out=result), least=effort.least)


def epoch(problem: PreparedRun, effort: Effort, *, together: bool = False) -> Timer:
    """Return the timer of one epoch of all members, without what is done once per training.

    Args:
        problem: its network is changed in place.
        effort: how hard to try.
        together: as for `train`.
    """

    def go(epochs: int) -> None:
        train(problem, epochs, together=together)

    go(1)
    # Enough of them for the clock, however few members there are.
    seconds = timed(lambda: go(1))()
    many = 4 if effort.quick else max(6, min(200, round(2.0 / seconds)))
    return timed_between(go, 1, 1 + many)


def _epoch_of_loop(loop: Callable[[Lone, int], None], lone: Lone, effort: Effort) -> Timer:
    return timed(lambda: loop(lone, 1), least=effort.least)
