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
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    RepeatedKFold,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
)

from kaggleprice.core.errors import DataError, MissingFileError, UnknownNameError, UsageError
from kaggleprice.evaluation.folds import Folds, make_folds, read_folds, read_folds_of_run
from kaggleprice.settings.fold_schemes import FOLD_SCHEMES, target_bins

IDS = np.array(["007", "7", "12", "3", "NA"], dtype=object)
FOLDS = "Id,fold\n12,5\n007,5\n3,9\nNA,-1\n7,9\n"
# One line for each scheme: what it is, by scikit-learn alone.
REFERENCES: dict[str, Any] = {
    "shuffled": lambda k, seed: KFold(k, shuffle=True, random_state=seed),
    "contiguous": lambda k, seed: KFold(k),
    "stratified": lambda k, seed: StratifiedKFold(k, shuffle=True, random_state=seed),
    "grouped": lambda k, seed: GroupKFold(k, shuffle=True, random_state=seed),
    "forward": lambda k, seed: TimeSeriesSplit(k),
    "hold-out": lambda k, seed: ShuffleSplit(1, test_size=0.2, random_state=seed),
}


def assert_same(folds: Folds, expected: Any) -> None:
    for (train, validation), wanted in zip(folds, expected, strict=True):
        assert np.array_equal(train, np.sort(wanted[0]))
        assert np.array_equal(validation, np.sort(wanted[1]))
        assert train.dtype == validation.dtype == np.int64


