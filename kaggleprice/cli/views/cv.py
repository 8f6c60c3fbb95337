"""A cross-validated run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table

from kaggleprice.cli.documents import (
    BaselineDifference,
    CvDocument,
    Earlier,
    Expected,
    GateResult,
    PairedDifference,
    RunsShowDocument,
)
from kaggleprice.cli.views.tables import make_table, score_text, step_lines, texts, threads_text
from kaggleprice.competitions.metrics import METRICS
from kaggleprice.evaluation.scores import expected_error
from kaggleprice.runs.advice import Step, difference_text
from kaggleprice.runs.comparison import Comparison, Difference
from kaggleprice.runs.gates import Gate
from kaggleprice.runs.run import Run

# Validation error this many times training error reads as much overfitting, or as none.
_OVERFITS, _CLOSE = 2.5, 1.1


def cv_document(
    run: Run, gates: Sequence[Gate] = (), earlier: Comparison | None = None
) -> CvDocument:
    """Describe a cross-validated run, the gates it was held against, the best run before it."""
    record = run.record
    return CvDocument(
        competition=record["competition"],
        run=run.name,
        path=str(run.path),
        metric=record["metric"],
        scores=record["scores"],
        expected=expected_score(record),
        folds=record["folds"],
        members=len(record["members"]),
        base_models=record["base_models"],
        seconds=record["timing"]["seconds"],
        device=record["device"],
        threads=record["threads"],
        groups=groups_of(record),
        notes=record["notes"],
        data=record["data"],
        folds_sha256=record["files"]["folds.csv"],
        earlier=_earlier(earlier),
        gates=[_gate_result(gate) for gate in gates],
    )


def expected_score(record: Mapping[str, Any]) -> Expected:
    """Describe the score to expect on the test rows, and how far it may be off."""
    rows, test_rows = (record["data"][role]["rows"] for role in ("train", "test"))
    # Runs of earlier versions have no standard error.
    own = record["scores"].get("oof_error")
    error = None if own is None else expected_error(own, rows, test_rows)
    return Expected(record["scores"]["oof"], error, test_rows)


def groups_of(record: Mapping[str, Any]) -> list[int]:
    """Return how many members were trained at once, group by group; runs of old do not say."""
    return list(record.get("groups") or [len(record["members"])])


def _earlier(comparison: Comparison | None) -> Earlier | None:
    if comparison is None or comparison.by_row is None:
        return None
    first, paired = comparison.first, comparison.by_row
    return Earlier(
        first.name, first.oof, paired.difference, paired.standard_error, comparison.same_folds
    )


def _gate_result(gate: Gate) -> GateResult:
    name: Any = gate.name
    comparison = None
    if gate.difference is not None:
        paired = paired_difference(gate.difference)
        compared: dict[str, Any] = {"baseline": gate.baseline, "tolerance": gate.tolerance}
        comparison = BaselineDifference(**compared, **vars(paired))
    return GateResult(name, gate.limit, gate.found, gate.passed, gate.reason, comparison)


def paired_difference(difference: Difference) -> PairedDifference:
    """Describe a paired difference."""
    return PairedDifference(**vars(difference), noise=difference.bound())


def cv_view(
    document: CvDocument,
    base_model_share: float = 0.0,
    earlier: Comparison | None = None,
    steps: Sequence[Step] = (),
) -> Group:
    """Show a cross-validated run: folds, scores, what they mean, where it is, what to do next.

    Args:
        document: what to show.
        base_model_share: the weight of its base models together, if it has any.
        earlier: how it does beside the best run before it.
        steps: commands to go on with.
    """
    scores, expected = document.scores, document.expected
    folds, error = len(document.folds), scores.get("oof_error")
    lines = [
        f"pooled out-of-fold {METRICS[document.metric].help}: {score_text(scores['oof'], error)}"
        + ("" if error is None else " (standard error)"),
        f"mean of folds: {score_text(scores['fold_mean'], scores['fold_sd'])} (standard deviation)",
        f"to expect on {expected.rows} test rows: {score_text(expected.score, expected.error)}, "
        "or a little less",
        *([difference_text(earlier)] if earlier is not None and earlier.by_row else []),
        fit_sentence(scores["train_mean"], scores["fold_mean"]),
        *[
            f"{line}; base models have {base_model_share:g} of the weight"
            for line in alone_lines(document)
        ],
        *document.notes,
        f"{document.members} members ({folds} folds x {document.members // folds}) trained "
        f"together in {trained_text(document)}",
        f"saved as run {document.run} in {document.path}",
        *gate_lines(document.gates),
    ]
    return Group(_folds_table(document), *texts(*lines), *step_lines(steps))


def gate_lines(gates: Sequence[GateResult]) -> list[str]:
    """Say of each gate whether it was passed."""
    return [
        f"gate {gate.name} {'passed' if gate.passed else 'MISSED'}: {gate.reason}" for gate in gates
    ]


def trained_text(document: CvDocument | RunsShowDocument) -> str:
    """Return how long training took and on what: `12.3 s on cpu (2 threads), in 2 groups of 8`."""
    groups = document.groups
    size = f"up to {max(groups)}" if len(set(groups)) > 1 else str(groups[0])
    together = f", in {len(groups)} groups of {size}" if len(groups) > 1 else ""
    where = f"{document.device} ({threads_text(document.threads)})"
    return f"{document.seconds:.1f} s on {where}{together}"


def alone_lines(document: CvDocument | RunsShowDocument) -> list[str]:
    """Say what the networks and each base model score alone; nothing without any."""
    alone = [
        f"{base_model['name']} {score_text(base_model['oof'])}"
        for base_model in document.base_models
    ]
    networks = f"networks {score_text(document.scores['networks_oof'])}"
    return [f"pooled score of each alone: {', '.join([networks, *alone])}"] if alone else []


def _folds_table(document: CvDocument) -> Table:
    scores = document.scores
    columns = ("fold", "train", "validation", "ratio")
    rows = [(str(f["fold"]), *_fit(f["train"], f["validation"])) for f in document.folds]
    table = make_table(columns, rows, columns)
    table.add_section()
    mean = _fit(scores["train_mean"], scores["fold_mean"])
    table.add_row(*texts("mean", *mean), style="bold")
    table.add_row(*texts("sd", "", score_text(scores["fold_sd"])))
    return table


def _fit(train: float, validation: float) -> tuple[str, str, str]:
    ratio = f"{validation / train:.2f}" if train > 0 else ""
    return score_text(train), score_text(validation), ratio


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
