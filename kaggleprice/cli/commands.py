"""Commands as typer knows them: their help, their configuration, and what a slip meant."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from kaggleprice.cli import help as helping
from kaggleprice.cli.config_file import did_you_mean, unknown_variables
from kaggleprice.cli.configured import name_variables, origin_of, tree_of
from kaggleprice.cli.output import make_reporter
from kaggleprice.core.errors import UnknownNameError, UsageError

_SURPLUS = re.compile(r"Got unexpected extra argument\(?s?\)? \((.+)\)\.?")
_TYPES = {int: "a whole number", float: "a number", bool: "true or false"}


class Command(TyperCommand):
    """A command that reads the configuration, and names what was meant by a slip."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        name_variables(self.params)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help as plain text."""
        formatter.write(helping.format_help(self, ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read arguments, environment and configuration.

        Raises:
            UsageError: for what cannot be read; it names the place where it stands.
        """
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            parameter = getattr(error, "param", None)
            if parameter is None or type(error) is not typer.BadParameter:
                raise
            raise UsageError(_refusal(error, parameter, ctx)) from None
        except typer.TyperException as error:
            raise _meant(error, ctx, given) from None

    def invoke(self, ctx: Any) -> Any:
        """Do the work; say first which variables were meant for it, as it seems, and are not."""
        unknown = list(unknown_variables(tree_of(ctx.find_root().command)))
        # `config` says so in its result.
        if unknown and self.name != "config":
            with make_reporter(ctx.params.get("quiet", False)) as reporter:
                for sentence in unknown:
                    reporter.notice(sentence)
        return super().invoke(ctx)


class Commands(TyperGroup):
    """Commands below one name, of which an unknown one lists the valid ones."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help as plain text."""
        formatter.write(helping.format_help(self, ctx))

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
    surplus = _SURPLUS.fullmatch(error.message)
    if surplus is not None:
        return UsageError(_surplus(context, surplus[1]))
    # Only the parser's "no such option" has this attribute; typer keeps the class to itself.
    if not hasattr(error, "possibilities"):
        return error
    return UsageError(unknown_option(context, getattr(error, "option_name", ""), given))


def _surplus(context: Any, words: str) -> str:
    own = [name for p in context.command.get_params(context) for name in _names(p)]
    name, equals, _ = f"--{words.split()[0]}".partition("=")
    # A word alone is rather a value whose option was forgotten than the option.
    ending = did_you_mean(name, own) if equals or name in own else ""
    ending = ending or f"; `{context.command_path} --help` says what it takes."
    return f"unexpected argument '{words}' after `{context.command_path}`{ending}"


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
    # typer converts by pydantic, whose error knows what it was given.
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
