"""`kaggleprice submit`: send a run's submission to Kaggle, and note its public score."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kaggleprice.cli import arguments
from kaggleprice.cli.dataset import read_dataset
from kaggleprice.cli.help import RUN, option
from kaggleprice.cli.output import ask, make_reporter, show, start
from kaggleprice.core.errors import UsageError

EXAMPLES = (
    "kaggleprice submit -m first-try",
    "kaggleprice submit mlp-001 -m 30-networks --wait --yes",
)


def submit(
    *,
    context: typer.Context,
    run: arguments.RunArgument = None,
    message: Annotated[
        str,
        option(RUN, "What Kaggle is to show beside it.", "--message", "-m", value="TEXT"),
    ],
    wait: Annotated[
        bool,
        option(
            RUN,
            "Wait for the public score, and note it in the run. A file that was sent already is "
            "not sent again.",
            "--wait",
        ),
    ] = False,
    yes: Annotated[
        bool,
        option(RUN, "Send without asking; needed without a terminal.", "--yes", "-y"),
    ] = False,
    competition: arguments.CompetitionOption = None,
    data_dir: arguments.DataDirOption = Path("data"),
    no_verify: arguments.NoVerifyOption = False,
    runs_dir: arguments.RunsDirOption = Path("runs"),
) -> None:
    """Check a run's submission, send it to Kaggle, and note its score on the leaderboard.

    It is sent by Kaggle's own command, [bold]kaggle[/], with the credentials that this finds.
    """
    start()
    from kaggleprice.api import kaggle
    from kaggleprice.cli.views.submit import submit_document, submit_view

    source = read_dataset(context)
    kaggle.check_message(message)
    with make_reporter() as reporter:
        outgoing = kaggle.check_outgoing(source, runs_dir, run, reporter)
    before, known = outgoing.sent, None
    if before is not None or _agreed(kaggle.describe(outgoing, message), yes):
        with make_reporter() as reporter:
            known = kaggle.submit(outgoing, message, wait=wait, progress=reporter)
    sent = known is not None and before is None
    show(submit_document(outgoing, known, sent=sent), submit_view)


def _agreed(what: str, yes: bool) -> bool:
    """Show what would be sent, and ask.

    Raises:
        UsageError: where there is nobody to ask.
    """
    if yes:
        with make_reporter() as reporter:
            reporter.notice(what)
        return True
    answer = ask("Send it? [y/N] ", what)
    if answer is None:
        raise UsageError(f"{what}: there is no terminal to ask; give --yes.")
    return answer.lower() in ("y", "yes")
