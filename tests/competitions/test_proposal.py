"""Guesses about files never seen before, against what a person would say of them."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaggleprice.competitions.catalog import read_competition
from kaggleprice.competitions.competition_file import competition_name, to_toml
from kaggleprice.competitions.csv_format import CsvFormat
from kaggleprice.competitions.found_files import Files, find_files
from kaggleprice.competitions.proposal import Guess, Proposal, propose
from kaggleprice.core.errors import UsageError

ROWS = 60
RANDOM = np.random.default_rng(0)
TARGET = np.exp(RANDOM.normal(0, 1.5, ROWS)).round(3)
AREA = RANDOM.normal(100, 20, ROWS).round(2)


def write(folder: Path, columns: dict[str, Any], target: Any = TARGET) -> Files:
    frame = pd.DataFrame({"area": AREA, **columns})
    frame.assign(price=target).to_csv(folder / "train.csv", index=False)
    frame.to_csv(folder / "test.csv", index=False)
    return Files(folder / "train.csv", folder / "test.csv")


def cycle(*levels: str) -> list[str]:
    return [levels[i % len(levels)] for i in range(ROWS)]


# Columns, and the guess of the kind of `x`; None where it has no kind of its own.
KINDS: dict[str, tuple[list[str], Any]] = {
    "numbers": (cycle("1", "2.5", "-3e2"), None),
    "words": (cycle("red", "green", "blue"), None),
    "codes": (cycle("SW1", "E12", "N4"), None),
    "numbers and words": (cycle("1", "2", "three"), None),
    "ISO dates": (cycle("2020-01-31", "2021-12-01"), "date %Y-%m-%d"),
    "days before months": (cycle("13/02/2020", "01/02/2020"), "date %d/%m/%Y"),
    "months before days": (cycle("02/13/2020", "01/02/2020"), "date %m/%d/%Y"),
    "times": (cycle("2020-01-31 10:00:00", "2021-12-01 11:30:00"), "date %Y-%m-%d %H:%M:%S"),
    "weights": (cycle("1,200 kg", "12 kg"), "number"),
    "dollars": (cycle("$1,250", "$3"), "number"),
    "thousands": (cycle("1,250", "3"), "number"),
    "dollars of Europe": (cycle("$1.250,50", "$3,10"), "number ,"),
    "points before thousands": (cycle("€ 1.781", "€ 87", "€ 2.001.500"), "number ,"),
    "euros and cents": (cycle("€ 1.78", "€ 87"), "number"),
    "grams as decimals": (cycle("1.781 kg", "12 kg"), "number"),
    "mixed units": (cycle("12 kg", "3 lb"), "number"),
    "house numbers": (cycle("12", "3A", "14 V"), None),
    "sentences": ([f"nice flat number {i} near the sea" for i in range(ROWS)], "text"),
    "sentences that repeat": (cycle("a nice flat", "near the sea"), None),
    "quality": (cycle("Gd", "TA", "Ex"), ("TA", "Gd", "Ex")),
    "sizes": (cycle("LARGE", "small", "medium"), ("small", "medium", "LARGE")),
}


@pytest.mark.parametrize("case", KINDS)
def test_kind(case: str, tmp_path: Path) -> None:
    cells, expected = KINDS[case]
    found = propose(write(tmp_path, {"x": cells}), {}, {})
    assert {name: guess.value for name, guess in found.kinds.items()} == (
        {} if expected is None else {"x": expected}
    )
    assert all(guess.reason for guess in found.kinds.values())


@pytest.mark.parametrize(
    ("columns", "pairs"),
    [
        ({"lat": 47.5, "long": -122.0}, ["lat", "long"]),
        ({"Lattitude": -37.8, "Longtitude": 144.9}, ["Lattitude", "Longtitude"]),
        (
            {"pickup_lng": 1.5, "pickup_lat": 2.5, "drop_lat": 1.0, "drop_lng": 3.5},
            ["pickup_lat", "pickup_lng", "drop_lat", "drop_lng"],
        ),
        ({"start_lat": 1.5, "end_lng": 2.5}, []),
        ({"lat": 1.5}, []),
        ({"lat": 47.5, "long": 200.0}, []),
        ({"flat": 1.5, "belong": 2.5}, []),
    ],
)
def test_places(columns: dict[str, float], pairs: list[str], tmp_path: Path) -> None:
    files = write(tmp_path, {name: AREA / 1000 + value for name, value in columns.items()})
    found = {name: guess.value for name, guess in propose(files, {}, {}).kinds.items()}
    assert list(found) == pairs
    assert list(found.values()) == ["latitude", "longitude"] * (len(pairs) // 2)


def test_names_of_rows_are_no_texts(tmp_path: Path) -> None:
    names = [f"the flat number {i}" for i in range(ROWS)]
    found = propose(write(tmp_path, {"flat_id": names}), {}, {})
    assert found.keys["id_column"].value == "flat_id"
    assert not found.kinds


def test_markers_among_numbers(tmp_path: Path) -> None:
    files = write(
        tmp_path, {"x": cycle("1", "2", "?"), "y": cycle("3", "NA"), "z": cycle("?", "b")}
    )
    found = propose(files, {}, {})
    # In `z` it is a level, as any other.
    assert found.keys["missing_values"].value == ["NA"]
    assert {c: own.value for c, own in found.missing_values_of.items()} == {"x": ["NA", "?"]}
    assert "'z'" in found.missing_values_of["x"].reason
    assert found.competition("a").missing_values_of == {"x": ("NA", "?")}


def test_markers_that_are_levels_nowhere_are_those_of_all_columns(tmp_path: Path) -> None:
    columns = {
        "x": cycle("1", "2", "?"),
        "y": cycle("3", "NA", "unknown"),
        "z": cycle("a", "unknown"),
        "day": cycle("2020-01-31", "?", "2020-02-01"),
        "size": cycle("small", "-", "large"),
        "none": cycle("None", "a"),
    }
    found = propose(write(tmp_path, columns), {}, {})
    assert found.keys["missing_values"].value == ["NA", "-", "?"]
    assert {c: own.value for c, own in found.missing_values_of.items()} == {
        "y": ["NA", "-", "?", "unknown"]
    }


def test_a_number_may_always_be_one(tmp_path: Path) -> None:
    """-999 among numbers may mean missing, and may not: that is for a person to say."""
    found = propose(write(tmp_path, {"x": cycle("1", "-999", "2.5")}), {}, {})
    assert found.keys["missing_values"].value == ["NA"]
    assert found.missing_values_of == {}


def test_groups_are_looked_for_without_a_columns_markers(tmp_path: Path) -> None:
    """A marker that both files have is no group of both."""
    train = pd.DataFrame({"street": [f"{i // 6 * 2}" for i in range(60)], "z": cycle("a", "?")})
    test = pd.DataFrame({"street": [f"{i % 7 * 2 + 1}" for i in range(60)], "z": "a"})
    train.loc[0, "street"] = test.loc[0, "street"] = "?"
    train.insert(1, "y", np.arange(60) % 7)
    for name, table in (("train", train), ("test", test)):
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    found = propose(Files(tmp_path / "train.csv", tmp_path / "test.csv"), {}, {})
    assert list(found.missing_values_of) == ["street"]
    assert found.keys["fold_scheme"].value == "grouped"
    assert found.keys["fold_column"].value == "street"


def test_a_day_that_may_be_a_month_is_not_sure(tmp_path: Path) -> None:
    guess = propose(write(tmp_path, {"x": cycle("01/02/2020", "03/04/2020")}), {}, {}).kinds["x"]
    assert (guess.value, guess.sure) == ("date %d/%m/%Y", False)
    assert "%m/%d/%Y" in guess.reason


@pytest.mark.parametrize(
    ("name", "cells", "expected"),
    [
        ("Id", [f"{i}" for i in range(ROWS)], "Id"),
        ("row_id", [f"r{i}" for i in range(ROWS)], "row_id"),
        ("id", [f"{i // 2 * 2 if i < 4 else i}" for i in range(ROWS)], "id"),
        ("when", pd.date_range("2020-01-01", periods=ROWS).strftime("%Y-%m-%d"), "when"),
        ("grid", cycle("a", "b"), None),
        ("Id", cycle("1", "2"), None),
        ("Nr", [f"{i}" for i in range(5, 5 + ROWS)], "Nr"),
        ("Nr", [f"{i * 7 % ROWS}" for i in range(ROWS)], None),
    ],
)
def test_id(name: str, cells: Any, expected: str | None, tmp_path: Path) -> None:
    files = write(tmp_path, {name: cells})
    for path in (files.train, files.test):
        frame = pd.read_csv(str(path), dtype=str)
        frame[[name, *frame.columns.drop(name)]].to_csv(str(path), index=False)
    found = propose(files, {}, {}).keys["id_column"]
    # A column of any name that counts up may be a feature.
    assert (found.value, found.sure) == (expected, expected != "Nr")


def test_numbers_that_no_two_rows_of_both_files_share_may_name_them(tmp_path: Path) -> None:
    numbers = RANDOM.permutation(2 * ROWS) + 10_000
    files = write(tmp_path, {})
    for path, own in ((files.train, numbers[:ROWS]), (files.test, numbers[ROWS:])):
        frame = pd.read_csv(str(path), dtype=str)
        frame.insert(0, "Nr", own)
        frame.to_csv(str(path), index=False)
    found = propose(files, {}, {}).keys["id_column"]
    assert (found.value, found.sure) == ("Nr", False)


@pytest.mark.parametrize(
    ("extra", "expected", "sure"),
    [
        ({}, "price", True),
        ({"a": AREA.round(), "b": TARGET.round(), "total": AREA.round() + TARGET.round()},
         "total", True),
        ({"later": AREA}, "price", False),
    ],
)  # fmt: skip
def test_target(extra: dict[str, Any], expected: str, sure: bool, tmp_path: Path) -> None:
    files = write(tmp_path, {})
    train = pd.read_csv(files.train)
    if "total" in extra:
        train = train.drop(columns="price")
    train.assign(**extra).to_csv(files.train, index=False)
    found = propose(files, {}, {})
    assert (found.keys["target_column"].value, found.keys["target_column"].sure) == (expected, sure)
    # What only the training file has is no feature, and is pointed at.
    others = {*extra, "price"} & set(train.assign(**extra)) - {expected}
    assert {c for c, guess in found.kinds.items() if guess.value == "drop"} == others


def test_a_sample_submission_names_id_and_target(tmp_path: Path) -> None:
    files = write(tmp_path, {"code": [f"c{i}" for i in range(ROWS)], "other": AREA})
    train = pd.read_csv(files.train).assign(later=1.0)
    train.to_csv(files.train, index=False)
    pd.DataFrame({"code": ["c1"], "price": [0]}).to_csv(tmp_path / "sample.csv", index=False)
    assert find_files([tmp_path]) == Files(files.train, files.test, tmp_path / "sample.csv")
    found = propose(find_files([tmp_path]), {}, {})
    assert found.keys["id_column"].value == "code"
    assert found.keys["target_column"].value == "price"


@pytest.mark.parametrize(
    ("target", "transform", "metric"),
    [
        (TARGET, "log1p", "rmsle"),
        (AREA, "none", "rmse"),
        (-TARGET, "yeo-johnson", "rmse"),
        (RANDOM.integers(0, 2, ROWS), "none", "rmse"),
    ],
)
def test_scale(target: Any, transform: str, metric: str, tmp_path: Path) -> None:
    keys = propose(write(tmp_path, {}, target), {}, {}).keys
    assert (keys["target_transform"].value, keys["metric"].value) == (transform, metric)
    # No file tells the metric.
    assert not keys["metric"].sure


def test_what_is_given_is_kept(tmp_path: Path) -> None:
    files = write(tmp_path, {"x": cycle("01/02/2020")})
    given = {"target_column": "price", "metric": "mae", "id_column": "area"}
    found = propose(files, given, {"x": "category"})
    assert {key: found.keys[key].value for key in given} == given
    assert found.kinds["x"].value == "category"
    assert propose(files, {"metric": "rmsle"}, {}).keys["target_transform"].value == "log1p"
    with pytest.raises(UsageError, match=r"unknown column 'prize' in .*train\.csv; .*price"):
        propose(files, {"target_column": "prize"}, {})


def test_columns_that_cannot_be(tmp_path: Path) -> None:
    files = write(tmp_path, {})
    with pytest.raises(UsageError, match=r"unknown column 'aria' in .*mean 'area'"):
        propose(files, {}, {"aria": "drop"})
    with pytest.raises(UsageError, match="target 'price' cannot be dropped"):
        propose(files, {}, {"price": "drop"})


def test_a_sample_submission_names_the_predictions(tmp_path: Path) -> None:
    write(tmp_path, {"code": [f"c{i}" for i in range(ROWS)]})
    pd.DataFrame({"code": ["c1"], "Prediction": [0]}).to_csv(tmp_path / "sample.csv", index=False)
    found = propose(find_files([tmp_path]), {}, {})
    assert found.keys["target_column"].value == "price"
    assert found.competition("a").prediction_names == ("Prediction",)


def test_leaks(tmp_path: Path) -> None:
    order = np.empty(ROWS, dtype=int)
    order[np.argsort(TARGET)] = np.arange(ROWS)
    files = write(tmp_path, {"id": order + 7, "euros": TARGET * 1.1})
    warnings = " ".join(propose(files, {}, {}).warnings)
    for words in ("the id 'id'", "the column 'euros'", "(rank correlation 1.000)"):
        assert words in warnings
    assert "area" not in warnings


names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@given(
    texts=st.lists(names, min_size=3, max_size=3, unique=True),
    reason=names,
    order=st.lists(names, min_size=1, max_size=3),
    separator=st.sampled_from(string.punctuation + "\t"),
)
def test_a_written_file_is_read_back(
    texts: list[str],
    reason: str,
    order: list[str],
    separator: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Whatever the names in the data are: quotes, line breaks, control characters."""
    folder = tmp_path_factory.mktemp("written")
    identity, target, column = texts
    keys = {
        "id_column": Guess(identity, reason),
        "target_column": Guess(target, reason, sure=False),
        "target_transform": Guess("none", reason),
        "metric": Guess("r2", reason),
        "missing_values": Guess(["NA", *order], reason),
    }
    kinds = {column: Guess(tuple(order), reason), target: Guess("drop", reason)}
    own = {name: Guess(["NA", *order], reason) for name in (column, target)}
    files = Files(folder / "a b.csv", folder / "c.csv")
    proposal = Proposal(
        files, CsvFormat(separator, ",", "cp1252"), keys, kinds, missing_values_of=own
    )
    path = folder / "competition.toml"
    path.write_text(to_toml(proposal, "some-name", folder), encoding="utf-8")
    competition = read_competition(path)
    assert competition == proposal.competition("some-name")
    assert not list(folder.glob("*.csv"))


