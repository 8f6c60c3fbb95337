"""Results as JSON Lines: one line per measurement, so that a benchmark goes on where it ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar

from kaggleprice.core.errors import DataError
from kaggleprice.core.files import replacing

Line = dict[str, Any]
Key = TypeVar("Key", bound=Hashable)


def read_lines(path: Path, key: Callable[[Line], Key]) -> dict[Key, Line]:
    """Return the lines of a file by their keys, later ones in place of earlier; none without it.

    A last line without an end is left out: its writer was stopped.

    Raises:
        DataError: for a line that is not JSON, or of which `key` fails.
    """
    found = {}
    for number, text in enumerate(_whole(path).splitlines(), start=1):
        try:
            line = json.loads(text)
            found[key(line)] = line
        except (ValueError, KeyError, TypeError):
            raise DataError(f"{path}: line {number} is not a result; delete it to go on.") from None
    return found


def append_line(path: Path, line: Line) -> None:
    """Write a line after those that are there."""
    lines = _whole(path)
    with replacing(path) as beside:
        beside.write_text(f"{lines}{json.dumps(line)}\n", encoding="utf-8")


def _whole(path: Path) -> str:
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return text[: text.rfind("\n") + 1]
