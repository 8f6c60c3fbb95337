"""Tables: a competition's two CSVs, checked against its record and each other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kaggleprice.competitions.catalog import NUMBER, NUMBER_COMMA, TEXT, Competition
from kaggleprice.competitions.columns import add_columns, share_levels
from kaggleprice.competitions.csv_reader import read_csv
from kaggleprice.competitions.engineering import ENGINEERINGS
from kaggleprice.competitions.evidence import Evidence, find_evidence
from kaggleprice.competitions.kinds import (
    apply_kinds,
    pairs_of_places,
    read_truths,
    settle_kinds,
)
from kaggleprice.competitions.metrics import METRICS, TARGET_TRANSFORMS
from kaggleprice.competitions.transforms import TargetTransform
from kaggleprice.core import large_arrays
from kaggleprice.core.errors import DataError, UsageError, did_you_mean
from kaggleprice.core.progress import SILENT, Progress

# Beside no more numbers than these a text is a level like them.
_FEW_NUMBERS = 5
# Of larger numbers the moments overflow.
_LARGEST = 1e100


@dataclass(frozen=True)
class Table:
    """One CSV, taken apart. Row order is that of the file.

    Attributes:
        ids: shape (n,), the id column's text exactly as it stands in the file; of a fixed width,
            or objects.
        features: n rows. Columns of integers and floats are numeric, all others categorical:
            pandas categories, or text. NaN is missing. What is read from a file has the smallest
            types that hold it exactly, so whole numbers overflow: make them float64 before
            arithmetic.
        target: shape (n,), float64, in the target's own unit, or (n, T) of T targets; None for a
            test file.
        groups: shape (n,), texts of `--fold-column`: rows of one group belong into one fold, or
            it is the time that orders rows. None for no groups.
        numbers: shape (n,), the rows' numbers in their file, from 1; None where all are here.
        weights: shape (n,), float64, 0 or above: how much each row counts. None where all count
            the same, and for a test file.
        texts: which of the categorical columns are free text.
        places: pairs of numeric columns, latitude and longitude.
    """

    ids: NDArray[Any]
    features: pd.DataFrame
    target: NDArray[np.float64] | None = None
    groups: NDArray[Any] | None = None
    numbers: NDArray[np.int64] | None = None
    weights: NDArray[np.float64] | None = None
    texts: tuple[str, ...] = ()
    places: tuple[tuple[str, str], ...] = ()

    @property
    def row_numbers(self) -> NDArray[np.int64]:
        """The rows' numbers in their file, from 1; shape (n,)."""
        return np.arange(1, len(self) + 1) if self.numbers is None else self.numbers

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def known_target(self) -> NDArray[np.float64]:
        """The target of a training table, shape (n,), or (n, T) of T targets; float64.

        Raises:
            DataError: for a table without a target.
        """
        if self.target is None:
            raise DataError("this table has no target; a training table is needed.")
        return self.target

    @property
    def numeric_columns(self) -> list[str]:
        """Names of the numeric columns, in the file's order."""
        return [str(name) for name, kind in self.features.dtypes.items() if kind.kind in "fi"]

    @property
    def categorical_columns(self) -> list[str]:
        """Names of the categorical columns but free texts, in the file's order."""
        others = {*self.numeric_columns, *self.texts}
        return [c for c in map(str, self.features) if c not in others]

    def engineered(self, competition: Competition) -> Table:
        """Return this table with the competition's own features added to its columns."""
        if competition.engineering is None:
            return self
        return replace(self, features=engineer(self.features, competition.engineering))


@dataclass(frozen=True)
class Tables:
    """A competition's training and test table, with the same feature columns in the same order.

    Attributes:
        train, test: the tables.
        evidence: that the test file has other groups or later times; None where it has not.
    """

    train: Table
    test: Table
    evidence: Evidence | None = None

    def of_target(self, target: int) -> Tables:
        """Return both tables with one of several targets, counted from 0."""
        own = self.train.known_target[:, target]
        return replace(self, train=replace(self.train, target=own))

    def engineered(self, competition: Competition) -> Tables:
        """Return both tables with the competition's own features added to their columns."""
        return replace(
            self,
            train=self.train.engineered(competition),
            test=self.test.engineered(competition),
        )


