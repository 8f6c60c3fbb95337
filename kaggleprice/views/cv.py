"""A cross-validated run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group
from rich.text import Text

from kaggleprice.metrics import METRICS
from kaggleprice.runs.reading import Run
from kaggleprice.views.tables import document, make_table, score_text, threads_text

# Validation error this many times training error reads as much overfitting, or as none.
_OVERFITS, _CLOSE = 2.5, 1.1


def cv_document(run: Run) -> dict[str, Any]:
    """Describe a cross-validated run."""
    record = run.record
    return document(
        "cv",
        competition=record["competition"],
        run=run.name,
        path=str(run.path),
        metric=record["metric"],
        scores=record["scores"],
        folds=record["folds"],
        members=len(record["members"]),
        partners=record["partners"],
        seconds=record["timing"]["seconds"],
        device=record["device"],
        threads=record["threads"],
        notes=record["notes"],
    )


def cv_view(run: Run) -> Group:
    """Show a cross-validated run: folds, mean, pooled score, one sentence, where it is."""
    record, scores = run.record, run.record["scores"]
    table = make_table("fold", "train", "validation", right=("fold", "train", "validation"))
    for fold in record["folds"]:
        table.add_row(str(fold["fold"]), score_text(fold["train"]), score_text(fold["validation"]))
    table.add_section()
    table.add_row(
        "mean", score_text(scores["train_mean"]), score_text(scores["fold_mean"]), style="bold"
    )
    table.add_row("sd", "", score_text(scores["fold_sd"]))
    folds, members = len(record["folds"]), len(record["members"])
    lines = [
        f"pooled out-of-fold {METRICS[record['metric']].help}: {score_text(scores['oof'])}",
        f"mean of folds: {score_text(scores['fold_mean'])} ± {score_text(scores['fold_sd'])}",
        fit_sentence(scores["train_mean"], scores["fold_mean"]),
        *_partner_lines(record),
        *record["notes"],
        f"{members} members ({folds} folds x {members // folds}) trained together in "
        f"{record['timing']['seconds']:.1f} s on {record['device']} "
        f"({threads_text(record['threads'])})",
        f"saved as run {run.name} in {run.path}",
    ]
    return Group(table, *[Text(line) for line in lines])


def _partner_lines(record: Mapping[str, Any]) -> list[str]:
    """Say what the networks and each partner score alone; nothing without partners."""
    if not record["partners"]:
        return []
    alone = [f"networks {score_text(record['scores']['networks_oof'])}"]
    alone += [f"{partner['name']} {score_text(partner['oof'])}" for partner in record["partners"]]
    share = record["settings"]["partner_share"]
    return [f"pooled score of each alone: {', '.join(alone)}; partners have {share:g} of the vote"]


def fit_sentence(train: float, validation: float) -> str:
    """Say whether the networks over- or underfit, from mean training and validation scores."""
    ratio = validation / train if train > 0 else float("inf")
    found = f"Validation error is {ratio:.2f} times training error: "
    if ratio > _OVERFITS:
        return found + (
            "the members know their training rows far better than new ones, they overfit; more "
            "dropout or weight decay, a smaller network or fewer epochs may help."
        )
    if ratio < _CLOSE:
        return found + (
            "no overfitting; if the score is poor, the members underfit, and more epochs, another "
            "learning rate or a larger network may help."
        )
    return found + "some overfitting, as is usual for networks that predict well."
