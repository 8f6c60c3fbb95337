"""The options of a command, and where their values came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_doc import Doc
from rich.console import Group

from kaggleprice.cli.config_file import FILE_NAME, PROJECT_FILE, PROJECT_TABLE, Effective
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


def config_document(
    command: str, file: str | None, values: Sequence[Effective], notes: Sequence[str]
) -> ConfigDocument:
    """Describe what each option of a command is, and where it came from.

    Args:
        command: whose options.
        file: the configuration file that was read; None where there is none.
        values: one per option.
        notes: on what looks like configuration and is not.
    """
    options = [
        OptionValue(value.option, value.value, value.origin.kind, value.origin.where)
        for value in values
    ]
    return ConfigDocument(of=command, file=file, options=options, notes=list(notes))


def config_view(document: ConfigDocument, values: Sequence[Effective]) -> Group:
    """Show the same to a person; what somebody chose stands out."""
    table = make_table(("option", "value", "from"))
    for value in values:
        kind, where = value.origin.kind, value.origin.where
        if kind == "file":
            where = where.partition(" in ")[2]
        style = "dim" if kind == "default" else ""
        table.add_row(*texts(value.option, value.shown, where), style=style)
    read = f"{document.file} is read"
    if document.file is None:
        read = f"no {FILE_NAME} and no [{PROJECT_TABLE}] in {PROJECT_FILE} is read"
    return Group(table, *texts(f"Options of `kaggleprice {document.of}`; {read}.", *document.notes))
