"""A cross-validated run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_doc import Doc
from annotated_types import Len
from rich.console import Group
from rich.table import Table

from kaggleprice.cli import documents
from kaggleprice.cli.documents import COMMAND, Document
from kaggleprice.cli.views.tables import make_table, step_lines, texts, threads_text
from kaggleprice.competitions.metrics import METRICS, Metric
from kaggleprice.evaluation.intervals import Coverage
from kaggleprice.evaluation.scores import (
    BaseModelScore,
    FoldScore,
    PartScore,
    Scores,
    expected_error,
)
from kaggleprice.reports.wording import amount, percent, score
from kaggleprice.runs.advice import Step, difference_text
from kaggleprice.runs.comparison import Comparison, Difference
from kaggleprice.runs.gates import Gate
from kaggleprice.runs.record import Data
from kaggleprice.runs.run import Run

SCORES = Doc("The run's scores, by its metric.")
EXPECTED = Doc(
    "The score to expect of the submission: that of one fold's members, which is to be better by "
    "`gain`, since the submission averages all folds'."
)
# Validation error this many times training error reads as much overfitting, or as none.
_OVERFITS, _CLOSE = 2.5, 1.1


@dataclass(frozen=True)
class Expected:
    """The score to expect of a submission."""

    score: Annotated[float, Doc("The pooled out-of-fold score.")]
    error: Annotated[
        float | None,
        Doc(
            "Its standard error as a forecast for the test rows, if they are drawn as the "
            "training rows were: oof_error * sqrt(1 + training rows / test rows). Null in runs "
            "of earlier versions."
        ),
    ]
    rows: Annotated[documents.Positive, Doc("Number of test rows.")]
    gain: Annotated[
        documents.NotNegative | None,
        Doc(
            "By how much averaging all folds' members is expected to better it, by how far the "
            "folds' predictions of the test rows lie apart. Null where nobody knows: without test "
            "rows, of one fold, of folds forward in time, and of several runs."
        ),
    ]


@dataclass(frozen=True)
class Interval(Coverage):
    """What conformal intervals are worth, estimated by nested folds."""

    level: Annotated[float, Doc("The share of rows that they shall cover.")]
    covered: Annotated[
        float,
        Doc(
            "The share of out-of-fold rows that they did cover, by the rows' weights where they "
            "have such."
        ),
    ]
    rows: Annotated[documents.Positive, Doc("Number of these rows.")]
    width: Annotated[float, Doc("Their median width, in the target's unit.")]


INTERVAL = Doc("The intervals of --interval, by target; null where none were asked for.")


@dataclass(frozen=True)
class Earlier:
    """A run beside the best one before it."""

    run: Annotated[str, Doc("Name of that run.")]
    oof: Annotated[float, Doc("Its pooled score.")]
    difference: Annotated[float, Doc("This run's score less that one's: below 0 is better.")]
    standard_error: Annotated[documents.NotNegative, Doc("Of the difference, paired by row.")]


@dataclass(frozen=True, kw_only=True)
class PairedDifference(Difference):
    """A paired difference of two scores."""

    noise: Annotated[float, Doc("What chance alone stays below, one-sided, with 95 % confidence.")]


@dataclass(frozen=True, kw_only=True)
class BaselineDifference(PairedDifference):
    """How far a score and its baseline lie apart."""

    baseline: Annotated[str | None, Doc("What it was compared with.")]
    tolerance: Annotated[float | None, Doc("By how much it may be worse beyond noise.")]


@dataclass(frozen=True)
class GateResult:
    """A gate."""

    name: Annotated[str, Doc("Its name, `fail-above`, `fail-below` or `baseline`.")]
    limit: Annotated[float, Doc("The highest value that passes.")]
    found: Annotated[float, Doc("What was found.")]
    passed: Annotated[bool, Doc("Whether it passed.")]
    reason: Annotated[str, Doc("Why, in one sentence.")]
    comparison: Annotated[BaselineDifference | None, Doc("With the baseline; null for the others.")]


@dataclass(frozen=True, kw_only=True)
class ScoredDocument(Document):
    """What is said of a run wherever its score is."""

    command: Annotated[str, COMMAND]
    competition: documents.Competition
    run: documents.RunName
    metric: documents.MetricName
    scores: Annotated[Scores, SCORES]
    notes: documents.Notes


@dataclass(frozen=True, kw_only=True)
class RunDocument(ScoredDocument):
    """What is said of a finished run."""

    path: documents.RunPath
    folds: Annotated[list[FoldScore], Doc("One entry per fold.")]
    base_models: Annotated[
        list[BaseModelScore],
        Doc("Other models, averaged with the networks; empty where there are none."),
    ]
    parts: Annotated[
        list[PartScore],
        Doc("What each setting of the portfolio and each base model counts and adds."),
    ]
    seconds: documents.Seconds
    device: Annotated[str, Doc("Where: cpu, cuda, mps, or several such as cuda:0,cuda:1.")]
    threads: Annotated[documents.Positive, Doc("CPU threads.")]
    groups: Annotated[
        list[documents.Positive],
        Doc(
            "How many members were trained at once, group by group: one group on one device; more "
            "on several devices, or where memory ran out."
        ),
    ]
    groups_cut_at: Annotated[
        list[int | None],
        Doc("The epoch after which the time limit ended each group; null where it did not."),
    ]
    data: Annotated[Data, Doc("The data files that it was trained on.")]


@dataclass(frozen=True, kw_only=True)
class CvDocument(RunDocument):
    """A cross-validated run. Also written where a gate was missed; then the exit code is 6."""

    command: Annotated[Literal["cv"], COMMAND] = "cv"
    expected: Annotated[Expected, EXPECTED]
    members: Annotated[documents.Positive, Doc("Number of networks, in all folds.")]
    outside: documents.Outside
    interval: Annotated[dict[str, Interval] | None, INTERVAL]
    folds_sha256: Annotated[
        str,
        Len(64, 64),
        Doc("Of the run's folds: equal folds, equal hash."),
    ]
    earlier: Annotated[
        Earlier | None,
        Doc("The best run before it, of the same data, metric and folds; null for none."),
    ]
    gates: Annotated[
        list[GateResult],
        Doc("What the score was held against (`--fail-above`, `--fail-below`, `--baseline`)."),
    ]


def cv_document(
    run: Run,
    gates: Sequence[Gate] = (),
    earlier: Comparison | None = None,
    coverage: Mapping[str, Coverage] | None = None,
) -> CvDocument:
    """Describe a cross-validated run.

    Args:
        run: a finished one.
        gates: what it was held against.
        earlier: how it does beside the best run before it.
        coverage: what intervals are worth; None where none were asked for.
    """
    return CvDocument(
        **fields_of(run),
        expected=expected_score(run.record, run.record["scores"].get("averaging_gain")),
        members=len(run.record["members"]),
        outside=run.record.get("outside"),
        interval=interval_of(coverage),
        folds_sha256=str(run.folds_sha256),
        earlier=_earlier(earlier),
        gates=[_gate_result(gate) for gate in gates],
    )


def score_fields(run: Run) -> dict[str, Any]:
    """Return the fields of `ScoredDocument`."""
    same = {name: run.record[name] for name in ("competition", "metric", "notes")}
    return {**same, "run": run.name, "scores": scores_of(run)}


def fields_of(run: Run) -> dict[str, Any]:
    """Return the fields of `RunDocument`."""
    record = run.record
    # Runs of earlier versions do not say in what groups they were trained.
    groups = list(record.get("groups") or [len(record["members"])])
    return score_fields(run) | {
        "path": str(run.path),
        "data": record["data"],
        "device": record["device"],
        "threads": record["threads"],
        "folds": [FoldScore(**fold) for fold in record["folds"]],
        "base_models": [BaseModelScore(**model) for model in record["base_models"]],
        "parts": [PartScore(**part) for part in record.get("parts", [])],
        "seconds": record["timing"]["seconds"],
        "groups": groups,
        "groups_cut_at": record.get("groups_cut_at", [record.get("cut_at")] * len(groups)),
    }


def scores_of(run: Run) -> Scores:
    """Return the scores of a run; those of earlier versions have no standard error."""
    return Scores(**{"oof_error": None, **run.record["scores"]})


def expected_score(
    record: Mapping[str, Any], gain: float | None, test_rows: int | None = None
) -> Expected:
    """Describe the score to expect on the test rows, and how far it may be off.

    Args:
        record: of a run.
        gain: what averaging all folds' members is expected to better it by.
        test_rows: how many there are; None for the run's own test file.
    """
    rows = record["scores"].get("scored") or record["data"]["train"]["rows"]
    # Without a test file it is that of as many new rows.
    test_rows = test_rows or record["data"].get("test", record["data"]["train"])["rows"]
    own = record["scores"].get("oof_error")
    error = None if own is None else expected_error(own, rows, test_rows)
    return Expected(record["scores"]["oof"], error, test_rows, gain)


def gain_text(expected: Expected, folds: int) -> str:
    """Say what averaging all folds' members gains; nothing where nobody knows."""
    if expected.gain is None:
        return ""
    size = score(expected.score, expected.gain).partition(" ± ")[2]
    return f", and about {size} better since the submission averages all {folds} folds"


