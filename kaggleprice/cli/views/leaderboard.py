"""The public leaderboard's score of a run, beside its own."""

from __future__ import annotations

from annotated_doc import Doc

from kaggleprice.reports.wording import score, signed

PUBLIC_SCORE = Doc("Score on Kaggle's public leaderboard; null where none is known.")
GAP = Doc("The leaderboard's score less the pooled out-of-fold one; null where none is known.")


def score_text(oof: float, leaderboard: float) -> str:
    """Say out-of-fold and leaderboard score, and the gap between them."""
    return (
        f"{score(oof)} out of fold, {score(leaderboard)} on the public leaderboard, "
        f"gap {signed(leaderboard - oof)}"
    )
