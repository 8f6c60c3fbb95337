"""A cross-validated run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from kaggleprice.cli.views.expectation import expected_document, expected_text, pooled_text
from kaggleprice.cli.views.tables import (
    document,
    groups_of,
    groups_text,
    make_table,
    score_text,
    step_lines,
    threads_text,
)
from kaggleprice.competitions.metrics import METRICS
from kaggleprice.runs.advice import Step, difference_text, earlier_document
from kaggleprice.runs.comparison import Comparison, Difference
from kaggleprice.runs.gates import Gate
from kaggleprice.runs.run import Run


def gate_documents(gates: Sequence[Gate]) -> list[dict[str, Any]]:
    """Describe each gate; `comparison` is null where nothing was compared."""
    return [
        {
            "name": gate.name,
            "limit": gate.limit,
            "found": gate.found,
            "passed": gate.passed,
            "reason": gate.reason,
            "comparison": None
            if gate.difference is None
            else {
                "baseline": gate.baseline,
                "tolerance": gate.tolerance,
                **difference_document(gate.difference),
            },
        }
        for gate in gates
    ]


def difference_document(difference: Difference) -> dict[str, Any]:
    """Describe a paired difference."""
    return {
        "unit": difference.unit,
        "count": difference.count,
        "difference": difference.difference,
        "standard_error": difference.standard_error,
        "plain_error": difference.plain_error,
        "noise": difference.bound(),
    }


def gate_lines(gates: Sequence[Gate]) -> list[str]:
    """Say of each gate whether it was passed."""
    return [
        f"gate {gate.name} {'passed' if gate.passed else 'MISSED'}: {gate.reason}" for gate in gates
    ]


# Validation error this many times training error reads as much overfitting, or as none.
_OVERFITS, _CLOSE = 2.5, 1.1


def cv_document(
    run: Run, gates: Sequence[Gate] = (), earlier: Comparison | None = None
) -> dict[str, Any]:
    """Describe a cross-validated run, the gates it was held against, the best run before it."""
    record = run.record
    return document(
        "cv",
        competition=record["competition"],
        run=run.name,
        path=str(run.path),
        metric=record["metric"],
        scores=record["scores"],
        expected=expected_document(record),
        folds=record["folds"],
        members=len(record["members"]),
        partners=record["partners"],
        seconds=record["timing"]["seconds"],
        device=record["device"],
        threads=record["threads"],
        groups=groups_of(record),
        notes=record["notes"],
        data=record["data"],
        folds_sha256=record["files"]["folds.csv"],
        earlier=earlier_document(earlier),
        gates=gate_documents(gates),
    )


def cv_view(
    run: Run,
    gates: Sequence[Gate] = (),
    earlier: Comparison | None = None,
    steps: Sequence[Step] = (),
) -> Group:
    """Show a cross-validated run: folds, scores, what they mean, where it is, what to do next."""
    record, scores = run.record, run.record["scores"]
    folds, members = len(record["folds"]), len(record["members"])
    lines = [
        f"pooled out-of-fold {METRICS[record['metric']].help}: {pooled_text(scores)}",
        f"mean of folds: {score_text(scores['fold_mean'])} ± {score_text(scores['fold_sd'])} "
        "(standard deviation)",
        f"to expect on {record['data']['test']['rows']} test rows: {expected_text(record)}, "
        "or a little less",
        *([difference_text(earlier)] if earlier is not None and earlier.by_row else []),
        fit_sentence(scores["train_mean"], scores["fold_mean"]),
        *_partner_lines(record),
        *record["notes"],
        f"{members} members ({folds} folds x {members // folds}) trained together in "
        f"{record['timing']['seconds']:.1f} s on {record['device']} "
        f"({threads_text(record['threads'])}){groups_text(record)}",
        f"saved as run {run.name} in {run.path}",
        *gate_lines(gates),
    ]
    return Group(_folds_table(record), *[Text(line) for line in lines], *step_lines(steps))


def _folds_table(record: Mapping[str, Any]) -> Table:
    scores = record["scores"]
    columns = ("fold", "train", "validation", "ratio")
    table = make_table(*columns, right=columns)
    for fold in record["folds"]:
        table.add_row(str(fold["fold"]), *_fit_cells(fold["train"], fold["validation"]))
    table.add_section()
    table.add_row("mean", *_fit_cells(scores["train_mean"], scores["fold_mean"]), style="bold")
    table.add_row("sd", "", score_text(scores["fold_sd"]))
    return table


def _fit_cells(train: float, validation: float) -> tuple[str, str, str]:
    ratio = f"{validation / train:.2f}" if train > 0 else ""
    return score_text(train), score_text(validation), ratio


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