def interval_of(coverage: Mapping[str, Coverage] | None) -> dict[str, Interval] | None:
    """Describe what intervals are worth, by target."""
    if coverage is None:
        return None
    return {target: Interval(**vars(found)) for target, found in coverage.items()}


def interval_lines(intervals: Mapping[str, Interval] | None) -> list[str]:
    """Say what intervals are worth; nothing where there are none."""
    found = intervals or {}
    return [
        f"intervals of {interval.level:g}{f' for {target}' if len(found) > 1 else ''}: "
        f"{percent(interval.covered)} of {interval.rows:,} "
        f"out-of-fold rows lie inside (nested folds), median width {amount(interval.width)}"
        for target, interval in found.items()
    ]


def _earlier(comparison: Comparison | None) -> Earlier | None:
    if comparison is None or comparison.by_row is None:
        return None
    first, paired = comparison.first, comparison.by_row
    return Earlier(first.name, first.oof, paired.difference, paired.standard_error)


def _gate_result(gate: Gate) -> GateResult:
    comparison = None
    if gate.difference is not None:
        paired = vars(paired_difference(gate.difference))
        comparison = BaselineDifference(**paired, baseline=gate.baseline, tolerance=gate.tolerance)
    return GateResult(gate.name, gate.limit, gate.found, gate.passed, gate.reason, comparison)


