"""Downloaded files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group

from kaggleprice.api.workflow import Download
from kaggleprice.cli.documents import DownloadDocument, DownloadedFile
from kaggleprice.cli.views.tables import make_table, path_text, step_lines, texts
from kaggleprice.competitions.catalog import Competition
from kaggleprice.runs.advice import Step


def download_document(competition: Competition, downloads: Sequence[Download]) -> DownloadDocument:
    """Describe downloaded files."""
    files = [
        DownloadedFile(
            role=d.file.role,
            path=str(d.file.path),
            bytes=d.file.bytes,
            rows=d.rows,
            columns=d.columns,
            sha1=d.file.sha1,
            sha256=d.file.sha256,
            status=d.file.status,
            verified=d.file.verified,
            backup=path_text(d.file.backup),
        )
        for d in downloads
    ]
    return DownloadDocument(competition=competition.name, files=files)


def download_view(document: DownloadDocument, steps: Sequence[Step] = ()) -> Group:
    """Show downloaded files: name, size, rows and columns, hash, status; where; what is next."""
    paths = [Path(file.path) for file in document.files]
    rows = [
        (
            path.name,
            f"{file.bytes:,}",
            f"{file.rows:,}",
            f"{file.columns:,}",
            file.sha256[:8],
            file.status + ("" if file.verified else ", no hash"),
        )
        for file, path in zip(document.files, paths, strict=True)
    ]
    right = ("bytes", "rows", "columns")
    folders = ", ".join(dict.fromkeys(str(path.parent) for path in paths))
    return Group(
        make_table(("file", *right, "SHA-256", "status"), rows, right),
        *texts(f"in {folders}"),
        *step_lines(steps),
    )
