"""A submission."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_doc import Doc
from rich.console import Group

from kaggleprice.api.prediction import Prediction
from kaggleprice.cli import documents
from kaggleprice.cli.documents import COMMAND, Positive
from kaggleprice.cli.views.cv import (
    EXPECTED,
    INTERVAL,
    Expected,
    Interval,
    ScoredDocument,
    expected_score,
    gain_text,
    interval_lines,
    interval_of,
    score_fields,
)
from kaggleprice.cli.views.tables import make_table, step_lines, texts
from kaggleprice.competitions.metrics import METRICS
from kaggleprice.evaluation.scores import expected_error
from kaggleprice.reports.wording import alike, score
from kaggleprice.runs.advice import Step
from kaggleprice.runs.averaging import score_average


@dataclass(frozen=True)
class AveragedRun:
    """One of the runs whose predictions were averaged."""

    run: Annotated[str, Doc("Its name.")]
    weight: Annotated[float, Doc("What it counts; all weights sum to 1.")]
    oof: Annotated[float, Doc("Its own pooled out-of-fold score.")]


@dataclass(frozen=True)
class PredictedRange:
    """The predictions of one target, in its unit."""

    smallest: Annotated[float, Doc("Smallest prediction.")]
    median: Annotated[float, Doc("Median prediction.")]
    largest: Annotated[float, Doc("Largest prediction.")]


@dataclass(frozen=True, kw_only=True)
class PredictDocument(PredictedRange, ScoredDocument):
    """A submission. Of several runs, `run` and `scores` are those of the first."""

    command: Annotated[Literal["predict"], COMMAND] = "predict"
    submission: Annotated[str, Doc("The file that was written.")]
    rows: Annotated[Positive, Doc("Its rows, without the header.")]
    targets: Annotated[
        dict[str, PredictedRange],
        Doc("The same for each column of the submission; outside of it for the first."),
    ]
    outside: documents.Outside
    interval: Annotated[dict[str, Interval] | None, INTERVAL]
    intervals: Annotated[
        str | None, Doc("The file of the intervals: id, prediction, low, high; null likewise.")
    ]
    trained: Annotated[bool, Doc("Whether the run was trained by this command.")]
    expected: Annotated[Expected, EXPECTED]
    runs: Annotated[
        list[AveragedRun],
        Doc("Every run that predicted; `expected` is the score of their average, out of fold."),
    ]


def predict_document(prediction: Prediction) -> PredictDocument:
    """Describe a submission."""
    ranges = {
        str(name): PredictedRange(*map(float, (values.min(), values.median(), values.max())))
        for name, values in prediction.submission.iloc[:, 1:].items()
    }
    return PredictDocument(
        **{**score_fields(prediction.run), "notes": list(prediction.notes)},
        submission=str(prediction.output),
        rows=len(prediction.submission),
        **vars(next(iter(ranges.values()))),
        targets=ranges,
        outside=prediction.outside,
        interval=interval_of(prediction.coverage),
        intervals=None if prediction.intervals is None else str(prediction.intervals),
        trained=prediction.trained is not None,
        expected=_expected(prediction),
        runs=[AveragedRun(run.name, weight, run.oof) for run, weight in prediction.shares],
    )


def _expected(prediction: Prediction) -> Expected:
    """Return the score to expect: of the run, or of the average of runs."""
    rows = len(prediction.submission)
    expected = expected_score(prediction.run.record, prediction.gain, rows)
    if len(prediction.shares) == 1:
        return expected
    average = score_average([prediction.run, *prediction.beside], prediction.weights)
    if average is None:
        return expected
    error = average.oof_error
    if error is not None:
        error = expected_error(error, average.rows, expected.rows)
    return Expected(average.oof, error, expected.rows, None)


def _whose(document: PredictDocument) -> str:
    """Say of whose score the score to expect is."""
    if len(document.runs) == 1:
        return f"run {document.run}'s pooled out-of-fold score, of one fold's members each"
    named = ", ".join(
        f"{run.run} ({score(run.oof)}, weight {run.weight:.2g})" for run in document.runs
    )
    return f"the out-of-fold score of the average of runs {named}"


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
            f"({METRICS[record['metric']].help}), {_whose(document)}"
            f"{gain_text(expected, len(record['folds']))}. ± is one standard error, if test rows "
            "are like training rows.",
            *document.notes,
            *interval_lines(document.interval),
            *(
                []
                if document.intervals is None
                else [f"{document.rows} intervals written to {document.intervals}"]
            ),
            *([] if page is None else [f"Hand it in at {page}"]),
        ),
        *step_lines(steps),
    )


def _range_text(name: str, found: PredictedRange) -> str:
    low, high, median = (
        alike(value, found.median) for value in (found.smallest, found.largest, found.median)
    )
    return f"{name} from {low} to {high}, median {median}"
