"""A run that was trained again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_doc import Doc
from rich.console import Group

from kaggleprice.api.replay import Change, Replay, Verdict
from kaggleprice.cli import documents
from kaggleprice.cli.documents import COMMAND, Document, NotNegative
from kaggleprice.cli.views.tables import make_table, texts
from kaggleprice.reports.wording import score


@dataclass(frozen=True)
class ReplayedFile:
    """A file of the run."""

    name: Annotated[str, Doc("Relative to the run's folder.")]
    same: Annotated[bool, Doc("Whether it came out the same, byte for byte.")]


@dataclass(frozen=True, kw_only=True)
class ReplayDocument(Document):
    """A run that was trained again."""

    undefined = ("difference",)

    command: Annotated[Literal["replay"], COMMAND] = "replay"
    competition: documents.Competition
    run: documents.RunName
    path: documents.RunPath
    metric: documents.MetricName
    verdict: Annotated[
        Verdict,
        Doc("`equal` is within the tolerance; the exit code of `different` is 1."),
    ]
    difference: Annotated[
        NotNegative | None,
        Doc(
            "Root mean square of the differences between out-of-fold predictions, divided by that "
            "of their errors; null where other rows are predicted."
        ),
    ]
    tolerance: Annotated[NotNegative, Doc("The largest difference that is none.")]
    oof_then: Annotated[float, Doc("Pooled out-of-fold score of the run.")]
    oof_now: Annotated[float, Doc("That of the training just now.")]
    files: Annotated[list[ReplayedFile], Doc("All files of the run.")]
    changes: Annotated[
        list[Change], Doc("What is not as it was when the run was trained; empty: nothing.")
    ]


def replay_document(made: Replay) -> ReplayDocument:
    """Describe what came out."""
    run = made.run
    return ReplayDocument(
        competition=run.competition,
        run=run.name,
        path=str(run.path),
        metric=str(run.record["metric"]),
        verdict=made.verdict,
        difference=made.difference,
        tolerance=made.tolerance,
        oof_then=run.oof,
        oof_now=made.oof,
        files=[ReplayedFile(name, same) for name, same in made.files.items()],
        changes=list(made.changes),
    )


def replay_view(document: ReplayDocument) -> Group:
    """Say whether the same came out, and what did not."""
    others, count = [file.name for file in document.files if not file.same], len(document.files)
    if document.verdict == "identical":
        lines = [f"identical: all {count} files of run {document.run}, byte for byte"]
    else:
        share = document.difference
        far = "on other rows" if share is None else f"by {share:.2g} of its typical error"
        how = "within" if document.verdict == "equal" else "beyond"
        lines = [
            f"{document.verdict}: run {document.run} predicts otherwise {far}, {how} the "
            f"tolerance of {document.tolerance:g}",
            f"pooled score {score(document.oof_then)} then, {score(document.oof_now)} now",
            f"{len(others)} of {count} files are others: {', '.join(others)}",
        ]
    changes = [(change.what, change.then or "-", change.now or "-") for change in document.changes]
    table = [make_table(["changed since", "then", "now"], changes)] if changes else []
    return Group(*texts(*lines), *table)
