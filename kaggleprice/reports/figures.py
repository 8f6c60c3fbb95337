"""Figures: what a report shows, drawn from its findings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kaggleprice.competitions.metrics import METRICS
from kaggleprice.reports import panels
from kaggleprice.reports.findings import Findings
from kaggleprice.reports.importance import ColumnImportance
from kaggleprice.reports.style import (
    FIRST,
    INK,
    MUTED,
    SECOND,
    drawing,
    number_axis,
    plain_legend,
    value_axis,
)
from kaggleprice.reports.wording import score, short, signed

Floats = NDArray[np.float64]

NAMES = (
    "learning-curves",
    "predictions",
    "residuals",
    "residuals-by-column",
    "importance",
    "distributions",
)

_WIDTH = 8.0
_PANELS_ACROSS = 3
_MOST_PANELS = 9
_MOST_CURVES = 20
_NAMED_POINTS = 5


@dataclass(frozen=True)
class Drawn:
    """One figure.

    Attributes:
        name: of its file and its place on the page.
        title: a heading.
        alt: what it shows, for those who do not see it.
        caption: how to read it.
        figure: the drawing.
    """

    name: str
    title: str
    alt: str
    caption: str
    figure: Figure


def draw(findings: Findings, columns: int) -> list[Drawn]:
    """Draw every figure that a run has something for.

    Args:
        findings: of the run.
        columns: how many to show, at most, where figures show columns.
    """
    with drawing():
        made = [
            _learning_curves(findings),
            _predictions(findings),
            _residuals_by_value(findings),
            _residuals_by_column(findings, columns),
            _importance(findings, columns),
            _distributions(findings),
        ]
        for drawn in made:
            if drawn is not None:
                # Laid out once, so that PNG and SVG have everything in the same places.
                drawn.figure.draw_without_rendering()
                drawn.figure.set_layout_engine("none")
    return [drawn for drawn in made if drawn is not None]


def _scale(findings: Findings) -> str:
    """Name the transformed scale, as an axis does."""
    words = {"log": "log of {}", "log1p": "log(1 + {})", "none": "{}"}
    target = short(findings.competition.target_column)
    return words[findings.competition.target_transform].format(target)


def _residual(findings: Findings) -> str:
    """Name the residual, as an axis does."""
    logarithmic = findings.transform.logarithmic
    return f"predicted - true, {_scale(findings)}" if logarithmic else "predicted - true"


def _grid(count: int, height: float, across: int = _PANELS_ACROSS) -> tuple[Figure, list[Axes]]:
    """Return a figure of `count` panels in lines, and the panels."""
    across = min(across, count)
    down = -(-count // across)
    figure = Figure(figsize=(_WIDTH, height * down + 0.4), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False, sharey=True)
    for spare in axes.flat[count:]:
        spare.remove()
    return figure, list(axes.flat[:count])


def _learning_curves(findings: Findings) -> Drawn:
    history = findings.history
    means = history.groupby(["fold", "epoch"])[["train", "validation"]].mean()
    overall = means.groupby("epoch").mean()
    folds = sorted(history["fold"].unique())
    shown = folds[:_MOST_CURVES]
    figure, axes = _grid(len(shown), 2.5, across=5 if len(shown) > 4 else len(shown))
    for panel, fold in zip(axes, shown, strict=True):
        members = history[history["fold"] == fold].groupby("member")
        for _, member in members:
            panel.plot(member["epoch"], member["validation"], color=FIRST, alpha=0.25, lw=0.6)
        lines = means.loc[fold]
        single = "o" if len(lines) == 1 else ""
        panel.plot(overall.index, overall["validation"], color=MUTED, ls=":", marker=single, ms=4)
        panel.plot(lines.index, lines["train"], color=SECOND, ls="--", marker=single, ms=4)
        panel.plot(lines.index, lines["validation"], color=FIRST, marker=single, ms=4)
        panel.set_title(f"fold {fold}")
        panel.set_yscale("log")
        panels.plain_log(panel.yaxis, history[["train", "validation"]].to_numpy())
        number_axis(panel.xaxis, 4, whole=True)
    figure.supxlabel("epoch", fontsize=9)
    figure.supylabel(f"RMSE, {_scale(findings)} (log axis)", fontsize=9)
    labels = ("mean of all folds, validation", "fold, training", "fold, validation")
    handles = axes[0].get_lines()[-3:]
    figure.legend(handles[::-1], labels[::-1], loc="outside upper left", ncols=3)
    first, last = overall.iloc[0], overall.iloc[-1]
    return Drawn(
        "learning-curves",
        "Learning curves",
        f"Learning curves of {len(folds)} folds. Mean validation RMSE goes from "
        f"{score(first['validation'])} in epoch {overall.index[0]} to "
        f"{score(last['validation'])} in epoch {overall.index[-1]}; mean training RMSE ends at "
        f"{score(last['train'])}.",
        "Each panel is a fold: the mean of its members on the rows they train on (dashed) and on "
        "the rows they never see (solid); hairlines are single members, the dotted line is the "
        f"mean of all folds. RMSE of the target as networks see it ({_scale(findings)}), each "
        "member by itself: the ensemble's score is lower."
        + (f" The first {_MOST_CURVES} folds of {len(folds)}." if len(folds) > len(shown) else ""),
        figure,
    )


def _predictions(findings: Findings) -> Drawn:
    rows, transform = findings.rows, findings.transform
    true, predicted = transform.forward(rows.true), transform.forward(rows.predicted)
    figure = Figure(figsize=(_WIDTH * 0.7, _WIDTH * 0.7), layout="constrained")
    panel = figure.subplots()
    named = rows.largest(_NAMED_POINTS)
    chosen, note = panels.choose(len(rows), findings.run.settings.seed, named)
    panel.plot(true[chosen], predicted[chosen], "o", color=FIRST, alpha=0.4, ms=3.2, mew=0)
    values = np.concatenate([rows.true, rows.predicted])
    ends = transform.forward(np.array([values.min(), values.max()]))
    panel.plot(ends, ends, color=INK, lw=1, ls="--")
    panels.name_points(panel, true[named], predicted[named], [str(i) for i in rows.ids[named]])
    for axis in (panel.xaxis, panel.yaxis):
        value_axis(axis, values, transform)
    margin = 0.03 * (ends[1] - ends[0])
    bounds = (ends[0] - margin, ends[1] + margin)
    panel.set(xlim=bounds, ylim=bounds, aspect="equal")
    target = short(findings.competition.target_column)
    log = " (log axis)" if transform.logarithmic else ""
    panel.set_xlabel(f"true {target}{log}")
    panel.set_ylabel(f"predicted {target}, out of fold{log}")
    likeness = np.corrcoef(true, predicted)[0, 1] if true.std() and predicted.std() else 0.0
    return Drawn(
        "predictions",
        "Predicted against true",
        f"Out-of-fold predictions of {len(rows):,} rows against the truth; correlation "
        f"{likeness:.3f} on the axes' scale. The largest errors are the rows with the ids "
        f"{', '.join(str(i) for i in rows.ids[named])}.",
        "Every training row, predicted by the members that did not train on it. On the dashed "
        f"line predictions are right; the {len(named)} largest errors carry their id.{note}",
        figure,
    )


def _residuals_by_value(findings: Findings) -> Drawn:
    rows, transform = findings.rows, findings.transform
    predicted = transform.forward(rows.predicted)
    figure = Figure(figsize=(_WIDTH, 3.4), layout="constrained")
    panel, side = figure.subplots(1, 2, sharey=True, width_ratios=[4, 1])
    named = rows.largest(_NAMED_POINTS)
    chosen, note = panels.choose(len(rows), findings.run.settings.seed, named)
    panels.scatter(panel, predicted[chosen], rows.residual[chosen])
    panels.middle_line(panel, predicted, rows.residual)
    panels.name_points(
        panel, predicted[named], rows.residual[named], [str(i) for i in rows.ids[named]]
    )
    value_axis(panel.xaxis, rows.predicted, transform)
    target = short(findings.competition.target_column)
    panel.set_xlabel(
        f"predicted {target}, out of fold" + (" (log axis)" if transform.logarithmic else "")
    )
    panel.set_ylabel(_residual(findings))
    side.hist(rows.residual, bins="auto" if len(rows) < 10**5 else 100, orientation="horizontal",
              color=FIRST, alpha=0.6)  # fmt: skip
    side.axhline(0, color=INK, lw=1, ls="--")
    side.set_xlabel("rows")
    number_axis(side.xaxis, 3, whole=True)
    number_axis(panel.yaxis)
    quarter = np.quantile(rows.residual, [0.25, 0.5, 0.75])
    return Drawn(
        "residuals",
        f"Residuals against {findings.competition.target_column}",
        f"Residuals against predicted values: half of them lie between {signed(quarter[0], 3)} and "
        f"{signed(quarter[2], 3)}, the median is {signed(quarter[1], 3)}.",
        "Above 0 the prediction is too high. The orange line joins the medians of up to ten "
        "equally large groups: where it leaves 0, predictions are off in one direction. The axis "
        "is the predicted value, since against the true one residuals slope downwards even where "
        f"nothing is wrong.{_percent_note(findings)}{note}",
        figure,
    )


def _percent_note(findings: Findings) -> str:
    logarithmic = findings.competition.target_transform == "log"
    return " A residual of 0.1 is 10.5 % too high." if logarithmic else ""


def _residuals_by_column(findings: Findings, columns: int) -> Drawn:
    table, rows = findings.data.tables.train, findings.rows
    numeric = set(table.numeric_columns)
    names = findings.order[: min(columns, _MOST_PANELS)]
    figure, axes = _grid(len(names), 2.3)
    seed = findings.run.settings.seed
    for panel, name in zip(axes, names, strict=True):
        if name in numeric:
            values = table.features[name].to_numpy(np.float64)
            panels.against_numbers(panel, values, rows.residual, name in findings.logged, seed)
        else:
            panels.against_levels(panel, table.features[name], rows.residual, seed)
        empty = int(table.features[name].isna().sum())
        left_out = f" ({empty} missing)" if empty and name in numeric else ""
        panel.set_title(short(name, 28) + left_out)
        number_axis(panel.yaxis, 5)
    figure.supylabel(_residual(findings), fontsize=9)
    _, note = panels.choose(len(rows), seed, np.array([], dtype=np.int64))
    how = "most important" if findings.importance else "most telling"
    return Drawn(
        "residuals-by-column",
        f"Residuals against the {how} columns",
        f"Residuals against {', '.join(names)}, one panel each.",
        "Orange: the median of each level, or of up to ten equally large groups of numbers. "
        "Levels with few rows are pooled as “other”. Positive columns of which the "
        f"networks get the log have a log axis.{note}",
        figure,
    )


def _importance(findings: Findings, columns: int) -> Drawn | None:
    importance = findings.importance
    if importance is None:
        return None
    shown = [c for c in importance.columns if np.isfinite(c.increase)][:columns]
    figure = Figure(figsize=(_WIDTH, 0.8 + 0.24 * len(shown)), layout="constrained")
    panel = figure.subplots()
    places = np.arange(len(shown))[::-1]
    for place, column in zip(places, shown, strict=True):
        if column.member_sd is not None:
            ends = _member_ends(column)
            panel.plot(ends, [place, place], color=MUTED, lw=1.2, solid_capstyle="butt")
        panel.plot(column.member_mean, place, "|", color=MUTED, ms=7, mew=1.2)
    panel.plot([c.increase for c in shown], places, "o", color=FIRST, ms=6, mew=0)
    panel.axvline(0, color=INK, lw=1)
    panel.set_yticks(places, [short(c.column, 28) for c in shown], color=INK)
    panel.set_ylim(-0.7, len(shown) - 0.3)
    panel.grid(axis="y", visible=False)
    number_axis(panel.xaxis)
    metric = METRICS[findings.competition.metric].help
    panel.set_xlabel(f"increase of the {metric} when the column is permuted")
    handles = panel.get_lines()
    dots, bar = handles[-2], handles[0]
    labels = ["all members of a fold together, pooled", "mean ± sd of single members"]
    plain_legend(panel, handles=[dots, bar], labels=labels, loc="lower right")
    best = ", ".join(f"{c.column} {signed(c.increase)}" for c in shown[:3])
    return Drawn(
        "importance",
        "Permutation importance",
        f"Permutation importance of the {len(shown)} most important columns; the first are {best}.",
        f"How much the {metric} on out-of-fold rows ({score(importance.baseline)}) grows when one "
        "column of the CSV is permuted among a fold's validation rows and everything made of it "
        f"is made anew (Breiman 2001), mean of {importance.repeats} "
        f"permutation{'s' * (importance.repeats != 1)} over {importance.rows:,} rows. Each row is "
        "predicted by its own fold's members only. The bar is the spread over members: the mean "
        "and one standard deviation to each side of every single member's own increase on its "
        "fold's rows; it holds differences between folds as well as between random starts. "
        "Columns that say the same cover for each other.",
        figure,
    )


def _member_ends(column: ColumnImportance) -> tuple[float, float]:
    spread = column.member_sd or 0.0
    return column.member_mean - spread, column.member_mean + spread


def _distributions(findings: Findings) -> Drawn:
    transform, rows = findings.transform, findings.rows
    parts: list[tuple[str, Floats, str, str]] = [
        (f"training rows, out of fold ({len(rows):,})", rows.predicted, FIRST, "-"),
        (f"test rows ({len(findings.predictions):,})", findings.predictions, SECOND, "--"),
    ]
    everything = np.concatenate([values for _, values, _, _ in parts])
    moved = transform.forward(everything)
    bins = np.histogram_bin_edges(moved, bins=min(60, max(10, int(np.sqrt(len(rows))))))
    figure = Figure(figsize=(_WIDTH, 2.9), layout="constrained")
    panel = figure.subplots()
    for label, values, color, style in parts:
        shares = np.histogram(transform.forward(values), bins)[0] / len(values)
        panel.stairs(100 * shares, bins, color=color, ls=style, lw=1.6, label=label)
    value_axis(panel.xaxis, everything, transform)
    number_axis(panel.yaxis, 4)
    target = short(findings.competition.target_column)
    log = " (log axis)" if transform.logarithmic else ""
    panel.set_xlabel(f"predicted {target}{log}")
    panel.set_ylabel("% of rows per bin")
    plain_legend(panel, loc="upper right")
    middles: Callable[[Floats], str] = lambda values: f"{np.median(values):,.6g}"  # noqa: E731
    return Drawn(
        "distributions",
        "Predictions of training and test rows",
        f"Distributions of predictions: median {middles(rows.predicted)} of training rows, "
        f"{middles(findings.predictions)} of test rows.",
        "Training rows are predicted by one fold's members, test rows by all. Where the two "
        "curves part, the files differ in what the networks look at, and the out-of-fold score "
        "says less of the test file.",
        figure,
    )
