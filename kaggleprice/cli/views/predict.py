"""A submission."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_doc import Doc
from rich.console import Group

from kaggleprice.api.workflow import Prediction
from kaggleprice.cli.documents import COMMAND, Positive
from kaggleprice.cli.views.cv import (
    EXPECTED,
    Expected,
    ScoredDocument,
    expected_score,
    score_fields,
)
from kaggleprice.cli.views.tables import make_table, step_lines, texts
from kaggleprice.competitions.metrics import METRICS
from kaggleprice.reports.wording import alike, score
from kaggleprice.runs.advice import Step


@dataclass(frozen=True)
class PredictedRange:
    """The predictions of one target, in its unit."""

    smallest: Annotated[float, Doc("Smallest prediction.")]
    median: Annotated[float, Doc("Median prediction.")]
    largest: Annotated[float, Doc("Largest prediction.")]


@dataclass(frozen=True, kw_only=True)
class PredictDocument(PredictedRange, ScoredDocument):
    """A submission."""

    command: Annotated[Literal["predict"], COMMAND] = "predict"
    submission: Annotated[str, Doc("The file that was written.")]
    rows: Annotated[Positive, Doc("Its rows, without the header.")]
    targets: Annotated[
        dict[str, PredictedRange],
        Doc("The same for each column of the submission; outside of it for the first."),
    ]
    trained: Annotated[bool, Doc("Whether the run was trained by this command.")]
    expected: Annotated[Expected, EXPECTED]


def predict_document(prediction: Prediction) -> PredictDocument:
    """Describe a submission."""
    ranges = {
        str(name): PredictedRange(*map(float, (values.min(), values.median(), values.max())))
        for name, values in prediction.submission.iloc[:, 1:].items()
    }
    return PredictDocument(
        **score_fields(prediction.run),
        submission=str(prediction.output),
        rows=len(prediction.submission),
        **vars(next(iter(ranges.values()))),
        targets=ranges,
        trained=prediction.trained is not None,
        expected=expected_score(prediction.run.record),
    )


def predict_view(
    document: PredictDocument,
    prediction: Prediction,
    lines: int = 5,
    steps: Sequence[Step] = (),
    page: str | None = None,
) -> Group:
    """Show a submission: first lines, range, the score to expect, what to do next.

    Args:
        document: what to show.
        prediction: whose first rows are shown.
        lines: how many of them.
        steps: commands to go on with.
        page: where the submission can be handed in; None where nobody knows.
    """
    record, frame = prediction.run.record, prediction.submission
    columns, ranges = list(map(str, frame.columns)), document.targets
    rows = [
        (str(row[0]), *(alike(v, r.median) for v, r in zip(row[1:], ranges.values(), strict=True)))
        for row in frame.head(lines).itertuples(index=False, name=None)
    ]
    expected = document.expected
    return Group(
        make_table(
            columns,
            [*rows, *[("...",) * len(columns)] * (document.rows > lines)],
            right=columns,
        ),
        *texts(
            f"{document.rows} rows written to {document.submission}, "
            + "; ".join(_range_text(name, found) for name, found in ranges.items()),
            f"Score to expect: {score(expected.score, expected.error)} "
            f"({METRICS[record['metric']].help}), or a little better: it is run {document.run}'s "
            "pooled out-of-fold score, of one fold's members each, and the submission averages "
            f"all {len(record['folds'])} folds'. ± is one standard error, if test rows are like "
            "training rows.",
            *document.notes,
            *([] if page is None else [f"Hand it in at {page}"]),
        ),
        *step_lines(steps),
    )


def _range_text(name: str, found: PredictedRange) -> str:
    low, high, median = (
        alike(value, found.median) for value in (found.smallest, found.largest, found.median)
    )
    return f"{name} from {low} to {high}, median {median}"
