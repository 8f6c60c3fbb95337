"""Submissions: what Kaggle accepts, in the test file's order, or nothing."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaggleprice.competitions.catalog import COMPETITIONS
from kaggleprice.competitions.submission import (
    check_submission,
    make_submission,
    write_submission,
)
from kaggleprice.competitions.tables import Table
from kaggleprice.core.errors import DataError, RunError

HOUSES = COMPETITIONS["house-prices"]
# Ids as a CSV can hold them: any text but an empty one, without control characters.
IDS = st.lists(
    st.text(st.characters(exclude_categories=["C", "Z"]) | st.sampled_from(" ,\"'"), min_size=1),
    min_size=1,
    max_size=8,
    unique=True,
)


def table(*ids: str) -> Table:
    return Table(np.array(ids, dtype=object), pd.DataFrame(index=range(len(ids))))


def test_file_is_exactly_what_kaggle_accepts(tmp_path: Path) -> None:
    path = tmp_path / "submission.csv"
    rows = table("1463", "0008", "12")
    made = make_submission(HOUSES, rows, np.array([1e5, 0.1 + 0.2, 123456.78125]))
    write_submission(made, HOUSES, rows, path)
    assert path.read_bytes() == (
        b"Id,SalePrice\n1463,100000.0\n0008,0.30000000000000004\n12,123456.78125\n"
    )


@given(ids=IDS, data=st.data())
def test_round_trip(
    ids: list[str], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    prices = data.draw(
        st.lists(st.floats(1e-300, 1e300), min_size=len(ids), max_size=len(ids)), label="prices"
    )
    rows, path = table(*ids), tmp_path_factory.mktemp("round") / "s.csv"
    write_submission(make_submission(HOUSES, rows, np.array(prices)), HOUSES, rows, path)
    with path.open(newline="", encoding="utf-8") as file:
        back = list(csv.DictReader(file))
    assert [row["Id"] for row in back] == ids
    assert [float(row["SalePrice"]) for row in back] == prices


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0, -1.0])
def test_unusable_prediction_is_refused(value: float) -> None:
    with pytest.raises(RunError, match=r"1 of 3 predictions .*Id b got"):
        make_submission(HOUSES, table("a", "b", "c"), np.array([1.0, value, 2.0]))


def test_of_several_unusable_predictions_the_first_is_named() -> None:
    with pytest.raises(RunError, match=r"2 of 3 predictions .*Id b got nan"):
        make_submission(HOUSES, table("a", "b", "c"), np.array([1.0, np.nan, -1.0]))


def test_domain_is_the_competitions() -> None:
    rows, values = table("a", "b"), np.array([0.0, 3.0])
    counts = replace(HOUSES, target_transform="log1p")
    assert make_submission(counts, rows, values)["SalePrice"].tolist() == [0.0, 3.0]
    plain = replace(HOUSES, target_transform="none")
    assert make_submission(plain, rows, -values)["SalePrice"].tolist() == [0.0, -3.0]
    with pytest.raises(RunError):
        make_submission(counts, rows, -values)


GOOD = "Id,SalePrice\n1,10.5\n02,20.5\n3,30.5\n"
ALTERED: dict[str, tuple[str | bytes, str]] = {
    "another header": (GOOD.replace("SalePrice", "Price"), "expected the header"),
    "a column more": (GOOD.replace("\n", ",x\n"), "expected the header"),
    "columns turned": ("SalePrice,Id\n10.5,1\n20.5,02\n30.5,3\n", "expected the header"),
    "another order": ("Id,SalePrice\n02,20.5\n1,10.5\n3,30.5\n", "the ids are not those"),
    "a row less": (GOOD.replace("3,30.5\n", ""), "the ids are not those"),
    "a row twice": (GOOD + "3,30.5\n", "the ids are not those"),
    "an id that lost its zero": (GOOD.replace("02", "2"), "the ids are not those"),
    "empty price": (GOOD.replace("20.5", ""), "SalePrice must be a number above 0"),
    "text for a price": (GOOD.replace("20.5", "cheap"), "SalePrice must be a number above 0"),
    "infinite price": (GOOD.replace("20.5", "inf"), "SalePrice must be a number above 0"),
    "negative price": (GOOD.replace("20.5", "-20.5"), "SalePrice must be a number above 0"),
    "rows too long": (GOOD.replace(".5\n", ".5,9\n"), "the ids are not those"),
    "empty": ("", "cannot be read as CSV"),
    "binary": (bytes(range(256)), "cannot be read as CSV"),
}


@pytest.mark.parametrize("case", ALTERED)
def test_altered_file_is_refused(case: str, tmp_path: Path) -> None:
    content, message = ALTERED[case]
    path = tmp_path / "submission.csv"
    path.write_text(GOOD)
    check_submission(path, HOUSES, table("1", "02", "3"))
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError, match=message):
        check_submission(path, HOUSES, table("1", "02", "3"))


def test_submission_of_other_rows_is_never_placed(tmp_path: Path) -> None:
    path = tmp_path / "submission.csv"
    path.write_text("the user's own")
    made = make_submission(HOUSES, table("1", "2"), np.array([1.0, 2.0]))
    with pytest.raises(DataError, match="the ids are not those"):
        write_submission(made, HOUSES, table("2", "1"), path)
    assert [p.name for p in tmp_path.iterdir()] == ["submission.csv"]
    assert path.read_text() == "the user's own"
