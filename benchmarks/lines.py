"""Results: as JSON Lines, a line per measurement, so that a benchmark goes on; and as a page."""

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


def write_page(page: Path, text: str, record: Any) -> None:
    """Write a page, and beside it the JSON that it was made of."""
    for path, content in (
        (page.with_suffix(".json"), json.dumps(record, indent=1) + "\n"),
        (page, text),
    ):
        with replacing(path) as beside:
            beside.write_text(content, encoding="utf-8")


def _whole(path: Path) -> str:
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return text[: text.rfind("\n") + 1]
