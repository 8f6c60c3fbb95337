"""A submission."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from rich.console import Group
from rich.table import Table
from rich.text import Text

from kaggleprice.api.workflow import Prediction
from kaggleprice.cli.views.expectation import expected_document, expected_text
from kaggleprice.cli.views.tables import document, make_table, step_lines
from kaggleprice.competitions.metrics import METRICS
from kaggleprice.runs.advice import Step


def predict_document(prediction: Prediction) -> dict[str, Any]:
    """Describe a submission."""
    record = prediction.run.record
    values = prediction.submission.iloc[:, 1]
    return document(
        "predict",
        competition=record["competition"],
        run=prediction.run.name,
        submission=str(prediction.output),
        rows=len(prediction.submission),
        smallest=float(values.min()),
        median=float(values.median()),
        largest=float(values.max()),
        trained=prediction.trained is not None,
        scores=record["scores"],
        expected=expected_document(record),
        notes=record["notes"],
    )


def predict_view(
    prediction: Prediction, lines: int = 5, steps: Sequence[Step] = (), page: str | None = None
) -> Group:
    """Show a submission: first lines, range, the score to expect, what to do next.

    Args:
        prediction: what to show.
        lines: how many of the first rows.
        steps: commands to go on with.
        page: where the submission can be handed in; None where nobody knows.
    """
    record, frame = prediction.run.record, prediction.submission
    values = frame.iloc[:, 1]
    folds = len(record["folds"])
    texts = [
        f"{len(frame)} rows written to {prediction.output}, {frame.columns[1]} from "
        f"{values.min():,.0f} to {values.max():,.0f}, median {values.median():,.0f}",
        f"Score to expect: {expected_text(record)} ({METRICS[record['metric']].help}), or a little "
        f"less: it is run {prediction.run.name}'s pooled out-of-fold score, of one fold's members "
        f"each, and the submission averages all {folds} folds'. ± is one standard error, if test "
        "rows are like training rows.",
        *record["notes"],
        *([] if page is None else [f"Hand it in at {page}"]),
    ]
    return Group(_first_rows(frame, lines), *[Text(text) for text in texts], *step_lines(steps))


def _first_rows(frame: pd.DataFrame, lines: int) -> Table:
    id_column, target = list(frame.columns)
    table = make_table(id_column, target, right=(id_column, target))
    for identity, value in frame.head(lines).itertuples(index=False):
        table.add_row(str(identity), f"{value:,.2f}")
    if len(frame) > lines:
        table.add_row("...", "...")
    return table
