"""The twin of a typer app: the same commands and options, as source text, with empty bodies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

_HEAD = """\
from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer
"""
_TYPES = {bool: "bool", int: "int", float: "float", Path: "Path"}
# What typer adds to every app by itself.
_OWN = {"install_completion", "show_completion", "help"}


def source(group: Any, *, rich: bool = True) -> str:
    """Return a module whose `app` has the commands of a group as typer knows it.

    Args:
        group: as `typer.main.get_command` returns it.
        rich: whether help is drawn by rich, as typer does by itself, or is plain text.
    """
    lines = [_HEAD, *_group(group, "app", rich)]
    return "\n".join(lines) + "\n"


def _group(group: Any, name: str, rich: bool) -> Iterator[str]:
    plain = "" if rich else "rich_markup_mode=None, "
    yield f"{name} = typer.Typer({plain}help={group.help or ''!r})\n"
    eager = [p for p in group.params if p.name not in _OWN]
    if eager:
        yield "\ndef said(wanted: bool) -> None:"
        yield '    if wanted:\n        typer.echo("kaggleprice 0")\n        raise typer.Exit\n'
        yield f"\n@{name}.callback()"
        yield from _function("root", eager, group.help or "", ", callback=said")
    for command in group.commands.values():
        own = f"{name}_{command.name.replace('-', '_')}"
        if hasattr(command, "commands"):
            yield from _group(command, own, rich)
            yield f"{name}.add_typer({own}, name={command.name!r})\n"
        else:
            yield f"\n@{name}.command({command.name!r}, epilog={command.epilog!r})"
            yield from _function(own, command.params, command.help or "")


def _function(name: str, parameters: list[Any], text: str, more: str = "") -> Iterator[str]:
    yield f"def {name}("
    if parameters:
        yield "    *,"
    for parameter in parameters:
        if parameter.name not in _OWN:
            yield f"    {_parameter(parameter, more)},"
    yield ") -> None:"
    yield f"    {text!r}\n"


def _parameter(parameter: Any, more: str) -> str:
    kind = _TYPES.get(parameter.type_descriptor.annotation, "str")
    if parameter.nargs != 1 or getattr(parameter, "multiple", False):
        kind = f"list[{kind}]"
    default = parameter.default
    optional = default is None or callable(default)
    said = [repr(flag) for flag in (*parameter.opts, *parameter.secondary_opts)]
    option = parameter.param_type_name == "option"
    names = ("help", "metavar", "rich_help_panel", "show_default", "envvar", "hidden")
    said = said if option else []
    said += [f"{n}={getattr(parameter, n)!r}" for n in names if hasattr(parameter, n)]
    said += [f"show_envvar={getattr(parameter, 'show_envvar', False)!r}"]
    made = f"typer.{'Option' if option else 'Argument'}({', '.join(said)}{more})"
    value = "None" if optional else _literal(default)
    kind = f"Optional[{kind}]" if optional else kind
    return f"{parameter.name}: Annotated[{kind}, {made}] = {value}"


def _literal(value: Any) -> str:
    return f"Path({str(value)!r})" if isinstance(value, Path) else repr(value)
