"""Kinds of columns: amounts, dates and orders become the numbers that a person would write."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaggleprice.competitions.csv_format import CsvFormat
from kaggleprice.competitions.kinds import (
    DATE_FORMATS,
    apply_kinds,
    find_date_formats,
    pairs_of_places,
    parse_amount,
    settle_kinds,
)
from kaggleprice.core.errors import DataError


def applied(cells: list[Any], kind: Any, csv_format: CsvFormat | None = None) -> pd.DataFrame:
    frame = pd.DataFrame({"x": pd.Series(cells).astype("category"), "kept": range(len(cells))})
    path = Path("train.csv")
    written = csv_format or CsvFormat()
    kinds = settle_kinds({"x": kind}, frame, written, path)
    made = apply_kinds(frame, kinds, written, path)
    assert list(made.pop("kept")) == list(range(len(cells)))
    return made


@pytest.mark.parametrize(
    ("cell", "decimal", "expected"),
    [
        ("12", ".", (12, "")),
        ("-1,234.5", ".", (-1234.5, "")),
        ("€ 12", ".", (12, "€")),
        ("$1,250,000", ".", (1250000, "$")),
        ("12 kg", ".", (12, "kg")),
        ("45 %", ".", (45, "%")),
        ("1e-3 m", ".", (0.001, "m")),
        (".5", ".", (0.5, "")),
        ("1 234,5 €", ",", (1234.5, "€")),
        ("1.234,5", ",", (1234.5, "")),
        ("1'000", ".", (1000, "")),
        ("1,23,4", ".", None),
        ("1.2.3", ".", None),
        ("abc", ".", None),
        ("", ".", None),
    ],
)
def test_amounts(cell: str, decimal: str, expected: tuple[float, str] | None) -> None:
    assert parse_amount(cell, decimal) == expected


@given(number=st.floats(-1e12, 1e12), unit=st.sampled_from(["", " kg", " %", " €"]))
def test_amounts_are_read_back(number: float, unit: str) -> None:
    found = parse_amount(f"{number:,.3f}{unit}")
    assert found == (pytest.approx(round(number, 3)), unit.strip())


def test_numbers_in_texts() -> None:
    made = applied(["1,200 kg", None, "3 kg", "3 kg"], "number")
    np.testing.assert_array_equal(made["x"], [1200, np.nan, 3, 3])


def test_numbers_with_a_decimal_comma() -> None:
    made = applied(["1.200,5 kg", None, "3 kg"], "number ,")
    np.testing.assert_array_equal(made["x"], [1200.5, np.nan, 3])


def test_units_that_differ_are_a_category_beside() -> None:
    made = applied(["12 kg", "3 lb", None, "1,500", "7 kg"], "number")
    np.testing.assert_array_equal(made["x"], [12, 3, np.nan, 1500, 7])
    assert made["x unit"].astype(object).where(made["x unit"].notna(), None).tolist() == [
        "kg", "lb", None, "none", "kg",
    ]  # fmt: skip
    comma = applied(["1,5 €", "2,5 $"], "number ,")
    assert comma["x"].tolist() == [1.5, 2.5]
    assert comma["x unit"].tolist() == ["€", "$"]
    assert list(applied(["12 kg", "3 kg"], "number")) == ["x"]


@pytest.mark.parametrize("cells", [["12", "3"], ["12 stone", "3 lb"]])
def test_a_test_file_has_the_units_of_the_training_file(cells: list[str]) -> None:
    """Also where its own are all alike, or others."""
    train = pd.DataFrame({"x": pd.Series(["1 kg", "2 lb"]).astype("category")})
    kinds = settle_kinds({"x": "number"}, train, CsvFormat(), Path("train.csv"))
    test = pd.DataFrame({"x": pd.Series(cells)})
    made = apply_kinds(test, kinds, CsvFormat(), Path("test.csv"))
    assert list(made) == ["x", "x unit"]
    numbers = pd.DataFrame({"x": [12, 3]})
    assert list(apply_kinds(numbers, kinds, CsvFormat(), Path("test.csv"))) == ["x", "x unit"]


def test_texts_stay_beside_their_length() -> None:
    made = applied(["a nice flat", None, "sea"], "text")
    np.testing.assert_array_equal(made["x length"], [11, np.nan, 3])
    np.testing.assert_array_equal(made["x words"], [3, np.nan, 1])
    assert made["x"].tolist()[::2] == ["a nice flat", "sea"]


def test_places_get_turned_axes() -> None:
    """They are those of a rotation; a latitude without longitude is a number alone."""
    frame = pd.DataFrame({"n": [1.0, 0.0, 2.0], "e": [0.0, 1.0, 3.0], "m": [5, 6, 7]})
    kinds = {"n": "latitude", "e": "longitude", "m": "latitude"}
    made = apply_kinds(frame, kinds, CsvFormat(), Path("train.csv"))
    assert pairs_of_places(kinds) == [("n", "e")]
    assert list(made) == ["n", "e", "m", *(f"n e axis {angle}" for angle in (30, 60, 120, 150))]
    for angle in (30, 60, 120, 150):
        turned = np.exp(-1j * np.radians(angle)) * (frame["e"] + 1j * frame["n"])
        np.testing.assert_allclose(made[f"n e axis {angle}"], turned.to_numpy().real, atol=1e-12)


def test_an_order() -> None:
    made = applied(["mid", "low", None, "high", "mid"], ("low", "mid", "high"))
    np.testing.assert_array_equal(made["x"], [1, 0, np.nan, 2, 1])


def test_a_dropped_column() -> None:
    assert applied(["a", "b"], "drop").empty


@pytest.mark.parametrize("form", DATE_FORMATS)
@settings(max_examples=20)
@given(when=st.datetimes(datetime.datetime(1970, 1, 1), datetime.datetime(2068, 12, 31)))
def test_dates_of_every_format(form: str, when: datetime.datetime) -> None:
    """The parts are those of Python's own datetime."""
    text = when.strftime(form)
    then = datetime.datetime.strptime(text, form)
    made = applied([text, None], f"date {form}").iloc[0]
    assert made["x year"] == then.year
    assert made["x month"] == then.month
    assert made["x day"] == then.day
    assert made["x weekday"] == then.weekday()
    since = then - datetime.datetime(1970, 1, 1)
    assert made["x days"] == pytest.approx(since / datetime.timedelta(days=1))
    assert ("x hour" in made) == ("%H" in form)
    if "%H" in form:
        assert made["x hour"] == pytest.approx(then.hour + then.minute / 60)
        assert made["x day sin"] == pytest.approx(np.sin(2 * np.pi * made["x hour"] / 24))


