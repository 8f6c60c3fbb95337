"""Usage errors: the sentences on an unknown option, a surplus word, a value of the wrong type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

from kaggleprice.cli.config_file import did_you_mean, leaves
from kaggleprice.cli.configured import origin_of
from kaggleprice.core.errors import UsageError

_TYPES = {int: "a whole number", float: "a number", bool: "true or false"}


def with_suggestion(error: typer.TyperException, context: Any, given: Sequence[str]) -> Exception:
    """Turn an error of click's parser into ours, with a suggestion where there is one."""
    # Only the parser's "no such option" has this attribute; typer keeps the class to itself.
    if not hasattr(error, "possibilities"):
        return error
    return UsageError(unknown_option(context, getattr(error, "option_name", ""), given))


def surplus(context: Any, words: Sequence[str]) -> str:
    """Return the sentence on words that a command does not take."""
    own = [name for p in context.command.get_params(context) for name in _names(p)]
    name, equals, _ = f"--{words[0]}".partition("=")
    # A word alone is rather a value whose option was forgotten than the option.
    ending = did_you_mean(name, own) if equals or name in own else ""
    ending = ending or f"; `{context.command_path} --help` says what it takes."
    return f"unexpected argument '{' '.join(words)}' after `{context.command_path}`{ending}"


def refusal(error: typer.BadParameter, parameter: Any, context: Any) -> str:
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
        for path, command in leaves(root.command, root.info_name)
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
