"""A report: where it is, and its numbers."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from kaggleprice.cli.views.tables import document, make_table, path_text, score_text
from kaggleprice.competitions.metrics import METRICS
from kaggleprice.reports.importance import Importance
from kaggleprice.reports.making import Report
from kaggleprice.reports.out_of_fold import SHARE
from kaggleprice.reports.wording import signed

_SHOWN_COLUMNS, _SHOWN_ERRORS = 8, 3


def report_document(report: Report) -> dict[str, Any]:
    """Describe a report: its files, and every number of all columns."""
    findings = report.findings
    record = findings.run.record
    return document(
        "report",
        competition=record["competition"],
        run=findings.run.name,
        page=str(report.page),
        output=path_text(report.output),
        figures={name: str(path) for name, path in report.figures.items()},
        metric=record["metric"],
        scores=record["scores"],
        expected={**asdict(findings.expected), "share": SHARE},
        importance=None if findings.importance is None else _plain(findings.importance),
        largest_errors=[asdict(error) for error in findings.errors],
        drift=[asdict(drift) for drift in findings.drift],
        notes=record["notes"],
    )


def _plain(importance: Importance) -> dict[str, Any]:
    """Return importance as JSON has it, which knows no NaN."""
    described = asdict(importance)
    for column in described["columns"]:
        for name, value in column.items():
            if isinstance(value, float) and not math.isfinite(value):
                column[name] = None
    return described


def report_view(report: Report) -> Group:
    """Show a report: the most important columns, the score to expect, the largest errors, where."""
    findings = report.findings
    expected, record = findings.expected, findings.run.record
    shown: list[Table | Text] = []
    if findings.importance is not None:
        shown.append(_importance_table(findings.importance))
        metric = METRICS[record["metric"]].help
        shown.append(Text(f"increase: of the {metric}, out of fold, when the column is permuted"))
    above = [drift.column for drift in findings.drift if drift.excess > 0]
    more = f", first {above[0]}" if above else ""
    lines = [
        f"score to expect on {expected.rows:,} test rows: {score_text(expected.low)} to "
        f"{score_text(expected.high)} ({SHARE:.0%} of bootstrap draws around "
        f"{score_text(expected.score)})",
        "largest errors: "
        + ", ".join(
            f"{findings.competition.id_column} {error.id} ({error.residual:+.3f})"
            for error in findings.errors[:_SHOWN_ERRORS]
        ),
        f"columns that differ between training and test rows by more than chance: {len(above)} "
        f"of {len(findings.drift)}{more}",
        *record["notes"],
        f"{len(report.figures)} figures in {next(iter(report.figures.values())).parent}",
        f"report of run {findings.run.name}: {report.page}",
    ]
    if report.output is not None:
        lines.append(f"copy: {report.output}")
    return Group(*shown, *[Text(line) for line in lines])


def _importance_table(importance: Importance) -> Table:
    columns = ("increase", "sd over members")
    table = make_table("column", *columns, right=columns)
    for column in importance.columns[:_SHOWN_COLUMNS]:
        spread = "" if column.member_sd is None else score_text(column.member_sd)
        increase = signed(column.increase) if math.isfinite(column.increase) else "undefined"
        table.add_row(Text(column.column, overflow="fold"), increase, spread)
    return table