@pytest.mark.parametrize("scheme", FOLD_SCHEMES)
@given(rows=st.integers(3, 60), share=st.floats(0, 1), seed=st.integers(0, 2**32 - 1))
def test_conformance(scheme: str, rows: int, share: float, seed: int) -> None:
    """What is asked of every scheme: the splitter's folds, and that no row teaches and tests."""
    k = 2 + round(share * (rows - 3))
    target = np.random.default_rng(seed).normal(size=rows)
    groups = np.arange(rows) % max(k, rows // 3)
    given = {"scheme": scheme, "seed": seed, "target": target, "groups": groups}
    folds = make_folds(rows, k, **given)
    splitter = REFERENCES[scheme](k, seed)
    used = groups if scheme == "grouped" else None
    assert_same(folds, splitter.split(np.zeros(rows), target_bins(target, k), used))
    assert (len(folds), folds.rows) == (1 if scheme == "hold-out" else k, rows)
    for train, validation in folds:
        assert not set(train) & set(validation)
        if scheme == "grouped":
            assert not set(groups[train]) & set(groups[validation])
        if scheme == "forward":
            assert train.max() < validation.min()
    assert folds.sha256(groups, "a") == make_folds(rows, k, **given).sha256(groups, "a")
    # Every line is told by its row and fold, and every fold finds its own.
    line_rows, line_folds = folds.lines
    for fold, (_, validation) in enumerate(folds):
        assert np.array_equal(line_rows[folds.places[fold]], validation)
        assert set(line_folds[folds.places[fold]]) == {fold}
        rest = np.setdiff1d(np.arange(rows), folds[fold][0])
        assert np.array_equal(folds.left_out[fold], rest)
    assert np.array_equal(folds.scored, np.unique(line_rows))


REPEATED = {
    "shuffled": lambda k, r, seed: RepeatedKFold(n_splits=k, n_repeats=r, random_state=seed),
    "stratified": lambda k, r, seed: RepeatedStratifiedKFold(
        n_splits=k, n_repeats=r, random_state=seed
    ),
    "hold-out": lambda k, r, seed: ShuffleSplit(r, test_size=0.2, random_state=seed),
}


@pytest.mark.parametrize("scheme", REPEATED)
@pytest.mark.parametrize("seed", [0, 7])
def test_repeats_are_scikit_learns(scheme: str, seed: int) -> None:
    target = np.random.default_rng(seed).normal(size=43)
    folds = make_folds(43, 4, scheme=scheme, seed=seed, repeats=3, target=target)
    assert_same(folds, REPEATED[scheme](4, 3, seed).split(target, target_bins(target, 4)))
    first = make_folds(43, 4, scheme=scheme, seed=seed, target=target)
    assert_same(Folds(folds[: len(first)], 43), first)


def test_groups_are_repeated_whole() -> None:
    groups = np.arange(40) // 4
    folds = make_folds(40, 5, scheme="grouped", repeats=3, groups=groups)
    assert len(folds) == 15
    for train, validation in folds:
        assert not set(groups[train]) & set(groups[validation])
    assert np.bincount(folds.lines[0]).tolist() == [3] * 40
    assert not np.array_equal(folds[0][1], folds[5][1])


def test_the_pooled_value_of_a_row_is_the_mean_of_its_folds() -> None:
    folds = make_folds(20, 4, repeats=3, seed=1)
    values = np.random.default_rng(0).normal(size=60)
    frame = pd.DataFrame({"row": folds.lines[0], "value": values})
    np.testing.assert_allclose(folds.pool(values), frame.groupby("row")["value"].mean())
    two = folds.pool(np.column_stack([values, -values]))
    np.testing.assert_array_equal(two[:, 0], -two[:, 1])
    # Of one prediction each, the very numbers.
    assert make_folds(60, 4).pool(values) is values


@pytest.mark.parametrize("scheme", ["shuffled", "contiguous", "hold-out", "forward"])
def test_members_who_know_the_beginning_alone_predict_no_new_rows(scheme: str) -> None:
    folds = make_folds(23, 4, scheme=scheme, gap=1 if scheme == "forward" else 0)
    assert folds.predicting == ([3] if scheme == "forward" else list(range(len(folds))))


@given(
    moments=st.lists(st.integers(0, 12), min_size=6, max_size=50),
    gap=st.integers(0, 2),
    k=st.integers(2, 4),
)
def test_forward_folds_keep_a_moment_whole(moments: list[int], gap: int, k: int) -> None:
    """As scikit-learn splits the moments; the rows' order does not matter."""
    times, ranks = np.unique(moments, return_inverse=True)
    try:
        expected = list(TimeSeriesSplit(k, gap=gap).split(times))
    except ValueError:
        with pytest.raises(UsageError, match=r"smaller --k or --fold-gap"):
            make_folds(len(ranks), k, scheme="forward", gap=gap, moments=ranks)
        return
    folds = make_folds(len(ranks), k, scheme="forward", gap=gap, moments=ranks)
    for (train, validation), wanted in zip(folds, expected, strict=True):
        assert set(ranks[train]) == set(wanted[0])
        assert set(ranks[validation]) == set(wanted[1])
        assert ranks[train].max() + gap < ranks[validation].min()
    # The first block is never validated.
    assert not set(np.flatnonzero(ranks < expected[0][1][0])) & set(folds.scored)


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
        ({"scheme": "contiguous", "repeats": 2}, "--repeats"),
        ({"scheme": "forward", "repeats": 2}, "--repeats"),
        ({"scheme": "forward", "gap": 4}, "10 moments into k [+] 1 = 4 .*first .4. .*--fold-gap 4"),
        ({"scheme": "hold-out", "hold_out": 0.95}, "--hold-out 0.95"),
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
        make_folds(50, 5, scheme=scheme, seed=seed, target=target, groups=groups) for seed in (0, 1)
    ]
    assert np.array_equal(made[0][0][1], made[1][0][1]) is not FOLD_SCHEMES[scheme].seeded


@pytest.mark.parametrize("k", [-1, 0, 1, 11])
def test_impossible_k(k: int) -> None:
    with pytest.raises(UsageError, match=rf"k must .*training rows \(10\), found {k}\."):
        make_folds(10, k)
    assert len(make_folds(10, 10)) == 10


def test_unknown_scheme() -> None:
    with pytest.raises(UnknownNameError, match="contiguous, forward, grouped, hold-out, shuffled"):
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


UNEVEN = {
    "forward": {"scheme": "forward", "gap": 1},
    "hold-out": {"scheme": "hold-out"},
    "repeated": {"repeats": 3},
    "repeated hold-out": {"scheme": "hold-out", "repeats": 2},
    "shuffled": {},
}


