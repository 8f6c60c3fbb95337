"""Progress: one small protocol by which long computations report to a console or a notebook."""

from __future__ import annotations

import sys
import time
from typing import Protocol

BYTES = "bytes"

# What `--progress` takes.
FORMS: dict[str, str] = {
    "auto": "bars on a terminal, plain lines elsewhere",
    "plain": "a plain line now and then",
    "json": "one JSON object per line",
    "none": "no progress; notices and errors only",
}


class Progress(Protocol):
    """What the library calls; a console draws it, a notebook prints it, a test records it."""

    def notice(self, message: str) -> None:
        """Report something once."""

    def detail(self, message: str) -> None:
        """Report something once, to users of `--verbose` only."""

    def advance(
        self, stage: str, done: int, total: int | None, detail: str = "", unit: str = ""
    ) -> None:
        """Report how far a stage is; the next stage, or the end of the command, ends it.

        Args:
            stage: what is being done, in one word such as `training`.
            done: how many of its units are done.
            total: how many there are; None where that is unknown.
            detail: a few words on its state.
            unit: what is counted, in the plural; `BYTES` is shown as kB, MB, ....
        """


class Silent:
    """Reports nothing."""

    def notice(self, message: str) -> None:
        """Ignore it."""

    def detail(self, message: str) -> None:
        """Ignore it."""

    def advance(
        self, stage: str, done: int, total: int | None, detail: str = "", unit: str = ""
    ) -> None:
        """Ignore it."""


SILENT = Silent()

_SECONDS_BETWEEN_LINES = 5.0
# Monotonic: setting the computer's clock must not change a duration.
_clock = time.monotonic


class Lines(Silent):
    """Plain lines on stderr, which a notebook keeps below its cell."""

    def __init__(self) -> None:
        self._stage, self._began, self._last = "", 0.0, 0.0

    def notice(self, message: str) -> None:
        """Print it."""
        print(message, file=sys.stderr, flush=True)

    def advance(
        self, stage: str, done: int, total: int | None, detail: str = "", unit: str = ""
    ) -> None:
        """Print every few seconds how far a stage is; the arguments are those of `Progress`."""
        now = _clock()
        if stage != self._stage:
            self._stage, self._began, self._last = stage, now, now
        if now - self._last < _SECONDS_BETWEEN_LINES:
            return
        self._last = now
        counted = f" {unit}" if unit and unit != BYTES else ""
        share = f"{done}{counted}" if total is None else f"{done} of {total}{counted}"
        if unit == BYTES:
            share = f"{done / 1e6:.1f} MB" if not total else f"{100 * done / total:.0f} %"
        words = [f"{stage}: {share}", *([detail] if detail else [])]
        if total is not None and 0 < done < total:
            words.append(f"about {(now - self._began) / done * (total - done):.0f} s left")
        self.notice(", ".join(words))
