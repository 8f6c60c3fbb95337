"""Engineered features: added, finite, each from its own row alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kaggleprice.competitions.catalog import COMPETITIONS
from kaggleprice.competitions.engineering import ENGINEERINGS
from kaggleprice.competitions.tables import Tables

# The frame that each entry is tried on: a new entry joins by one line.
FRAMES = {"ames": lambda sample: sample.train.features}


@pytest.mark.parametrize("name", ENGINEERINGS)
def test_conformance(name: str, sample_tables: Tables) -> None:
    frame, add = FRAMES[name](sample_tables), ENGINEERINGS[name].load()
    before = frame.copy()
    made = add(frame)
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_frame_equal(made[frame.columns], frame)
    added = made.drop(columns=frame.columns)
    assert len(added.columns) > 0
    assert made.columns.is_unique
    assert all(kind == np.float64 for kind in added.dtypes)
    assert not np.isinf(added.to_numpy()).any()
    # A row's features are the same whatever rows stand beside it, in any order.
    some = [17, 3, 250]
    pd.testing.assert_frame_equal(add(frame.iloc[some]), made.iloc[some])


def test_ames_totals_by_hand(sample_folder: Path, sample_tables: Tables) -> None:
    """The first house of the sample, added up from its line of the CSV."""
    row = pd.read_csv(sample_folder / "train.csv", keep_default_na=False, na_values=["NA"]).iloc[0]
    made = ENGINEERINGS["ames"].load()(sample_tables.train.features).iloc[0]
    assert made["TotalSF"] == row["TotalBsmtSF"] + row["1stFlrSF"] + row["2ndFlrSF"]
    baths = row["FullBath"] + row["BsmtFullBath"] + 0.5 * (row["HalfBath"] + row["BsmtHalfBath"])
    assert made["TotalBath"] == baths
    assert made["Age"] == row["YrSold"] - row["YearBuilt"]
    assert made["QualTotalSF"] == row["OverallQual"] * made["TotalSF"]
    assert made["HasGarageArea"] == (row["GarageArea"] > 0)


def test_a_house_without_basement_or_garage_has_none(sample_tables: Tables) -> None:
    frame = sample_tables.test.features.copy()
    columns = ["TotalBsmtSF", "BsmtFinSF1", "BsmtFinSF2", "BsmtFullBath", "BsmtHalfBath"]
    frame[[*columns, "GarageArea", "GarageYrBlt"]] = np.nan
    made = ENGINEERINGS["ames"].load()(frame)
    assert (made["TotalSF"] == frame["1stFlrSF"] + frame["2ndFlrSF"]).all()
    assert (made[["BsmtFinSF", "HasTotalBsmtSF", "HasGarageArea"]] == 0).all(axis=None)
    assert made["GarageAge"].isna().all()


def test_a_competition_without_engineering_is_left_alone(sample_tables: Tables) -> None:
    tables = sample_tables
    competition = COMPETITIONS["sample"]
    assert len(tables.engineered(competition).test.features.columns) > 79
    plain = type(competition)(**{**vars(competition), "engineering": None})
    assert tables.train.engineered(plain) is tables.train
