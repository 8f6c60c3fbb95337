"""Downloaded files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from kaggleprice.competitions import Competition
from kaggleprice.views.tables import document, make_table
from kaggleprice.workflow import Download


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


def download_view(downloads: Sequence[Download]) -> Table:
    """Show downloaded files: file, bytes, rows x columns, hash, status."""
    table = make_table("file", "bytes", "rows x columns", "SHA-256", "", right=("bytes",))
    for d in downloads:
        table.add_row(
            Text(str(d.file.path), overflow="fold"),
            f"{d.file.bytes:,}",
            f"{d.rows} x {d.columns}",
            d.file.sha256[:12] + ("" if d.file.verified else " (unverified)"),
            d.file.status,
        )
    return table
