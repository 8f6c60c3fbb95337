"""A submission at Kaggle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_doc import Doc
from rich.console import Group

from kaggleprice.api.kaggle import Outgoing
from kaggleprice.cli import documents
from kaggleprice.cli.documents import COMMAND, Document, Positive
from kaggleprice.cli.views.leaderboard import GAP, PUBLIC_SCORE, score_text
from kaggleprice.cli.views.tables import texts
from kaggleprice.competitions.metrics import METRICS
from kaggleprice.runs.leaderboard import Leaderboard, gap


@dataclass(frozen=True, kw_only=True)
class SubmitDocument(Document):
    """A submission at Kaggle."""

    command: Annotated[Literal["submit"], COMMAND] = "submit"
    competition: documents.Competition
    run: documents.RunName
    path: documents.RunPath
    kaggle: Annotated[str, Doc("Name of the competition at Kaggle.")]
    submission: Annotated[str, Doc("The file.")]
    rows: Annotated[Positive, Doc("Its rows, without the header.")]
    sent: Annotated[bool, Doc("Whether this command sent it.")]
    ref: Annotated[int | None, Doc("Number by which Kaggle knows it; null where it was not sent.")]
    status: Annotated[
        Literal["pending", "complete", "error"] | None,
        Doc("`pending` until its score is known; null where it was not sent."),
    ]
    metric: documents.MetricName
    oof: Annotated[float, Doc("Pooled out-of-fold score.")]
    leaderboard: Annotated[float | None, PUBLIC_SCORE]
    gap: Annotated[float | None, GAP]


def submit_document(outgoing: Outgoing, known: Leaderboard | None, *, sent: bool) -> SubmitDocument:
    """Describe a submission.

    Args:
        outgoing: what was, or was to be, sent.
        known: what Kaggle says of it; None where it was not sent.
        sent: whether it was sent just now.
    """
    run = outgoing.run
    found = None if known is None else known.public_score
    return SubmitDocument(
        competition=run.competition,
        run=run.name,
        path=str(run.path),
        kaggle=outgoing.slug,
        submission=str(outgoing.file),
        rows=outgoing.rows,
        sent=sent,
        ref=None if known is None else known.ref,
        status=None if known is None else known.status,
        metric=str(run.record["metric"]),
        oof=run.oof,
        leaderboard=found,
        gap=gap(run, found),
    )


def submit_view(document: SubmitDocument) -> Group:
    """Say what was sent, and how it scored."""
    if document.ref is None:
        return Group(*texts("nothing was sent"))
    page = f"https://www.kaggle.com/competitions/{document.kaggle}/submissions"
    when = "sent" if document.sent else "sent before, and not again,"
    lines = [f"{document.submission}: {when} as submission {document.ref}; see {page}"]
    if document.status == "pending":
        lines.append("not scored yet; the same command with --wait waits for it, and sends nothing")
    elif document.leaderboard is None:
        lines.append("scored; Kaggle tells no public score")
    else:
        help_text = METRICS[document.metric].help
        lines.append(f"{help_text}: {score_text(document.oof, document.leaderboard)}")
    return Group(*texts(*lines))
