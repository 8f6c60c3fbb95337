"""Registries: each maps a name to one line of help and to the place of the code behind it.

A registry imports nothing heavy, so help texts and completion know every name without
loading torch; the code behind a name is imported when it is first used.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from kaggleprice.core.errors import UnknownNameError

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


def look_up(registry: Mapping[str, T], name: str, kind: str) -> T:
    """Return `registry[name]`.

    Raises:
        UnknownNameError: where there is no such name; the message lists the valid ones.
    """
    try:
        return registry[name]
    except KeyError:
        raise UnknownNameError(kind, name, registry) from None
