"""Figures: what a report shows, drawn from its findings.

Their titles, captions and texts for those who cannot see them stand in `page.html.j2`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import NDArray

from kaggleprice.competitions.metrics import METRICS
from kaggleprice.competitions.transforms import LOG, LOG1P, NONE, TargetTransform
from kaggleprice.reports.findings import Findings
from kaggleprice.reports.importance import ColumnImportance
from kaggleprice.reports.style import FIRST, INK, MUTED, SECOND, drawing
from kaggleprice.reports.wording import compact, short

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

NAMES = (
    "learning-curves",
    "predictions",
    "residuals",
    "residuals-by-column",
    "importance",
    "distributions",
)
# More points make a scatter plot a blot, and a page slow.
MOST_POINTS = 3000
MOST_CURVES = 20

_WIDTH = 8.0
_PANELS_ACROSS, _MOST_PANELS = 3, 9
_NAMED_POINTS = 5
_MOST_LEVELS, _JITTER = 7, 0.25
# A numeric column of no more distinct values has a median at each.
_FEW_VALUES = 15
# Ticks on an axis of logs, from few to many: multiples of the powers of ten.
_STEPS = ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7), (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9))
_ENOUGH_TICKS = 4
# The least distance of two ticks as a share of the axis: of a wide panel, and of a third of one.
_GAP, _SMALL_GAP = 0.1, 0.18


def draw(findings: Findings, columns: int) -> dict[str, Figure]:
    """Draw every figure that a run has something for; names as in `NAMES`, in their order.

    Args:
        findings: of the run.
        columns: how many to show, at most, where figures show columns.
    """
    with drawing():
        figures = {
            "learning-curves": _learning_curves(findings),
            "predictions": _predictions(findings),
            "residuals": _residuals(findings),
            "residuals-by-column": _residuals_by_column(findings, columns),
        }
        if findings.importance is not None:
            figures["importance"] = _importance(findings, findings.importance.columns, columns)
        figures["distributions"] = _distributions(findings)
        for figure in figures.values():
            # Arranged once, so that PNG and SVG have everything in the same places.
            figure.draw_without_rendering()
            figure.set_layout_engine("none")
    return figures


def _learning_curves(findings: Findings) -> Figure:
    history, overall = findings.history, findings.mean_curve
    means = history.groupby(["fold", "epoch"])[["train", "validation"]].mean()
    folds = sorted(history["fold"].unique())[:MOST_CURVES]
    figure, axes = _grid(len(folds), 2.5, across=5)
    ticks = _log_ticks(history[["train", "validation"]].to_numpy())
    for panel, fold in zip(axes, folds, strict=True):
        for _, member in history[history["fold"] == fold].groupby("member"):
            panel.plot(member["epoch"], member["validation"], color=FIRST, alpha=0.25, lw=0.6)
        lines = means.loc[fold]
        # A single epoch is a point, which no line shows.
        marker = "o" if len(lines) == 1 else ""
        panel.plot(overall.index, overall["validation"], color=MUTED, ls=":", marker=marker, ms=4)
        panel.plot(lines.index, lines["train"], color=SECOND, ls="--", marker=marker, ms=4)
        panel.plot(lines.index, lines["validation"], color=FIRST, marker=marker, ms=4)
        panel.set_title(f"fold {fold}")
        panel.set_yscale("log")
        panel.yaxis.set_minor_locator(NullLocator())
        panel.set_yticks(ticks, [compact(tick) for tick in ticks])
        _number_axis(panel.xaxis, 4, whole=True)
    figure.supxlabel("epoch")
    figure.supylabel(f"RMSE, {_scale(findings)} (log axis)")
    labels = ("fold, validation", "fold, training", "mean of all folds, validation")
    handles = axes[0].get_lines()[:-4:-1]
    figure.legend(handles, labels, loc="outside upper left", ncols=3)
    return figure


def _predictions(findings: Findings) -> Figure:
    rows = findings.rows
    true, predicted = rows.scaled
    figure = Figure(figsize=(_WIDTH * 0.7, _WIDTH * 0.7), layout="constrained")
    panel = figure.subplots()
    named = rows.largest(_NAMED_POINTS)
    chosen = choose_rows(len(rows), findings.run.settings.seed, named)
    panel.plot(true[chosen], predicted[chosen], "o", color=FIRST, alpha=0.4, ms=3.2)
    ends = np.array([min(true.min(), predicted.min()), max(true.max(), predicted.max())])
    panel.plot(ends, ends, color=INK, lw=1, ls="--")
    _name_points(panel, true[named], predicted[named], rows.ids[named])
    values = np.concatenate([rows.true, rows.predicted])
    for axis in (panel.xaxis, panel.yaxis):
        _value_axis(axis, values, findings.transform)
    margin = 0.03 * (ends[1] - ends[0])
    bounds = (ends[0] - margin, ends[1] + margin)
    panel.set(xlim=bounds, ylim=bounds, aspect="equal")
    panel.set_xlabel(_axis_label(findings, "true {}"))
    panel.set_ylabel(_axis_label(findings, "predicted {}, out of fold"))
    return figure


def _residuals(findings: Findings) -> Figure:
    rows = findings.rows
    _, predicted = rows.scaled
    figure = Figure(figsize=(_WIDTH, 3.4), layout="constrained")
    panel, side = figure.subplots(1, 2, sharey=True, width_ratios=[4, 1])
    named = rows.largest(_NAMED_POINTS)
    chosen = choose_rows(len(rows), findings.run.settings.seed, named)
    _scatter(panel, predicted[chosen], rows.residual[chosen])
    _group_medians(panel, predicted, rows.residual)
    _name_points(panel, predicted[named], rows.residual[named], rows.ids[named])
    _value_axis(panel.xaxis, rows.predicted, findings.transform)
    panel.set_xlabel(_axis_label(findings, "predicted {}, out of fold"))
    panel.set_ylabel(_residual_label(findings))
    bins: str | int = "auto" if len(rows) < 10**5 else 100
    side.hist(rows.residual, bins=bins, orientation="horizontal", color=FIRST, alpha=0.6)
    side.axhline(0, color=INK, lw=1, ls="--")
    side.set_xlabel("rows")
    _number_axis(side.xaxis, 3, whole=True)
    _number_axis(panel.yaxis)
    return figure


def _residuals_by_column(findings: Findings, columns: int) -> Figure:
    table, residual = findings.data.tables.train, findings.rows.residual
    numeric, seed = set(table.numeric_columns), findings.run.settings.seed
    names = findings.order[: min(columns, _MOST_PANELS)]
    figure, axes = _grid(len(names), 2.3)
    for panel, name in zip(axes, names, strict=True):
        column, title = table.features[name], short(name, 28)
        if name in numeric:
            logged = name in findings.logged
            _against_numbers(panel, column.to_numpy(np.float64), residual, logged, seed)
            empty = int(column.isna().sum())
            title += f" ({empty} missing)" if empty else ""
        else:
            _against_levels(panel, column, residual, seed)
        panel.set_title(title)
        _number_axis(panel.yaxis, 5)
    figure.supylabel(_residual_label(findings))
    return figure


def _importance(findings: Findings, found: Sequence[ColumnImportance], columns: int) -> Figure:
    shown = [c for c in found if np.isfinite(c.increase)][:columns]
    figure = Figure(figsize=(_WIDTH, 0.8 + 0.24 * len(shown)), layout="constrained")
    panel = figure.subplots()
    places = np.arange(len(shown))[::-1]
    bars = panel.errorbar(
        [c.member_mean for c in shown],
        places,
        xerr=[c.member_sd or 0.0 for c in shown],
        fmt="|",
        color=MUTED,
        elinewidth=1.2,
        markersize=7,
        markeredgewidth=1.2,
        label="mean ± sd of single members",
    )
    (dots,) = panel.plot([c.increase for c in shown], places, "o", color=FIRST, ms=6,
                         label="all members of a fold together, pooled")  # fmt: skip
    panel.axvline(0, color=INK, lw=1)
    panel.set_yticks(places, [short(c.column, 28) for c in shown], color=INK)
    panel.set_ylim(-0.7, len(shown) - 0.3)
    panel.grid(axis="y", visible=False)
    _number_axis(panel.xaxis)
    metric = METRICS[findings.competition.metric].help
    panel.set_xlabel(f"how much worse the {metric} is when the column is permuted")
    panel.legend(handles=[dots, bars], loc="lower right")
    return figure


def _distributions(findings: Findings) -> Figure:
    transform, out_of_fold, test = findings.transform, findings.rows.predicted, findings.predictions
    values = np.concatenate([out_of_fold, test])
    most_bins = min(60, max(10, int(np.sqrt(len(out_of_fold)))))
    bins = np.histogram_bin_edges(transform.forward(values), bins=most_bins)
    figure = Figure(figsize=(_WIDTH, 2.9), layout="constrained")
    panel = figure.subplots()
    for name, own, color, style in (
        ("training rows, out of fold", out_of_fold, FIRST, "-"),
        ("test rows", test, SECOND, "--"),
    ):
        shares = np.histogram(transform.forward(own), bins)[0] / len(own)
        label = f"{name} ({len(own):,})"
        panel.stairs(100 * shares, bins, color=color, ls=style, lw=1.6, label=label)
    _value_axis(panel.xaxis, values, transform)
    _number_axis(panel.yaxis, 4)
    panel.set_xlabel(_axis_label(findings, "predicted {}"))
    panel.set_ylabel("% of rows per bin")
    panel.legend(loc="upper right")
    return figure


def _scale(findings: Findings) -> str:
    return findings.scale(short(findings.competition.targets[0]))


def _residual_label(findings: Findings) -> str:
    scale = f", {_scale(findings)}" if findings.transform.logarithmic else ""
    return f"predicted - true{scale}"


def _axis_label(findings: Findings, words: str) -> str:
    """Put the target's name into words, and say where the axis shows logs."""
    log = " (log axis)" if findings.transform.logarithmic else ""
    return words.format(short(findings.competition.targets[0])) + log


