"""A report: where it is, and its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_doc import Doc
from rich.console import Group
from rich.table import Table

from kaggleprice.cli.documents import COMMAND
from kaggleprice.cli.views.cv import ScoredDocument, score_fields
from kaggleprice.cli.views.tables import make_table, texts
from kaggleprice.competitions.metrics import METRICS
from kaggleprice.evaluation.adversarial import Separation
from kaggleprice.reports.drift import Drift
from kaggleprice.reports.findings import LargeError
from kaggleprice.reports.importance import Importance
from kaggleprice.reports.making import Report
from kaggleprice.reports.out_of_fold import SHARE, Expected
from kaggleprice.reports.wording import score, signed

_SHOWN_COLUMNS, _SHOWN_ERRORS = 8, 3


@dataclass(frozen=True)
class BootstrapScore(Expected):
    """The score to expect on new rows, by the bootstrap."""

    share: Annotated[float, Doc("Share of draws between `low` and `high`.")] = SHARE


@dataclass(frozen=True, kw_only=True)
class ReportDocument(ScoredDocument):
    """The report of a run."""

    undefined = ("importance",)
    command: Annotated[Literal["report"], COMMAND] = "report"
    page: Annotated[Path, Doc("The HTML file in the run folder.")]
    output: Annotated[
        Path | None, Doc("The copy that `--output` asked for; null where it did not.")
    ]
    figures: Annotated[dict[str, Path], Doc("Figure to PNG file.")]
    expected: Annotated[BootstrapScore, Doc("The score to expect on new rows, by the bootstrap.")]
    importance: Annotated[Importance | None, Doc("Out of fold; null with `--no-importance`.")]
    largest_errors: Annotated[list[LargeError], Doc("Training rows that were predicted worst.")]
    drift: Annotated[
        list[Drift],
        Doc(
            "How far the two files are apart, furthest above chance first; none without a test "
            "file."
        ),
    ]
    separation: Annotated[
        Separation | None,
        Doc("How well trees tell training from test rows; null without a test file."),
    ]


def report_document(report: Report) -> ReportDocument:
    """Describe a report: its files, and every number of all columns."""
    findings = report.findings
    return ReportDocument(
        **score_fields(findings.run),
        page=report.page,
        output=report.output,
        figures=report.figures,
        expected=BootstrapScore(**vars(findings.expected)),
        importance=findings.importance,
        largest_errors=findings.errors,
        drift=findings.drift,
        separation=findings.separation,
    )


def report_view(document: ReportDocument, id_column: str) -> Group:
    """Show a report: the most important columns, the score to expect, the largest errors, where."""
    expected = document.expected
    shown: list[Any] = []
    if document.importance is not None:
        shown.append(_importance_table(document.importance))
        metric = METRICS[document.metric].help
        shown += texts(f"worse by: the {metric}, out of fold, when the column is permuted")
    new = "new" if document.separation is None else "test"
    errors = [
        f"{id_column} {error.id} ({error.residual:+.3f})"
        for error in document.largest_errors[:_SHOWN_ERRORS]
    ]
    first = next(iter(document.figures.values()))
    lines = [
        f"score to expect on {expected.rows:,} {new} rows: {score(expected.low)} to "
        f"{score(expected.high)} ({expected.share:.0%} of bootstrap draws around "
        f"{score(expected.score)})",
        f"largest errors: {', '.join(errors)}",
        *([] if document.separation is None else [_apart(document.separation, document.drift)]),
        *document.notes,
        f"{len(document.figures)} figures in {first.parent}",
        f"report of run {document.run}: {document.page}",
    ]
    if document.output is not None:
        lines.append(f"copy: {document.output}")
    return Group(*shown, *texts(*lines))


def _apart(separation: Separation, drifts: Sequence[Drift]) -> str:
    above = [drift.column for drift in drifts if drift.statistic > drift.by_chance]
    telling = f", first by {separation.columns[0]}" if separation.columns else ""
    return (
        f"columns that differ between training and test rows by more than chance: {len(above)} "
        f"of {len(drifts)}{f', first {above[0]}' if above else ''}; told apart with AUC "
        f"{separation.auc:.2f}{telling} (0.5 is chance)"
    )


def _importance_table(importance: Importance) -> Table:
    rows = [
        (
            column.column,
            "undefined" if isnan(column.increase) else signed(column.increase),
            "" if column.member_sd is None else score(column.member_sd),
        )
        for column in importance.columns[:_SHOWN_COLUMNS]
    ]
    right = ("worse by", "sd over members")
    return make_table(("column", *right), rows, right)
