"""Commands as click knows them: their options, and the settings that these make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from kaggleprice.cli import help as helping
from kaggleprice.cli.completion import complete_setting
from kaggleprice.cli.config_file import environment_name, unknown_variables
from kaggleprice.cli.configured import (
    ConfigOption,
    NoConfigOption,
    configuration_of,
    exclude_each_other,
    explicit,
    origin_of,
)
from kaggleprice.cli.help import OUTPUT, option
from kaggleprice.cli.output import make_reporter, output_options
from kaggleprice.cli.usage_errors import refusal, surplus, unknown_option, with_suggestion
from kaggleprice.core.errors import UnknownNameError, UsageError
from kaggleprice.core.progress import FORMS
from kaggleprice.settings.declaration import ConflictError, Setting
from kaggleprice.settings.ineffective import ineffective_options
from kaggleprice.settings.own_presets import read_preset
from kaggleprice.settings.run import (
    DEFAULT_PRESET,
    OPTIONS,
    PRESETS,
    Preset,
    RunSettings,
    make_settings,
)


def _common(
    no_config: NoConfigOption = False,
    config_file: ConfigOption = None,
    as_json: Annotated[
        bool,
        option(
            OUTPUT,
            "Print one JSON document on stdout instead.",
            "--json",
            callback=output_options.note("as_json"),
            is_eager=True,
        ),
    ] = False,
    quiet: Annotated[
        bool,
        option(
            OUTPUT,
            "No progress and no notices.",
            "--quiet",
            "-q",
            callback=output_options.note("quiet"),
            is_eager=True,
        ),
    ] = False,
    progress: Annotated[
        str,
        option(
            OUTPUT,
            f"How progress is told on stderr. One of {', '.join(FORMS)}.",
            "--progress",
            value="NAME",
            callback=output_options.note("progress"),
            is_eager=True,
            autocompletion=lambda: list(FORMS),
        ),
    ] = "auto",
    verbose: Annotated[
        bool,
        option(
            OUTPUT,
            "More notices: versions, hashes, settings, seconds per stage, files written.",
            "--verbose",
            "-v",
            callback=output_options.note("verbose"),
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Declare the options of every command; callbacks do what they ask for."""


_app = typer.Typer(add_completion=False)
_app.command()(_common)
_COMMON: list[Any] = typer.main.get_command(_app).params
_NO_CONFIG, _CONFIG, JSON, _QUIET, _PROGRESS, _VERBOSE = _COMMON


class SettingOption(TyperOption):
    """The option of a setting, made from its declaration.

    Attributes:
        setting: its declaration, which reads the value wherever it comes from.
    """

    def __init__(self, setting: Setting) -> None:
        off = f"/--no-{setting.flag[2:]}" if setting.is_switch else ""
        # What typer makes of `bool` and of `str`.
        kind = _VERBOSE if setting.is_switch else _PROGRESS
        super().__init__(
            param_decls=[setting.name, setting.flag + off],
            type_descriptor=kind.type_descriptor,
            is_flag=setting.is_switch,
            help=setting.help_text,
            metavar=setting.metavar,
            show_default=setting.default_text,
            rich_help_panel=setting.panel,
            autocompletion=lambda ctx, args, typed: complete_setting(setting, typed),
        )
        self.setting = setting

    def process_value(self, ctx: Any, value: Any) -> Any:
        """Read the value.

        Raises:
            UsageError: for one that cannot be; it says where it stands.
        """
        if value is None:
            return None
        origin = origin_of(ctx, self.name)
        if self.is_flag and origin.kind == "environment":
            value = super().process_value(ctx, value)
        return self.setting.parse(value, origin.where)