@pytest.mark.parametrize(
    ("train", "test", "month"),
    [(["02/13/2020", "01/02/2020"], ["03/04/2020"], 3), (["13/02/2020"], ["03/04/2020"], 4)],
)
def test_a_test_file_has_the_format_of_the_training_file(
    train: list[str], test: list[str], month: int
) -> None:
    """Whatever its own cells would allow: of 3/4 nobody knows which is the month."""
    frames = [pd.DataFrame({"x": pd.Series(cells).astype("category")}) for cells in (train, test)]
    kinds = settle_kinds({"x": "date"}, frames[0], CsvFormat(), Path("train.csv"))
    made = apply_kinds(frames[1], kinds, CsvFormat(), Path("test.csv"))
    assert made["x month"].tolist() == [month]


def test_missing_dates_are_missing_in_every_part() -> None:
    assert applied([None, "2020-02-29"], "date").iloc[0].isna().all()


def test_a_day_above_12_tells_day_from_month() -> None:
    assert find_date_formats(["01/02/2020", "13/02/2020"]) == ["%d/%m/%Y"]
    assert find_date_formats(["01/02/2020", "02/13/2020"]) == ["%m/%d/%Y"]
    assert find_date_formats(["01/02/2020"]) == ["%d/%m/%Y", "%m/%d/%Y"]
    assert find_date_formats(["7", "8.5"]) == []


@pytest.mark.parametrize(
    ("cell", "kind", "expected"),
    [
        ("?", "number", "a number"),
        ("yesterday", "date", "dates"),
        ("2020-02-30", "date %Y-%m-%d", "%Y-%m-%d"),
        ("huge", ("small", "large"), "one of small, large"),
    ],
)
def test_a_cell_of_another_kind(cell: str, kind: Any, expected: str) -> None:
    with pytest.raises(DataError) as caught:
        applied([cell], kind)
    for word in ("train.csv", "'x'", repr(cell), expected, "`missing_values`", "`[kinds]`"):
        assert word in str(caught.value)
