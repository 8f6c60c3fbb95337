"""Kinds of columns: what a column's cells mean, and the features that they become.

The kinds are those of `kaggleprice.competitions.catalog.KINDS`, or the levels of an order, lowest
first, which become 0, 1, 2, .... A column without a kind is a number where every cell is one, and a
category otherwise. All of this looks at one cell at a time and learns nothing, so it happens once,
when the files are read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kaggleprice.competitions.catalog import (
    CATEGORY,
    DATE,
    DROP,
    LATITUDE,
    LONGITUDE,
    NUMBER,
    NUMBER_COMMA,
    TEXT,
    Kind,
)
from kaggleprice.competitions.csv_format import CsvFormat
from kaggleprice.core.errors import DataError

Floats = NDArray[np.float64]
# In the order in which they are tried; of two that fit all cells the first one is taken.
DATE_FORMATS = (
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M:%S",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M:%S",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d %b %Y",
    "%d %B %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%d-%b-%Y",
    "%Y-%m",
    "%Y%m%dT%H%M%S",
)
# A sign, an amount with its marks, and what stands before and after it.
_AMOUNT = re.compile(
    r"\s*(?P<before>[^\d+\-.,\s]{0,4})\s*(?P<sign>[-+]?)\s*(?P<before2>[^\d+\-.,\s]{0,4})\s*"
    r"(?P<digits>\d[\d.,'\u00a0\u202f ]*|[.,]\d+)(?P<exponent>[eE][-+]?\d+)?"
    r"\s*(?P<after>[^\d]{0,12}?)\s*"
)
# With north and east these are six axes, 30 degrees apart.
_ANGLES = (30, 60, 120, 150)
NUMBERS = (NUMBER, NUMBER_COMMA, LATITUDE, LONGITUDE)
# Added to the kind of numbers whose units differ.
_AND_UNIT = " and unit"
_EPOCH = np.datetime64("1970-01-01", "D")


def parse_amount(cell: str, decimal: str = ".") -> tuple[float, str] | None:
    """Return the number and the unit in a text such as `€ 1,234.5`; None where there is none.

    Args:
        cell: the text.
        decimal: the mark before the fraction.
    """
    found = _AMOUNT.fullmatch(cell)
    if found is None:
        return None
    digits = re.sub(r"['\u00a0\u202f ]", "", found["digits"])
    other = "," if decimal == "." else "."
    whole, _, fraction = digits.partition(decimal)
    groups = whole.split(other)
    grouped = len(groups) > 1
    if grouped and (not 1 <= len(groups[0]) <= 3 or any(len(group) != 3 for group in groups[1:])):
        return None
    number = f"{found['sign']}{''.join(groups)}.{fraction or '0'}{found['exponent'] or ''}"
    try:
        value = float(number)
    except ValueError:
        return None
    unit = f"{found['before']}{found['before2']}{found['after']}".strip()
    return value, unit


def find_date_formats(cells: Sequence[str]) -> list[str]:
    """Return the formats in `DATE_FORMATS` by which every one of the texts is a date."""
    texts = pd.Series(list(cells), dtype=object)
    first = texts.head(20)
    return [
        form
        for form in DATE_FORMATS
        if len(first)
        and pd.to_datetime(first, format=form, errors="coerce").notna().all()
        and pd.to_datetime(texts, format=form, errors="coerce").notna().all()
    ]


def apply_kinds(
    frame: pd.DataFrame, kinds: Mapping[str, Kind], csv_format: CsvFormat, path: Path
) -> pd.DataFrame:
    """Return a frame in which each column of a stated kind is replaced by its features.

    Args:
        frame: n rows, as read: numbers, and categories of text.
        kinds: column to kind, dates with their formats; columns that the frame lacks are passed
            over.
        csv_format: says what the mark before a fraction is.
        path: the file, for error messages.

    Raises:
        DataError: where a cell is not of the kind; it names the column and the cell.
    """
    if not any(name in kinds for name in frame):
        return frame
    decimal, where = csv_format.decimal, str(path)
    made: dict[str, pd.Series] = {}
    for name in map(str, frame):
        column, kind = frame[name], kinds.get(name, CATEGORY)
        if kind == DROP:
            continue
        numeric = _is_numeric(column)
        if kind in (CATEGORY, TEXT) or (kind in NUMBERS and numeric):
            made[name] = column
            if kind != TEXT:
                continue
        column = column.astype(str).where(column.notna()) if numeric else column
        codes, levels = pd.factorize(column)
        expanded = _expand(name, [str(level) for level in levels], kind, decimal, where)
        for feature, values in expanded.items():
            made[feature] = pd.Series(_of_rows(values, codes), index=frame.index)
    made |= _axes(made, kinds)
    return pd.DataFrame(made, index=frame.index, copy=False)


def _of_rows(values: Floats | list[str], codes: NDArray[Any]) -> Any:
    """Return what distinct texts became, for rows of such codes; the code -1 is missing."""
    if isinstance(values, list):
        return pd.Categorical([*values, None])[codes]
    return np.append(values, np.nan)[codes]


def _axes(made: Mapping[str, pd.Series], kinds: Mapping[str, Kind]) -> dict[str, pd.Series]:
    """Return places on turned axes: borders seldom run from north to south."""
    turned: dict[str, pd.Series] = {}
    for latitude, longitude in pairs_of_places(kinds):
        if latitude in made and longitude in made:
            north, east = (made[c].astype(np.float64) for c in (latitude, longitude))
            for angle in _ANGLES:
                turn = np.radians(angle)
                name = f"{latitude} {longitude} axis {angle}"
                turned[name] = np.cos(turn) * east + np.sin(turn) * north
    return turned


def pairs_of_places(kinds: Mapping[str, Kind]) -> list[tuple[str, str]]:
    """Return pairs of a latitude and a longitude: the first of each, the second, and so on.

    One that has no other is a plain number.
    """
    north, east = ([c for c, own in kinds.items() if own == k] for k in (LATITUDE, LONGITUDE))
    return list(zip(north, east, strict=False))


def settle_kinds(
    kinds: Mapping[str, Kind], frame: pd.DataFrame, csv_format: CsvFormat, path: Path
) -> dict[str, Kind]:
    """Return kinds with what a training table decides: formats of dates, units that differ.

    A test table is read in the same way, whatever else its own cells would allow.

    Args:
        kinds: column to kind.
        frame: n training rows, as read; columns that it lacks are passed over.
        csv_format: says what the mark before a fraction is.
        path: its file, for error messages.

    Raises:
        DataError: where no format fits all cells of a column.
    """
    found = dict(kinds)
    for name, kind in kinds.items():
        if kind == DATE and name in frame:
            levels = [str(level) for level in frame[name].dropna().unique()]
            forms = find_date_formats(levels)
            if levels and not forms:
                _refuse(levels[:1], name, "dates of one common format", str(path))
            found[name] = f"{DATE} {forms[0] if forms else DATE_FORMATS[0]}"
        elif kind in (NUMBER, NUMBER_COMMA) and name in frame and not _is_numeric(frame[name]):
            levels = [str(level) for level in frame[name].dropna().unique()]
            if len(set(_units(levels, kind, csv_format.decimal))) > 1:
                found[name] = f"{kind}{_AND_UNIT}"
    return found


def _is_numeric(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column)


def _mark(kind: Kind, decimal: str) -> str:
    """Return the mark before the fraction in numbers of a kind."""
    return "," if str(kind).startswith(NUMBER_COMMA) else decimal


def _units(levels: Sequence[str], kind: Kind, decimal: str) -> list[str]:
    """Return the unit of each text, `none` for a number alone."""
    amounts = [parse_amount(level, _mark(kind, decimal)) for level in levels]
    return ["none" if amount is None else amount[1] or "none" for amount in amounts]


def _expand(
    name: str, levels: list[str], kind: Kind, decimal: str, where: str
) -> dict[str, Floats | list[str]]:
    """Return the features of each of a column's distinct texts: name to values, shape (L,)."""
    if isinstance(kind, tuple):
        places = {level: float(place) for place, level in enumerate(kind)}
        _refuse([t for t in levels if t not in places], name, f"one of {', '.join(kind)}", where)
        return {name: np.array([places[level] for level in levels], dtype=np.float64)}
    if kind == TEXT:
        return {
            f"{name} length": np.array([len(level) for level in levels], dtype=np.float64),
            f"{name} words": np.array([len(level.split()) for level in levels], dtype=np.float64),
        }
    if kind.removesuffix(_AND_UNIT) in NUMBERS:
        mark = _mark(kind, decimal)
        amounts = [parse_amount(level, mark) for level in levels]
        wrong = [t for t, amount in zip(levels, amounts, strict=True) if amount is None]
        _refuse(wrong, name, "a number", where)
        made: dict[str, Floats | list[str]] = {
            name: np.array([a[0] for a in amounts if a is not None], dtype=np.float64)
        }
        if kind.endswith(_AND_UNIT):
            made[f"{name} unit"] = _units(levels, kind, decimal)
        return made
    return {**_date_parts(name, levels, kind.removeprefix(DATE).strip(), where)}


