"""`kaggleprice submit`: send a run's submission to Kaggle, and note its public score."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from kaggleprice.cli import arguments
from kaggleprice.cli.console.text import printable
from kaggleprice.cli.help import RUN, option
from kaggleprice.cli.output import make_reporter, make_source, show, start
from kaggleprice.core.errors import UsageError

EXAMPLES = (
    "kaggleprice submit -m first-try",
    "kaggleprice submit mlp-001 -m 30-networks --wait --yes",
)


def submit(
    *,
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
    as_json: arguments.JsonOption = False,
    quiet: arguments.QuietOption = False,
) -> None:
    """Check a run's submission, send it to Kaggle, and note its score on the leaderboard.

    It is sent by Kaggle's own command, [bold]kaggle[/], with the credentials that this finds.
    """
    start(quiet)
    from kaggleprice.api import kaggle
    from kaggleprice.cli.views.submit import submit_document, submit_view

    source = make_source(competition, data_dir, no_verify)
    kaggle.check_message(message)
    with make_reporter(quiet) as reporter:
        outgoing = kaggle.check_outgoing(source, runs_dir, run, reporter)
    before, known = outgoing.sent, None
    if before is not None or _agreed(kaggle.describe(outgoing, message), yes, quiet):
        with make_reporter(quiet) as reporter:
            known = kaggle.submit(outgoing, message, wait=wait, progress=reporter)
    sent = known is not None and before is None
    show(as_json, submit_document(outgoing, known, sent=sent), submit_view)


def _agreed(what: str, yes: bool, quiet: bool) -> bool:
    """Show what would be sent, and ask.

    Raises:
        UsageError: where there is nobody to ask.
    """
    if yes:
        with make_reporter(quiet) as reporter:
            reporter.notice(what)
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"{what}: there is no terminal to ask; give --yes.")
    typer.echo(printable(what), err=True)
    typer.echo("Send it? [y/N] ", nl=False, err=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
