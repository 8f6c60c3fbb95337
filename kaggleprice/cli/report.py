"""`kaggleprice report`: a run looked at from all sides."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kaggleprice.cli import arguments
from kaggleprice.cli.dataset import read_dataset, read_runtime
from kaggleprice.cli.help import OUTPUT, option
from kaggleprice.cli.output import make_reporter, show, start
from kaggleprice.core.errors import UsageError
from kaggleprice.reports import DEFAULT_COLUMNS, DEFAULT_REPEATS

EXAMPLES = (
    "kaggleprice report",
    "kaggleprice report mlp-001 --permutations 10 -o mlp-001.html",
)
REPORT = "Report"


def report(
    context: typer.Context,
    run: arguments.RunArgument = None,
    competition: arguments.CompetitionOption = None,
    data_dir: arguments.DataDirOption = Path("data"),
    no_verify: arguments.NoVerifyOption = False,
    runs_dir: arguments.RunsDirOption = Path("runs"),
    device: arguments.DeviceOption = "auto",
    threads: arguments.ThreadsOption = None,
    engine: arguments.EngineOption = "here",
    address: arguments.AddressOption = None,
    permutations: Annotated[
        int | None,
        option(
            REPORT,
            "Permutations of each column for its importance.",
            "--permutations",
            value="N",
            default=str(DEFAULT_REPEATS),
            min=1,
        ),
    ] = None,
    no_importance: Annotated[
        bool,
        option(
            REPORT,
            "Leave out the columns' importance, which takes most of the time.",
            "--no-importance",
        ),
    ] = False,
    columns: Annotated[
        int,
        option(
            REPORT,
            "Columns shown, at most, where columns are listed.",
            "--columns",
            value="N",
            min=1,
        ),
    ] = DEFAULT_COLUMNS,
    target: Annotated[
        str | None,
        option(
            REPORT,
            "Which of several targets to report.",
            "--target",
            value="COLUMN",
            default="the first",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        option(
            OUTPUT,
            "A copy of the page, beside the run folder's report.html.",
            "--output",
            "-o",
            value="FILE.html",
            default="no copy",
        ),
    ] = None,
) -> None:
    """Show what a run got right and wrong: one HTML page, and its figures as PNGs.

    Both go to the run folder; the page needs no network and nothing beside it.
    """
    if no_importance and permutations is not None:
        raise UsageError(
            "--permutations has no effect with --no-importance; leave one of them out."
        )
    start()
    from kaggleprice.cli.views.report import report_document, report_view
    from kaggleprice.reports.making import make_report

    with make_reporter() as reporter:
        made = make_report(
            read_dataset(context),
            read_runtime(context),
            run,
            output=output,
            repeats=0 if no_importance else permutations or DEFAULT_REPEATS,
            columns=columns,
            target=target,
            progress=reporter,
        )
    id_column = made.findings.competition.id_name
    show(report_document(made), lambda document: report_view(document, id_column))
