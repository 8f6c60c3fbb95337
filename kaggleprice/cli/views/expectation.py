"""The score to expect of a run's submission."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kaggleprice.cli.views.tables import score_text
from kaggleprice.evaluation.scores import expected_error


def expected_document(record: Mapping[str, Any]) -> dict[str, Any]:
    """Describe the score to expect on the test rows, and how far it may be off."""
    data = record["data"]
    rows, test_rows = data["train"]["rows"], data["test"]["rows"]
    scores = record["scores"]
    # Runs of earlier versions have no standard error.
    own = scores.get("oof_error")
    error = None if own is None else expected_error(own, rows, test_rows)
    return {"score": scores["oof"], "error": error, "rows": test_rows}


def expected_text(record: Mapping[str, Any]) -> str:
    """Return the score to expect, such as `0.1184 ± 0.0086`."""
    expected = expected_document(record)
    return _with_error(expected["score"], expected["error"])


def pooled_text(scores: Mapping[str, Any]) -> str:
    """Return the pooled score, with its standard error: `0.1184 ± 0.0061 (standard error)`."""
    error = scores.get("oof_error")
    return _with_error(scores["oof"], error) + ("" if error is None else " (standard error)")


def _with_error(score: float, error: float | None) -> str:
    return score_text(score) + ("" if error is None else f" ± {score_text(error)}")