def paired_difference(difference: Difference) -> PairedDifference:
    """Describe a paired difference."""
    return PairedDifference(**vars(difference), noise=difference.bound())


def cv_view(
    document: CvDocument,
    earlier: Comparison | None = None,
    steps: Sequence[Step] = (),
) -> Group:
    """Show a cross-validated run: folds, scores, what they mean, where it is, what to do next.

    Args:
        document: what to show.
        earlier: how it does beside the best run before it.
        steps: commands to go on with.
    """
    scores, expected = document.scores, document.expected
    error = scores.oof_error
    unseen = "test" if "test" in document.data else "new"
    found = [
        f"pooled out-of-fold {METRICS[document.metric].help}: {score(scores.oof, error)}"
        + ("" if error is None else " (standard error)"),
        *target_lines(scores),
        spread_line(scores),
        f"to expect on {expected.rows} {unseen} rows: {score(expected.score, expected.error)}"
        + gain_text(expected, len(document.folds)),
    ]
    rest = [
        *document.notes,
        *interval_lines(document.interval),
        *([difference_text(earlier)] if earlier is not None and earlier.by_row else []),
        fit_sentence(*map(METRICS[document.metric].error, (scores.train_mean, scores.fold_mean))),
        f"{document.members} member{'s' * (document.members > 1)} ({_members_text(document)}) "
        f"trained together in {trained_text(document)}",
        f"saved as run {document.run} in {document.path}",
        *gate_lines(document.gates),
    ]
    return Group(
        _folds_table(document),
        *texts(*found),
        *parts_table(document),
        *texts(*rest),
        *step_lines(steps),
    )


