"""How a CSV is written: separator, decimal mark, encoding. Found by looking at its first rows."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import Len

from kaggleprice.core.errors import DataError, MissingFileError
from kaggleprice.settings.declaration import STRICT

# Enough to see how cells are written, and no more than a moment's reading.
_BYTES = 1 << 18
_ROWS = 200
_SEPARATORS = (",", ";", "\t", "|")
_DECIMAL_POINT = re.compile(r"[-+]?[0-9]*\.[0-9]+")
_DECIMAL_COMMA = re.compile(r"[-+]?[0-9]*,[0-9]+")


@dataclass(frozen=True)
class CsvFormat:
    """How a CSV is written.

    Attributes:
        separator: between cells; one character.
        decimal: between the whole and the fraction of a number.
        encoding: a codec of Python.
    """

    __pydantic_config__ = STRICT

    separator: Annotated[str, Len(1, 1)] = ","
    decimal: Annotated[str, Len(1, 1)] = "."
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        """Check the encoding.

        Raises:
            DataError: where Python knows none of this name.
        """
        try:
            codecs.lookup(self.encoding)
        except (LookupError, ValueError):
            raise DataError(
                f"'csv.encoding' must be an encoding, as 'utf-8'; found {self.encoding!r}"
            ) from None

    @property
    def codec(self) -> str:
        """The codec that reads it, with or without a mark of the byte order."""
        return "utf-8-sig" if self.encoding == "utf-8" else self.encoding

    @property
    def changes(self) -> dict[str, str]:
        """What is other than in a plain CSV, by name."""
        plain = asdict(CsvFormat())
        return {name: value for name, value in asdict(self).items() if value != plain[name]}


def find_format(path: Path) -> CsvFormat:
    """Look at the beginning of a CSV and tell how it is written.

    Raises:
        MissingFileError: where it is not there.
        DataError: where it cannot be read, or is not text.
    """
    head = _read_head(path)
    if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path} is not text; expected a CSV.")
    encoding = _find_encoding(head)
    lines = head.decode(encoding, errors="ignore").splitlines()
    # The last line may have been cut.
    lines = lines[:_ROWS] if len(lines) > _ROWS else lines
    separator = _find_separator(lines)
    cells = [cell.strip() for row in csv.reader(lines[1:], delimiter=separator) for cell in row]
    commas = sum(_DECIMAL_COMMA.fullmatch(cell) is not None for cell in cells)
    points = sum(_DECIMAL_POINT.fullmatch(cell) is not None for cell in cells)
    decimal = "," if separator != "," and commas > points else "."
    return CsvFormat(separator, decimal, encoding)


def _read_head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_BYTES)
    except FileNotFoundError:
        raise MissingFileError(f"{path} does not exist.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}.") from None


def _find_encoding(head: bytes) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        # The last character may have been cut.
        if len(head) < _BYTES or error.start < len(head) - 4:
            return "cp1252"
    return "utf-8"


def _find_separator(lines: Sequence[str]) -> str:
    """Return the separator of which every row has the same number, and of those the most."""
    widths = {s: [len(row) for row in csv.reader(lines, delimiter=s)] for s in _SEPARATORS}
    same = {s: found[0] for s, found in widths.items() if found and len(set(found)) == 1}
    best = max(same, key=lambda s: same[s], default=",")
    return best if same.get(best, 1) > 1 else ","