def _grid(count: int, height: float, across: int = _PANELS_ACROSS) -> tuple[Figure, list[Axes]]:
    """Return a figure of `count` panels in lines, and the panels."""
    across = min(across, count)
    down = -(-count // across)
    figure = Figure(figsize=(_WIDTH, height * down + 0.4), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False, sharey=True)
    for empty in axes.flat[count:]:
        empty.remove()
    return figure, list(axes.flat[:count])


def choose_rows(count: int, seed: int, always: Sequence[int] | Rows = ()) -> Rows:
    """Return the rows that a scatter plot shows: all, or `MOST_POINTS` drawn at random.

    Args:
        count: number of rows.
        seed: of the choice.
        always: rows to show in any case.
    """
    if count <= MOST_POINTS:
        return np.arange(count)
    random = np.random.default_rng(np.random.SeedSequence((seed, 4)))
    drawn = random.choice(count, MOST_POINTS, replace=False)
    return np.union1d(drawn, np.asarray(always, dtype=np.int64))


def _scatter(panel: Axes, x: Floats, residual: Floats) -> None:
    """Draw residuals as points over a line at 0."""
    panel.axhline(0, color=INK, lw=1, ls="--")
    panel.plot(x, residual, "o", color=FIRST, alpha=0.35, ms=2.6)


def _name_points(panel: Axes, x: Floats, y: Floats, names: Iterable[object]) -> None:
    """Set points off and write names beside them, away from the panel's nearer edge."""
    panel.plot(x, y, "o", color=FIRST, ms=3.2)
    middle = (np.min(x) + np.max(x)) / 2 if len(x) else 0.0
    for left, top, name in zip(x, y, names, strict=True):
        offset, side = (-5, "right") if left > middle else (5, "left")
        panel.annotate(
            short(str(name), 12),
            (left, top),
            xytext=(offset, 0),
            textcoords="offset points",
            ha=side,
            va="center",
            fontsize=8,
        )


def _group_medians(panel: Axes, x: Floats, y: Floats) -> None:
    """Join the medians of up to ten equally large groups of points, neighbours in x."""
    # The median of a few points says more of chance than of the model.
    groups = max(1, min(10, len(x) // 10))
    edges = np.unique(np.quantile(x, np.linspace(0, 1, groups + 1)))
    group = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, max(len(edges) - 2, 0))
    medians = pd.DataFrame({"x": x, "y": y}).groupby(group).median()
    panel.plot(medians["x"], medians["y"], color=SECOND, lw=1.6, marker="o", ms=3.5)


def _against_numbers(
    panel: Axes, values: Floats, residual: Floats, logged: bool, seed: int
) -> None:
    """Draw residuals against a numeric column.

    Args:
        panel: where.
        values: shape (n,); NaN is missing and not shown.
        residual: shape (n,).
        logged: whether the networks get its logs. So does the axis, where all values are positive:
            beside a zero, an axis of logs has no room for anything else.
        seed: of the choice of points.
    """
    present = ~np.isnan(values)
    if not present.any():
        panel.text(0.5, 0.5, "no values", ha="center", transform=panel.transAxes)
        return
    values, residual = values[present], residual[present]
    transform = LOG1P if logged and bool((values > 0).all()) else NONE
    x = transform.forward(values)
    chosen = choose_rows(len(x), seed)
    _scatter(panel, x[chosen], residual[chosen])
    distinct = np.unique(x)
    if len(distinct) <= _FEW_VALUES:
        _mark_medians(panel, distinct, [residual[x == value] for value in distinct])
    else:
        _group_medians(panel, x, residual)
    _value_axis(panel.xaxis, values, transform, _SMALL_GAP)


def _against_levels(panel: Axes, column: pd.Series, residual: Floats, seed: int) -> None:
    """Draw residuals against a categorical column: the most frequent levels, the rest pooled."""
    texts = column.astype(object).where(column.notna(), "missing").astype(str)
    levels = [str(level) for level in texts.value_counts(sort=True).index]
    kept = levels if len(levels) <= _MOST_LEVELS else levels[: _MOST_LEVELS - 1]
    # Numbered, not named: a level of the data may be called "other", too.
    place = texts.map({level: number for number, level in enumerate(kept)}).fillna(len(kept))
    names = [short(level, 10) for level in kept] + ["other"] * (len(kept) < len(levels))
    numbers = place.to_numpy(np.float64)
    random = np.random.default_rng(np.random.SeedSequence((seed, 5)))
    x = numbers + random.uniform(-_JITTER, _JITTER, len(numbers))
    chosen = choose_rows(len(x), seed)
    _scatter(panel, x[chosen], residual[chosen])
    places = np.arange(len(names), dtype=np.float64)
    _mark_medians(panel, places, [residual[numbers == own] for own in places])
    long = sum(map(len, names)) > 24
    panel.set_xticks(
        places,
        names,
        rotation=40 if long else 0,
        ha="right" if long else "center",
        rotation_mode="anchor",
    )
    panel.grid(axis="x", visible=False)


def _mark_medians(panel: Axes, places: Floats, groups: Sequence[Floats]) -> None:
    """Mark each group's median by a short bar."""
    half = 0.36 * (float(np.min(np.diff(places))) if len(places) > 1 else 1.0)
    medians = [np.median(group) for group in groups]
    panel.hlines(medians, places - half, places + half, color=SECOND, lw=2.2)


def _number_axis(axis: Axis, most: int = 6, *, whole: bool = False) -> None:
    """Mark a few plain numbers, or only whole ones."""
    axis.set_major_locator(MaxNLocator(most, integer=whole, min_n_ticks=1))
    axis.set_major_formatter(FuncFormatter(lambda value, _: compact(value)))


def _value_axis(axis: Axis, values: Floats, transform: TargetTransform, gap: float = _GAP) -> None:
    """Mark round values on an axis that shows transformed ones; `values` are as they were."""
    ticks = value_ticks(float(np.min(values)), float(np.max(values)), transform, gap)
    axis.set_ticks(list(transform.forward(np.array(ticks))), [compact(tick) for tick in ticks])


def _log_ticks(values: Floats) -> list[float]:
    """Return round values for a log axis of these values, of which some may not be positive."""
    positive = values[np.isfinite(values) & (values > 0)]
    return value_ticks(positive.min(), positive.max(), LOG) if len(positive) else [1.0]


def value_ticks(
    low: float, high: float, transform: TargetTransform, gap: float = _GAP
) -> list[float]:
    """Return a few round values between two, to be marked on the transformed scale.

    Args:
        low: the smaller one.
        high: the larger one.
        transform: what the axis shows values by.
        gap: the least distance of two marks, as a share of the axis.
    """
    best: list[float] = []
    if transform.logarithmic and high > 0:
        ends = transform.forward(np.array([low, high]))
        # Nine decades below the largest value, all else is next to nothing.
        first = np.floor(np.log10(max(low, high * 1e-9)))
        decades = 10.0 ** np.arange(first, np.log10(high) + 1)
        for steps in _STEPS:
            values = [0.0, *(float(f"{step * d:g}") for d in decades for step in steps)]
            inside = [v for v in values if low <= v <= high and transform.accepts(np.array(v))]
            distances = np.diff(transform.forward(np.array(inside)))
            wide = distances.min(initial=np.inf) >= gap * (ends[1] - ends[0])
            if wide and len(inside) > len(best):
                best = inside
            if len(best) >= _ENOUGH_TICKS:
                break
    if len(best) > 1:
        return best
    even = MaxNLocator(5, integer=high - low >= 5)
    return [float(v) for v in even.tick_values(low, high) if low <= v <= high]
