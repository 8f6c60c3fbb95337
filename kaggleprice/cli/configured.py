"""Options that nobody typed: what the configuration file and the environment say of a command."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggleprice.cli.config_file import (
    FILE_NAME,
    PROJECT_FILE,
    CommandTree,
    Configuration,
    Defaults,
    Origin,
    environment_name,
    find_configuration,
    read_configuration,
)
from kaggleprice.cli.help import CONFIGURATION, long_name
from kaggleprice.core.errors import UsageError
from kaggleprice.settings.options import OPTIONS_BY_NAME, show_value

if TYPE_CHECKING:
    from typer.core import TyperOption

_FILE, _NO_FILE = "config_file", "no_config"


def origin_of(context: typer.Context, name: str) -> Origin:
    """Return where the value of a parameter came from, once it was read."""
    source = getattr(context.get_parameter_source(name), "name", "")
    option = next((p for p in context.command.params if p.name == name), None)
    if source == "COMMANDLINE" and option is not None:
        return Origin("flag", max(option.opts, key=len))
    if source == "ENVIRONMENT" and option is not None:
        return Origin("environment", str(option.envvar))
    if source == "DEFAULT_MAP" and isinstance(context.default_map, Defaults):
        return Origin("file", context.default_map.where[name])
    return Origin("default", "default")


def explicit(context: typer.Context, name: str) -> bool:
    """Whether a parameter was given as a flag: said of this command, not of all of them."""
    return origin_of(context, name).kind == "flag"


def with_configuration(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--config` and `--no-config`, which decide what its other options are."""
    own = inspect.signature(command, eval_str=True)
    if _FILE in own.parameters:
        return command
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, default, kind in [
            (_NO_FILE, False, _NoConfigOption),
            (_FILE, None, _ConfigOption),
        ]
    ]

    @functools.wraps(command)
    def wrapped(**values: Any) -> Any:
        return command(**{k: v for k, v in values.items() if k not in (_FILE, _NO_FILE)})

    # First, because options are read in this order, and the file gives others their defaults.
    parameters = [*added, *own.parameters.values()]
    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {p.name: p.annotation for p in parameters}
    return wrapped


def name_variables(parameters: list[Any]) -> None:
    """Give every option its environment variable, `KAGGLEPRICE_<OPTION>`."""
    for parameter in parameters:
        if parameter.param_type_name == "option" and parameter.envvar is None:
            parameter.envvar, parameter.show_envvar = environment_name(long_name(parameter)), False


def tree_of(command: Any) -> CommandTree:
    """Return what there is to configure of a command, or of the commands below it."""
    below = getattr(command, "commands", None)
    if below is not None:
        return CommandTree(commands={name: tree_of(inner) for name, inner in below.items()})
    return CommandTree(frozenset(configurable(command)))


def configurable(command: Any) -> dict[str, TyperOption]:
    """Return the options that a file may give a command, by what a file calls them."""
    return {
        long_name(p): p
        for p in command.params
        if p.param_type_name == "option" and p.name not in (_FILE, _NO_FILE)
    }


def _read(context: typer.Context, value: Path | None) -> Path | None:
    """Read the file, before any other option is: they take their defaults from it."""
    if context.params.get(_NO_FILE):
        if value is not None and explicit(context, _FILE) and explicit(context, _NO_FILE):
            raise UsageError("--config and --no-config exclude each other; leave one away.")
        return value
    found = find_configuration(Path()) if value is None else read_configuration(value)
    if found is not None:
        context.default_map = _defaults(context, found)
    return value


def _skip(context: typer.Context, value: bool) -> bool:
    if value and context.params.get(_FILE) is not None and explicit(context, _NO_FILE):
        raise UsageError("--config and --no-config exclude each other; leave one away.")
    return value


def _defaults(context: typer.Context, found: Configuration) -> Defaults:
    names: list[str] = []
    inner: Any = context
    while inner.parent is not None:
        names.insert(0, inner.info_name)
        inner = inner.parent
    found.check(tree_of(inner.command))
    options, defaults = configurable(context.command), Defaults(found)
    for key, (value, where) in found.values_of(names).items():
        if key in options:
            name = options[key].name
            defaults[name], defaults.where[name] = _as_given(options[key], value, where), where
    return defaults


def _as_given(option: TyperOption, value: Any, where: str) -> Any:
    """Return a TOML value as typer takes it from the command line: as a text, or a flag's truth."""
    if option.is_flag:
        if not isinstance(value, bool):
            raise UsageError(f"{where} takes true or false; found {_toml(value)}.")
        return value
    if isinstance(value, list) and option.multiple:
        return [_text(part, where) for part in value]
    known = OPTIONS_BY_NAME.get(option.name)
    if isinstance(value, list) and known is not None and known.several:
        return show_value(_tuples(value), known.separator)
    text = _toml(value) if known is not None and isinstance(value, bool) else _text(value, where)
    return [text] if option.multiple else text


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise UsageError(f"{where} takes one value, as it is typed; found {_toml(value)}.")
    return str(value)


def _tuples(value: list[Any]) -> tuple[Any, ...]:
    return tuple(_tuples(part) if isinstance(part, list) else part for part in value)


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


_NoConfigOption = Annotated[
    bool,
    typer.Option(
        "--no-config",
        metavar="",
        help="Read no configuration file.",
        is_eager=True,
        callback=_skip,
        rich_help_panel=CONFIGURATION,
    ),
]
_ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE.toml",
        help="Take options that are not typed from this file. [dim](default: "
        f"{FILE_NAME} in this folder, or the table of its {PROJECT_FILE})[/]",
        is_eager=True,
        callback=_read,
        rich_help_panel=CONFIGURATION,
        show_default=False,
    ),
]
