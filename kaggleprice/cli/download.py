"""`kaggleprice download`: fetch and check the CSVs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kaggleprice.cli import arguments
from kaggleprice.cli.help import DATA, option
from kaggleprice.cli.output import make_reporter, make_source, repeated, show, start

EXAMPLES = (
    "kaggleprice download",
    "kaggleprice download --from house-prices.zip",
)


def download(
    context: typer.Context,
    competition: arguments.CompetitionOption = None,
    data_dir: arguments.DataDirOption = Path("data"),
    from_path: Annotated[
        Path | None,
        option(
            DATA,
            "Take the files from this folder or zip, recognised by hash.",
            "--from",
            value="PATH",
            default="the competition's mirrors",
        ),
    ] = None,
    max_size: Annotated[
        int,
        typer.Option(
            "--max-size",
            metavar="GB",
            min=1,
            help="Refuse files that are larger than this, unpacked.",
            rich_help_panel=DATA,
        ),
    ] = 10,
    allow_http: Annotated[
        bool,
        typer.Option(
            "--allow-http",
            metavar="",
            help="Take files by plain http where no hash is recorded that would tell whether "
            "they were changed on the way.",
            rich_help_panel=DATA,
        ),
    ] = False,
    as_json: arguments.JsonOption = False,
    quiet: arguments.QuietOption = False,
) -> None:
    """Fetch a competition's CSVs, check their hashes, and keep them in the data folder."""
    start(quiet)
    from kaggleprice.api import workflow
    from kaggleprice.cli.views.download import DownloadDocument, download_view
    from kaggleprice.competitions.download import FetchSettings
    from kaggleprice.runs.advice import after_download

    source = make_source(competition, data_dir, no_verify=False)
    settings = FetchSettings(max_bytes=max_size * 10**9, allow_http=allow_http)
    with make_reporter(quiet) as reporter:
        downloads = workflow.download(source, from_path, reporter, settings)
    steps = [] if quiet else after_download(repeated(context))
    show(
        as_json,
        DownloadDocument(competition=source.competition.name, files=downloads),
        lambda document: download_view(document, steps),
    )
