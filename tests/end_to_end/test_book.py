"""The book's own numbers: d2l.ai, "Predicting House Prices on Kaggle", on the real files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from kaggleprice.competitions.catalog import COMPETITIONS
from kaggleprice.competitions.submission import make_submission
from kaggleprice.competitions.tables import Tables, read_tables
from kaggleprice.competitions.transforms import LOG
from kaggleprice.evaluation import cross_validation
from kaggleprice.evaluation.cross_validation import CrossValidation
from kaggleprice.evaluation.ensemble import combine
from kaggleprice.evaluation.folds import make_folds
from kaggleprice.settings.run import make_settings
from kaggleprice.settings.training import Member
from kaggleprice.training.randomness import Purpose, member_generator, row_order

HOUSE_PRICES = COMPETITIONS["house-prices"]
NAMES = ("kaggle_house_pred_train.csv", "kaggle_house_pred_test.csv")


@pytest.fixture(scope="module")
def tables(real_data: Path) -> Tables:
    return read_tables(HOUSE_PRICES, *(real_data / name for name in NAMES))


@pytest.fixture(scope="module")
def book(tables: Tables) -> CrossValidation:
    """The preset with 20 seeds, all 100 members in one batched run."""
    settings = make_settings("book", {"seeds": 20})
    folds = make_folds(1460, settings.k, scheme=settings.fold_scheme, seed=0)
    return cross_validation.cross_validate(
        HOUSE_PRICES, tables, folds, settings, torch.device("cpu")
    )


def test_mean_validation_log_mse_is_the_books(book: CrossValidation) -> None:
    """0.1758 is the mean over 40 random starts of an independent re-implementation."""
    single = {seed: [] for seed in range(20)}
    for member in book.members:
        single[member.seed].append(member.validation**2)
    per_start = [np.mean(folds) for folds in single.values()]
    assert len(per_start) == 20
    assert np.mean(per_start) == pytest.approx(0.1758, abs=0.002)
    # One start's standard deviation is 0.0030: the starts do differ, and by about that much.
    assert 0.0015 < np.std(per_start, ddof=1) < 0.006


def book_features(folder: Path) -> tuple[pd.DataFrame, torch.Tensor]:
    """The chapter's preprocessing: features of the training rows, and log prices."""
    frames = [pd.read_csv(folder / n, keep_default_na=False, na_values=["NA"]) for n in NAMES]
    features = pd.concat(
        [frames[0].drop(columns=["Id", "SalePrice"]), frames[1].drop(columns=["Id"])]
    )
    numeric = features.dtypes[[pd.api.types.is_numeric_dtype(t) for t in features.dtypes]].index
    features[numeric] = features[numeric].apply(lambda x: (x - x.mean()) / x.std())
    features[numeric] = features[numeric].fillna(0)
    features = pd.get_dummies(features, dummy_na=True)
    assert features.shape[1] == 331
    y = torch.tensor(np.log(frames[0]["SalePrice"].to_numpy()), dtype=torch.float32)
    return features.head(len(y)), y


def test_whole_preset_equals_a_plain_torch_version(real_data: Path, book: CrossValidation) -> None:
    """The chapter's k_fold with torch.nn, on the same random start and row order."""
    frame, y = book_features(real_data)
    x = torch.tensor(frame.to_numpy(dtype=np.float64), dtype=torch.float32)
    own = [feature.name for feature in book.ensemble.encoding.features]
    place = [own.index(name) for name in frame.columns]
    for fold in range(5):
        member = Member(fold, 3)
        drawn = member_generator(0, member, Purpose.WEIGHTS).standard_normal((331, 1)) * 0.01
        linear = torch.nn.Linear(331, 1)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(drawn[place].T))
            linear.bias.zero_()
        optimizer = torch.optim.SGD(linear.parameters(), lr=0.01)
        # The book's folds: contiguous, 292 rows each.
        held = np.arange(len(y)) // (len(y) // 5) == fold
        rows = np.flatnonzero(~held)
        for epoch in range(1, 11):
            for batch in np.array_split(
                row_order(0, member, epoch, rows, len(rows)), range(64, len(rows), 64)
            ):
                optimizer.zero_grad()
                torch.nn.functional.mse_loss(linear(x[batch])[:, 0], y[batch]).backward()
                optimizer.step()
        with torch.no_grad():
            mse = torch.nn.functional.mse_loss(linear(x[held])[:, 0], y[held]).item()
        ours = next(m for m in book.members if (m.fold, m.seed) == (fold + 1, 3))
        assert ours.validation**2 == pytest.approx(mse, rel=1e-3)


def test_submission_is_the_arithmetic_mean_of_prices(tables: Tables, book: CrossValidation) -> None:
    logs = book.ensemble.predict(tables.test.features)
    prices = combine(logs, LOG, book.settings.combine)
    submission = make_submission(HOUSE_PRICES, tables.test, prices)
    assert logs.shape == (100, 1459)
    np.testing.assert_allclose(submission["SalePrice"], np.exp(logs).mean(axis=0))
    assert list(submission["Id"]) == [str(i) for i in range(1461, 2920)]


def test_score_of_the_book_says_what_it_has_seen(book: CrossValidation) -> None:
    assert book.settings.notes == [
        "Recipe 'book' has seen the features of validation and test rows."
    ]
