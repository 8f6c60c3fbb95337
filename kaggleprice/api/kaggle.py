"""Submitting a run to Kaggle: check what goes there, send it, wait for the public score."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from kaggleprice.competitions import kaggle
from kaggleprice.competitions.catalog import Competition
from kaggleprice.competitions.data import DatasetRef, load
from kaggleprice.competitions.submission import check_submission
from kaggleprice.core.errors import AccessError, NetworkError, UsageError
from kaggleprice.core.files import sha256
from kaggleprice.core.progress import SILENT, Progress
from kaggleprice.reports.wording import score
from kaggleprice.runs.leaderboard import Leaderboard, read_leaderboard, write_leaderboard
from kaggleprice.runs.listing import find_run
from kaggleprice.runs.run import Run
from kaggleprice.runs.runtime import check_data, source_of

# Kaggle scores most submissions within seconds.
_FIRST_PAUSE, _LONGEST_PAUSE, _PATIENCE = 2.0, 30.0, 3600.0


@dataclass(frozen=True)
class Outgoing:
    """A run's submission, checked, and what is known of it.

    Attributes:
        run: whose.
        slug: the competition's name at Kaggle.
        file: the submission, in the run's folder.
        sha256: its hash.
        rows: its rows, without the header.
        sent: what Kaggle says of this very file; None where it was not sent, or was rejected.
    """

    run: Run
    slug: str
    file: Path
    sha256: str
    rows: int
    sent: Leaderboard | None


def slug_of(competition: Competition) -> str:
    """Return a competition's name at Kaggle.

    Raises:
        UsageError: where it has none.
    """
    if competition.kaggle is None:
        raise UsageError(
            f"nothing says which competition at Kaggle {competition.name} is; add its name in "
            'https://www.kaggle.com/competitions/NAME to its description, as `kaggle = "NAME"`.'
        )
    return competition.kaggle


def check_outgoing(
    source: DatasetRef, runs_dir: Path, name: str | None = None, progress: Progress = SILENT
) -> Outgoing:
    """Check the submission of a run against the test rows; nothing is sent.

    Args:
        source: the data that the run was trained on.
        runs_dir: the folder of all runs.
        name: of the run; None for the latest.
        progress: told what happens.

    Raises:
        UsageError: where the competition is not at Kaggle, or there is no submission yet.
        UnknownNameError: for a name that no run has.
        DataError: where the file is not what the competition takes, or the data changed.
    """
    competition = source.competition
    slug = slug_of(competition)
    run = find_run(runs_dir, competition.name, name)
    file = run.output("submission.csv")
    if not file.is_file():
        raise UsageError(
            f"run {run.name} has no submission yet; make it with `kaggleprice predict --run "
            f"{run.name}`."
        )
    source = source_of(run, source, progress)
    data = load(source, progress)
    check_data(run, source.competition, data)
    check_submission(file, competition, data.tables.test)
    digest, sent = sha256(file), read_leaderboard(run)
    same = sent is not None and sent.sha256 == digest and sent.status != "error"
    return Outgoing(run, slug, file, digest, len(data.tables.test), sent if same else None)


def check_message(message: str) -> None:
    """Check, before any work, that a message can be sent.

    Raises:
        UsageError: where it holds what is no character.
    """
    try:
        message.encode()
    except UnicodeEncodeError:
        raise UsageError(f"the message must be text in UTF-8, found {message!r}.") from None


def describe(outgoing: Outgoing, message: str) -> str:
    """Say in some words what would be sent."""
    run = outgoing.run
    return (
        f"to send: {outgoing.file}, {outgoing.rows} rows, pooled out-of-fold score "
        f"{score(run.oof)} ({run.metric.help}), to {outgoing.slug} at Kaggle, as {message!r}"
    )


def submit(
    outgoing: Outgoing, message: str, *, wait: bool = False, progress: Progress = SILENT
) -> Leaderboard:
    """Send a submission unless it was sent before, and note it in the run's folder.

    Args:
        outgoing: what to send.
        message: what Kaggle is to show beside it.
        wait: whether to wait for its public score, and note that as well.
        progress: told what happens.

    Raises:
        AccessError: as `kaggleprice.competitions.kaggle.send`; where Kaggle rejects the file, with
            its reason.
        NetworkError: where Kaggle cannot be reached, or has not scored it within an hour.
        OutputError: where it cannot be noted.
    """
    sent = outgoing.sent
    if sent is None:
        progress.advance("sending", 0, None, str(outgoing.file))
        ref = kaggle.send(outgoing.slug, outgoing.file, message)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        sent = Leaderboard(outgoing.slug, ref, message, outgoing.sha256, now)
        write_leaderboard(outgoing.run, sent)
        progress.notice(f"sent as submission {ref}")
    return _scored(outgoing.run, sent, progress) if wait and sent.status == "pending" else sent


def _scored(run: Run, sent: Leaderboard, progress: Progress) -> Leaderboard:
    """Wait until a submission is scored, and note its public score in the run's folder."""
    for pause in _pauses():
        progress.advance("scoring", 0, None, f"submission {sent.ref} at Kaggle")
        found = kaggle.look_up_submission(sent.kaggle, sent.ref)
        if found.status != "pending":
            break
        time.sleep(pause)
    else:
        raise NetworkError(
            f"Kaggle has not scored submission {sent.ref} within {_PATIENCE / 60:.0f} minutes; "
            "`kaggleprice submit --wait` goes on waiting, and sends nothing again."
        )
    scored = replace(sent, status=found.status, public_score=found.public_score)
    write_leaderboard(run, scored)
    if found.status == "error":
        reason = kaggle.why_rejected(sent.kaggle, sent.ref)
        said = f"it says {reason!r}" if reason else "it does not say why"
        raise AccessError(f"Kaggle rejects submission {sent.ref} of run {run.name}: {said}.")
    return scored


def _pauses() -> Iterator[float]:
    """Yield the seconds to wait before the next question, ever more, for as long as is waited."""
    pause, waited = _FIRST_PAUSE, 0.0
    while waited < _PATIENCE:
        yield pause
        waited += pause
        pause = min(2 * pause, _LONGEST_PAUSE)
