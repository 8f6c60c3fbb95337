"""A report: where it is, and its numbers."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.table import Table

from kaggleprice.cli.documents import (
    BootstrapScore,
    ColumnDrift,
    ColumnImportance,
    Importances,
    LargestError,
    ReportDocument,
)
from kaggleprice.cli.views.tables import make_table, path_text, score_text, texts
from kaggleprice.competitions.metrics import METRICS
from kaggleprice.reports.making import Report
from kaggleprice.reports.out_of_fold import SHARE
from kaggleprice.reports.wording import signed

_SHOWN_COLUMNS, _SHOWN_ERRORS = 8, 3


def report_document(report: Report) -> ReportDocument:
    """Describe a report: its files, and every number of all columns."""
    findings = report.findings
    record = findings.run.record
    importance = None
    if findings.importance is not None:
        described = asdict(findings.importance)
        columns = [ColumnImportance(**_finite(column)) for column in described["columns"]]
        importance = Importances(**described | {"columns": columns})
    return ReportDocument(
        competition=record["competition"],
        run=findings.run.name,
        page=str(report.page),
        output=path_text(report.output),
        figures={name: str(path) for name, path in report.figures.items()},
        metric=record["metric"],
        scores=record["scores"],
        expected=BootstrapScore(**asdict(findings.expected), share=SHARE),
        importance=importance,
        largest_errors=[LargestError(**asdict(error)) for error in findings.errors],
        drift=[ColumnDrift(**asdict(drift)) for drift in findings.drift],
        notes=record["notes"],
    )


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """Return values as JSON has them, which knows no NaN."""
    wrong = {n: None for n, v in values.items() if isinstance(v, float) and not math.isfinite(v)}
    return {**values, **wrong}


def report_view(document: ReportDocument, id_column: str) -> Group:
    """Show a report: the most important columns, the score to expect, the largest errors, where."""
    expected = document.expected
    shown: list[Any] = []
    if document.importance is not None:
        shown.append(_importance_table(document.importance))
        metric = METRICS[document.metric].help
        shown += texts(f"increase: of the {metric}, out of fold, when the column is permuted")
    above = [drift.column for drift in document.drift if drift.statistic > drift.by_chance]
    errors = [
        f"{id_column} {error.id} ({error.residual:+.3f})"
        for error in document.largest_errors[:_SHOWN_ERRORS]
    ]
    first = next(iter(document.figures.values()))
    lines = [
        f"score to expect on {expected.rows:,} test rows: {score_text(expected.low)} to "
        f"{score_text(expected.high)} ({expected.share:.0%} of bootstrap draws around "
        f"{score_text(expected.score)})",
        f"largest errors: {', '.join(errors)}",
        f"columns that differ between training and test rows by more than chance: {len(above)} "
        f"of {len(document.drift)}{f', first {above[0]}' if above else ''}",
        *document.notes,
        f"{len(document.figures)} figures in {Path(first).parent}",
        f"report of run {document.run}: {document.page}",
    ]
    if document.output is not None:
        lines.append(f"copy: {document.output}")
    return Group(*shown, *texts(*lines))


def _importance_table(importance: Importances) -> Table:
    rows = [
        (
            column.column,
            "undefined" if column.increase is None else signed(column.increase),
            "" if column.member_sd is None else score_text(column.member_sd),
        )
        for column in importance.columns[:_SHOWN_COLUMNS]
    ]
    right = ("increase", "sd over members")
    return make_table(("column", *right), rows, right)
