"""`kaggleprice download`: fetch and check the CSVs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kaggleprice.cli.arguments import (
    CompetitionOption,
    DataDirOption,
    JsonOption,
    QuietOption,
)
from kaggleprice.cli.help import DATA, option
from kaggleprice.cli.output import make_reporter, make_source, repeated, show, start
from kaggleprice.competitions.catalog import DEFAULT_COMPETITION

EXAMPLES = (
    "kaggleprice download",
    "kaggleprice download --from house-prices.zip",
)


def download(
    context: typer.Context,
    competition: CompetitionOption = DEFAULT_COMPETITION,
    data_dir: DataDirOption = Path("data"),
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
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Fetch a competition's CSVs, check their hashes, and keep them in the data folder."""
    start(quiet)
    from kaggleprice.api import workflow
    from kaggleprice.cli.views.download import download_document, download_view
    from kaggleprice.runs.advice import after_download

    source = make_source(competition, data_dir, no_verify=False)
    with make_reporter(quiet) as reporter:
        downloads = workflow.download(source, from_path, reporter)
    steps = [] if quiet else after_download(repeated(context))
    show(
        as_json,
        lambda: download_document(source.competition, downloads),
        lambda: download_view(downloads, steps),
    )
