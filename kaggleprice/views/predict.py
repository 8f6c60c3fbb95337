"""A submission."""

from __future__ import annotations

from typing import Any

from rich.console import Group
from rich.text import Text

from kaggleprice.metrics import METRICS
from kaggleprice.views.tables import document, make_table, score_text
from kaggleprice.workflow import Prediction


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
        notes=record["notes"],
    )


def predict_view(prediction: Prediction, lines: int = 5) -> Group:
    """Show a submission: first lines, range, and the score to expect."""
    record, frame = prediction.run.record, prediction.submission
    id_column, target = list(frame.columns)
    table = make_table(id_column, target, right=(id_column, target))
    for identity, value in frame.head(lines).itertuples(index=False):
        table.add_row(str(identity), f"{value:,.2f}")
    if len(frame) > lines:
        table.add_row("...", "...")
    values = frame[target]
    texts = [
        f"{len(frame)} rows written to {prediction.output}, {target} from {values.min():,.0f} "
        f"to {values.max():,.0f}, median {values.median():,.0f}",
        f"Score to expect: about {score_text(record['scores']['oof'])} "
        f"({METRICS[record['metric']].help}, pooled out-of-fold, run {prediction.run.name}). "
        f"That is the score of one fold's members; the submission averages all "
        f"{len(record['folds'])} folds' and is usually better.",
        *record["notes"],
    ]
    return Group(table, *[Text(text) for text in texts])