def engineer(features: pd.DataFrame, engineering: str) -> pd.DataFrame:
    """Return n rows of features with those of an entry of `ENGINEERINGS` added."""
    return add_columns(features, ENGINEERINGS[engineering].load())


def read_tables(
    competition: Competition,
    train: Path,
    test: Path | None,
    progress: Progress = SILENT,
    group_column: str | None = None,
) -> Tables:
    """Read both CSVs of a competition and check them against its record and each other.

    Args:
        competition: says what the columns are.
        train: a CSV.
        test: another one; None for a table without rows.
        progress: told of bytes.
        group_column: of the training file, kept as the groups of its rows.

    Raises:
        UsageError: where there is no such column.
        MissingFileError: where a file is not there.
        DataError: where a file is not a CSV or its content is not what the competition says;
            the message names the file, the column and what was found.
    """
    train_frame, train_ids = _read(train, competition, progress)
    numbers = None
    if competition.drop_missing_target:
        kept = _with_target(train_frame, train_ids, competition, train, progress)
        if not kept.all():
            numbers = np.flatnonzero(kept) + 1
            train_frame, train_ids = train_frame[kept].reset_index(drop=True), train_ids[kept]
    if test is not None:
        test_frame, test_ids = _read(test, competition, progress)
    _check_named(competition, train, train_frame, None if test is None else test_frame)
    groups = _groups(train_frame, train_ids, competition, group_column, train)
    targets = [
        _take_target(train_frame, train_ids, one, train, progress)
        for one in _by_target(competition)
    ]
    target = targets[0] if len(targets) == 1 else np.column_stack(targets)
    weights = _take_weights(train_frame, train_ids, competition, train)
    if test is None:
        test, test_frame, test_ids = train, train_frame[:0], train_ids[:0]
    # What a row counts is no feature, in whichever file it stands.
    test_frame = test_frame.drop(columns=[competition.weight_column or ""], errors="ignore")
    kinds = settle_kinds(competition.kinds, train_frame, competition.csv_format, train)
    evidence = find_evidence(train_frame, test_frame, kinds)
    train_frame = apply_kinds(train_frame, kinds, competition.csv_format, train)
    test_frame = apply_kinds(test_frame, kinds, competition.csv_format, test)
    train_frame, test_frame = _keep_shared(
        train_frame, test_frame, competition, train, test, progress
    )
    for column in map(str, train_frame):
        _share_kind(column, (train_frame, train), (test_frame, test))
        if column not in kinds and (text := _beside_numbers(train_frame[column])):
            progress.notice(
                f"the column {column!r} is text, since beside numbers it holds {text!r}; if that "
                "means a missing value, add it to `missing_values`, or for this column alone to "
                "`[missing_values_of]`."
            )
    own = {c: kind for c, kind in kinds.items() if c in train_frame}
    texts = tuple(c for c in map(str, train_frame) if own.get(c) == TEXT)
    places = tuple(pairs_of_places(own))
    return Tables(
        Table(train_ids, train_frame, target, groups, numbers, weights, texts, places),
        Table(test_ids, test_frame, texts=texts, places=places),
        evidence,
    )


def _check_named(
    competition: Competition, path: Path, train: pd.DataFrame, test: pd.DataFrame | None
) -> None:
    """Check that columns of which a competition says something are in one of its tables."""
    known = {*map(str, train), *([] if test is None else map(str, test))}
    kinds, own = competition.kinds, {*competition.missing_values_of} - {competition.id_column}
    for table, flags, named in (
        ("kinds", ", or --kind or --drop, names", kinds),
        ("missing_values_of", " names", sorted(own)),
    ):
        for column in named:
            if column not in known:
                raise DataError(
                    f"{path} has no column {column!r}, which `[{table}]` of {competition.name}"
                    f"{flags}; found {_some(list(train.columns), most=20)}."
                    + did_you_mean(column, map(str, train))
                )


