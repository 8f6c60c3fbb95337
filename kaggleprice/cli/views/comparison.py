"""Two runs side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_doc import Doc
from rich.console import Group
from rich.table import Table

from kaggleprice.cli import documents
from kaggleprice.cli.documents import COMMAND, Document
from kaggleprice.cli.views.cv import PairedDifference, paired_difference
from kaggleprice.cli.views.tables import make_table, texts
from kaggleprice.competitions.metrics import METRICS, Metric
from kaggleprice.reports.wording import score, signed
from kaggleprice.runs.comparison import Comparison, Difference
from kaggleprice.runs.describe import setting_text
from kaggleprice.runs.run import Run
from kaggleprice.settings.run import SETTINGS, flat_settings

# Nobody said which of the two would be better: half of 5 % on each side.
_TWO_SIDED = 0.975


@dataclass(frozen=True)
class ComparedRun:
    """A run."""

    run: documents.RunName
    path: documents.RunPath
    oof: Annotated[float, Doc("Its pooled score.")]


@dataclass(frozen=True)
class BothValues:
    """Its value in either run."""

    first: documents.Value
    second: documents.Value


@dataclass(frozen=True)
class ComparedFold:
    """A fold."""

    fold: Annotated[int, Doc("Its number, from 1.")]
    first: Annotated[float, Doc("First run's score.")]
    second: Annotated[float, Doc("Second run's.")]
    difference: Annotated[float, Doc("Second less first.")]


@dataclass(frozen=True, kw_only=True)
class RunsCompareDocument(Document):
    """Two runs side by side."""

    command: Annotated[Literal["runs compare"], COMMAND] = "runs compare"
    competition: documents.Competition
    metric: documents.MetricName
    runs: Annotated[list[ComparedRun], Doc("First and second.")]
    settings: Annotated[
        dict[str, BothValues],
        Doc("Settings that differ, and how the CSVs were read, such as `kind of COLUMN`."),
    ]
    versions: Annotated[dict[str, BothValues], Doc("Library versions that differ.")]
    same_data: Annotated[bool, Doc("Whether they were trained on the same CSV.")]
    same_folds: Annotated[bool, Doc("Whether the same rows train and validate in each fold.")]
    folds: Annotated[list[ComparedFold], Doc("Fold by fold; empty where the folds differ.")]
    by_fold: Annotated[
        PairedDifference | None,
        Doc("Of the means of folds; null where the folds differ, or there is but one."),
    ]
    by_row: Annotated[
        PairedDifference | None,
        Doc("Of pooled scores; null for fewer than 2 common rows."),
    ]
    unpaired_rows: Annotated[documents.Count, Doc("Rows of either run that are not in the other.")]


def compare_document(comparison: Comparison) -> RunsCompareDocument:
    """Describe two runs side by side."""
    sides = (comparison.first, comparison.second)
    settings = [{**flat_settings(side.settings), **_columns(side)} for side in sides]
    worse_by = comparison.first.metric.worse_by
    by_fold, by_row = comparison.by_fold, comparison.by_row
    return RunsCompareDocument(
        competition=comparison.first.competition,
        metric=comparison.first.metric.name,
        runs=[ComparedRun(side.name, str(side.path), side.oof) for side in sides],
        settings=_differing(*settings),
        versions=_differing(*(side.record.get("versions", {}) for side in sides)),
        same_data=comparison.same_data,
        same_folds=comparison.same_folds,
        folds=[ComparedFold(fold, a, b, worse_by(b, a)) for fold, a, b in comparison.fold_scores],
        by_fold=None if by_fold is None else paired_difference(by_fold),
        by_row=None if by_row is None else paired_difference(by_row),
        unpaired_rows=comparison.unpaired,
    )


def _differing(first: dict[str, Any], second: dict[str, Any]) -> dict[str, BothValues]:
    values = {name: BothValues(first.get(name), second.get(name)) for name in {**first, **second}}
    return {name: both for name, both in values.items() if both.first != both.second}


def compare_view(document: RunsCompareDocument, comparison: Comparison) -> Group:
    """Show two runs side by side: folds, paired differences, settings that differ."""
    first, second = comparison.first.name, comparison.second.name
    lines = []
    for what, paired in (
        ("mean of folds", comparison.by_fold),
        ("pooled score", comparison.by_row),
    ):
        if paired is not None:
            lines.append(_difference_line(what, paired, first, second))
    lines += _warnings(document, comparison)
    settings = [
        (name, _value_text(name, both.first), _value_text(name, both.second))
        for name, both in document.settings.items()
    ]
    return Group(
        _scores_table(document),
        *texts(*lines, "settings that differ:" if settings else "all settings are the same"),
        *([make_table(("setting", first, second), settings)] if settings else []),
        *texts(
            *(
                f"{name}: {both.first} in {first}, {both.second} in {second}"
                for name, both in document.versions.items()
            )
        ),
    )


def _columns(run: Run) -> dict[str, Any]:
    """Return how a run's CSVs were read, what is said of one column by itself."""
    found = dict(run.record["columns"])
    kinds, written = found.pop("kinds", {}), found.pop("csv", {})
    markers = found.pop("missing_values_of", {})
    return {
        **found,
        **{f"csv {name}": value for name, value in written.items()},
        **{f"kind of {column}": kind for column, kind in kinds.items()},
        **{f"missing values of {column}": own for column, own in markers.items()},
    }


def _value_text(name: str, value: Any) -> str:
    if name in SETTINGS:
        return setting_text(name, value)
    if isinstance(value, list):
        return "<".join(map(str, value))
    return "none" if value is None else str(value)


def _scores_table(document: RunsCompareDocument) -> Table:
    first, second = document.runs
    metric = METRICS[document.metric]
    columns = ("fold", first.run, second.run, "difference")
    rows = [(str(f.fold), *_three(metric, f.first, f.second)) for f in document.folds]
    table = make_table(columns, rows, columns)
    table.add_section()
    table.add_row(*texts("pooled", *_three(metric, first.oof, second.oof)), style="bold")
    return table


def _three(metric: Metric, first: float, second: float) -> tuple[str, str, str]:
    return score(first), score(second), signed(metric.worse_by(second, first))


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
        f", {score(paired.plain_error)} if folds shared no rows" if paired.unit == "fold" else ""
    )
    return (
        f"{what}: {signed(value)} ± {score(error)} (standard error{plain}; paired over "
        f"{paired.count} {paired.unit}s): {verdict}"
    )


def _warnings(document: RunsCompareDocument, comparison: Comparison) -> list[str]:
    found = []
    if not document.same_folds:
        found.append(
            "The folds differ: scores of folds are not paired, and the rows' difference holds "
            "the luck of the folds as well."
        )
    if not document.same_data:
        found.append("The training CSVs differ.")
    if document.unpaired_rows:
        found.append(f"{document.unpaired_rows} rows are not the same in both and were left out.")
    if document.by_row is None and comparison.first.metric.row_loss is not None:
        found.append("Too few rows are the same in both for a paired difference.")
    for side in (comparison.first, comparison.second):
        found += [f"{side.name}: {note}" for note in side.record.get("notes", [])]
    return found
