"""TOML, read in bounds: nested without end, or a number of 400 digits, it is refused at once."""

from __future__ import annotations

import re
import tomllib
from typing import Any

_DEEPEST = 100
# Reading a key takes the square of its parts.
_LONG_KEY = re.compile(rf"(?:[\w'\"-]+[ \t]*\.[ \t]*){{{_DEEPEST}}}")


def parse_toml(text: str) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises:
        ValueError: where it is none, where tables or lists in it are nested too deeply, or a whole
            number has more than TOML's 64 bits.
    """
    deep = f"tables or lists are nested more than {_DEEPEST} deep"
    if _LONG_KEY.search(text):
        raise ValueError(deep)
    try:
        content = tomllib.loads(text)
    except RecursionError:
        raise ValueError(deep) from None
    level: list[Any] = [content]
    for _ in range(_DEEPEST):
        level = [part for value in level for part in _parts(value)]
        if any(isinstance(part, int) and not -(2**63) <= part < 2**63 for part in level):
            raise ValueError("a whole number has more than 64 bits")
    if level:
        raise ValueError(deep)
    return content


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
