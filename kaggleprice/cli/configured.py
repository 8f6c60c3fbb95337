"""Where the values of a command's options come from: flag, environment, file or default."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggleprice.cli.config_file import (
    FILE_NAME,
    PROJECT_FILE,
    Configuration,
    Defaults,
    Origin,
    configurable,
    find_configuration,
    read_configuration,
)
from kaggleprice.cli.help import CONFIGURATION, option
from kaggleprice.core.errors import UsageError

if TYPE_CHECKING:
    from typer.core import TyperOption


def origin_of(context: typer.Context, name: str) -> Origin:
    """Return where the value of a parameter comes from, once click has looked for it."""
    source = getattr(context.get_parameter_source(name), "name", "")
    option = next((p for p in context.command.params if p.name == name), None)
    if source == "COMMANDLINE" and option is not None:
        return Origin("flag", max(option.opts, key=len))
    if source == "ENVIRONMENT" and option is not None:
        return Origin("environment", str(option.envvar))
    if source == "DEFAULT_MAP" and isinstance(context.default_map, Defaults):
        return Origin("file", context.default_map.where[name])
    return Origin("default", "default")


def configuration_of(context: typer.Context) -> Configuration | None:
    """Return the configuration file that was read; None where there is none."""
    found = context.default_map
    return found.configuration if isinstance(found, Defaults) else None


def explicit(context: typer.Context, name: str) -> bool:
    """Whether a parameter was given as a flag: it speaks of this command, not of all of them."""
    return origin_of(context, name).kind == "flag"


def exclude_each_other(context: typer.Context) -> None:
    """Refuse `--config` beside `--no-config`; one of them may stand in the environment."""
    if explicit(context, "config_file") and explicit(context, "no_config"):
        raise UsageError("--config and --no-config exclude each other; leave one away.")


def _read(context: typer.Context, value: Path | None) -> Path | None:
    """Make the file click's `default_map`, before any other option is read."""
    if context.params.get("no_config"):
        return value
    found = find_configuration(Path()) if value is None else read_configuration(value)
    if found is not None:
        context.default_map = _defaults(context, found)
    return value


def _defaults(context: typer.Context, found: Configuration) -> Defaults:
    root: Any = context.find_root()
    commands = context.command_path.removeprefix(root.command_path).split()
    options, defaults = configurable(context.command), Defaults(found)
    for key, (value, where) in found.values_of(commands, root.command).items():
        if key in options:
            name = options[key].name
            defaults[name] = _read_toml_value(options[key], value, where)
            defaults.where[name] = where
    return defaults


def _read_toml_value(option: TyperOption, value: Any, where: str) -> Any:
    """Return a TOML value as the option takes it; settings read theirs themselves."""
    if hasattr(option, "setting"):
        return value
    if option.multiple:
        parts = value if isinstance(value, list) else [value]
        if all(isinstance(part, str | int | float) for part in parts):
            return [str(part) for part in parts]
    if isinstance(value, bool) != option.is_flag or not isinstance(value, str | int | float):
        wanted = "true or false" if option.is_flag else "one value, as it is typed"
        found = str(value).lower() if isinstance(value, bool) else repr(value)
        raise UsageError(f"{where} takes {wanted}; found {found}.")
    return value if option.is_flag else str(value)


NoConfigOption = Annotated[
    bool,
    option(CONFIGURATION, "Read no configuration file.", "--no-config", is_eager=True),
]
ConfigOption = Annotated[
    Path | None,
    option(
        CONFIGURATION,
        "Take options that are not typed from this file.",
        "--config",
        value="FILE.toml",
        default=f"{FILE_NAME} in this folder, or the table of its {PROJECT_FILE}",
        is_eager=True,
        callback=_read,
    ),
]
