"""Two runs side by side."""

from __future__ import annotations

from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from kaggleprice.cli.views.cv import difference_document
from kaggleprice.cli.views.tables import document, make_table, path_text, score_text
from kaggleprice.runs.comparison import Comparison, Difference
from kaggleprice.runs.describe import setting_text
from kaggleprice.settings.run import flat_settings

# Nobody said which of the two would be better: half of 5 % on each side.
_TWO_SIDED = 0.975


def compare_document(comparison: Comparison) -> dict[str, Any]:
    """Describe two runs side by side."""
    first, second = comparison.first, comparison.second
    return document(
        "runs compare",
        competition=first.competition,
        metric=first.metric.name,
        runs=[
            {"run": side.name, "path": path_text(side.path), "oof": side.oof}
            for side in (first, second)
        ],
        settings={name: {"first": a, "second": b} for name, a, b in different_settings(comparison)},
        versions={
            name: {"first": a, "second": b} for name, a, b in _different_versions(comparison)
        },
        same_data=comparison.same_data,
        same_folds=comparison.same_folds,
        folds=[
            {"fold": fold, "first": a, "second": b, "difference": first.metric.worse_by(b, a)}
            for fold, a, b in comparison.fold_scores
        ],
        by_fold=None if comparison.by_fold is None else difference_document(comparison.by_fold),
        by_row=None if comparison.by_row is None else difference_document(comparison.by_row),
        unpaired_rows=comparison.unpaired,
    )


def compare_view(comparison: Comparison) -> Group:
    """Show two runs side by side: folds, paired differences, settings that differ."""
    first, second = comparison.first, comparison.second
    parts: list[Table | Text] = [_scores_table(comparison)]
    lines = []
    if comparison.by_fold is not None:
        lines.append(_difference_line("mean of folds", comparison.by_fold, first.name, second.name))
    if comparison.by_row is not None:
        lines.append(_difference_line("pooled score", comparison.by_row, first.name, second.name))
    parts += [Text(line) for line in [*lines, *_warnings(comparison)]]
    settings = different_settings(comparison)
    parts.append(Text("settings that differ:" if settings else "all settings are the same"))
    if settings:
        table = make_table("setting", first.name, second.name)
        for name, a, b in settings:
            table.add_row(name, Text(setting_text(name, a)), Text(setting_text(name, b)))
        parts.append(table)
    parts += [
        Text(f"{name}: {a} in {first.name}, {b} in {second.name}")
        for name, a, b in _different_versions(comparison)
    ]
    return Group(*parts)


def _scores_table(comparison: Comparison) -> Table:
    first, second = comparison.first, comparison.second
    columns = (first.name, second.name, "difference")
    table = make_table("fold", *columns, right=("fold", *columns))
    for fold, a, b in comparison.fold_scores:
        table.add_row(str(fold), score_text(a), score_text(b), _signed(first.metric.worse_by(b, a)))
    table.add_section()
    table.add_row(
        "pooled",
        score_text(first.oof),
        score_text(second.oof),
        _signed(first.metric.worse_by(second.oof, first.oof)),
        style="bold",
    )
    return table


def _signed(value: float) -> str:
    return f"{value:+.4f}" if abs(value) < 1000 else f"{value:+,.0f}"


def _difference_line(what: str, paired: Difference, first: str, second: str) -> str:
    """Say how far two scores lie apart, and whether noise alone gives as much."""
    value, error = paired.difference, paired.standard_error
    beyond = abs(value) > paired.bound(_TWO_SIDED)
    verdict = (
        f"{second if value < 0 else first} is better, by more than noise"
        if beyond
        else "no more than noise"
    )
    plain = (
        f", {score_text(paired.plain_error)} if folds shared no rows"
        if paired.unit == "fold"
        else ""
    )
    return (
        f"{what}: {_signed(value)} ± {score_text(error)} (standard error{plain}; paired over "
        f"{paired.count} {paired.unit}s): {verdict}"
    )


def _warnings(comparison: Comparison) -> list[str]:
    found = []
    if not comparison.same_folds:
        found.append(
            "The folds differ: scores of folds are not paired, and the rows' difference holds "
            "the luck of the folds as well."
        )
    if not comparison.same_data:
        found.append("The training CSVs differ.")
    if comparison.unpaired:
        found.append(f"{comparison.unpaired} rows are not the same in both and were left out.")
    if comparison.by_row is None and comparison.first.metric.row_loss is not None:
        found.append("Too few rows are the same in both for a paired difference.")
    for side in (comparison.first, comparison.second):
        found += [f"{side.name}: {note}" for note in side.record.get("notes", [])]
    return found


def different_settings(comparison: Comparison) -> list[tuple[str, Any, Any]]:
    """Return (name, first's, second's) of each setting that differs."""
    flat = [flat_settings(side.settings) for side in (comparison.first, comparison.second)]
    return [
        (name, flat[0][name], flat[1][name]) for name in flat[0] if flat[0][name] != flat[1][name]
    ]


def _different_versions(comparison: Comparison) -> list[tuple[str, str | None, str | None]]:
    a, b = (side.record.get("versions", {}) for side in (comparison.first, comparison.second))
    return [(name, a.get(name), b.get(name)) for name in {**a, **b} if a.get(name) != b.get(name)]
