"""Help as plain text: options in their groups, beside them what they do, at any width.

Option and value stand together in the first column, as typer's own formatter for plain text lays
them out. Nothing here imports rich: help is instant.
"""

from __future__ import annotations

import inspect
import os
import re
import shutil
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from typer.core import TyperOption

ARGUMENTS, OPTIONS, COMMANDS = "Arguments", "Options", "Commands"
DATA, RUN, CI, OUTPUT = "Data", "Run", "Gates and reports for CI", "Output"
CONFIGURATION = "Configuration"
# What most commands have in common comes last.
_LAST = (CI, OUTPUT, CONFIGURATION, OPTIONS)
_TAG = re.compile(r"\[/?(?:bold|dim|italic|cyan)?\]")
_DEFAULT, _UNBROKEN = "(default: ", "(default:\N{NO-BREAK SPACE}"
_NARROWEST = 40
# The first column takes a third of the line, and no more than its widest entry.
_SHARE = 3


def option(
    panel: str, text: str, *flags: str, value: str = "", default: str | bool = True, **more: Any
) -> Any:
    """Declare an option of a command, for `Annotated`.

    Args:
        panel: the group in which help shows it.
        text: what it does.
        flags: as they are typed.
        value: what stands for its value; empty for a switch.
        default: in words, where the default is None and the command chooses.
        more: as typer takes it.
    """
    return typer.Option(
        *flags, metavar=value, help=text, show_default=default, rich_help_panel=panel, **more
    )


def plain(text: str) -> str:
    """Return a text without rich's marks, such as `[dim]...[/]`."""
    return _TAG.sub("", text)


def purpose(command: Any) -> str:
    """Return the first paragraph of a command's help, one line."""
    return " ".join(plain(inspect.cleandoc(command.help or "").split("\n\n")[0]).split())


def declaration(parameter: Any, context: Any) -> str:
    """Return an option as it is typed: `-k, --k INT`, `--batch-norm/--no-batch-norm`."""
    if parameter.param_type_name == "argument":
        return str(parameter.display_name_raw).upper()
    names = ", ".join(sorted(parameter.opts, key=len))
    opposite = "".join(f"/{name}" for name in parameter.secondary_opts)
    value = "" if parameter.is_flag else parameter.display_type_rich(context)
    return f"{names}{opposite} {value}".rstrip()


def help_text(parameter: Any) -> str:
    """Return what an option does and what holds without it."""
    text = " ".join(plain(parameter.help or "").split())
    default, stated = parameter.default, parameter.show_default
    if isinstance(stated, str):
        text += f" (default: {stated})"
    elif stated and default is not None and default is not False and default != "":
        text += f" (default: {default})"
    return text.strip()


def long_name(parameter: Any) -> str:
    """Return an option's longest name, without dashes: what a configuration file calls it."""
    return str(max(parameter.opts, key=len)).lstrip("-")


def panels(command: Any, context: Any) -> dict[str, list[TyperOption]]:
    """Return a command's parameters by the group in which help shows them; those of all last."""
    found: dict[str, list[TyperOption]] = {}
    for parameter in command.get_params(context):
        kind = ARGUMENTS if parameter.param_type_name == "argument" else OPTIONS
        if not parameter.hidden:
            name = getattr(parameter, "rich_help_panel", None) or kind
            found.setdefault(name, []).append(parameter)
    last = {name: found.pop(name) for name in _LAST if name in found}
    return {**found, **last}


def write_help(command: Any, context: typer.Context, formatter: Any) -> None:
    """Write a command's whole help, as wide as the terminal."""
    formatter.width = max(shutil.get_terminal_size().columns, _NARROWEST)
    formatter.write_usage(context.command_path, " ".join(command.collect_usage_pieces(context)))
    formatter.write_paragraph()
    formatter.write_text(plain(inspect.cleandoc(command.help or "")))
    shown = {name: c for name, c in getattr(command, "commands", {}).items() if not c.hidden}
    tables = {COMMANDS: [(name, purpose(c)) for name, c in shown.items()]} if shown else {}
    for title, parameters in panels(command, context).items():
        tables[title] = [(declaration(p, context), help_text(p)) for p in parameters]
    widest = max(len(first) for rows in tables.values() for first, _ in rows)
    column = min(widest, formatter.width // _SHARE)
    for title, rows in tables.items():
        with formatter.section(_strong(title)):
            # Each as wide as the widest of them: the groups are one table. `(default: none)` is
            # not broken.
            kept = [(f"{a:<{column}}", b.replace(_DEFAULT, _UNBROKEN)) for a, b in rows]
            formatter.write_dl(kept, column)
    if command.epilog:
        formatter.write(f"\n{plain(command.epilog)}\n")
    formatter.buffer = [formatter.getvalue().replace(_UNBROKEN, _DEFAULT)]


def _strong(title: str) -> str:
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return title
    return typer.style(title, bold=True)
