"""From drawn houses to data frames and CSV files, with the gaps that such files have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.sample.houses import Houses, make_houses
from benchmarks.sample.prices import make_prices
from benchmarks.sample.vocabulary import CATEGORIES, COLUMNS, NEIGHBORHOODS
from kaggleprice.core.errors import UsageError
from kaggleprice.core.files import replacing

# values that somebody forgot to write down: columns that go together, and in how many of ten
# thousand rows of the training file and of the test file
_FORGOTTEN: tuple[tuple[tuple[str, ...], int, int], ...] = (
    (("MasVnrType", "MasVnrArea"), 55, 105),
    (("MasVnrType",), 0, 10),
    (("Electrical",), 10, 0),
    (("BsmtExposure",), 10, 10),
    (("BsmtFinType2",), 10, 0),
    (("BsmtCond",), 0, 20),
    (("BsmtFinSF1", "BsmtFinSF2", "BsmtUnfSF", "TotalBsmtSF"), 0, 10),
    (("BsmtFullBath", "BsmtHalfBath"), 0, 15),
    (("GarageCars", "GarageArea"), 0, 10),
    (("GarageYrBlt", "GarageFinish", "GarageQual", "GarageCond"), 0, 15),
    (("MSZoning",), 0, 30),
    (("Utilities",), 0, 15),
    (("Exterior1st", "Exterior2nd"), 0, 10),
    (("KitchenQual",), 0, 10),
    (("Functional",), 0, 15),
    (("SaleType",), 0, 10),
)


def make_sample(
    rows_train: int = 600, rows_test: int = 300, seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Invent houses in the image of House Prices.

    The frames are as `pandas.read_csv` would give them: whole numbers are int64, or float64
    where values are missing; text is pandas' own string type, `NaN` where missing.

    Args:
        rows_train: how many rows have a price; their ids run from 1.
        rows_test: how many rows have none; their ids go on from there.
        seed: 0 to 2**32 - 1; the same houses, on any machine, for the same three numbers.

    Returns:
        The training frame, shape (rows_train, 81), and the test frame, (rows_test, 80), which
        has no SalePrice.

    Raises:
        UsageError: for fewer than one row, or a seed out of range.
    """
    _check(rows_train, rows_test, seed)
    houses = make_houses(rows_train + rows_test, seed)
    houses.numbers["SalePrice"] = make_prices(houses)
    houses.numbers["Id"] = np.arange(1.0, rows_train + rows_test + 1)
    _lose_values(houses, rows_train)
    train = _frame(houses, slice(rows_train), COLUMNS)
    return train, _frame(houses, slice(rows_train, None), COLUMNS[:-1])


def write_sample(
    folder: Path, rows_train: int = 600, rows_test: int = 300, seed: int = 0
) -> tuple[Path, Path]:
    """Write `make_sample`'s frames as train.csv and test.csv; return their paths.

    Raises:
        UsageError: as `make_sample`.
        OutputError: where the folder cannot be written.
    """
    paths = folder / "train.csv", folder / "test.csv"
    form = {"index": False, "na_rep": "NA", "lineterminator": "\n"}
    for frame, path in zip(make_sample(rows_train, rows_test, seed), paths, strict=True):
        with replacing(path) as beside:
            # All numbers are whole, also those that are floats for the sake of missing ones.
            frame.to_csv(beside, float_format="%.0f", **form)
    return paths


def _check(rows_train: int, rows_test: int, seed: int) -> None:
    if rows_train < 1 or rows_test < 1:
        raise UsageError(f"a sample has at least one row a file, not {rows_train} and {rows_test}.")
    if not 0 <= seed < 2**32:
        raise UsageError(f"the seed must be from 0 to {2**32 - 1}, not {seed}.")


def _lose_values(h: Houses, rows_train: int) -> None:
    # frontage is mostly forgotten where a lot has no plain street side
    regular = h.has("LotShape", "Reg")
    h.lose("LotFrontage", h.draws.chance(np.where(regular, 0.1, 0.3)))
    for names, in_train, in_test in _FORGOTTEN:
        rows = (
            h.draws.some_rows(in_train, 0, rows_train),
            h.draws.some_rows(in_test, rows_train, h.draws.n),
        )
        for name in names:
            h.lose(name, np.concatenate(rows))


def _frame(houses: Houses, rows: slice, columns: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame({name: _column(houses, name, rows) for name in columns})


def _column(h: Houses, name: str, rows: slice) -> pd.Series:
    if name == "Neighborhood":
        return pd.Series(np.array(NEIGHBORHOODS.names, dtype=object)[h.neighborhood[rows]])
    if name in h.codes:
        # missing is code -1: the last of the names
        names = np.array([*CATEGORIES[name].names, np.nan], dtype=object)
        return pd.Series(names[h.codes[name][rows]]).infer_objects()
    values = h.numbers[name][rows]
    return pd.Series(values if np.isnan(values).any() else values.astype(np.int64))
