"""How long work tells what it is doing: one small protocol, known to library and console."""

from __future__ import annotations

import sys
import time
from typing import Protocol

_SECONDS_BETWEEN_LINES = 5.0
# Between two moments of a program a clock that is set changes nothing.
_clock = time.monotonic


class Lines:
    """Progress as plain lines, which a notebook keeps below its cell."""

    def __init__(self) -> None:
        self._stage, self._began, self._last = "", 0.0, 0.0

    def notice(self, message: str) -> None:
        """Say one thing once."""
        print(message, file=sys.stderr, flush=True)

    def aside(self, message: str) -> None:
        """Keep it: a notebook has not asked for more."""

    def advance(
        self, stage: str, done: int, total: int | None, detail: str = "", unit: str = ""
    ) -> None:
        """Say every few seconds how far a stage is; arguments as in `Progress.advance`."""
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


BYTES = "bytes"

FORMS: dict[str, str] = {
    "auto": "bars on a terminal, plain lines elsewhere",
    "plain": "a plain line now and then",
    "json": "one JSON object per line",
    "none": "no progress; notices and errors only",
}


class Progress(Protocol):
    """What the library calls; a console draws it, a test records it."""

    def notice(self, message: str) -> None:
        """Say one thing once."""

    def aside(self, message: str) -> None:
        """Say one thing once, to those who asked for more (`--verbose`)."""

    def advance(
        self, stage: str, done: int, total: int | None, detail: str = "", unit: str = ""
    ) -> None:
        """Say how far a stage is; another stage, or the end, ends it.

        Args:
            stage: what is being done, in one word such as `training`.
            done: how many of its units are done.
            total: how many there are; None where nobody knows.
            detail: a few words on its state.
            unit: what is counted, in the plural; `BYTES` is shown as kB, MB, ....
        """


class Silent:
    """Says nothing."""

    def notice(self, message: str) -> None:
        """Ignore."""

    def aside(self, message: str) -> None:
        """Ignore."""

    def advance(
        self, stage: str, done: int, total: int | None, detail: str = "", unit: str = ""
    ) -> None:
        """Ignore."""


SILENT = Silent()
