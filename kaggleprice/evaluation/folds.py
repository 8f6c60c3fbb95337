"""Folds: which rows train and which validate, made by a scheme or read from a file.

A row may be validated in several folds (`--repeats`), or in none (forward in time, hold-out). What
is predicted out of fold therefore has a line for each row and fold that validates it; the pooled
score is that of the mean of a row's lines.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kaggleprice.competitions.catalog import Competition
from kaggleprice.competitions.csv_writer import csv_text
from kaggleprice.competitions.moments import rank_moments
from kaggleprice.competitions.tables import Table
from kaggleprice.core.errors import DataError, MissingFileError, UsageError
from kaggleprice.core.registry import look_up
from kaggleprice.evaluation.memory import check_memory
from kaggleprice.settings.fold_schemes import FOLD_SCHEMES, FoldOptions, FoldScheme, target_bins
from kaggleprice.settings.run import RunSettings

# Into so many stretches rows are cut that are alike where they are close.
_STRETCHES = 50

Rows = NDArray[np.int64]
Fold = tuple[Rows, Rows]
# The column of row numbers in the training file, and that of the folds that a row trains.
ROW, TRAINS = "row", "trains"
# What stands for no fold.
NONE = "none"
# Of up to 18 digits, which 64 bits hold. Not every white space is one to whoever reads the number.
_WHOLE = re.compile(r"[ \t]*[-+]?[0-9]{1,18}[ \t]*")


class Folds(Sequence[Fold]):
    """The (training rows, validation rows) of each fold, which cannot be changed.

    Attributes:
        rows: the number of rows n that are split.
    """

    def __init__(self, folds: Iterable[tuple[Rows, Rows]], rows: int) -> None:
        """Take row numbers from 0 to rows - 1 of each fold."""
        self.rows = rows
        self._folds = tuple((_fixed(train), _fixed(validation)) for train, validation in folds)

    @classmethod
    def of_rows(cls, fold_of_row: Rows) -> Folds:
        """Return the folds in which each row is validated once, and trains in all others.

        Args:
            fold_of_row: shape (n,), the fold that validates each row, counted from 0.
        """
        count = int(fold_of_row.max()) + 1
        masks = [fold_of_row == fold for fold in range(count)]
        pairs = [(np.flatnonzero(~held), np.flatnonzero(held)) for held in masks]
        return cls(pairs, len(fold_of_row))

    @cached_property
    def lines(self) -> tuple[Rows, Rows]:
        """The row and the fold of every validation, by row, then fold; two arrays of shape (L,)."""
        rows = np.concatenate([validation for _, validation in self])
        folds = np.repeat(np.arange(len(self)), [len(validation) for _, validation in self])
        order = np.lexsort((folds, rows))
        return rows[order], folds[order]

    @cached_property
    def places(self) -> list[Rows]:
        """Where in `lines` the validation rows of each fold stand, ascending."""
        _, folds = self.lines
        ends = np.cumsum([len(validation) for _, validation in self])
        return np.split(np.argsort(folds, kind="stable"), ends[:-1])

    @cached_property
    def scored(self) -> Rows:
        """The rows that are validated once or more, ascending; shape (S,)."""
        return self.lines[0][self._starts]

    @cached_property
    def _starts(self) -> Rows:
        """Where the lines of each scored row begin, shape (S,)."""
        return np.flatnonzero(np.diff(self.lines[0], prepend=-1))

    def pool(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean of each scored row's lines.

        Args:
            values: shape (L, ...), of each line.

        Returns:
            Shape (S, ...); the very values where each row has one line.
        """
        if len(self._starts) == len(values):
            return values
        counts = np.diff(self._starts, append=len(values))
        sums = np.add.reduceat(values, self._starts, axis=0)
        return np.asarray(sums / counts.reshape(-1, *[1] * (values.ndim - 1)))

    @cached_property
    def left_out(self) -> list[Rows]:
        """The rows that do not train in each fold, ascending."""
        if self._complementary:
            return [validation for _, validation in self]
        return [_others(train, self.rows) for train, _ in self]

    @property
    def _complementary(self) -> bool:
        """Whether every row that a fold does not validate trains in it."""
        return all(len(train) + len(validation) == self.rows for train, validation in self)

    @cached_property
    def fold_of_row(self) -> Rows:
        """The fold that validates each row, counted from 0; shape (n,).

        Raises:
            ValueError: where a row is validated more than once, or never.
        """
        rows, folds = self.lines
        if not np.array_equal(rows, np.arange(self.rows)):
            raise ValueError("not every row is validated exactly once")
        return _fixed(folds, ordered=True)

    @cached_property
    def predicting(self) -> list[int]:
        """The folds, counted from 0, whose members predict new rows; ascending.

        All of them, unless one trains on the rows of every other fold and more, as the last one of
        folds forward in time does: the members of the others know the beginning alone.
        """
        everyone = list(range(len(self)))
        most = max(everyone, key=lambda fold: len(self[fold][0]))
        own, others = self[most][0], [train for fold, (train, _) in enumerate(self) if fold != most]
        inside = (len(train) < len(own) and np.isin(train, own).all() for train in others)
        return [most] if others and all(inside) else everyone

    def to_csv(self, ids: NDArray[Any], id_column: str, numbers: Rows | None = None) -> str:
        """Return the text of folds.csv.

        It has a line for each row and fold (from 1) that validates it, and one with the fold
        `none` for a row that none does. Where not every other row trains, the column `trains` has
        the folds that the row trains.

        Args:
            ids: shape (n,).
            id_column: their name.
            numbers: shape (n,), the rows' numbers in the training file; None leaves them out.
        """
        rows, folds = self.lines
        never = _others(self.scored, self.rows)
        listed = np.concatenate([rows, never])
        order = np.argsort(listed, kind="stable")
        listed = listed[order]
        # By place, since the id column may be named fold as well.
        named = folds + 1
        if len(never):
            named = np.concatenate([named.astype(object), [NONE] * len(never)])
        columns: dict[str, Any] = {"id": ids[listed], "fold": named[order]}
        if numbers is not None:
            columns[ROW] = numbers[listed]
        if not self._complementary:
            columns[TRAINS] = self._trained_texts()[listed]
        frame = pd.DataFrame(columns)
        frame.columns = pd.Index([id_column, *list(columns)[1:]])
        return csv_text(frame)

    def _trained_texts(self) -> NDArray[Any]:
        """Return the folds that each row trains, as `1 2 3`; shape (n,)."""
        # Rows that train the same folds have one code, which each fold may split in two.
        code, texts = np.zeros(self.rows, dtype=np.int64), [""]
        for fold, (train, _) in enumerate(self, 1):
            code *= 2
            code[train] += 1
            code, kinds = pd.factorize(code)
            texts = [texts[kind // 2] + f" {fold}" * (kind % 2) for kind in kinds]
        return np.array([text.strip() or NONE for text in texts], dtype=object)[code]

    def sha256(self, ids: NDArray[Any], id_column: str) -> str:
        """Return a hash of which rows train and validate where; arguments as in `to_csv`."""
        return hashlib.sha256(self.to_csv(ids, id_column).encode()).hexdigest()

    @property
    def fingerprint(self) -> str:
        """A hash of the rows of every fold, without ids."""
        found = hashlib.sha256()
        for part in (part for fold in self for part in fold):
            found.update(f"{len(part)},".encode() + part.astype("<i8").tobytes())
        return found.hexdigest()

    def __len__(self) -> int:
        return len(self._folds)

    def __iter__(self) -> Iterator[Fold]:
        return iter(self._folds)

    @overload
    def __getitem__(self, index: int) -> Fold: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Fold]: ...
    def __getitem__(self, index: int | slice) -> Fold | Sequence[Fold]:
        return self._folds[index]


def _others(chosen: Rows, rows: int) -> Rows:
    rest = np.ones(rows, dtype=bool)
    rest[chosen] = False
    return np.flatnonzero(rest)


def _fixed(rows: Rows, *, ordered: bool = False) -> Rows:
    fixed = np.array(rows, dtype=np.int64) if ordered else np.sort(rows).astype(np.int64)
    fixed.flags.writeable = False
    return fixed


def make_folds(
    rows: int,
    k: int,
    *,
    scheme: str = "shuffled",
    seed: int = 0,
    repeats: int = 1,
    gap: int = 0,
    hold_out: float = 0.2,
    target: NDArray[np.float64] | None = None,
    groups: NDArray[Any] | None = None,
    moments: Rows | None = None,
) -> Folds:
    """Split rows into folds.

    Args:
        rows: their number n.
        k: how many folds.
        scheme: a name in `FOLD_SCHEMES`.
        seed: of what is random.
        repeats: how often the rows are split anew, from one stream of random numbers as
            scikit-learn's `RepeatedKFold` does.
        gap: moments left out between the training and the validation rows of a forward scheme.
        hold_out: share of the rows that validate, for a scheme of one fold.
        target: shape (n,), for schemes that split by it.
        groups: shape (n,), the group of each row, for schemes that keep groups together.
        moments: shape (n,), the rank of each row's time, counted from 0 without holes, for forward
            schemes; None for the rows' order.

    Raises:
        UnknownNameError: where no scheme has this name.
        UsageError: where k is less than 2 or more than the number of rows, groups or moments allow;
            where a scheme without a seed is repeated; where target or groups are lacking.
    """
    found = look_up(FOLD_SCHEMES, scheme, "fold scheme")
    if not found.holds_out and not 2 <= k <= rows:
        raise UsageError(
            f"k must lie between 2 and the number of training rows ({rows}), found {k}."
        )
    if repeats > 1 and not found.seeded:
        raise UsageError(f"fold scheme {scheme!r} is the same each time; leave --repeats away.")
    if found.grouped and groups is None:
        raise UsageError(f"fold scheme {scheme!r} needs groups; name their column: --fold-column.")
    if found.grouped and groups is not None and len(set(groups)) < k:
        raise UsageError(
            f"k must not exceed the number of groups, found {k}; give --k {len(set(groups))}."
        )
    if found.stratifies and target is None:
        raise UsageError(f"fold scheme {scheme!r} needs a target.")
    if found.holds_out and not 0 < np.ceil(hold_out * rows) < rows:
        raise UsageError(
            f"--hold-out {hold_out:g} of {rows} rows leaves none to train on; give a smaller share."
        )
    check_memory(8 * rows * repeats, f"--repeats {repeats}: so many splits of {rows} rows")
    options = FoldOptions(k, gap, hold_out, np.random.RandomState(seed))
    if found.forward:
        return _forward(found, options, np.arange(rows) if moments is None else moments)
    classes = target_bins(target, k) if found.stratifies and target is not None else None
    splitter = found.splitter(options)
    splits = [
        fold
        for _ in range(repeats)
        for fold in splitter.split(np.empty((rows, 1)), classes, groups if found.grouped else None)
    ]
    return Folds(splits, rows)


def moments_of(competition: Competition, train: Table, settings: RunSettings) -> Rows | None:
    """Return the rank of each training row's time, shape (n,); None where no column says it."""
    if train.groups is None or not FOLD_SCHEMES[settings.fold_scheme].forward:
        return None
    column = str(settings.fold_column)
    return rank_moments(train.groups, column, competition.kinds.get(column))


def relatives_of(competition: Competition, train: Table, settings: RunSettings) -> Rows | None:
    """Return which training rows must not be parted inside a fold, as its scheme does not.

    Rows of one group; of schemes that keep the rows' order or time, what lies close together.

    Returns:
        Shape (n,), the same number for rows that belong together; None where none do.
    """
    scheme, order = FOLD_SCHEMES[settings.fold_scheme], np.arange(len(train))
    if scheme.grouped and train.groups is not None:
        return np.unique(train.groups, return_inverse=True)[1].astype(np.int64)
    if not scheme.forward and scheme.seeded:
        return None
    moments = moments_of(competition, train, settings)
    order = order if moments is None else moments
    return np.asarray(order * _STRETCHES // (order.max() + 1))


def _forward(scheme: FoldScheme, options: FoldOptions, moments: Rows) -> Folds:
    """Split n rows by their moments, so that rows of one moment stay together."""
    count = int(moments.max()) + 1
    first = count - options.k * (count // (options.k + 1))
    if count <= options.k or first <= options.gap:
        raise UsageError(
            f"forward folds cut {count} moments into k + 1 = {options.k + 1} blocks, of which the "
            f"first ({first if count > options.k else 0}) must outlast --fold-gap {options.gap}; "
            "give a smaller --k or --fold-gap."
        )

    def rows_of(chosen: Rows) -> Rows:
        wanted = np.zeros(count, dtype=bool)
        wanted[chosen] = True
        return np.flatnonzero(wanted[moments])

    splits = scheme.splitter(options).split(np.empty((count, 1)))
    return Folds([(rows_of(train), rows_of(held)) for train, held in splits], len(moments))


def read_folds(path: Path, ids: NDArray[Any], id_column: str, numbers: Rows | None = None) -> Folds:
    """Read folds from a CSV as a run writes it, or as a person does.

    It has a column `fold`, and the id column or a column `row` with row numbers. With row numbers
    a row may have several lines: it is validated in each of these folds. The fold `none` is that
    of a row that is never validated. All rows that a fold does not validate train in it, unless a
    column `trains` says in which folds a row does.

    Args:
        path: the CSV; folds may have any whole numbers, and are put in their order.
        ids: shape (n,), the training rows' ids.
        id_column: its name.
        numbers: shape (n,), the rows' numbers in the training file; None counts from 1.

    Raises:
        MissingFileError, DataError: where the file is absent, or does not have each training row,
            or has rows twice in a fold, or a fold has no rows to train on.
    """
    numbers = np.arange(1, len(ids) + 1) if numbers is None else numbers
    stand_in = id_column == ROW and np.array_equal(ids.astype(str), numbers.astype(str))
    cells = _read(path, id_column, by_number=stand_in)
    if cells.rows is None:
        places = _places_of_ids(path, cells.ids, ids, id_column)
    else:
        places = pd.Index(numbers).get_indexer(pd.Index(cells.rows))
        lacking = _others(places[places >= 0], len(ids))
        if len(lacking) or (places < 0).any():
            raise DataError(
                f"{path}: expected every row of the training file ({len(ids)} rows), found "
                f"{pd.Index(cells.rows).nunique()}"
                + (f"; row {numbers[lacking[0]]} is missing." if len(lacking) else ".")
            )
    return _from_cells(path, cells, places, len(ids))


def read_folds_of_run(path: Path, content: bytes) -> Folds:
    """Read the folds.csv of a run, also of an earlier version: its lines are in the rows' order.

    Args:
        path: named in messages.
        content: of the file.

    Raises:
        MissingFileError, DataError: where it cannot be read.
    """
    cells = _read(path, None, by_number=True, content=content)
    places = np.arange(len(cells.folds))
    if cells.rows is not None:
        places = pd.factorize(cells.rows)[0]
    return _from_cells(path, cells, places, int(places.max()) + 1)


@dataclass(frozen=True)
class _Cells:
    """The lines of a file of folds.

    Attributes:
        ids: texts; empty where none are asked for.
        rows: row numbers; None where it has none.
        folds, trains: texts; trains is None where it has none.
    """

    ids: list[str]
    rows: Rows | None
    folds: NDArray[Any]
    trains: NDArray[Any] | None


def _places_of_ids(path: Path, found: list[str], ids: NDArray[Any], id_column: str) -> Rows:
    place_of_id = {i: place for place, i in enumerate(_numbered(ids))}
    places = [place_of_id.get(i, -1) for i in _numbered(found)]
    lacking = sorted(set(place_of_id.values()) - set(places))
    if lacking or len(found) != len(ids):
        raise DataError(
            f"{path}: expected every {id_column} of the training file exactly once "
            f"({len(ids)} rows), found {len(found)} rows"
            + (f"; {id_column} {ids[lacking[0]]} is missing." if lacking else ".")
        )
    return np.array(places, dtype=np.int64)


def _from_cells(path: Path, cells: _Cells, places: Rows, rows: int) -> Folds:
    """Make the folds of n rows.

    Args:
        path: named in messages.
        cells: the lines.
        places: the row, from 0 to n - 1, of each line.
        rows: n.
    """
    code, texts = pd.factorize(cells.folds)
    numbers = [None if text == NONE else int(text) for text in texts]
    names = sorted({number for number in numbers if number is not None})
    fold_of_code = np.array([-1 if n is None else names.index(n) for n in numbers], dtype=np.int64)
    fold = fold_of_code[code]
    # Both are below 2^63: rows and folds are counted.
    if not pd.Index(places * (len(names) + 1) + fold).is_unique:
        raise DataError(f"{path}: a row stands twice in one fold.")
    held = [places[fold == f] for f in range(len(names))]
    if cells.trains is None:
        trained = [_others(own, rows) for own in held]
    else:
        code, texts = pd.factorize(cells.trains)
        named = [_read_trains(path, text, names) for text in texts]
        lines = [np.array([name in own for own in named], dtype=bool)[code] for name in names]
        trained = [_others(_others(places[line], rows), rows) for line in lines]
    if not names or any(not len(train) for train in trained):
        raise DataError(
            f"{path}: expected 2 folds or more, found {len(names)}; rows of the fold {NONE!r} "
            "would train one."
        )
    if any(np.isin(own, train).any() for own, train in zip(held, trained, strict=True)):
        raise DataError(f"{path}: a row both trains and is validated in one fold.")
    return Folds(zip(trained, held, strict=True), rows)


def _read_trains(path: Path, text: str, names: Sequence[int]) -> set[int]:
    parts = [] if text.strip() in ("", NONE) else text.split()
    if not all(_WHOLE.fullmatch(part) and int(part) in names for part in parts):
        raise DataError(f"{path}: the column {TRAINS!r} must hold folds, as in '1 2'.")
    return {int(part) for part in parts}


def _numbered(ids: Iterable[Any]) -> list[tuple[str, int]]:
    """Return each id with which of the same ids it is: ids may repeat."""
    seen: Counter[str] = Counter()
    numbered = []
    for i in map(str, ids):
        numbered.append((i, seen[i]))
        seen[i] += 1
    return numbered


def _read(
    path: Path, id_column: str | None, by_number: bool, content: bytes | None = None
) -> _Cells:
    """Read the lines of a file of folds.

    Args:
        path: the CSV.
        id_column: its name; None for the first column, whatever it is called.
        by_number: whether an id column named `row` has row numbers.
        content: of the file; None to read it.
    """
    try:
        source = path if content is None else io.BytesIO(content)
        frame = pd.read_csv(source, dtype=str, keep_default_na=False, header=None)
    except FileNotFoundError:
        raise MissingFileError(f"folds file {path} does not exist.") from None
    except (OSError, ValueError) as error:
        raise DataError(f"folds file {path} cannot be read as CSV: {error}.") from None
    header, cells = list(frame.iloc[0]), frame.iloc[1:]
    # By place, since the id column may have the name of another one.
    place = header.index(id_column) if id_column in header else None
    if id_column is None:
        place = 0
    others = {name: i for i, name in reversed([*enumerate(header)]) if i != place}
    row = others.get(ROW)
    if row is None and by_number and place is not None and header[place] == ROW:
        row = place
    if "fold" not in others or (place is None and row is None):
        lacking = "fold" if "fold" not in others else id_column
        names = ", ".join(map(repr, header[:5])) + (", ..." if len(header) > 5 else "")
        raise DataError(f"{path}: the column {lacking!r} is missing; found {names}.")
    folds = cells[others["fold"]].to_numpy(dtype=object)
    if not all(text == NONE or _WHOLE.fullmatch(text) for text in pd.unique(folds)):
        raise DataError(f"{path}: the column 'fold' must hold whole numbers.")
    numbers = None if row is None else _whole_numbers(cells[row])
    if row is not None and row != place and numbers is None:
        raise DataError(f"{path}: the column {ROW!r} must hold whole numbers.")
    return _Cells(
        ids=[] if place is None or id_column is None else cells[place].tolist(),
        rows=numbers,
        folds=folds,
        trains=None if TRAINS not in others else cells[others[TRAINS]].to_numpy(dtype=object),
    )


def _whole_numbers(cells: pd.Series) -> Rows | None:
    """Return texts as whole numbers; None where one is none."""
    if not cells.str.fullmatch(_WHOLE.pattern).all():
        return None
    return cells.to_numpy(dtype=np.int64)