class _Helped:
    """Help as plain text, at once; errors that name the place and what was meant."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options; typer's own switches, such as `--help`, have the default False.

        Their default is None otherwise, and typer loads pydantic to read it.
        """
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for parameter in params:
            if not parameter.expose_value and parameter.default is None:
                parameter.default = False
        return params

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read what was typed.

        Raises:
            UsageError: for what cannot be read; it names the place where it stands.
        """
        given = list(args)
        try:
            rest: list[str] = super().parse_args(ctx, args)  # type: ignore[misc]
        except typer.BadParameter as error:
            parameter = getattr(error, "param", None)
            if parameter is None or type(error) is not typer.BadParameter:
                raise
            raise UsageError(refusal(error, parameter, ctx)) from None
        except typer.TyperException as error:
            raise with_suggestion(error, ctx, given) from None
        return rest

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        helping.write_help(self, ctx, formatter)


class Command(_Helped, TyperCommand):
    """A command that reads the configuration, and names what was meant by a slip.

    Attributes:
        settings: those that are options of the command.
        output: options of what it prints, beside those of progress.
    """

    settings: Sequence[Setting] = ()
    output: Sequence[Any] = (JSON, _QUIET)
    # Surplus words are left to this class, which says more of them than click does.
    allow_extra_args = True

    def __init__(self, name: str | None, *, params: list[Any], **more: Any) -> None:
        self._own = [parameter.name for parameter in params]
        # The file comes first: it gives the others their defaults.
        settings = map(SettingOption, self.settings)
        options = [_NO_CONFIG, _CONFIG, *params, *self.output, *settings, _PROGRESS, _VERBOSE]
        super().__init__(name, params=options, **more)
        for parameter in options:
            if parameter.param_type_name == "option":
                parameter.envvar = environment_name(helping.long_name(parameter))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read arguments, environment and configuration.

        Raises:
            UsageError: for words that no option takes.
        """
        rest = super().parse_args(ctx, args)
        exclude_each_other(ctx)
        if rest and not (ctx.ignore_unknown_options or ctx.resilient_parsing):
            raise UsageError(surplus(ctx, rest))
        return rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command; say first which variables look like options and are none."""
        unknown = list(unknown_variables(ctx.find_root().command))
        # `config` says so in its result.
        if unknown and self.name != "config":
            with make_reporter() as reporter:
                for sentence in unknown:
                    reporter.notice(sentence)
        # The function has no parameters for settings and for what all commands share.
        return ctx.invoke(self.callback, **{name: ctx.params[name] for name in self._own})


class RunCommand(Command):
    """A command that takes every setting of a run."""

    settings = tuple(OPTIONS.values())


class RecipeCommand(Command):
    """A command that takes the settings of a recipe."""

    settings = tuple(setting for setting in OPTIONS.values() if setting.panel == "Recipe")


def given_settings(context: typer.Context) -> dict[str, Any]:
    """Return the settings that flags, environment and file give a command: name → value."""
    names = [setting.name for setting in getattr(context.command, "settings", ())]
    return {n: context.params[n] for n in names if origin_of(context, n).kind != "default"}


def chosen_preset(context: typer.Context, name: str | None = None) -> Preset:
    """Return the preset of a name, one of kaggleprice's or of the configuration file.

    Args:
        context: of the command, its options read.
        name: of the preset; None for the default one.

    Raises:
        UnknownNameError: for an unknown name.
        UsageError: for a preset of the file that cannot be read.
    """
    name = name or DEFAULT_PRESET
    if name in PRESETS:
        return PRESETS[name]
    configuration = configuration_of(context)
    own = {} if configuration is None else configuration.presets
    if name in own:
        return read_preset(name, own[name], str(configuration))
    origin = origin_of(context, "preset")
    where = "" if origin.kind == "flag" else f" from {origin.where}"
    more = "; `--preset list` shows them"
    raise UnknownNameError("preset", name, [*PRESETS, *own, "list"], where, more)


def own_presets(context: typer.Context) -> dict[str, Preset]:
    """Return the presets of the configuration file."""
    configuration = configuration_of(context)
    names = [] if configuration is None else list(configuration.presets)
    return {name: chosen_preset(context, name) for name in names}


def chosen_settings(
    context: typer.Context,
    preset: Preset,
    defaults: Mapping[str, Any] | None = None,
) -> RunSettings:
    """Return the settings that a preset and the command's options make.

    Args:
        context: of the command, its options read.
        preset: where they start.
        defaults: settings that come before the command's options, and after the preset.

    Raises:
        UsageError: for options that contradict each other; it says where they stand.
    """
    try:
        options = {**(defaults or {}), **given_settings(context)}
        return make_settings(preset, options)
    except ConflictError as error:
        origins = [origin_of(context, name) for name in error.names]
        places = " and ".join(origin.where for origin in origins if origin.kind != "default")
        raise UsageError(f"{str(error).rstrip('.')}; from {places}.") from None


def warn_ineffective_options(
    context: typer.Context, settings: RunSettings, folds: Path | None
) -> None:
    """Say which of the flags that were given change nothing, beside the others."""
    flags = [name for name in given_settings(context) if explicit(context, name)]
    with make_reporter() as reporter:
        for sentence in ineffective_options(settings, flags, folds is not None):
            reporter.notice(sentence)


class Commands(_Helped, TyperGroup):
    """Commands below one name, of which an unknown one lists the valid ones."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of this name; None in a line that is being completed.

        Raises:
            UnknownNameError: where there is none.
        """
        if cmd_name not in self.commands and not ctx.resilient_parsing:
            if cmd_name.startswith("-"):
                raise UsageError(unknown_option(ctx, cmd_name, [cmd_name]))
            raise UnknownNameError("command", cmd_name, self.commands)
        return super().get_command(ctx, cmd_name)
