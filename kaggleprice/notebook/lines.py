"""Lines: what a call tells on stderr while it works, a plain line now and then."""

from __future__ import annotations

import sys
import time

from kaggleprice.progress import BYTES

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
