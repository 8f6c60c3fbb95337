"""The options of a command, and where their values came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_doc import Doc
from rich.console import Group

from kaggleprice.cli.config_file import FILE_NAME, PROJECT_FILE, PROJECT_TABLE
from kaggleprice.cli.documents import COMMAND, Document, Value
from kaggleprice.cli.views.tables import make_table, texts


@dataclass(frozen=True)
class OptionValue:
    """An option."""

    option: Annotated[str, Doc("Its name.")]
    value: Value
    source: Annotated[
        Literal["flag", "environment", "file", "preset", "default"], Doc("What decided it.")
    ]
    where: Annotated[str, Doc("The flag, variable, key or preset that decided it.")]


@dataclass(frozen=True, kw_only=True)
class ConfigDocument(Document):
    """The options of a command, and where each value came from."""

    command: Annotated[Literal["config"], COMMAND] = "config"
    of: Annotated[str, Doc("The command.")]
    file: Annotated[str | None, Doc("The configuration file that was read; null for none.")]
    options: Annotated[list[OptionValue], Doc("One entry per option.")]
    notes: Annotated[list[str], Doc("On what looks like configuration and is not.")]


def config_view(document: ConfigDocument, shown: Sequence[str]) -> Group:
    """Show the same to a person, with values as they are typed; what somebody chose stands out."""
    table = make_table(("option", "value", "from"))
    for option, value in zip(document.options, shown, strict=True):
        where = option.where.partition(" in ")[2] if option.source == "file" else option.where
        style = "dim" if option.source == "default" else ""
        table.add_row(*texts(option.option, value, where), style=style)
    read = f"{document.file} is read"
    if document.file is None:
        read = f"no {FILE_NAME} and no [{PROJECT_TABLE}] in {PROJECT_FILE} is read"
    return Group(table, *texts(f"Options of `kaggleprice {document.of}`; {read}.", *document.notes))