def _read(
    path: Path, competition: Competition, progress: Progress
) -> tuple[pd.DataFrame, NDArray[Any]]:
    """Return all columns but the ids, and the ids; an id that has a kind is among the columns."""
    frame, found = read_csv(path, competition, progress)
    column = competition.id_column
    if column is None:
        numbers = large_arrays.empty([len(frame)], f"U{len(str(len(frame)))}")
        numbers[:] = np.arange(1, len(frame) + 1)
        return frame, numbers
    ids = _check_ids(found, frame, column, path)
    if column in competition.kinds:
        frame.insert(0, column, pd.Series(pd.Categorical(ids)))
    repeats = len(ids) - len(np.unique(ids))
    if repeats:
        progress.notice(
            f"{path}: {repeats} ids in column {column!r} repeat; rows are told apart by order."
        )
    return frame, ids


def _check_ids(
    ids: NDArray[Any] | None, frame: pd.DataFrame, column: str, path: Path
) -> NDArray[Any]:
    if ids is None:
        raise DataError(
            f"{path}: the id column {column!r} is missing; found {_some(list(frame.columns))}."
            + _other_name(column, frame)
        )
    missing = pd.Series(ids == "")
    if missing.any():
        raise DataError(f"{path}: the id column {column!r} is empty in {_rows(missing)}.")
    return ids


def _other_name(column: str, frame: pd.DataFrame) -> str:
    """Return what may cure that a frame has no such column: a separator, or a like name."""
    names = [str(name) for name in frame]
    for separator in (";", "\t", "|"):
        if len(names) == 1 and column in names[0].split(separator):
            return (
                f" Another separator may be it: `separator = {json.dumps(separator)}` in `[csv]`."
            )
    return did_you_mean(column, names)


def _with_target(
    frame: pd.DataFrame,
    ids: NDArray[Any],
    competition: Competition,
    path: Path,
    progress: Progress,
) -> NDArray[np.bool_]:
    """Return which rows have a target, and name the others."""
    kept = frame[[c for c in competition.targets if c in frame]].notna().all(axis=1).to_numpy()
    if kept.all():
        return np.ones(len(frame), dtype=bool)
    lost = _some([str(i) for i in ids[~kept]], quote=False)
    progress.notice(f"{path}: left out, without a target: {competition.id_name} {lost}.")
    return kept


def _groups(
    frame: pd.DataFrame,
    ids: NDArray[Any],
    competition: Competition,
    column: str | None,
    path: Path,
) -> NDArray[Any] | None:
    """Return the values of a column as texts; a missing one is a group as well."""
    if column is None:
        return None
    if column == competition.id_column:
        return ids
    if column not in frame:
        raise UsageError(
            f"{path} has no column {column!r} to make folds by; found {_some(list(frame.columns))}."
        )
    return frame[column].astype(object).map(str).to_numpy()


def _by_target(competition: Competition) -> list[Competition]:
    return [competition.of_target(name) for name in competition.targets]


