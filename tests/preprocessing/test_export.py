"""Feature files: each kind holds the same numbers; the recipe beside them repeats them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kaggleprice.competitions.catalog import COMPETITIONS
from kaggleprice.competitions.tables import Table, Tables
from kaggleprice.core.errors import DataError, MissingFileError, UsageError
from kaggleprice.preprocessing.export import (
    WRITERS,
    check_suffix,
    read_recipe,
    recipe_beside,
    write_features,
)
from kaggleprice.preprocessing.fitted import FittedRecipe
from kaggleprice.preprocessing.fitting import fit
from kaggleprice.settings.recipe import RECIPES

SAMPLE = COMPETITIONS["sample"]

Read = tuple[list[str], list[str], list[str], np.ndarray]


def read_frame(frame: pd.DataFrame) -> Read:
    ids, split, *names = frame.columns
    assert (ids, split) == ("Id", "split")
    return list(frame["Id"]), list(frame["split"]), names, frame[names].to_numpy(np.float64)


def as_numbers(column: pd.Series) -> pd.Series:
    return column if column.name in ("Id", "split") else column.map(float)


def read_npz(path: Path) -> Read:
    with np.load(path, allow_pickle=False) as file:
        assert set(file) == {"ids", "split", "names", "features"}
        return list(file["ids"]), list(file["split"]), list(file["names"]), file["features"]


READERS: dict[str, Callable[[Path], Read]] = {
    # Python's own reading of numbers, which loses no bit.
    ".csv": lambda path: read_frame(pd.read_csv(path, dtype=str).apply(as_numbers)),
    ".parquet": lambda path: read_frame(pd.read_parquet(path)),
    ".npz": read_npz,
}


@pytest.fixture(params=WRITERS)
def suffix(request: pytest.FixtureRequest) -> str:
    if request.param == ".parquet":
        pytest.importorskip("pyarrow", reason="pyarrow, of the extra `parquet`, is not installed")
    return str(request.param)


@pytest.fixture(scope="module")
def tables(sample_tables: Tables) -> Tables:
    whole = (sample_tables.train, sample_tables.test)
    cut = [Table(t.ids[:60], t.features.head(60)) for t in whole]
    return Tables(*cut)


@pytest.fixture(scope="module")
def fitted(tables: Tables) -> FittedRecipe:
    return fit(RECIPES["standard"], tables.train)


def features_of(fitted: FittedRecipe, tables: Tables) -> pd.DataFrame:
    both = pd.concat([tables.train.features, tables.test.features], ignore_index=True)
    return pd.DataFrame(fitted.transform(both), columns=[f.name for f in fitted.features])


def test_file_holds_ids_names_and_every_bit(
    suffix: str, tmp_path: Path, tables: Tables, fitted: FittedRecipe
) -> None:
    path, features = tmp_path / f"f.v1{suffix}", features_of(fitted, tables)
    recipe_path = write_features(SAMPLE, tables, fitted, features, path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([path.name, "f.v1.recipe.json"])
    assert recipe_path == recipe_beside(path)
    ids, split, names, numbers = READERS[suffix](path)
    assert ids == [*tables.train.ids, *tables.test.ids]
    assert split == ["train"] * 60 + ["test"] * 60
    assert names == list(features.columns)
    np.testing.assert_allclose(numbers, features.to_numpy(), rtol=1e-15, atol=0)
    again = read_recipe(recipe_path)
    assert again.transform(tables.test.features).tobytes() == numbers[60:].tobytes()


def test_names_that_stand_twice_are_numbered(suffix: str, tmp_path: Path) -> None:
    """`a` with level `b_c`, `a_b` with level `c`; and columns called like our own."""
    frame = pd.DataFrame(
        {
            "a": pd.Series(["b_c", "b_c"], dtype="str"),
            "a_b": pd.Series(["c", "c#2"], dtype="str"),
            "split": [1.0, 3.0],
            "a_b_c#2": [5.0, 7.0],
        }
    )
    table = Table(np.array(["1", "2"], dtype=object), frame)
    tables = Tables(table, replace(table, ids=np.array(["3", "4"], dtype=object)))
    fitted = fit(RECIPES["standard"], table)
    path = tmp_path / f"f{suffix}"
    write_features(SAMPLE, tables, fitted, features_of(fitted, tables), path)
    ids, split, names, numbers = READERS[suffix](path)
    assert ids == ["1", "2", "3", "4"]
    assert split == ["train", "train", "test", "test"]
    assert len(names) == len(set(names)) == numbers.shape[1]
    assert names[0] == "split#2"
    assert numbers[:, 0].tolist() == [0.0, 1.0, 0.0, 1.0]


@pytest.mark.parametrize("name", ["f.txt", "f", "f.csv.gz", "f.json"])
def test_other_suffix_is_refused_before_any_work(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"expected a suffix of \.csv, \.npz, \.parquet, found"):
        check_suffix(tmp_path / name)
    for suffix in WRITERS:
        check_suffix(Path(f"f{suffix}"))


def test_parquet_without_pyarrow_says_how_to_get_it(
    tmp_path: Path, tables: Tables, fitted: FittedRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_engine(*_: object, **__: object) -> None:
        raise ImportError("Unable to find a usable engine")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", no_engine)
    with pytest.raises(UsageError, match=r"pip install pyarrow"):
        write_features(SAMPLE, tables, fitted, features_of(fitted, tables), tmp_path / "f.parquet")
    assert list(tmp_path.iterdir()) == []


def test_recipe_that_is_not_there_or_not_one(tmp_path: Path, fitted: FittedRecipe) -> None:
    path = tmp_path / "f.recipe.json"
    with pytest.raises(MissingFileError, match=r"f\.recipe\.json does not exist"):
        read_recipe(path)
    for content in (b"\xff\xfe", fitted.to_json().encode()[:-40], b"Id,a\n1,2\n"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"f\.recipe\.json"):
            read_recipe(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_recipe(tmp_path)