@pytest.mark.parametrize("case", UNEVEN)
@pytest.mark.parametrize("id_column", ["Id", "row", "fold", "trains"])
def test_any_folds_are_read_back(case: str, id_column: str, tmp_path: Path) -> None:
    """With row numbers, in any order of lines; ids repeat, and some rows are not there."""
    folds = make_folds(23, 3, **UNEVEN[case])
    ids = np.array(["a", "b"] * 11 + ["c"], dtype=object)
    numbers = np.arange(23) * 2 + 5
    text = folds.to_csv(ids, id_column, numbers)
    header, *lines = text.splitlines()
    path = write(tmp_path, "\n".join([header, *sorted(lines)]))
    found = read_folds(path, ids, id_column, numbers)
    assert_same(found, folds)
    assert_same(read_folds_of_run(tmp_path, write(tmp_path, text).read_bytes()), folds)
    assert found.sha256(ids, id_column) == folds.sha256(ids, id_column)
    # A person may leave the ids out.
    if id_column == "Id":
        frame = pd.read_csv(path, dtype=str, keep_default_na=False).iloc[:, 1:]
        frame.to_csv(path, index=False)
        assert_same(read_folds(path, ids, id_column, numbers), folds)


@pytest.mark.parametrize("case", UNEVEN)
def test_row_numbers_that_stand_in_for_ids(case: str, tmp_path: Path) -> None:
    folds, numbers = make_folds(23, 3, **UNEVEN[case]), np.arange(1, 24)
    path = write(tmp_path, folds.to_csv(numbers.astype(str), "row"))
    assert_same(read_folds(path, numbers.astype(str), "row"), folds)
    assert_same(read_folds_of_run(path, path.read_bytes()), folds)


def test_row_numbers_are_no_ids_where_others_are(tmp_path: Path) -> None:
    """A file of row numbers serves for ids of any name, and for those called row if they are it."""
    path, ids = write(tmp_path, "row,fold\n1,1\n2,1\n3,2\n4,2\n"), np.array(["3", "1", "2", "4"])
    assert read_folds(path, ids, "Id").fold_of_row.tolist() == [0, 0, 1, 1]
    assert read_folds(path, ids, "row").fold_of_row.tolist() == [1, 0, 0, 1]


def test_a_run_of_earlier_whose_ids_are_called_row(tmp_path: Path) -> None:
    """Whatever its ids are, its lines are the rows in their order."""
    path = write(tmp_path, "row,fold\n30,1\n7,2\n12,1\n9,2\n")
    assert read_folds_of_run(path, path.read_bytes()).fold_of_row.tolist() == [0, 1, 0, 1]


NUMBERED = "row,fold\n1,1\n2,1\n3,2\n4,2\n5,none\n"
BAD_NUMBERS = {
    "row missing": (NUMBERED.replace("3,2\n", ""), "5 rows.*row 3 is missing"),
    "unknown row": (NUMBERED + "6,1\n", "5 rows.*found 6"),
    "row twice in a fold": (NUMBERED + "2,1\n", "twice in one fold"),
    "row of text": (NUMBERED.replace("3,2", "c,2"), "'row' must hold whole numbers"),
    "nothing to train on": (NUMBERED.replace("2\n", "1\n").replace("none", "1"), "found 1"),
    "no fold at all": (NUMBERED.replace(",1", ",none").replace(",2", ",none"), "found 0"),
    "trains in its own fold": (
        "row,fold,trains\n1,1,1\n2,1,2\n3,2,1\n4,2,1\n5,2,1\n",
        "both trains and is validated",
    ),
    "trains in no fold there is": (
        "row,fold,trains\n1,1,7\n2,1,2\n3,2,1\n4,2,1\n5,2,1\n",
        "'trains' must hold folds",
    ),
}


@pytest.mark.parametrize("case", BAD_NUMBERS)
def test_bad_row_numbers(case: str, tmp_path: Path) -> None:
    text, message = BAD_NUMBERS[case]
    with pytest.raises(DataError, match=rf"folds\.csv.*{message}"):
        read_folds(write(tmp_path, text), IDS, "Id")


BAD = {
    "id missing": (FOLDS.replace("3,9\n", ""), "5 rows.*found 4 rows; Id 3 is missing"),
    "id twice": (FOLDS + "7,9\n", "5 rows.*found 6 rows"),
    "id twice, another missing": (FOLDS.replace("\n3,", "\n12,"), "Id 3 is missing"),
    "unknown id": (FOLDS.replace("\n3,", "\n4,"), "Id 3 is missing"),
    "id without its zeros": (FOLDS.replace("007", "07"), "Id 007 is missing"),
    "one fold": (FOLDS.replace("9", "5").replace("-1", "5"), "2 folds or more, found 1"),
    "no fold column": (FOLDS.replace("fold", "part"), "column 'fold' is missing; .*part'[.]$"),
    "no fold column of many": ("a,b,c,d,e,f\n", "column 'fold' is missing; .*'e', [.]{3}[.]$"),
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