def _take_target(
    frame: pd.DataFrame,
    ids: NDArray[Any],
    competition: Competition,
    path: Path,
    progress: Progress,
) -> NDArray[np.float64]:
    """Remove the target of a competition of one target from a frame; return it, shape (n,)."""
    (column,) = competition.targets
    if column not in frame:
        raise DataError(
            f"{path}: the target column {column!r} is missing; found {_some(list(frame.columns))}."
            + _other_name(column, frame)
        )
    written, target = _take_numbers(frame, column, competition, path)
    truths = read_truths(written)
    if truths is not None:
        target = truths
        progress.notice(
            f"{path}: the target {column!r} is true or false: it is learned as 1 and 0, and "
            "predictions are numbers between."
        )
    transform = TARGET_TRANSFORMS[competition.target_transform].load()
    wrong = ~transform.accepts(target)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"{path}: the target {column!r} must be {transform.domain} in every row; "
            f"found {_where(wrong, written, ids, competition)}."
            + _cure(competition, target[row], written.iloc[row])
        )
    metric = METRICS[competition.metric]
    if metric.positive and (target < 0).any():
        first = int(np.flatnonzero(target < 0)[0])
        raise DataError(
            f"{path}: the target {column!r} is {target[first]:g} for {competition.id_name} "
            f"{ids[first]} ({int((target < 0).sum())} such rows); {competition.metric} takes 0 and "
            'above alone: `metric = "rmse"` takes any number.'
        )
    if metric.relative and (target == 0).any():
        first = int(np.flatnonzero(target == 0)[0])
        raise DataError(
            f"{path}: the target {column!r} is 0 for {competition.id_name} {ids[first]} "
            f"({int((target == 0).sum())} such rows); {competition.metric} divides by it, so it "
            'cannot be scored: `metric = "mae"` or "rmsle" can.'
        )
    return target


def _where(
    wrong: NDArray[np.bool_], written: pd.Series, ids: NDArray[Any], competition: Competition
) -> str:
    """Say what stands in the first wrong row, in which one, and how many there are."""
    row, count = int(np.flatnonzero(wrong)[0]), int(wrong.sum())
    found = "nothing" if pd.isna(written.iloc[row]) else repr(str(written.iloc[row]))
    rows = f"{count} such row{'s' if count > 1 else ''}"
    return f"{found} for {competition.id_name} {ids[row]} ({rows})"


def _take_weights(
    frame: pd.DataFrame, ids: NDArray[Any], competition: Competition, path: Path
) -> NDArray[np.float64] | None:
    """Take the weights out of the columns; None where the competition has none."""
    column = competition.weight_column
    if column is None:
        return None
    if column not in frame:
        raise DataError(
            f"{path}: the weight column {column!r} is missing; found {_some(list(frame.columns))}."
        )
    written, weights = _take_numbers(frame, column, competition, path)
    wrong = ~((weights >= 0) & (weights <= _LARGEST))
    if wrong.any():
        raise DataError(
            f"{path}: the weight {column!r} must be a number of 0 or above in every row; found "
            f"{_where(wrong, written, ids, competition)}; mend it, or name another "
            "`weight_column`."
        )
    if not weights.any():
        raise DataError(
            f"{path}: the weight {column!r} is 0 in every row, so nothing would count; name "
            "another `weight_column`."
        )
    return weights


def _take_numbers(
    frame: pd.DataFrame, column: str, competition: Competition, path: Path
) -> tuple[pd.Series, NDArray[np.float64]]:
    """Take a column out of a frame; return it as written, and as numbers, NaN for what is none."""
    written = frame.pop(column)
    if isinstance(written.dtype, pd.CategoricalDtype):
        written = written.astype(object)
    kind = competition.kinds.get(column)
    if kind in (NUMBER, NUMBER_COMMA):
        written = apply_kinds(written.to_frame(), {column: kind}, competition.csv_format, path)[
            column
        ]
    return written, pd.to_numeric(written, errors="coerce").to_numpy(dtype=np.float64)


def _cure(competition: Competition, value: float, written: Any) -> str:
    """Return which key would take a value that the target cannot have so."""
    if pd.isna(written):
        return (
            " Rows without a target are left out with --drop-missing-target, or "
            "`drop_missing_target = true` in the competition's file."
        )
    if np.isnan(value):
        return (
            " A text that means a missing value belongs into `missing_values`, one with a unit "
            'needs the kind "number", and a decimal comma `decimal = ","` in `[csv]`. Classes are '
            "no numbers: write two of them as true and false, or 1 and 0."
        )
    if value == 0 and competition.metric == "log_rmse":
        return (
            ' Logs of 0 cannot be scored: `metric = "rmsle"` and `target_transform = "log1p"` can.'
        )
    for name in ("log1p", "none"):
        if name != competition.target_transform and np.isfinite(value):
            transform: TargetTransform = TARGET_TRANSFORMS[name].load()
            if transform.accepts(np.array([value])).all():
                return f' `target_transform = "{name}"` would take it.'
    return ""


