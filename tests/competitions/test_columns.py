"""Columns: the smallest types that hold values exactly, joined from chunks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaggleprice.competitions.columns import Levels, as_texts, compact, joined, share_levels

CASES: list[tuple[list[Any], str]] = [
    ([0, 127, -128], "int8"),
    ([128], "int16"),
    ([40_000], "float32"),
    ([2**24], "float32"),
    ([2**24 + 1], "int32"),
    ([2**31], "float32"),
    ([2**31 + 1], "float64"),
    ([1.0, 5.0], "int8"),
    ([1.0, np.nan], "float32"),
    ([0.5, np.inf], "float32"),
    ([0.1], "float64"),
    ([2.0**24 + 1, np.nan], "float64"),
    ([1e300], "float64"),
    ([], "int8"),
]


@pytest.mark.parametrize(("values", "kind"), CASES)
def test_smallest_type(values: list[Any], kind: str) -> None:
    made = compact(np.array(values, dtype=np.array(values).dtype))
    assert made.dtype == kind
    np.testing.assert_array_equal(made.astype(np.float64), np.array(values, dtype=np.float64))


def join(chunks: list[Any]) -> Any:
    return joined({"a": chunks})["a"]


@given(
    st.lists(st.lists(st.floats(width=64) | st.integers(-(2**40), 2**40), max_size=5), min_size=1)
)
def test_numbers_of_any_chunks_come_back(parts: list[list[float]]) -> None:
    made = join([compact(np.array(part, dtype=np.float64)) for part in parts])
    everything = np.array([value for part in parts for value in part], dtype=np.float64)
    np.testing.assert_array_equal(made.astype(np.float64), everything)


def texts_of(parts: list[list[str | None]]) -> Any:
    return join([as_texts(pd.Series(part, dtype="str")) for part in parts])


@given(st.lists(st.lists(st.text(max_size=20) | st.none(), min_size=1, max_size=5), min_size=1))
def test_texts_of_any_chunks_come_back(parts: list[list[str | None]]) -> None:
    assert list(texts_of(parts)) == [text or "" for part in parts for text in part]


def test_texts_take_the_room_of_a_fixed_width_unless_one_is_long() -> None:
    short: list[list[str | None]] = [["1", "22"], ["333", None], ["4"]]
    assert texts_of(short).dtype == "U3"
    for other in ("x" * 17, "a\0"):
        mixed = texts_of([*short, [other], ["5"]])
        assert mixed.tolist() == ["1", "22", "333", "", "4", other, "5"]
        assert {type(text) for text in mixed} == {str}


def test_levels_of_chunks_are_sorted_and_missing_stays_missing() -> None:
    parts = [[f"v{i}" for i in range(300, 0, -1)], ["b", None, "a"], [None, "v7"], [None]]
    made = join([Levels.of(pd.Series(part, dtype="str")) for part in parts])
    everything = [value for part in parts for value in part]
    assert [None if pd.isna(value) else value for value in made] == everything
    assert list(made.categories) == sorted({value for value in everything if value})
    assert made.codes.dtype == np.int16


def test_numbers_among_levels_are_missing_ones() -> None:
    made = join([np.array([np.nan]), Levels.of(pd.Series(["b", "a"], dtype="str"))])
    assert made.codes.tolist() == [-1, 1, 0]
    assert made.codes.dtype == np.int8


def test_shared_levels() -> None:
    first = pd.Series(pd.Categorical(["b", None, "a"]))
    second = pd.Series(pd.Categorical(["c", "a"]))
    nothing = pd.Series([np.nan, np.nan])
    shared = share_levels(first, second, nothing)
    assert [list(column.cat.categories) for column in shared] == [["a", "b", "c"]] * 3
    assert shared[0].astype(object).fillna("").tolist() == ["b", "", "a"]
    assert shared[1].tolist() == ["c", "a"]
    assert shared[2].isna().all()
