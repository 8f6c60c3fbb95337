"""Numbers as a report writes them, and texts cut to the room there is.

The numbers may be absent (None gives an empty text) or not finite: a metric of logs is undefined
where a model predicts below 0.
"""

from __future__ import annotations

import math


def score(value: float | None, error: float | None = None) -> str:
    """Return a score, and its error to the same digit: `0.1184 ± 0.0058`, `4,400 ± 463`.

    It has four decimals, fewer from ten on so that four digits remain, and whole units from a
    thousand on; below a hundredth it has four digits that are not 0.
    """
    places = _places(value)
    shown = [_format(v, f",.{places}f", f",.{places}f") for v in (value, error)]
    return shown[0] if error is None else " ± ".join(shown)


def _places(value: float | None) -> int:
    size = abs(value or 0)
    if not math.isfinite(size) or 0.01 <= size < 10 or not size:
        return 4
    return max(0, 3 - math.floor(math.log10(size)))


def signed(value: float | None, digits: int = 4) -> str:
    """Return a difference with its sign."""
    return _format(value, f"+.{digits}f", "+,.0f")


def alike(value: float, typical: float) -> str:
    """Return an amount with as many decimals as give a typical one four digits."""
    places = 0 if not typical else min(12, max(0, 3 - math.floor(math.log10(abs(typical)))))
    return _format(value, f",.{places}f", f",.{places}f")


def amount(value: float) -> str:
    """Return an amount in the target's unit."""
    return _format(value, ",.4g", ",.0f")


def _format(value: float | None, small: str, large: str) -> str:
    if value is None:
        return ""
    if not math.isfinite(value):
        return "undefined"
    return format(value, small if abs(value) < 1000 else large)


def percent(share: float, digits: int = 1) -> str:
    """Return a share, 0 to 1, as per cent."""
    return f"{100 * share:.{digits}f} %"


def compact(value: float) -> str:
    """Return a round number for an axis: 50k, 1.5M. Years keep their four digits."""
    for size, unit, letter in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if abs(value) >= size:
            return f"{value / unit:g}{letter}"
    return f"{value:g}" if math.isclose(value, float(f"{value:g}")) else f"{value}"


def cell(value: float | str | None) -> str:
    """Return one value of the data's own table."""
    if value is None:
        return "missing"
    if isinstance(value, str):
        return value
    return f"{value:,.6g}" if value % 1 else f"{value:.0f}"


def short(text: str, most: int = 24) -> str:
    """Return a text cut to this many characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
