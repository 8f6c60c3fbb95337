"""The generator of the sample: its files, its gaps, and that there is something to learn."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_predict

from benchmarks.sample import __main__ as command
from benchmarks.sample import draws, houses, make_sample, prices, write_sample
from benchmarks.sample.vocabulary import CATEGORIES
from kaggleprice.competitions.catalog import COMPETITIONS
from kaggleprice.core.errors import OutputError, UsageError

FILES = ("train.csv", "test.csv")
GARAGE = ["GarageType", "GarageYrBlt", "GarageFinish", "GarageQual", "GarageCond"]
BASEMENT = ["BsmtQual", "BsmtCond", "BsmtExposure", "BsmtFinType1", "BsmtFinType2"]


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, keep_default_na=False, na_values=["NA"])


@pytest.fixture(scope="module")
def real(real_data: Path) -> dict[str, pd.DataFrame]:
    return {name: read(real_data / f"kaggle_house_pred_{name}") for name in FILES}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "new"
    write_sample(folder)
    return folder


@pytest.fixture(scope="module")
def large() -> pd.DataFrame:
    return make_sample(20_000, 1, seed=3)[0]


@pytest.mark.parametrize("name", FILES)
def test_the_committed_and_the_recorded_bytes_are_written(
    written: Path, sample_folder: Path, name: str
) -> None:
    content = (written / name).read_bytes()
    assert content == (sample_folder / name).read_bytes()
    (file,) = [file for file in COMPETITIONS["sample"].files if file.name == name]
    assert hashlib.sha256(content).hexdigest() == file.sha256


@pytest.mark.parametrize("name", FILES)
def test_header_and_kinds_are_those_of_the_real_file(
    written: Path, real: dict[str, pd.DataFrame], name: str
) -> None:
    invented, kind = read(written / name), pd.api.types.is_numeric_dtype
    assert list(invented) == list(real[name])
    for column in invented:
        assert kind(invented[column]) == kind(real[name][column]), column


def test_categories_are_those_of_the_real_files(real: dict[str, pd.DataFrame]) -> None:
    both = pd.concat(real.values())
    for column, category in CATEGORIES.items():
        assert set(category.names) == set(both[column].dropna()), column


@pytest.mark.parametrize("name", FILES)
def test_no_row_is_real(written: Path, real: dict[str, pd.DataFrame], name: str) -> None:
    theirs = real[name].drop(columns="Id").astype(str)
    invented = read(written / name).drop(columns="Id").astype(str)
    # nor nearly: what a house is, without what its sale was
    for columns in (list(theirs), ["LotArea", "YearBuilt", "1stFlrSF", "2ndFlrSF", "TotalBsmtSF"]):
        rows = set(theirs[columns].itertuples(index=False, name=None))
        assert rows.isdisjoint(invented[columns].itertuples(index=False, name=None))


def test_frames_are_what_pandas_reads_back(written: Path) -> None:
    for frame, name in zip(make_sample(), FILES, strict=True):
        pd.testing.assert_frame_equal(frame, read(written / name))


def test_same_seed_same_houses_other_seed_other_houses() -> None:
    first, again, other = (make_sample(50, 20, seed) for seed in (4, 4, 5))
    for one, same, different in zip(first, again, other, strict=True):
        pd.testing.assert_frame_equal(one, same)
        assert not one.equals(different)


@pytest.mark.parametrize(("rows_train", "rows_test"), [(1, 1), (2, 9), (5000, 10)])
def test_any_number_of_rows(rows_train: int, rows_test: int) -> None:
    train, test = make_sample(rows_train, rows_test, seed=2)
    assert train.shape == (rows_train, 81)
    assert test.shape == (rows_test, 80)
    assert [*train["Id"], *test["Id"]] == list(range(1, rows_train + rows_test + 1))


def test_last_bits_of_the_processor_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = make_sample()
    for slack in (1 - 1e-12, 1 + 1e-12):  # thousands of times what exp and log may be off
        for module in (houses, prices):
            monkeypatch.setattr(module, "whole", lambda x, slack=slack: draws.whole(x * slack))
        for frame, same in zip(make_sample(), expected, strict=True):
            pd.testing.assert_frame_equal(frame, same)


def test_values_are_missing_together(large: pd.DataFrame) -> None:
    gone = large[GARAGE].isna()
    assert (gone.all(axis=1) == gone.any(axis=1)).all()
    assert (large["GarageType"].isna() == (large["GarageCars"] == 0)).all()
    assert (large["FireplaceQu"].isna() == (large["Fireplaces"] == 0)).all()
    assert (large["PoolQC"].isna() == (large["PoolArea"] == 0)).all()
    assert (large["MiscFeature"].isna() == (large["MiscVal"] == 0)).all()
    cellar = large["TotalBsmtSF"] > 0
    assert large.loc[~cellar, BASEMENT].isna().all(axis=None)
    assert large.loc[cellar, BASEMENT].isna().mean().max() < 0.005


def test_the_test_file_has_gaps_and_categories_of_its_own() -> None:
    train, test = make_sample()
    for column in ("GarageCars", "BsmtFinSF1", "BsmtFullBath"):
        assert train[column].dtype == np.int64
        assert test[column].isna().any()
    text = test.select_dtypes(exclude="number")
    seen = {name: (set(train[name].dropna()), set(test[name].dropna())) for name in text}
    assert any(there - here for here, there in seen.values())
    assert any(here - there for here, there in seen.values())


def test_columns_of_a_row_agree(large: pd.DataFrame) -> None:
    basement = large["BsmtFinSF1"] + large["BsmtFinSF2"] + large["BsmtUnfSF"]
    assert (large["TotalBsmtSF"] == basement).all()
    living = large["1stFlrSF"] + large["2ndFlrSF"] + large["LowQualFinSF"]
    assert (large["GrLivArea"] == living).all()
    assert (large["YearRemodAdd"] >= large["YearBuilt"]).all()
    assert (large["YearRemodAdd"] <= large["YrSold"].clip(lower=1950)).all()
    assert 0 < (large["GarageYrBlt"] < large["YearBuilt"]).mean() < 0.02
    assert ((large["MasVnrType"] == "None") <= (large["MasVnrArea"].fillna(0) == 0)).all()
    numbers = large.select_dtypes("number")
    assert numbers.min().min() >= 0


def features(frame: pd.DataFrame) -> NDArray[np.float64]:
    numbers = frame.drop(columns=["Id", "SalePrice"]).select_dtypes("number")
    scaled = ((numbers - numbers.mean()) / numbers.std().replace(0, 1)).fillna(0)
    text = pd.get_dummies(frame.select_dtypes(exclude="number"), dummy_na=True, dtype=float)
    return np.hstack([scaled.to_numpy(), text.to_numpy()])


def test_a_model_that_sees_interactions_is_clearly_better() -> None:
    train = make_sample(2000, 1, seed=0)[0]
    x, y = features(train), np.log(train["SalePrice"].to_numpy())
    folds = KFold(3, shuffle=True, random_state=0)
    trees = HistGradientBoostingRegressor(max_iter=120, learning_rate=0.1, max_leaf_nodes=8)
    models = RidgeCV(np.logspace(0, 3, 7)), trees
    errors = (cross_val_predict(model, x, y, cv=folds) - y for model in models)
    linear, curved = (float(np.sqrt(np.mean(np.square(error)))) for error in errors)
    assert curved < 0.85 * linear
    assert curved > 0.09  # the noise: nothing can be better than this for long


@pytest.mark.parametrize("wrong", [{"rows_train": 0}, {"rows_test": 0}, {"seed": -1}])
def test_impossible_values_are_named(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=str(next(iter(wrong.values())))):
        make_sample(**wrong)


def test_command_writes_and_prints_the_paths(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(tmp_path), "--train", "3", "--test", "2", "--seed", "7"]
    assert command.main(arguments) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / name) for name in FILES]
    pd.testing.assert_frame_equal(read(tmp_path / "test.csv"), make_sample(3, 2, seed=7)[1])
    assert command.main([str(tmp_path), "--train", "0"]) == UsageError.exit_code
    assert "at least one row" in capsys.readouterr().err
    # A file stands where the folder is to be.
    assert command.main([str(tmp_path / "test.csv")]) == OutputError.exit_code
    assert "train.csv" in capsys.readouterr().err
