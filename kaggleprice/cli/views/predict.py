"""A submission."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_doc import Doc
from rich.console import Group

from kaggleprice.api.workflow import Prediction
from kaggleprice.cli import documents
from kaggleprice.cli.documents import COMMAND, Positive
from kaggleprice.cli.views.cv import (
    EXPECTED,
    INTERVAL,
    Expected,
    Interval,
    ScoredDocument,
    expected_score,
    interval_lines,
    interval_of,
    score_fields,
)
from kaggleprice.cli.views.tables import make_table, step_lines, texts
from kaggleprice.competitions.metrics import METRICS
from kaggleprice.reports.wording import alike, score
from kaggleprice.runs.advice import Step


@dataclass(frozen=True, kw_only=True)
class PredictDocument(ScoredDocument):
    """A submission."""

    command: Annotated[Literal["predict"], COMMAND] = "predict"
    submission: Annotated[str, Doc("The file that was written.")]
    rows: Annotated[Positive, Doc("Its rows, without the header.")]
    smallest: Annotated[float, Doc("Smallest prediction, in the target's unit.")]
    median: Annotated[float, Doc("Median prediction.")]
    largest: Annotated[float, Doc("Largest prediction.")]
    outside: documents.Outside
    interval: Annotated[Interval | None, INTERVAL]
    intervals: Annotated[
        str | None, Doc("The file of the intervals: id, prediction, low, high; null likewise.")
    ]
    trained: Annotated[bool, Doc("Whether the run was trained by this command.")]
    expected: Annotated[Expected, EXPECTED]


def predict_document(prediction: Prediction) -> PredictDocument:
    """Describe a submission."""
    values = prediction.submission.iloc[:, 1]
    return PredictDocument(
        **score_fields(prediction.run),
        submission=str(prediction.output),
        rows=len(prediction.submission),
        smallest=float(values.min()),
        median=float(values.median()),
        largest=float(values.max()),
        outside=prediction.outside,
        interval=interval_of(prediction.coverage),
        intervals=None if prediction.intervals is None else str(prediction.intervals),
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
    identity, target = frame.columns
    rows = [
        (str(i), alike(value, document.median))
        for i, value in frame.head(lines).itertuples(index=False)
    ]
    low, high, median = (
        alike(value, document.median)
        for value in (document.smallest, document.largest, document.median)
    )
    expected = document.expected
    return Group(
        make_table(
            (identity, target),
            [*rows, *[("...", "...")] * (document.rows > lines)],
            right=(identity, target),
        ),
        *texts(
            f"{document.rows} rows written to {document.submission}, {target} from "
            f"{low} to {high}, median {median}",
            f"Score to expect: {score(expected.score, expected.error)} "
            f"({METRICS[record['metric']].help}), or a little better: it is run {document.run}'s "
            "pooled out-of-fold score, of one fold's members each, and the submission averages "
            f"all {len(record['folds'])} folds'. ± is one standard error, if test rows are like "
            "training rows.",
            *interval_lines(document.interval),
            *(
                []
                if document.intervals is None
                else [f"{document.rows} intervals written to {document.intervals}"]
            ),
            *document.notes,
            *([] if page is None else [f"Hand it in at {page}"]),
        ),
        *step_lines(steps),
    )
