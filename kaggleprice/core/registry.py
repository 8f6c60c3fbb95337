"""Registries: each maps a name to one line of help and to the place of the code behind it.

A registry imports nothing heavy, so help texts and completion know every name without
loading torch; the code behind a name is imported when it is first used.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

from kaggleprice.core.errors import UnknownNameError, UsageError

T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """One line of a registry.

    Attributes:
        help: one line for help texts and error messages.
        target: `package.module:object`, imported by `load`.
    """

    help: str
    target: str

    def load(self) -> Any:
        """Import and return the object behind this entry."""
        module, _, name = self.target.partition(":")
        return getattr(importlib.import_module(module), name)


@dataclass(frozen=True)
class Parameter:
    """A number that may follow a name in a registry, as in `pinball 0.9`.

    Attributes:
        name: what it is, in a word.
        default: what it is where none follows.
        above, below: it lies between these bounds, and is neither.
    """

    name: str
    default: float
    above: float
    below: float

    def read(self, text: str, owner: str) -> float:
        """Return the number that follows the name of its owner.

        Raises:
            UsageError: for a text that is none, or one beyond the bounds.
        """
        try:
            number = float(text)
        except ValueError:
            number = self.below
        if not self.above < number < self.below:
            raise UsageError(
                f"{owner} takes a {self.name} above {self.above:g} and below {self.below:g}, as in "
                f"`{owner} {self.default:g}`; found {text!r}."
            )
        return number


class _Parametrized(Protocol):
    @property
    def parameter(self) -> Parameter | None:
        """The number that it takes; None for none."""

    def with_number(self, number: float) -> Self:
        """Return the same with a number of its own."""


P = TypeVar("P", bound=_Parametrized)


class Numbered(dict[str, P]):
    """A registry of which some entries take a number: it has `pinball 0.9` where it has `pinball`.

    Only the names without numbers are listed.
    """

    def __missing__(self, name: str) -> P:
        """Return the entry of a name with a number.

        Raises:
            KeyError: where there is none.
            UsageError: for a number that cannot be.
        """
        base, space, text = name.partition(" ")
        entry = self.get(base) if space else None
        if entry is None or entry.parameter is None:
            raise KeyError(name)
        number = entry.parameter.read(text.strip(), base)
        return entry if number == entry.parameter.default else entry.with_number(number)

    def __contains__(self, name: object) -> bool:
        """Tell whether there is such a name, with or without a number.

        Raises:
            UsageError: for a number that cannot be.
        """
        try:
            return self[str(name)] is not None
        except KeyError:
            return False


def look_up(registry: Mapping[str, T], name: str, kind: str) -> T:
    """Return `registry[name]`.

    Raises:
        UnknownNameError: where there is no such name; the message lists the valid ones.
    """
    try:
        return registry[name]
    except KeyError:
        raise UnknownNameError(kind, name, registry) from None
