"""Downloaded files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group
from rich.text import Text

from kaggleprice.api.workflow import Download
from kaggleprice.cli.views.tables import document, make_table, step_lines
from kaggleprice.competitions.catalog import Competition
from kaggleprice.runs.advice import Step


def download_document(competition: Competition, downloads: Sequence[Download]) -> dict[str, Any]:
    """Describe downloaded files."""
    files = [
        {
            "role": d.file.role,
            "path": str(d.file.path),
            "bytes": d.file.bytes,
            "rows": d.rows,
            "columns": d.columns,
            "sha1": d.file.sha1,
            "sha256": d.file.sha256,
            "status": d.file.status,
            "verified": d.file.verified,
            "backup": None if d.file.backup is None else str(d.file.backup),
        }
        for d in downloads
    ]
    return document("download", competition=competition.name, files=files)


def download_view(downloads: Sequence[Download], steps: Sequence[Step] = ()) -> Group:
    """Show downloaded files: name, size, rows and columns, hash, status; where; what is next."""
    right = ("bytes", "rows", "columns")
    table = make_table("file", *right, "SHA-256", "status", right=right)
    for d in downloads:
        table.add_row(
            Text(d.file.path.name, overflow="fold"),
            f"{d.file.bytes:,}",
            f"{d.rows:,}",
            f"{d.columns:,}",
            d.file.sha256[:8],
            d.file.status + ("" if d.file.verified else ", no hash"),
        )
    folders = dict.fromkeys(str(d.file.path.parent) for d in downloads)
    return Group(table, Text(f"in {', '.join(folders)}"), *step_lines(steps))