def _members_text(document: CvDocument) -> str:
    folds, targets = len(document.folds), len(document.scores.targets)
    of_targets = f" x {targets} targets" if targets else ""
    each, rest = divmod(document.members, folds * (targets or 1))
    if rest:
        # Folds differ in which settings count, and so in their networks.
        return f"over {folds} folds"
    return f"{folds} fold{'s' * (folds > 1)} x {each}{of_targets}"


def target_lines(scores: Scores) -> list[str]:
    """Say what each of several targets scores; nothing of one."""
    alone = ", ".join(f"{name} {score(found)}" for name, found in scores.targets.items())
    return [f"which is the mean of its targets: {alone}"] if alone else []


def spread_line(scores: Scores) -> str:
    """Return the mean of the folds' scores, with their deviation where there are several."""
    if scores.fold_sd is None:
        return f"one fold: {score(scores.fold_mean)}"
    return f"mean of folds: {score(scores.fold_mean, scores.fold_sd)} (standard deviation)"


def gate_lines(gates: Sequence[GateResult]) -> list[str]:
    """Say of each gate whether it was passed."""
    return [
        f"gate {gate.name} {'passed' if gate.passed else 'MISSED'}: {gate.reason}" for gate in gates
    ]


def trained_text(document: RunDocument) -> str:
    """Return how long training took and on what: `12.3 s on cpu (2 threads), in 2 groups of 8`."""
    groups = document.groups
    size = f"up to {max(groups)}" if len(set(groups)) > 1 else str(groups[0])
    together = f", in {len(groups)} groups of {size}" if len(groups) > 1 else ""
    where = f"{document.device} ({threads_text(document.threads)})"
    return f"{document.seconds:.1f} s on {where}{together}"


def parts_table(document: RunDocument) -> list[Table]:
    """Show what each part of the ensemble counts, scores and adds; nothing of a single one."""
    if not document.parts:
        return []
    whole = document.scores.oof
    rows = [
        (
            part.name,
            f"{part.weight:.2f}",
            score(part.oof),
            "" if part.oof_without is None else score(part.oof_without),
        )
        for part in document.parts
    ]
    columns = ("part", "weight", "alone", "all but it")
    table = make_table(columns, rows, columns[1:])
    table.add_section()
    table.add_row(*texts("all", "1.00", score(whole), ""), style="bold")
    return [table]


def _folds_table(document: CvDocument) -> Table:
    scores = document.scores
    metric = METRICS[document.metric]
    columns = ("fold", "train", "validation", "ratio")
    rows = [(str(f.fold), *_fit(metric, f.train, f.validation)) for f in document.folds]
    table = make_table(columns, rows, columns)
    table.add_section()
    mean = _fit(metric, scores.train_mean, scores.fold_mean)
    table.add_row(*texts("mean", *mean), style="bold")
    if scores.fold_sd is not None:
        table.add_row(*texts("sd", "", score(scores.fold_mean, scores.fold_sd).partition(" ± ")[2]))
    return table


def _fit(metric: Metric, train: float, validation: float) -> tuple[str, str, str]:
    errors = metric.error(train), metric.error(validation)
    ratio = f"{errors[1] / errors[0]:.2f}" if errors[0] > 0 else ""
    return score(train), score(validation), ratio


def fit_sentence(train: float, validation: float) -> str:
    """Say whether the networks over- or underfit, from mean training and validation errors."""
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
    return found + (
        "some overfitting; only another run tells whether more dropout or weight decay, or fewer "
        "epochs, would help."
    )
