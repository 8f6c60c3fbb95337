"""Panels: what several figures draw, points and the middle of points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from kaggleprice.competitions.transforms import LOG, LOG1P, NONE
from kaggleprice.reports.style import FIRST, INK, SECOND, value_axis, value_ticks
from kaggleprice.reports.wording import compact, short

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

# A scatter plot of more points is a blot, and a page of them slow.
MOST_POINTS = 3000
_GROUPS, _LEAST_POINTS = 10, 10
_MOST_LEVELS = 7
_FEW_VALUES = 15
_JITTER = 0.25
# Between the ticks of a panel that shares a line with two others.
_SMALL_GAP = 0.18


def choose(count: int, seed: int, always: Rows) -> tuple[Rows, str]:
    """Return the rows that a scatter plot shows, and a sentence where these are not all.

    Args:
        count: number of rows.
        seed: of the choice.
        always: rows to show in any case.
    """
    if count <= MOST_POINTS:
        return np.arange(count), ""
    random = np.random.default_rng(np.random.SeedSequence((seed, 4)))
    drawn = random.choice(count, MOST_POINTS, replace=False)
    note = f" Of {count:,} rows {MOST_POINTS:,} are shown, drawn at random."
    return np.union1d(drawn, always), note


def scatter(panel: Axes, x: Floats, y: Floats) -> None:
    """Draw residuals as points over a line at 0."""
    panel.axhline(0, color=INK, lw=1, ls="--")
    panel.plot(x, y, "o", color=FIRST, alpha=0.35, ms=2.6, mew=0)


def name_points(panel: Axes, x: Floats, y: Floats, names: Sequence[str]) -> None:
    """Set points off and write names beside them, away from the panel's nearer edge."""
    panel.plot(x, y, "o", color=FIRST, ms=3.2, mew=0)
    middle = (np.min(x) + np.max(x)) / 2 if len(x) else 0.0
    for left, top, name in zip(x, y, names, strict=True):
        panel.annotate(
            short(name, 12),
            (left, top),
            xytext=(-5 if left > middle else 5, 0),
            textcoords="offset points",
            ha="right" if left > middle else "left",
            va="center",
            fontsize=8,
            color=INK,
        )


def middle_line(panel: Axes, x: Floats, y: Floats) -> None:
    """Join the medians of up to ten equally large groups of points."""
    # The median of a few points says more of chance than of the model.
    groups = max(1, min(_GROUPS, len(x) // _LEAST_POINTS))
    edges = np.unique(np.quantile(x, np.linspace(0, 1, groups + 1)))
    group = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, max(len(edges) - 2, 0))
    kept = [group == g for g in np.unique(group)]
    middles = [(np.median(x[own]), np.median(y[own])) for own in kept]
    panel.plot(*np.array(middles).T, color=SECOND, lw=1.6, marker="o", ms=3.5, mew=0)


def against_numbers(panel: Axes, values: Floats, residual: Floats, logged: bool, seed: int) -> None:
    """Draw residuals against a numeric column.

    Args:
        panel: where.
        values: shape (n,); NaN is missing and not shown.
        residual: shape (n,).
        logged: whether the networks get its logs: so does the axis, where there are no zeros.
        seed: of the choice of points.
    """
    known = ~np.isnan(values)
    if not known.any():
        panel.text(0.5, 0.5, "no values", ha="center", transform=panel.transAxes)
        return
    values, residual = values[known], residual[known]
    # Beside zeros, an axis of logs has no room for anything else.
    logged = logged and bool((values > 0).all())
    transform = LOG1P if logged else NONE
    x = transform.forward(values)
    chosen, _ = choose(len(x), seed, np.array([], dtype=np.int64))
    scatter(panel, x[chosen], residual[chosen])
    distinct = np.unique(x)
    if len(distinct) <= _FEW_VALUES:
        _medians(panel, distinct, [residual[x == value] for value in distinct])
    else:
        middle_line(panel, x, residual)
    value_axis(panel.xaxis, values, transform, _SMALL_GAP)


def against_levels(panel: Axes, column: pd.Series, residual: Floats, seed: int) -> None:
    """Draw residuals against a categorical column: the most frequent levels, the rest pooled."""
    texts = column.astype(object).where(column.notna(), "missing").astype(str)
    levels = [str(level) for level in texts.value_counts(sort=True).index]
    kept = levels if len(levels) <= _MOST_LEVELS else levels[: _MOST_LEVELS - 1]
    # A level of the data may be called "other", too: pooled rows have no name of their own.
    groups = [(short(level, 10), (texts == level).to_numpy()) for level in kept]
    if len(kept) < len(levels):
        groups.append(("other", ~texts.isin(kept).to_numpy()))
    place = np.zeros(len(texts))
    for number, (_, own) in enumerate(groups):
        place[own] = number
    random = np.random.default_rng(np.random.SeedSequence((seed, 5)))
    x = place + random.uniform(-_JITTER, _JITTER, len(place))
    chosen, _ = choose(len(x), seed, np.array([], dtype=np.int64))
    scatter(panel, x[chosen], residual[chosen])
    _medians(panel, np.arange(len(groups), dtype=np.float64), [residual[own] for _, own in groups])
    long = sum(len(name) for name, _ in groups) > 24
    panel.set_xticks(
        range(len(groups)),
        [name for name, _ in groups],
        rotation=40 if long else 0,
        ha="right" if long else "center",
        rotation_mode="anchor",
    )
    panel.grid(axis="x", visible=False)


def _medians(panel: Axes, places: Floats, groups: Sequence[Floats]) -> None:
    """Mark each group's median by a short bar."""
    gap = float(np.min(np.diff(places))) if len(places) > 1 else 1.0
    for place, group in zip(places, groups, strict=True):
        half = 0.36 * gap
        panel.plot([place - half, place + half], [np.median(group)] * 2, color=SECOND, lw=2.2)


def plain_log(axis: Axis, values: Floats) -> None:
    """Mark a log axis by plain numbers."""
    known = values[np.isfinite(values) & (values > 0)]
    ticks = value_ticks(float(known.min()), float(known.max()), LOG) if len(known) else [1.0]
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: compact(value)))
