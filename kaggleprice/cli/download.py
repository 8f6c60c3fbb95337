"""`kaggleprice download`: fetch and check the CSVs."""

from __future__ import annotations

import shlex
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kaggleprice.cli import arguments
from kaggleprice.cli import init as describing
from kaggleprice.cli.dataset import read_dataset, repeated
from kaggleprice.cli.help import DATA, OUTPUT, option
from kaggleprice.cli.output import make_reporter, output_options, show, start
from kaggleprice.core.errors import UnknownNameError, UsageError

EXAMPLES = (
    "kaggleprice download",
    "kaggleprice download --from house-prices.zip",
    "kaggleprice download --source kaggle -c bike-sharing-demand",
)
KAGGLE = "kaggle"

if TYPE_CHECKING:
    from kaggleprice.competitions.catalog import Competition
    from kaggleprice.core.progress import Progress


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
    origin: Annotated[
        str | None,
        option(
            DATA,
            "`kaggle` fetches them by Kaggle's own command, those of any competition by its name "
            "there, and describes it as `init` does.",
            "--source",
            value="kaggle",
            default="the competition's mirrors",
        ),
    ] = None,
    max_size: Annotated[
        int,
        option(
            DATA,
            "Refuse files that are larger than this, unpacked.",
            "--max-size",
            value="GB",
            min=1,
        ),
    ] = 10,
    allow_http: Annotated[
        bool,
        option(
            DATA,
            "Take files by plain http where no hash is recorded that would tell whether they were "
            "changed on the way.",
            "--allow-http",
        ),
    ] = False,
    yes: Annotated[
        bool,
        option(OUTPUT, "With --source kaggle: take every guess of `init`.", "--yes", "-y"),
    ] = False,
) -> None:
    """Fetch a competition's CSVs, check their hashes, and keep them in the data folder."""
    if origin not in (None, KAGGLE):
        raise UnknownNameError("source", str(origin), [KAGGLE])
    if origin is not None and from_path is not None:
        raise UsageError("--source and --from exclude each other; leave one away.")
    start()
    from kaggleprice.api import workflow
    from kaggleprice.cli.views.download import DownloadDocument, download_view
    from kaggleprice.competitions.download import FetchSettings
    from kaggleprice.runs.advice import after_download

    try:
        source = read_dataset(context)
    except UnknownNameError:
        if origin is None or competition is None:
            raise
        _download_any(competition, data_dir, yes)
        return
    if competition is None and from_path is not None:
        _refuse_other_files(source.competition, from_path)
    settings = FetchSettings(max_bytes=max_size * 10**9, allow_http=allow_http)
    with make_reporter() as reporter, ExitStack() as stack:
        if origin is not None:
            from_path = _fetch_archive(source.competition, data_dir, stack, reporter)
        downloads = workflow.download(source, from_path, reporter, settings)
    steps = [] if output_options.quiet else after_download(repeated(context))
    show(
        DownloadDocument(competition=source.competition.name, files=downloads),
        lambda document: download_view(document, steps),
    )


def _refuse_other_files(competition: Competition, path: Path) -> None:
    """Refuse the files of another competition, which have no hash that they could be held to."""
    from kaggleprice.competitions.catalog import DEFAULT_COMPETITION
    from kaggleprice.competitions.found_files import refuse_other_files

    if competition.name == DEFAULT_COMPETITION:
        refuse_other_files(path)


def _fetch_archive(
    competition: Competition, data_dir: Path, stack: ExitStack, progress: Progress
) -> Path:
    """Fetch the zip of a competition that is described; it goes when the stack is closed."""
    from kaggleprice.api.kaggle import slug_of
    from kaggleprice.competitions.kaggle import download_archive

    slug = slug_of(competition)
    folder = data_dir / f".{slug}.part"
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    progress.advance("downloading", 0, None, f"{slug} from Kaggle")
    return download_archive(slug, folder)


def _download_any(slug: str, data_dir: Path, yes: bool) -> None:
    """Fetch and unpack the files of a competition that is not described yet; describe it."""
    from kaggleprice.cli.views.download import KaggleDownloadDocument, kaggle_download_view
    from kaggleprice.competitions.kaggle import download_archive
    from kaggleprice.competitions.unpacking import unpack
    from kaggleprice.runs.advice import Step

    folder = data_dir / slug
    with make_reporter() as reporter:
        reporter.advance("downloading", 0, None, f"{slug} from Kaggle")
        files = unpack([download_archive(slug, folder)], reporter.notice)
    if yes or (sys.stdin.isatty() and sys.stderr.isatty()):
        describing.init([folder], kaggle=slug, yes=yes)
        return
    words = f"kaggleprice init {shlex.quote(str(folder))} --kaggle {slug}"
    show(
        KaggleDownloadDocument(kaggle=slug, files=[str(file) for file in files]),
        lambda document: kaggle_download_view(document, Step(words, "describes it")),
    )
