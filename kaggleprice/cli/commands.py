"""Commands as click knows them: their options, their help, and what is said of a slip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from kaggleprice.cli import help as helping
from kaggleprice.cli.arguments import ProgressOption, VerboseOption
from kaggleprice.cli.completion import complete_setting
from kaggleprice.cli.config_file import did_you_mean, environment_name, unknown_variables
from kaggleprice.cli.configured import ConfigOption, NoConfigOption, origin_of
from kaggleprice.cli.output import make_reporter
from kaggleprice.core.errors import UnknownNameError, UsageError
from kaggleprice.settings.declaration import Setting
from kaggleprice.settings.run import OPTIONS

_TYPES = {int: "a whole number", float: "a number", bool: "true or false"}


def _common(
    no_config: NoConfigOption = False,
    config_file: ConfigOption = None,
    progress: ProgressOption = "auto",
    verbose: VerboseOption = False,
) -> None:
    """Declare the options of every command; callbacks do what they ask for."""


_app = typer.Typer(add_completion=False)
_app.command()(_common)
_COMMON: list[Any] = typer.main.get_command(_app).params
_NO_CONFIG, _CONFIG, _PROGRESS, _VERBOSE = _COMMON


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
    """Help as plain text, at once."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options, with typer's own switches off rather than unsaid.

        Typer would load pydantic to find out that `None` is no truth value.
        """
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for option in params:
            if not option.expose_value and option.default is None:
                option.default = False
        return params

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        formatter.write(helping.format_help(self, ctx))


class Command(_Helped, TyperCommand):
    """A command that reads the configuration, and names what was meant by a slip.

    Attributes:
        settings: those that are options of the command.
    """

    settings: Sequence[Setting] = ()
    # Surplus words are left to this class, which says more of them than click does.
    allow_extra_args = True

    def __init__(self, name: str | None, *, params: list[Any], **more: Any) -> None:
        self._own = [parameter.name for parameter in params]
        # The file comes first: it gives the others their defaults.
        settings = map(SettingOption, self.settings)
        options = [_NO_CONFIG, _CONFIG, *params, *settings, _PROGRESS, _VERBOSE]
        super().__init__(name, params=options, **more)
        for option in options:
            if option.param_type_name == "option" and option.envvar is None:
                option.envvar = environment_name(helping.long_name(option))
                option.show_envvar = False

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read arguments, environment and configuration.

        Raises:
            UsageError: for what cannot be read; it names the place where it stands.
        """
        given = list(args)
        try:
            rest = super().parse_args(ctx, args)
        except typer.BadParameter as error:
            parameter = getattr(error, "param", None)
            if parameter is None or type(error) is not typer.BadParameter:
                raise
            raise UsageError(_refusal(error, parameter, ctx)) from None
        except typer.TyperException as error:
            raise _meant(error, ctx, given) from None
        if rest and not (ctx.ignore_unknown_options or ctx.resilient_parsing):
            raise UsageError(_surplus(ctx, rest))
        return rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command; say first which variables look like options and are none."""
        unknown = list(unknown_variables(ctx.find_root().command))
        # `config` says so in its result.
        if unknown and self.name != "config":
            with make_reporter(ctx.params.get("quiet", False)) as reporter:
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

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options before the command.

        Raises:
            UsageError: for an option that is none, or stands before its command.
        """
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except typer.TyperException as error:
            raise _meant(error, ctx, given) from None


def _meant(error: typer.TyperException, context: Any, given: Sequence[str]) -> Exception:
    # Only the parser's "no such option" has this attribute; typer keeps the class to itself.
    if not hasattr(error, "possibilities"):
        return error
    return UsageError(unknown_option(context, getattr(error, "option_name", ""), given))


def _surplus(context: Any, words: Sequence[str]) -> str:
    own = [name for p in context.command.get_params(context) for name in _names(p)]
    name, equals, _ = f"--{words[0]}".partition("=")
    # A word alone is rather a value whose option was forgotten than the option.
    ending = did_you_mean(name, own) if equals or name in own else ""
    ending = ending or f"; `{context.command_path} --help` says what it takes."
    return f"unexpected argument '{' '.join(words)}' after `{context.command_path}`{ending}"


def _refusal(error: typer.BadParameter, parameter: Any, context: Any) -> str:
    """Return the sentence on a value that is not of its option's type."""
    origin = origin_of(context, parameter.name)
    where = origin.where if origin.kind != "default" else parameter.opts[0]
    wanted = _TYPES.get(parameter.type_descriptor.annotation)
    if wanted is None:
        return f"{where}: {error.message.rstrip('.')}."
    if parameter.min is not None:
        wanted += f" from {parameter.min}"
    if parameter.max is not None:
        wanted += f" up to {parameter.max}"
    # typer converts by pydantic, whose error says what it was given.
    details: list[Any] = getattr(error.__cause__, "errors", list)()
    found = f"; found {details[0]['input']!r}" if details else ""
    return f"{where} takes {wanted}{found}."


def unknown_option(context: Any, option: str, arguments: Sequence[str]) -> str:
    """Return the sentence on an option that a command does not have.

    Args:
        context: of the command.
        option: as the parser names it; of `-lr` it is `-l`.
        arguments: what was typed.
    """
    if not option.startswith("--"):
        option = next((a.split("=")[0] for a in arguments if a.startswith(option)), option)
    own = [name for p in context.command.get_params(context) for name in _names(p)]
    said = f"No such option: {option}"
    root = context.find_root()
    others = [
        path
        for path, command in _leaves(root.command, root.info_name)
        if any(option in _names(p) for p in command.params)
    ]
    if others and getattr(context.command, "commands", None):
        return f"{said}; it stands after a command, as in `{others[0]} {option}`."
    if others:
        return f"{said} of `{context.command_path}`; `{others[0]}` has it."
    ending = did_you_mean("-" + option if not option.startswith("--") else option, own)
    if ending:
        return said + ending
    return f"{said}; `{context.command_path} --help` lists those there are."


def _names(parameter: Any) -> list[str]:
    return [*parameter.opts, *parameter.secondary_opts]


def _leaves(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    below = getattr(command, "commands", None)
    if below is None:
        yield path, command
    for name, inner in (below or {}).items():
        yield from _leaves(inner, f"{path} {name}")
