"""Downloaded files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_doc import Doc
from rich.console import Group

from kaggleprice.api.workflow import Download
from kaggleprice.cli.documents import COMMAND, Competition, Document
from kaggleprice.cli.views.tables import make_table, step_lines, texts
from kaggleprice.runs.advice import Step


@dataclass(frozen=True, kw_only=True)
class DownloadDocument(Document):
    """Downloaded files."""

    command: Annotated[Literal["download"], COMMAND] = "download"
    competition: Competition
    files: Annotated[list[Download], Doc("The training and the test file.")]


def download_view(document: DownloadDocument, steps: Sequence[Step] = ()) -> Group:
    """Show downloaded files: name, size, rows and columns, hash, status; where; what is next."""
    rows = [
        (
            file.path.name,
            f"{file.bytes:,}",
            f"{file.rows:,}",
            f"{file.columns:,}",
            file.sha256[:8],
            file.status + ("" if file.verified else ", no hash"),
        )
        for file in document.files
    ]
    right = ("bytes", "rows", "columns")
    folders = ", ".join(dict.fromkeys(str(file.path.parent) for file in document.files))
    return Group(
        make_table(("file", *right, "SHA-256", "status"), rows, right),
        *texts(f"in {folders}"),
        *step_lines(steps),
    )


@dataclass(frozen=True, kw_only=True)
class KaggleDownloadDocument(Document):
    """Files fetched from Kaggle of a competition that is still to be described.

    Where they are described at once, with `--yes` or on a terminal, the document is that of `init`.
    """

    command: Annotated[Literal["download kaggle"], COMMAND] = "download kaggle"
    kaggle: Annotated[str, Doc("Name of the competition at Kaggle.")]
    files: Annotated[list[str], Doc("Its tables, unpacked.")]


def kaggle_download_view(document: KaggleDownloadDocument, step: Step) -> Group:
    """Show which files were fetched, and what to do next."""
    shown = f"tables of {document.kaggle}: {', '.join(document.files)}"
    return Group(*texts(shown), *step_lines([step]))
