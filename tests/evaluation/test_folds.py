"""Folds: scikit-learn's, every row once; and read back from a file or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import KFold

from kaggleprice.core.errors import DataError, MissingFileError, UsageError
from kaggleprice.evaluation.folds import make_folds, read_folds

IDS = np.array(["007", "7", "12", "3", "NA"], dtype=object)
FOLDS = "Id,fold\n12,5\n007,5\n3,9\nNA,-1\n7,9\n"


@given(
    rows=st.integers(2, 60),
    share=st.floats(0, 1),
    shuffle=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_folds_are_scikit_learns(rows: int, share: float, shuffle: bool, seed: int) -> None:
    k = 2 + round(share * (rows - 2))
    folds = make_folds(rows, k, shuffle=shuffle, seed=seed)
    splitter = KFold(k, shuffle=shuffle, random_state=seed if shuffle else None)
    for fold, (train, validation) in enumerate(splitter.split(np.zeros(rows))):
        assert np.array_equal(np.flatnonzero(folds == fold), validation)
        assert np.array_equal(np.flatnonzero(folds != fold), train)
    # Every row once, and sizes as even as they can be.
    sizes = np.bincount(folds, minlength=k)
    assert sizes.sum() == rows
    assert sizes.max() - sizes.min() <= 1


def test_contiguous_folds_where_k_does_not_divide() -> None:
    assert make_folds(8, 3, shuffle=False, seed=1).tolist() == [0, 0, 0, 1, 1, 1, 2, 2]


def test_seed_changes_shuffled_folds_only() -> None:
    shuffled = [make_folds(50, 5, shuffle=True, seed=seed) for seed in (0, 0, 1)]
    assert np.array_equal(shuffled[0], shuffled[1])
    assert not np.array_equal(shuffled[0], shuffled[2])
    contiguous = [make_folds(50, 5, shuffle=False, seed=seed) for seed in (0, 1)]
    assert np.array_equal(*contiguous)


@pytest.mark.parametrize("k", [-1, 0, 1, 11])
def test_impossible_k(k: int) -> None:
    with pytest.raises(UsageError, match=rf"k must .*training rows \(10\), found {k}\."):
        make_folds(10, k, shuffle=True, seed=0)
    assert len(make_folds(10, 10, shuffle=True, seed=0)) == 10


def write(folder: Path, text: str) -> Path:
    path = folder / "folds.csv"
    path.write_text(text)
    return path


def test_folds_are_read_in_the_order_of_the_ids(tmp_path: Path) -> None:
    folds = read_folds(write(tmp_path, FOLDS), IDS, "Id")
    # Numbers -1, 5, 9 become 0, 1, 2.
    assert folds.tolist() == [1, 2, 1, 2, 0]
    assert folds.dtype == np.int64


def test_other_columns_do_not_matter(tmp_path: Path) -> None:
    frame = pd.DataFrame({"fold": [1, 2, 1, 2, 2], "true": 1.5, "Id": IDS})
    path = write(tmp_path, frame.to_csv(index=False))
    assert read_folds(path, IDS, "Id").tolist() == [0, 1, 0, 1, 1]


@given(
    folds=st.lists(st.integers(0, 4), min_size=2, max_size=30).filter(lambda f: len(set(f)) > 1),
    order=st.randoms(use_true_random=False),
)
def test_round_trip(
    folds: list[int], order: object, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ids = np.array([f"{i:03d}" for i in range(len(folds))], dtype=object)
    frame = pd.DataFrame({"Id": ids, "fold": folds})
    order.shuffle(rows := list(range(len(folds))))  # type: ignore[attr-defined]
    path = tmp_path_factory.mktemp("folds") / "folds.csv"
    frame.iloc[rows].to_csv(path, index=False)
    numbers = sorted(set(folds))
    assert read_folds(path, ids, "Id").tolist() == [numbers.index(f) for f in folds]


BAD = {
    "id missing": (FOLDS.replace("3,9\n", ""), "5 rows.*found 4 rows; Id 3 is missing"),
    "id twice": (FOLDS + "7,9\n", "5 rows.*found 6 rows"),
    "id twice, another missing": (FOLDS.replace("\n3,", "\n12,"), "Id 3 is missing"),
    "unknown id": (FOLDS.replace("\n3,", "\n4,"), "Id 3 is missing"),
    "id without its zeros": (FOLDS.replace("007", "07"), "Id 007 is missing"),
    "one fold": (FOLDS.replace("9", "5").replace("-1", "5"), "2 folds or more, found 1"),
    "no fold column": (FOLDS.replace("fold", "part"), "column 'fold' is missing.*part"),
    "no id column": (FOLDS.replace("Id", "Number"), "column 'Id' is missing.*Number"),
    "fold empty": (FOLDS.replace("3,9", "3,"), "'fold' must hold whole numbers"),
    "fold text": (FOLDS.replace("3,9", "3,last"), "'fold' must hold whole numbers"),
    "fold fraction": (FOLDS.replace("3,9", "3,9.5"), "'fold' must hold whole numbers"),
    "empty": ("", r"folds\.csv cannot be read as CSV"),
    "row too long": (FOLDS + "7,9,4\n", r"folds\.csv cannot be read as CSV"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_folds(case: str, tmp_path: Path) -> None:
    text, message = BAD[case]
    with pytest.raises(DataError, match=message) as caught:
        read_folds(write(tmp_path, text), IDS, "Id")
    assert "folds.csv" in str(caught.value)


def test_missing_folds_file(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"folds\.csv does not exist"):
        read_folds(tmp_path / "folds.csv", IDS, "Id")
