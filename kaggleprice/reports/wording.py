"""Wording: numbers as a report writes them, and names cut to the room there is."""

from __future__ import annotations

import math


def score(value: float) -> str:
    """Return a score: four decimals, or whole thousands."""
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:,.0f}"


def amount(value: float) -> str:
    """Return an amount in the target's unit."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.4g}"


def share(value: float, digits: int = 1) -> str:
    """Return a part of one as per cent."""
    return f"{100 * value:.{digits}f} %"


def signed(value: float, digits: int = 4) -> str:
    """Return a difference with its sign."""
    return f"{value:+.{digits}f}" if abs(value) < 1000 else f"{value:+,.0f}"


def compact(value: float) -> str:
    """Return a round number for an axis: 50k, 1.5M; years keep their digits."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if letter == 'k' else size):g}{letter}"
    return f"{value:g}" if math.isclose(value, float(f"{value:g}")) else f"{value}"


def cell(value: float | str | None) -> str:
    """Return a value of a table's column."""
    if value is None:
        return "missing"
    return value if isinstance(value, str) else f"{value:,.6g}" if value % 1 else f"{value:.0f}"


def short(text: str, most: int = 24) -> str:
    """Return a text cut to this many characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def listed(names: list[str]) -> str:
    """Return names as a sentence has them."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