def _refuse(wrong: Sequence[str], name: str, expected: str, where: str) -> None:
    if wrong:
        raise DataError(
            f"{where}: column {name!r} must hold {expected}, found {wrong[0]!r}; if that means "
            "a missing value, add it to `missing_values`; else give the column another kind in "
            '`[kinds]`, such as "number ," for `1.234,5` or "date %d/%m/%Y".'
        )


def _date_parts(name: str, levels: list[str], form: str, where: str) -> dict[str, Floats]:
    """Return parts and cycles of dates and the days since 1970; the hour where there is one."""
    dates = pd.to_datetime(pd.Series(levels, dtype=object), format=form, errors="coerce")
    _refuse([t for t, d in zip(levels, dates, strict=True) if pd.isna(d)], name, form, where)
    if dates.dt.tz is not None:
        dates = dates.dt.tz_convert(None)
    days = (dates - pd.Timestamp(_EPOCH)) / pd.Timedelta(days=1)
    hours = dates.dt.hour + dates.dt.minute / 60
    parts: dict[str, pd.Series] = {
        "year": dates.dt.year,
        "month": dates.dt.month,
        "day": dates.dt.day,
        "weekday": dates.dt.day_of_week,
        "days": days,
        **_cycle("year", dates.dt.day_of_year / 365.25),
        **_cycle("week", dates.dt.day_of_week / 7),
    }
    if "%H" in form:
        parts |= {"hour": hours, **_cycle("day", hours / 24)}
    return {f"{name} {part}": values.to_numpy(dtype=np.float64) for part, values in parts.items()}


def _cycle(name: str, turns: pd.Series) -> dict[str, pd.Series]:
    angle = 2 * np.pi * turns
    return {f"{name} sin": np.sin(angle), f"{name} cos": np.cos(angle)}


def read_truths(texts: pd.Series) -> NDArray[np.float64] | None:
    """Return `true` and `false`, in any case, as 1 and 0; a missing or empty one as NaN.

    Shape (n,); None where there is another text, or nothing but missing ones.
    """
    if pd.api.types.is_numeric_dtype(texts):
        return None
    lower = texts.astype(object).map(lambda text: str(text).strip().lower(), na_action="ignore")
    levels = set(lower.dropna()) - {""}
    if not levels or not levels <= {"true", "false"}:
        return None
    return np.asarray(lower.map({"true": 1.0, "false": 0.0}), dtype=np.float64)