@pytest.mark.parametrize(
    ("folder", "expected"), [("Bike Sharing", "bike-sharing"), ("Ä", "competition"), ("a.b", "a.b")]
)
def test_name_of_a_competition(folder: str, expected: str, tmp_path: Path) -> None:
    assert competition_name(tmp_path / folder) == expected


@pytest.mark.parametrize("cells", [["h0", "h1"], ["SKU-017", "SKU-020"], ["A1", "B2"]])
def test_codes_are_no_amounts(tmp_path: Path, cells: list[str]) -> None:
    frame = pd.DataFrame({"code": cells * 15, "y": np.arange(30.0)})
    frame.to_csv(tmp_path / "train.csv", index=False)
    found = propose(Files(tmp_path / "train.csv"), {"target_column": "y"}, {})
    assert "code" not in found.kinds


def test_a_currency_may_stand_first(tmp_path: Path) -> None:
    frame = pd.DataFrame({"cost": ["USD 10", "USD 12.5"] * 15, "y": np.arange(30.0)})
    frame.to_csv(tmp_path / "train.csv", index=False)
    found = propose(Files(tmp_path / "train.csv"), {"target_column": "y"}, {})
    assert found.kinds["cost"].value == "number"


def test_as_many_targets_as_the_sample_submission_has_columns(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": range(30), "x": range(30), "price": range(30), "rent": range(30)})
    frame.to_csv(tmp_path / "train.csv", index=False)
    frame[["id", "x"]].to_csv(tmp_path / "test.csv", index=False)
    sample = frame[["id", "price", "rent"]].set_axis(["id", "p1", "p2"], axis=1)
    sample.to_csv(tmp_path / "sample.csv", index=False)
    found = propose(find_files([tmp_path]), {}, {})
    target = found.keys["target_column"]
    assert (target.value, target.sure) == (["price", "rent"], False)
    assert found.competition("a").prediction_names == ("p1", "p2")


@pytest.mark.filterwarnings("error")
def test_a_constant_target(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": np.arange(30.0), "y": np.full(30, 7.0)})
    frame.to_csv(tmp_path / "train.csv", index=False)
    found = propose(Files(tmp_path / "train.csv"), {"target_column": "y"}, {})
    assert found.keys["target_transform"].value == "none"
