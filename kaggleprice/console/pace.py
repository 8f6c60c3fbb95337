"""Pace: how long a stage will still take, and how amounts and times are put into words."""

from __future__ import annotations

import math

from rich.filesize import pick_unit_and_suffix

from kaggleprice.progress import BYTES

# Seconds after which an observed speed has lost most of its weight.
_MEMORY = 15.0
# No estimate from less than this many seconds: the first units are slower than the rest.
_SOONEST = 1.0


class Pace:
    """The speed of a stage, smoothed: an exponentially weighted mean of the observed speeds.

    A speed counts by how long it was observed, and the weights are corrected for having begun
    at nothing (as Adam corrects its moments), so that the first estimate is the first speed and
    not a part of it.
    """

    def __init__(self, now: float, done: int) -> None:
        self._began = self._seen = now
        self._done = done
        self._speed = self._weight = 0.0

    def observe(self, now: float, done: int) -> None:
        """Take note that `done` units are done at the time `now`, in seconds."""
        passed, more = now - self._seen, done - self._done
        if passed <= 0 or more <= 0:
            return
        kept = math.exp(-passed / _MEMORY)
        self._speed = kept * self._speed + (1 - kept) * more / passed
        self._weight = kept * self._weight + (1 - kept)
        self._seen, self._done = now, done

    def left(self, now: float, total: int | None) -> float | None:
        """Return the seconds until `total` units are done; None where nothing is known yet."""
        if total is None or self._weight == 0 or self._seen - self._began < _SOONEST:
            return None
        expected = (total - self._done) * self._weight / self._speed
        return max(expected - (now - self._seen), 0.0)


def duration_text(seconds: float) -> str:
    """Return a time to go by, such as `8 s`, `35 s`, `2 min 10 s`, `1 h 20 min`.

    It is as coarse as an estimate of it: steps of 1, 5, 10 seconds, then of minutes.
    """
    step = 1 if seconds < 10 else 5 if seconds < 60 else 10 if seconds < 300 else 60
    whole = round(seconds / step) * step
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    parts = [(hours, "h"), (minutes, "min"), (rest, "s")]
    words = [f"{count} {unit}" for count, unit in parts if count]
    return " ".join(words) or "0 s"


def amount_text(done: int, total: int | None, unit: str, between: str = " of ") -> str:
    """Return how much is done, such as `9 of 60 epochs` or `1.2 of 3.4 MB`; "" for nothing."""
    if total is None and not done:
        return ""
    counts = [done] if total is None else [done, total]
    if unit != BYTES:
        return f"{between.join(str(count) for count in counts)} {unit}".rstrip()
    size, suffix = pick_unit_and_suffix(counts[-1], ["bytes", "kB", "MB", "GB", "TB"], 1000)
    digits = 0 if size == 1 else 1
    return f"{between.join(f'{count / size:.{digits}f}' for count in counts)} {suffix}"
