"""`kaggleprice config`: what each option is, and where its value comes from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggleprice.cli.commands import (
    JSON,
    Command,
    chosen_preset,
    chosen_settings,
    given_settings,
)
from kaggleprice.cli.config_file import (
    Origin,
    configurable,
    leaves,
    unknown_variables,
)
from kaggleprice.cli.configured import configuration_of, origin_of
from kaggleprice.cli.dataset import described_in
from kaggleprice.cli.help import OUTPUT, option
from kaggleprice.cli.output import output_options, show
from kaggleprice.competitions.catalog import FILE_NAME as COMPETITION_FILE
from kaggleprice.competitions.catalog import get_competition
from kaggleprice.core.errors import KagglePriceError
from kaggleprice.core.registry import look_up
from kaggleprice.settings.run import DEFAULT_PRESET, flat_settings

if TYPE_CHECKING:
    from kaggleprice.cli.views.config import OptionValue

EXAMPLES = (
    "kaggleprice config",
    "kaggleprice config --command predict --preset best",
)
# What is not its own is an option of the command in question.
CONTEXT_SETTINGS = {"ignore_unknown_options": True}


class ConfigCommand(Command):
    """The command that takes the options of another one; `--quiet` is an option of that."""

    output = (JSON,)


COMMAND = ConfigCommand


def _complete_commands(context: typer.Context) -> list[str]:
    names = [name for name, _ in leaves(context.find_root().command)]
    return [name for name in names if name != "config" and " " not in name]


def config(
    *,
    context: typer.Context,
    command: Annotated[
        str,
        option(
            OUTPUT,
            "Which command's options.",
            "--command",
            value="NAME",
            autocompletion=_complete_commands,
        ),
    ] = "cv",
) -> None:
    """Show what each option of a command is, and where it came from.

    A flag comes first, then the environment (KAGGLEPRICE_LR for --lr), then kaggleprice.toml or
    the table tool.kaggleprice of pyproject.toml in this folder, then the preset, then the default.
    Further options are taken as flags of the command.
    """
    from kaggleprice.cli.views.config import ConfigDocument, config_view

    arguments = list(context.args)
    if context.params.get("no_config"):
        arguments.append("--no-config")
    elif context.params.get("config_file") is not None:
        arguments += ["--config", str(context.params["config_file"])]
    inner = _context_of(context, command, arguments)
    found = configuration_of(inner)
    file = None if found is None else str(found)
    notes = list(unknown_variables(context.find_root().command))
    try:
        folds = _competition_folds(inner)
    except KagglePriceError as error:
        # `config` is there to find out why a command fails, too.
        folds = {}
        notes.append(str(error))
    values = effective_values(inner, folds)
    options, shown = [value for value, _ in values], [text for _, text in values]
    show(
        ConfigDocument(of=command, file=file, options=options, notes=notes),
        lambda document: config_view(document, shown),
    )


def _competition_folds(context: typer.Context) -> dict[str, tuple[Any, str]]:
    """Return the settings that a competition's file has: name → (value, where it stands).

    Raises:
        KagglePriceError: where there is no such competition, or its file cannot be read.
    """
    params, file_here = context.params, Path(COMPETITION_FILE)
    given = params.get("competition")
    others = [params.get("train_file"), params.get("folds")]
    if not hasattr(context.command, "settings") or any(other is not None for other in others):
        return {}
    if given is None and not file_here.is_file():
        return {}
    name = described_in(given or COMPETITION_FILE, Path(params["data_dir"]))
    found = get_competition(name).fold_options(given_settings(context))
    return {key: (value, f"{key} in {name}") for key, value in found.items()}


def effective_values(
    context: typer.Context, folds: Mapping[str, tuple[Any, str]]
) -> list[tuple[OptionValue, str]]:
    """Return every option of a command whose arguments were read, settings as the run has them.

    Args:
        context: of the command.
        folds: settings that stand in the competition's file, and where.

    Returns:
        Each with its value as a person types it, or in words what the command chooses.
    """
    parameters = configurable(context.command)
    settings = _settings(context, folds)
    found = []
    for name, parameter in parameters.items():
        if parameter.name in settings:
            found.append(settings[parameter.name])
            continue
        value = context.params[parameter.name]
        origin = origin_of(context, parameter.name)
        found.append(_option(name, value, _shown(value, parameter), origin))
    return found


def _option(name: str, value: Any, shown: str, origin: Origin) -> tuple[OptionValue, str]:
    from kaggleprice.cli.views.config import OptionValue

    return OptionValue(name, _plain(value), origin.kind, origin.where), shown


def _context_of(context: typer.Context, name: str, arguments: list[str]) -> Any:
    inner: Any = context.find_root()
    command = look_up(dict(leaves(inner.command)), name, "command")
    *groups, last = name.split()
    for group in groups:
        inner = type(inner)(inner.command.commands[group], info_name=group, parent=inner)
    given = vars(output_options).copy()
    try:
        return command.make_context(last, arguments, parent=inner)
    finally:
        # How this command prints is not what it would be told so.
        vars(output_options).update(given)


def _settings(
    context: typer.Context, folds: Mapping[str, tuple[Any, str]]
) -> dict[str, tuple[OptionValue, str]]:
    """Return the options that are settings of a run, as preset, recipe and options make them."""
    settings = getattr(context.command, "settings", ())
    if not settings:
        return {}
    given, preset_name = given_settings(context), context.params.get("preset") or DEFAULT_PRESET
    preset = chosen_preset(context, preset_name)
    defaults = {key: value for key, (value, _) in folds.items()}
    values = flat_settings(chosen_settings(context, preset, defaults))
    usual = flat_settings(preset.settings)
    found = {}
    for setting in settings:
        name, value = setting.name, values[setting.name]
        origin = origin_of(context, name)
        if name in folds:
            origin = Origin("file", folds[name][1])
        elif name not in given and value != usual[name]:
            origin = Origin("preset", f"recipe {values['recipe']}")
        elif name not in given and value != setting.default:
            origin = Origin("preset", f"preset {preset_name}")
        found[name] = _option(setting.flag[2:], value, setting.show(value), origin)
    return found


def _shown(value: Any, parameter: Any) -> str:
    if value is None or value == ():
        stated = parameter.show_default
        return stated if isinstance(stated, str) else "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value
