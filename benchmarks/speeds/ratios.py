"""Ratios of two pieces of work that are run in turn in one process."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from kaggleprice.core.errors import RunError

# Something that does its work and says how many seconds a unit of it took.
Timer = Callable[[], float]

_TRIES = 8


@dataclass(frozen=True)
class Ratio:
    """A ratio, taken once per pair.

    Attributes:
        each: one per pair.
        own: seconds of what is measured, per unit of its work, one per pair.
        base: likewise of what it is held against.
    """

    each: tuple[float, ...]
    own: tuple[float, ...]
    base: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one of all pairs."""
        return median(self.each)

    @property
    def spread(self) -> tuple[float, float]:
        """The lowest and the highest of all pairs."""
        return min(self.each), max(self.each)

    def record(self) -> dict[str, Any]:
        """Return plain data, for JSON."""
        return {
            "median": self.median,
            "spread": list(self.spread),
            "each": list(self.each),
            "seconds": median(self.own),
            "base_seconds": median(self.base),
        }


@dataclass(frozen=True)
class Pairs:
    """Seconds of two pieces of work, pair by pair."""

    base: tuple[float, ...]
    own: tuple[float, ...]

    def faster(self, factor: float = 1.0) -> Ratio:
        """How many times as fast as the base: base over own, times a factor."""
        return self._ratio([factor * b / o for b, o in zip(self.base, self.own, strict=True)])

    def costs(self, factor: float = 1.0) -> Ratio:
        """How many times the base's seconds: own over base, times a factor."""
        return self._ratio([factor * o / b for b, o in zip(self.base, self.own, strict=True)])

    def _ratio(self, each: Sequence[float]) -> Ratio:
        return Ratio(tuple(each), self.own, self.base)


def alternate(base: Timer, own: Timer, pairs: int, *, warm: bool = True) -> Pairs:
    """Time both in turn; who goes first changes from pair to pair, so that drift cancels.

    Args:
        base: what is held against.
        own: what is measured.
        pairs: how many times each.
        warm: whether each is run once before, and not counted.
    """
    if warm:
        base()
        own()
    found: list[tuple[float, float]] = []
    for pair in range(pairs):
        if pair % 2:
            second, first = own(), base()
        else:
            first, second = base(), own()
        found.append((first, second))
    return Pairs(tuple(b for b, _ in found), tuple(o for _, o in found))


def timed(work: Callable[[], object], units: float = 1.0, least: float = 0.0) -> Timer:
    """Return a timer of some work, repeated until at least so many seconds have passed.

    Args:
        work: what to do.
        units: how many units of work that is.
        least: seconds; 0 for once.
    """

    def timer() -> float:
        began, calls = time.perf_counter(), 0
        while True:
            work()
            calls += 1
            took = time.perf_counter() - began
            if took >= least:
                return took / (calls * units)

    return timer


def timed_between(work: Callable[[int], object], few: int, many: int) -> Timer:
    """Return a timer of one unit of work that has a beginning and an end of its own.

    Seconds of `many` units less those of `few`, over the units between: what is done once per
    call, whatever it is, does not count.
    """

    def timer() -> float:
        for _ in range(_TRIES):
            short, long = timed(lambda: work(few))(), timed(lambda: work(many))()
            if long > short:
                return (long - short) / (many - few)
        raise RunError(
            f"{many} units of work took no longer than {few}, {_TRIES} times; "
            "this machine is too busy to measure anything."
        )

    return timer
