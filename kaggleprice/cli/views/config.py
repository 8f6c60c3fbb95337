"""The options of a command, and where their values came from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group
from rich.text import Text

from kaggleprice.cli.config_file import FILE_NAME, PROJECT_FILE, PROJECT_TABLE, Effective
from kaggleprice.cli.views.tables import document, make_table


def config_document(
    command: str, file: str | None, values: Sequence[Effective], notes: Sequence[str]
) -> dict[str, Any]:
    """Describe what each option of a command is, and where it came from.

    Args:
        command: whose options.
        file: the configuration file that was read; None where there is none.
        values: one per option.
        notes: on what looks like configuration and is not.
    """
    return document(
        "config",
        of=command,
        file=file,
        options=[
            {
                "option": value.option,
                "value": value.value,
                "source": value.origin.kind,
                "where": value.origin.where,
            }
            for value in values
        ],
        notes=list(notes),
    )


def config_view(
    command: str, file: str | None, values: Sequence[Effective], notes: Sequence[str]
) -> Group:
    """Show the same to a person; what somebody chose stands out."""
    table = make_table("option", "value", "from")
    for value in values:
        style = "dim" if value.origin.kind == "default" else ""
        where = value.origin.where
        if value.origin.kind == "file":
            where = where.partition(" in ")[2]
        table.add_row(*map(Text, (value.option, value.shown, where)), style=style)
    read = f"{file} is read"
    if file is None:
        read = f"no {FILE_NAME} and no [{PROJECT_TABLE}] in {PROJECT_FILE} is read"
    lines = [f"Options of `kaggleprice {command}`; {read}.", *notes]
    return Group(table, *(Text(line) for line in lines))
