"""Folds: scikit-learn's, every row once; and read back from a file or refused."""

from __future__ import annotations

import itertools
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

from kaggleprice.core.errors import DataError, MissingFileError, UnknownNameError, UsageError
from kaggleprice.evaluation.folds import Folds, make_folds, read_folds
from kaggleprice.settings.fold_schemes import FOLD_SCHEMES, target_bins

IDS = np.array(["007", "7", "12", "3", "NA"], dtype=object)
FOLDS = "Id,fold\n12,5\n007,5\n3,9\nNA,-1\n7,9\n"
# One line for each scheme: what it is, by scikit-learn alone.
REFERENCES: dict[str, Any] = {
    "shuffled": lambda k, seed: KFold(k, shuffle=True, random_state=seed),
    "contiguous": lambda k, seed: KFold(k),
    "stratified": lambda k, seed: StratifiedKFold(k, shuffle=True, random_state=seed),
    "grouped": lambda k, seed: GroupKFold(k, shuffle=True, random_state=seed),
}


@pytest.mark.parametrize("scheme", FOLD_SCHEMES)
@given(rows=st.integers(2, 60), share=st.floats(0, 1), seed=st.integers(0, 2**32 - 1))
def test_conformance(scheme: str, rows: int, share: float, seed: int) -> None:
    """What is asked of every scheme: the splitter's folds, and that no row teaches and tests."""
    k = 2 + round(share * (rows - 2))
    target = np.random.default_rng(seed).normal(size=rows)
    groups = np.arange(rows) % max(k, rows // 3)
    given = {"scheme": scheme, "seed": seed, "target": target, "groups": groups}
    folds = make_folds(rows, k, **given)
    splitter = REFERENCES[scheme](k, seed)
    used = groups if scheme == "grouped" else None
    expected = list(splitter.split(np.zeros(rows), target_bins(target, k), used))
    assert (len(folds), folds.rows) == (k, rows)
    for (train, validation), (wanted_train, wanted_validation) in zip(folds, expected, strict=True):
        assert np.array_equal(train, wanted_train)
        assert np.array_equal(validation, wanted_validation)
        assert train.dtype == validation.dtype == np.int64
        assert not set(train) & set(validation)
        if scheme == "grouped":
            assert not set(groups[train]) & set(groups[validation])
    assert np.array_equal(folds.fold_of_row, make_folds(rows, k, **given).fold_of_row)


@given(rows=st.integers(2, 200), k=st.integers(2, 10), seed=st.integers(0, 99))
def test_bins_of_the_target_are_large_enough_and_in_its_order(rows: int, k: int, seed: int) -> None:
    target = np.random.default_rng(seed).integers(0, 20, rows).astype(float)
    bins = target_bins(target, min(k, rows))
    assert np.bincount(bins).min() >= min(k, rows)
    order = np.argsort(bins, kind="stable")
    limits = [target[order][bins[order] == b] for b in range(bins.max() + 1)]
    assert all(a.max() <= b.min() for a, b in itertools.pairwise(limits))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scheme": "grouped"}, "--fold-column"),
        ({"scheme": "grouped", "groups": np.array(["a", "b"] * 5)}, "number of groups.*--k 2"),
        ({"scheme": "stratified"}, "needs a target"),
    ],
)
def test_what_a_scheme_lacks(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make_folds(10, 3, **options)


def test_contiguous_folds_where_k_does_not_divide() -> None:
    folds = make_folds(8, 3, scheme="contiguous", seed=1)
    assert folds.fold_of_row.tolist() == [0, 0, 0, 1, 1, 1, 2, 2]
    assert np.bincount(make_folds(8, 3).fold_of_row).tolist() == [3, 3, 2]


@pytest.mark.parametrize("scheme", FOLD_SCHEMES)
def test_seed_changes_the_folds_of_seeded_schemes_only(scheme: str) -> None:
    target, groups = np.random.default_rng(0).normal(size=50), np.arange(50) // 2
    made = [
        make_folds(50, 5, scheme=scheme, seed=seed, target=target, groups=groups).fold_of_row
        for seed in (0, 1)
    ]
    assert np.array_equal(*made) is not FOLD_SCHEMES[scheme].seeded


@pytest.mark.parametrize("k", [-1, 0, 1, 11])
def test_impossible_k(k: int) -> None:
    with pytest.raises(UsageError, match=rf"k must .*training rows \(10\), found {k}\."):
        make_folds(10, k)
    assert len(make_folds(10, 10)) == 10


def test_unknown_scheme() -> None:
    with pytest.raises(UnknownNameError, match="contiguous, grouped, shuffled, stratified"):
        make_folds(10, 2, scheme="contigous")


def test_folds_cannot_be_changed_and_travel() -> None:
    folds = make_folds(10, 3)
    for array in (*folds[0], folds.fold_of_row):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    travelled = pickle.loads(pickle.dumps(folds))  # noqa: S301
    assert np.array_equal(travelled.fold_of_row, folds.fold_of_row)


def test_folds_that_are_no_partition_have_a_place() -> None:
    """A hold-out: some rows are never validated, so no single fold of each row is known."""
    held_out = Folds([(np.arange(3), np.array([3, 4]))], 5)
    assert [len(rows) for rows in held_out[0]] == [3, 2]
    with pytest.raises(ValueError, match="not every row"):
        _ = held_out.fold_of_row


def write(folder: Path, text: str) -> Path:
    path = folder / "folds.csv"
    path.write_text(text)
    return path


def test_folds_are_read_in_the_order_of_the_ids(tmp_path: Path) -> None:
    folds = read_folds(write(tmp_path, FOLDS), IDS, "Id").fold_of_row
    # Numbers -1, 5, 9 become 0, 1, 2.
    assert folds.tolist() == [1, 2, 1, 2, 0]
    assert folds.dtype == np.int64


def test_other_columns_do_not_matter(tmp_path: Path) -> None:
    frame = pd.DataFrame({"fold": [1, 2, 1, 2, 2], "true": 1.5, "Id": IDS})
    path = write(tmp_path, frame.to_csv(index=False))
    assert read_folds(path, IDS, "Id").fold_of_row.tolist() == [0, 1, 0, 1, 1]


@given(
    folds=st.lists(st.integers(0, 4), min_size=2, max_size=30).filter(lambda f: len(set(f)) > 1),
    id_column=st.sampled_from(["Id", "fold", "true", "predicted", "a,b"]),
)
def test_round_trip(
    folds: list[int], id_column: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Also where the id column has the name of another one."""
    ids = np.array([f"{i:03d}" for i in range(len(folds))], dtype=object)
    numbers = [sorted(set(folds)).index(fold) for fold in folds]
    text = Folds.of_rows(np.array(numbers)).to_csv(ids, id_column)
    path = write(tmp_path_factory.mktemp("folds"), text)
    assert read_folds(path, ids, id_column).fold_of_row.tolist() == numbers
    header, *lines = text.splitlines()
    path = write(path.parent, "\n".join([header, *reversed(lines)]))
    assert read_folds(path, ids, id_column).fold_of_row.tolist() == numbers


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
    "fold of 400 digits": (FOLDS.replace("3,9", "3," + "9" * 400), "'fold' must hold whole"),
    "empty": ("", "cannot be read as CSV"),
    "row too long": (FOLDS + "7,9,4\n", "cannot be read as CSV"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_folds(case: str, tmp_path: Path) -> None:
    text, message = BAD[case]
    with pytest.raises(DataError, match=rf"folds\.csv.*{message}"):
        read_folds(write(tmp_path, text), IDS, "Id")


def test_missing_folds_file(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"folds\.csv does not exist"):
        read_folds(tmp_path / "folds.csv", IDS, "Id")
