"""Literals: what a Python caller may write for an option, and what the settings take.

Single values stand for sequences of one, lists for tuples, and a text for what the command line
would make of it: `hidden=64`, `hidden=[128, 64]` and `hidden="128,64"` are all understood.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from kaggleprice.core.errors import UsageError
from kaggleprice.settings.model import ModelSettings
from kaggleprice.settings.options import OPTIONS_BY_NAME
from kaggleprice.settings.recipe import Recipe
from kaggleprice.settings.run import RunSettings
from kaggleprice.settings.training import TrainingSettings

_KINDS: dict[str, Any] = {
    name: kind
    for part in (RunSettings, Recipe, ModelSettings, TrainingSettings)
    for name, kind in typing.get_type_hints(part).items()
} | {"recipe": str}
_WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    str: "a name",
    tuple[int, ...]: "whole numbers, as in (128, 64)",
    tuple[str, ...]: "names, as in ('gelu', 'tanh')",
    tuple[tuple[float, ...], ...]: "a rate, or rates by layer, as in (0.3, 0.1), or several of "
    "these for random starts to take in turn, as in ((0.3,), (0.1,))",
}


def read_literals(options: Mapping[str, Any]) -> dict[str, Any]:
    """Turn Python values into what `kaggleprice.settings.run.make_settings` takes.

    Args:
        options: option name → value; names that are no options are passed on as they are.

    Raises:
        UsageError: for a value of the wrong type.
    """
    return {name: _read(name, value) for name, value in options.items()}


def _read(name: str, value: Any) -> Any:
    if name not in _KINDS:
        return value
    kind = _KINDS[name]
    if isinstance(value, str) and kind not in (str, bool) and name in OPTIONS_BY_NAME:
        return OPTIONS_BY_NAME[name].parse(value, said=name)
    if name == "dropout" and _is_flat(value):
        # As on the command line: `0.3,0.1` are the rates of two layers.
        value = [value]
    try:
        return _convert(value, kind)
    except TypeError:
        raise UsageError(f"{name} takes {_describe(kind)}; found {value!r}.") from None


def _is_flat(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(part, Real) for part in value)


def _convert(value: Any, kind: Any) -> Any:
    """Return a value as this kind; TypeError where it is not one."""
    inner = typing.get_args(kind)
    if isinstance(kind, types.UnionType):
        return None if value is None else _convert(value, inner[0])
    if typing.get_origin(kind) is tuple:
        parts = value if isinstance(value, list | tuple) else [value]
        return tuple(_convert(part, inner[0]) for part in parts)
    # numpy's numbers, as searches draw them, are numbers; truth values are not.
    truth = isinstance(value, bool) or type(value).__name__ == "bool"
    if kind is bool and truth:
        return bool(value)
    if kind is int and isinstance(value, Integral) and not truth:
        return int(value)
    if kind is float and isinstance(value, Real) and not truth:
        return float(value)
    if kind is str and isinstance(value, str):
        return str(value)
    raise TypeError


def _describe(kind: Any) -> str:
    if isinstance(kind, types.UnionType):
        return f"{_describe(typing.get_args(kind)[0])} or None"
    return _WORDS[kind]