def _keep_shared(
    train_frame: pd.DataFrame,
    test_frame: pd.DataFrame,
    competition: Competition,
    train: Path,
    test: Path,
    progress: Progress,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the columns that both files have, and name those that only one has."""
    for target in competition.targets:
        if target in test_frame:
            raise DataError(
                f"{test}: the target column {target!r} must not stand in the test file; is it the "
                "training file?"
            )
    only_train = [c for c in map(str, train_frame) if c not in test_frame]
    only_test = [c for c in map(str, test_frame) if c not in train_frame]
    if only_train:
        progress.notice(
            f"left out, since only {train} has it: {_some(only_train)}. What is known in training "
            "alone may be a leak of the target."
        )
    if only_test:
        progress.notice(f"not in {train}, and therefore not used: {_some(only_test)} of {test}.")
    shared = [c for c in train_frame if c in test_frame]
    if not shared:
        raise DataError(
            f"{train} and {test} share no feature columns beside the id and the target."
        )
    return train_frame[shared], test_frame[shared]


def _share_kind(column: str, *files: tuple[pd.DataFrame, Path]) -> None:
    """Check that a column is text in both files or in none; in place, give it the same levels."""
    texts = [not pd.api.types.is_numeric_dtype(frame[column]) for frame, _ in files]
    if not any(texts):
        for frame, path in files:
            _check_finite(frame[column], path)
        return
    for (frame, path), text in zip(files, texts, strict=True):
        # What is missing throughout is of any kind.
        if not text and frame[column].notna().any():
            other, text_path = files[texts.index(True)]
            raise DataError(
                f"the column {column!r} is text in {text_path} (for example "
                f"{_example_of_text(other[column])!r}) and numbers in {path}; "
                "if that text means a missing value, add it to `missing_values`; else say in "
                "`[kinds]` what the column is."
            )
    shared = share_levels(*(frame[column] for frame, _ in files))
    for (frame, _), levels in zip(files, shared, strict=True):
        frame[column] = levels


def _example_of_text(column: pd.Series) -> str:
    values = column.dropna().astype(str)
    odd = values[pd.to_numeric(values, errors="coerce").isna()]
    # Whole numbers of more than 64 bits are text to pandas, too.
    return str(odd.iloc[0]) if len(odd) else str(max(values, key=len))


def _beside_numbers(column: pd.Series) -> str | None:
    """Return the one text beside the numbers of a categorical column; None where it has more."""
    if not isinstance(column.dtype, pd.CategoricalDtype):
        return None
    levels = column.cat.categories
    odd = levels[pd.to_numeric(pd.Series(levels), errors="coerce").isna().to_numpy()]
    return str(odd[0]) if len(odd) == 1 and len(levels) > _FEW_NUMBERS else None


def _check_finite(column: pd.Series, path: Path) -> None:
    if column.dtype.kind == "i":
        return
    infinite = np.abs(column.to_numpy(dtype=np.float64)) > _LARGEST
    if infinite.any():
        raise DataError(
            f"{path}: the column {column.name!r} is infinite in {_rows(pd.Series(infinite))}; "
            f"expected numbers up to {_LARGEST:g} or missing values."
        )


def _rows(mask: pd.Series) -> str:
    """Name the first rows of a mask by their number in the file (the header is line 1)."""
    rows = [str(i + 2) for i in np.flatnonzero(mask.to_numpy())]
    return f"line{'s' if len(rows) > 1 else ''} {_some(rows, quote=False)}"


def _some(names: Sequence[str], *, most: int = 5, quote: bool = True) -> str:
    shown = ", ".join(repr(n) if quote else n for n in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
