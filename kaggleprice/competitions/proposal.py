"""Looking at files never seen before: what a competition's keys may be.

Every guess has a reason and says whether it is sure. Nothing is decided here: a person, or `--yes`,
takes the guesses, and they are written to a `competition.toml` that can be edited.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kaggleprice.competitions.catalog import (
    DATE,
    DROP,
    LATITUDE,
    LONGITUDE,
    NUMBER,
    NUMBER_COMMA,
    TEXT,
    Competition,
    DataFile,
    Kind,
    as_tuple,
)
from kaggleprice.competitions.csv_format import CsvFormat, find_format
from kaggleprice.competitions.evidence import CONTIGUOUS, find_evidence
from kaggleprice.competitions.found_files import ROWS, Files, read_cells
from kaggleprice.competitions.kinds import find_date_formats, parse_amount, read_truths
from kaggleprice.competitions.metrics import METRICS
from kaggleprice.competitions.transforms import YEO_JOHNSON
from kaggleprice.core.errors import UnknownNameError, UsageError
from kaggleprice.core.registry import look_up

# A transform of so few values changes their distance, and nothing else.
_FEW_VALUES = 3
# Share of rows of which a column that names rows has a value of its own.
_MOSTLY = 0.9
_MARKERS = "? - -- . NA N/A n/a na NaN nan NULL null None none #N/A missing Missing unknown"
_ID_NAME = re.compile(r"(?i)(?:.*[_ .-])?(?:id|index|key)|.*[a-z]I[dD]|I[dD][_A-Z].*|Unnamed: 0|")
_GROUPED = re.compile(r"[1-9]\d{0,2}(?:\.\d{3})+")
# What stands around the word tells which longitude belongs to which latitude.
_PLACES = {
    kind: re.compile(rf"(?i)(?P<before>(?:.*[_ .-])?)(?:{words})(?P<after>(?:[_ .-].*|\d*))")
    for kind, words in ((LATITUDE, "lat|latt?itude"), (LONGITUDE, "lon|lng|long|longt?itude"))
}
_DEGREES = {LATITUDE: 90.0, LONGITUDE: 180.0}
_TARGET_NAMES = ("target", "y", "label", "price", "saleprice", "value", "count", "sales")
# Lowest first; a column of some of these words, whatever their case, has this order.
_ORDERS: tuple[tuple[str, ...], ...] = (
    ("Po", "Fa", "TA", "Gd", "Ex"),
    ("Poor", "Fair", "Average", "Good", "Excellent"),
    ("Fair", "Good", "Very Good", "Premium", "Ideal"),
    ("I3", "I2", "I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF", "FL"),
    ("low", "medium", "high"),
    ("low", "moderate", "high"),
    ("very low", "low", "medium", "high", "very high"),
    ("small", "medium", "large"),
    ("XXS", "XS", "S", "M", "L", "XL", "XXL", "XXXL"),
    ("never", "rarely", "sometimes", "often", "always"),
    ("cold", "warm", "hot"),
    ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
)
# On average; names and codes have fewer.
_WORDS = 3
# More than so many are parts of codes.
_MOST_UNITS = 6
_CODES = "USD|EUR|GBP|JPY|CHF|CAD|AUD|NZD|CNY|INR|BRL|MXN|RUB|KRW|SEK|NOK|DKK|PLN|TRY|ZAR|SGD|HKD"
_CURRENCY = re.compile(rf"{_CODES}|R\$|Rs\.?|kr\.?|US\$")
_CURRENCY_FIRST = re.compile(rf"(?:{_CODES}|R\$|Rs\.?|kr\.?|US\$)[\s\d]")


@dataclass(frozen=True)
class Guess:
    """A value for one key of a competition.

    Attributes:
        value: the value; None for "there is none".
        reason: why, in a few words.
        sure: whether nothing else is likely.
    """

    value: Any
    reason: str
    sure: bool = True


@dataclass(frozen=True)
class Proposal:
    """What a competition's keys may be.

    Attributes:
        files: of the competition.
        csv_format: how the training file is written.
        keys: `id_column`, `target_column`, `target_transform`, `metric` and `missing_values`;
            `fold_scheme` and `fold_column` where the columns say so.
        kinds: those of columns that are no plain numbers or categories.
        missing_values_of: markers of columns in which texts mean "missing" that are levels of
            others.
        warnings: sentences on what looks like a leak.
        drop_missing_target: whether training rows without a target are left out.
        prediction_column: what the sample submission calls the target, or each of several; None
            for their own names.
        kaggle: the competition's name at kaggle.com; None where nobody told it.
    """

    files: Files
    csv_format: CsvFormat
    keys: Mapping[str, Guess]
    kinds: Mapping[str, Guess]
    warnings: Sequence[str] = field(default=())
    drop_missing_target: bool = False
    prediction_column: str | list[str] | None = None
    kaggle: str | None = None
    missing_values_of: Mapping[str, Guess] = field(default_factory=dict)

    def competition(self, name: str) -> Competition:
        """Return the competition that these guesses make.

        Raises:
            UsageError: where a metric or transform is unknown.
        """
        test, calls = self.files.test, self.prediction_column
        keys: dict[str, Any] = {
            key: tuple(guess.value) if isinstance(guess.value, list) else guess.value
            for key, guess in self.keys.items()
        }
        return Competition(
            name=name,
            title=name,
            page="",
            train=DataFile(self.files.train.name, path=self.files.train),
            test=None if test is None else DataFile(test.name, path=test),
            kinds={column: guess.value for column, guess in self.kinds.items()},
            missing_values_of={c: tuple(own.value) for c, own in self.missing_values_of.items()},
            csv_format=self.csv_format,
            drop_missing_target=self.drop_missing_target,
            prediction_column=tuple(calls) if isinstance(calls, list) else calls,
            kaggle=self.kaggle,
            **keys,
        )


def propose(files: Files, given: Mapping[str, Any], kinds: Mapping[str, Kind]) -> Proposal:
    """Look at a competition's files, and guess what was not said.

    Args:
        files: of the competition.
        given: keys of `Proposal.keys` that are known, and their values.
        kinds: columns whose kind is known.

    Raises:
        DataError: where a file cannot be read.
        UsageError: where a named column is not there, or no column can be the target.
    """
    csv_format = find_format(files.train)
    train = read_cells(files.train, csv_format)
    test = read_cells(files.test, find_format(files.test)) if files.test else None
    sample = read_cells(files.sample, find_format(files.sample)) if files.sample else None
    named = [given[key] for key in ("id_column", "target_column") if given.get(key) is not None]
    for column in [*(c for one in named for c in as_tuple(one)), *kinds]:
        if column not in train:
            raise UnknownNameError("column", column, map(str, train), f" in {files.train}")
    known = {key: Guess(value, "given") for key, value in given.items()}
    target = known.get("target_column") or _guess_target(train, test, sample, csv_format.decimal)
    targets = as_tuple(target.value)
    rest = [str(c) for c in train if c not in targets]
    for column in targets:
        if kinds.get(column) == DROP:
            raise UsageError(f"the target {column!r} cannot be dropped.")
    both = rest if test is None else [c for c in rest if c in test]
    cells = {c: _cells_of(c, train, test) for c in both}
    markers: dict[str, list[str]] = {}
    found: dict[str, Guess] = {}
    cells |= {c: train[c].str.strip() for c in targets}
    for column in (*both, *targets):
        kind = _guess_kind(column, cells[column], csv_format.decimal, markers)
        if kind is not None and (column not in targets or kind.value in (NUMBER, NUMBER_COMMA)):
            found[column] = kind
    found |= _guess_places({c: cells[c] for c in both if c not in found}, csv_format.decimal)
    found |= {
        c: Guess(DROP, f"only in {files.train.name}: it may know the target")
        for c in rest
        if c not in both
    }
    identity = known.get("id_column") or _guess_id(both, train, test, sample, found)
    if identity.value in found and found[identity.value].value == TEXT:
        # Names of rows are no texts to learn from.
        del found[identity.value]
    found |= {column: Guess(kind, "given") for column, kind in kinds.items()}
    numbers = {c: _target_numbers(cells[c], found.get(c), csv_format.decimal) for c in targets}
    missing, own = known.get("missing_values"), dict[str, Guess]()
    if missing is None:
        missing, own = _guess_missing(markers, cells)
    keys = {
        "id_column": identity,
        "target_column": target,
        **_guess_scale(list(numbers.values()), known),
        "missing_values": missing,
    }
    if test is not None:
        may_say = {c: own.get(c, missing).value for c in both if c != identity.value or c in found}
        keys |= _guess_folds(files, (train, test), may_say, found)
    used = [c for c in both if found.get(c, Guess("", "")).value != DROP]
    warnings = [
        warning
        for column, number in numbers.items()
        for warning in _find_leaks(train, used, column, identity.value, number, csv_format.decimal)
    ]
    warnings += _find_repeats(identity.value, train)
    others = () if sample is None else tuple(str(c) for c in sample.columns[1:])
    differ = len(others) == len(targets) and others != targets
    calls = one_or_all(others) if differ else None
    return Proposal(
        files,
        csv_format,
        keys,
        found,
        warnings,
        prediction_column=calls,
        missing_values_of=own,
    )


def _target_numbers(cells: pd.Series, kind: Guess | None, decimal: str) -> NDArray[np.float64]:
    """Return a target's texts as numbers, by its kind; NaN for what is none; shape (n,)."""
    if kind is None:
        truths = read_truths(cells)
        return _numbers(cells, decimal) if truths is None else truths
    mark = "," if kind.value == NUMBER_COMMA else decimal
    amounts = [parse_amount(text, mark) for text in cells]
    return np.array([np.nan if amount is None else amount[0] for amount in amounts])


def _cells_of(column: str, train: pd.DataFrame, test: pd.DataFrame | None) -> pd.Series:
    parts = [train[column]] if test is None else [train[column], test[column]]
    return pd.concat(parts, ignore_index=True).str.strip()


def _numbers(cells: pd.Series, decimal: str) -> NDArray[np.float64]:
    """Return texts as numbers, NaN for what is none; shape (n,)."""
    texts = cells.str.replace(",", ".", regex=False) if decimal == "," else cells
    return pd.to_numeric(texts, errors="coerce").to_numpy(dtype=np.float64)


def _guess_target(
    train: pd.DataFrame, test: pd.DataFrame | None, sample: pd.DataFrame | None, decimal: str
) -> Guess:
    if sample is not None:
        named = [str(c) for c in sample.columns[1:] if c in train]
        if named:
            which = "it" if len(named) == 1 else "them"
            return Guess(one_or_all(named), f"the sample submission has {which}")
    lacking = [str(c) for c in train if test is None or c not in test]
    if not lacking:
        raise UsageError(
            "the training file has no column that the test file lacks; name the target with "
            "--target."
        )
    if len(lacking) == 1:
        return Guess(lacking[0], "the one column that the test file lacks")
    if test is not None and sample is not None and len(lacking) == len(sample.columns) - 1:
        reason = "the test file lacks them, and the sample submission has as many columns"
        return Guess(lacking, reason, sure=False)
    if test is not None:
        values = {c: _numbers(train[c], decimal) for c in lacking}
        for column in lacking:
            others = [values[c] for c in lacking if c != column]
            if len(others) > 1 and np.array_equal(np.sum(others, axis=0), values[column]):
                rest = " + ".join(c for c in lacking if c != column)
                return Guess(column, f"it is {rest}, and the test file lacks all of them")
    named = [c for c in lacking if c.lower() in _TARGET_NAMES]
    if len(named) == 1:
        return Guess(named[0], "its name", sure=False)
    return Guess(lacking[-1], "the last column that may be it", sure=False)


def one_or_all(names: Sequence[str] | None) -> str | list[str] | None:
    """Return the one name, or several as a list; None for none."""
    if not names:
        return None
    return names[0] if len(names) == 1 else list(names)


def _guess_kind(
    column: str, cells: pd.Series, decimal: str, markers: dict[str, list[str]]
) -> Guess | None:
    """Return the kind of a column that is no plain number or category; note missing markers.

    Texts of such columns alone are markers: in a category they are a level as any other.
    """
    levels = cells[cells != ""].unique()
    numeric = _is_number(levels, decimal)
    texts = [str(level) for level in levels[~numeric]]
    if not len(levels) or not texts:
        return None
    odd = [text for text in texts if text in _MARKERS.split()]
    if numeric.any() and odd == texts:
        markers[column] = odd
        return None
    plain = [str(level) for level in levels if level not in odd]
    if not plain:
        return None
    forms = find_date_formats(plain)
    if forms:
        markers[column] = odd
        other = f"; {forms[1]} would fit as well" if len(forms) > 1 else ""
        return Guess(f"{DATE} {forms[0]}", f"such as {plain[0]}{other}", sure=len(forms) == 1)
    lower = {text.lower() for text in plain}
    for order in _ORDERS:
        words = [word.lower() for word in order]
        if len(lower) > 1 and lower <= set(words):
            spelled = {text.lower(): text for text in plain}
            named = tuple(spelled[word] for word in words if word in spelled)
            markers[column] = odd
            return Guess(named, "words of a known order")
    amount = _guess_amount(plain, decimal)
    if amount is not None:
        markers[column] = odd
        return amount
    return _guess_text(plain, rows=int((cells != "").sum()))


def _guess_amount(plain: Sequence[str], decimal: str) -> Guess | None:
    """Return the kind of a column whose texts are all numbers with a unit."""
    # `h0` or `SKU-17` is a code: a letter before a number is no unit.
    if any(text[:1].isalpha() and not _CURRENCY_FIRST.match(text) for text in plain):
        return None
    first = "," if decimal == "." and _has_points_before_thousands(plain) else decimal
    for mark in dict.fromkeys((first, decimal, ".", ",")):
        amounts = [parse_amount(text, mark) for text in plain]
        units = {amount[1] for amount in amounts if amount is not None}
        one = len(units) <= 1 or ("" not in units and len(units) <= _MOST_UNITS)
        if None not in amounts and one and all(map(_is_unit, units)):
            # The longest shows most of how they are written.
            reason = f"such as {max(plain, key=len)}"
            if len(units) > 1:
                reason += f"; the unit is a category beside: {', '.join(sorted(units))}"
            return Guess(NUMBER if mark == decimal else NUMBER_COMMA, reason)
    return None


def _has_points_before_thousands(plain: Sequence[str]) -> bool:
    """Whether money is written as `€ 87` and `€ 1.781`: no point below 1000, and then always."""
    digits = [re.sub(r"[^\d.]", "", text) for text in plain]
    pointed = [text for text in digits if "." in text]
    small = [text for text in digits if "." not in text]
    return (
        bool(pointed and small)
        and all(_GROUPED.fullmatch(text) for text in pointed)
        and all(len(text) <= 3 for text in small)
        # Weights and lengths may have three decimals.
        and all(_is_money(amount[1]) for text in plain if (amount := parse_amount(text, ",")))
    )


def _is_money(unit: str) -> bool:
    symbols = bool(unit) and all(unicodedata.category(c) == "Sc" for c in unit)
    return symbols or bool(_CURRENCY.fullmatch(unit))


def _guess_text(plain: Sequence[str], rows: int) -> Guess | None:
    """Return the kind of a column of distinct texts, of which so many rows have one."""
    words = float(np.mean([len(text.split()) for text in plain]))
    if words < _WORDS or 2 * len(plain) < rows:
        return None
    return Guess(TEXT, f"of {words:.0f} words, and seldom the same twice")


def _guess_places(cells: Mapping[str, pd.Series], decimal: str) -> dict[str, Guess]:
    """Return the kinds of pairs of columns that are latitude and longitude, pair by pair."""
    named: dict[str, dict[tuple[str, str], str]] = {LATITUDE: {}, LONGITUDE: {}}
    for column, texts in cells.items():
        for kind, pattern in _PLACES.items():
            match = pattern.fullmatch(column)
            degrees = _numbers(texts, decimal) if match else np.empty(0)
            if match and len(degrees) and np.nanmax(np.abs(degrees), initial=0) <= _DEGREES[kind]:
                around = match["before"].lower(), match["after"].lower()
                named[kind].setdefault(around, column)
    return {
        column: Guess(kind, f"degrees by its name and values; with {other!r} a place")
        for around in named[LATITUDE]
        if around in named[LONGITUDE]
        for column, kind, other in (
            (named[LATITUDE][around], LATITUDE, named[LONGITUDE][around]),
            (named[LONGITUDE][around], LONGITUDE, named[LATITUDE][around]),
        )
    }


def _is_number(levels: Any, decimal: str) -> NDArray[np.bool_]:
    return np.isfinite(_numbers(pd.Series(levels, dtype=str), decimal))


def _is_unit(unit: str) -> bool:
    """Whether a text beside a number is a unit of measure or a currency, and no part of a code."""
    symbols = all(unicodedata.category(c) in ("Sc", "Po", "So") for c in unit)
    return symbols or _is_money(unit) or unit in _UNITS.split()


_UNITS = (
    "mm cm m km in inch ft mi sqft sqm m2 m² ft2 ft² ha acres mg g kg lb lbs t ml l cl gal kW kWh "
    "hp bhp CC cc kmpl km/l mpg km/kg rpm V W A Hz kHz MHz GHz KB MB GB TB s sec min h hr hrs "
    "hours days weeks months years yrs °C °F kph km/h mph pcs"
)


def _guess_id(
    both: Sequence[str],
    train: pd.DataFrame,
    test: pd.DataFrame | None,
    sample: pd.DataFrame | None,
    kinds: Mapping[str, Guess],
) -> Guess:
    if sample is not None and sample.columns[0] in both:
        return Guess(sample.columns[0], "the first column of the sample submission")
    tables = [train] if test is None else [train, test]
    distinct = {c: min(t[c].nunique() / max(len(t), 1) for t in tables) for c in both}
    named = [c for c in both if _ID_NAME.fullmatch(c) and distinct[c] > _MOSTLY]
    if named:
        repeats = "" if distinct[named[0]] == 1 else ", though some repeat"
        return Guess(named[0], f"its name, and a value of its own in nearly every row{repeats}")
    dates = [c for c in both if c in kinds and str(kinds[c].value).startswith(DATE)]
    unique = [c for c in dates if distinct[c] == 1]
    if unique:
        return Guess(unique[0], "a time of its own in every row; it is a feature as well")
    first = both[0] if both else ""
    if first and all(_counts_up(table[first]) for table in tables):
        return Guess(first, "the first column, whole numbers that count up", sure=False)
    if first and test is not None and _tells_rows_apart(train[first], test[first]):
        reason = "the first column, whole numbers of which none comes twice, in either file"
        return Guess(first, reason, sure=False)
    return Guess(None, "no column names its rows; row numbers stand in")


def _counts_up(cells: pd.Series) -> bool:
    """Whether every cell is a whole number above the one before it."""
    numbers = pd.to_numeric(cells, errors="coerce")
    return bool((numbers % 1 == 0).all() and numbers.is_monotonic_increasing and numbers.is_unique)


def _tells_rows_apart(train: pd.Series, test: pd.Series) -> bool:
    """Whether every cell of both columns is a whole number of its own."""
    numbers = pd.to_numeric(pd.concat([train, test]), errors="coerce")
    return bool((numbers % 1 == 0).all() and numbers.is_unique)


def _guess_scale(
    targets: Sequence[NDArray[np.float64]], known: Mapping[str, Guess]
) -> dict[str, Guess]:
    """Return guesses of target transform and metric, from the distribution of each target."""
    guesses = [_guess_transform(target[np.isfinite(target)]) for target in targets]
    # What one of them cannot be put through suits none.
    transform, reason = next((g for g in guesses if g[0] == "none"), guesses[0])
    metric = known.get("metric")
    if metric is None:
        name = "rmsle" if transform == "log1p" else "rmse"
        metric = Guess(name, "no file tells it; this one suits the target", sure=False)
    elif metric.value in ("log_rmse", "log1p_rmse", "rmsle"):
        transform, reason = "log" if metric.value == "log_rmse" else "log1p", "that of the metric"
    elif look_up(METRICS, metric.value, "metric").positive:
        transform, reason = "log1p", "the metric's loss is one of logs"
    return {
        "target_transform": known.get("target_transform") or Guess(transform, reason),
        "metric": metric,
    }


def _guess_transform(observed: NDArray[np.float64]) -> tuple[str, str]:
    """Return the transform of a target, and why."""
    from scipy.stats import skew

    if len(np.unique(observed)) < _FEW_VALUES:
        return "none", "it has no three different values"
    if observed.min() >= 0:
        low, high = np.quantile(observed, [0.01, 0.99])
        before, after = skew(observed), skew(np.log1p(observed))
        if before >= 1 and abs(after) < before and high >= 6 * max(low, 1e-9):
            return "log1p", f"from 0 up, skewed ({before:.1f}; {after:.1f} after log(1 + y))"
    elif abs(before := skew(observed)) >= 1:
        after = skew(YEO_JOHNSON.fitted(observed).forward(observed))
        if 2 * abs(after) < abs(before):
            reason = f"with values below 0, skewed ({before:.1f}; {after:.1f} after the transform)"
            return "yeo-johnson", reason
    return "none", "its values are not spread over orders of magnitude"


def _guess_folds(
    files: Files,
    tables: Sequence[pd.DataFrame],
    columns: Mapping[str, Sequence[str]],
    kinds: Mapping[str, Guess],
) -> dict[str, Guess]:
    """Return guesses of the fold scheme and its column, where the test file says so.

    Args:
        files: of the competition, with a test file.
        tables: their first rows, as text.
        columns: those that may say so, and the texts that mean a missing value there.
        kinds: of columns.
    """
    known = {column: guess.value for column, guess in kinds.items()}
    train, test = (_without_markers(table, columns) for table in tables)
    found = find_evidence(train, test, known)
    if found is not None and files.test and max(len(train), len(test)) >= ROWS:
        # What holds of the first rows is looked at in all of them.
        train, test = (
            _without_markers(
                read_cells(path, find_format(path), None), {found.column: columns[found.column]}
            )
            for path in (files.train, files.test)
        )
        found = find_evidence(train, test, known)
    if found is None or found.scheme == CONTIGUOUS:
        # That its days are others is told by `cv`: how far apart they lie is for a person to say.
        return {}
    return {
        "fold_scheme": Guess(found.scheme, found.reason),
        "fold_column": Guess(found.column, "what that goes by"),
    }


def _without_markers(cells: pd.DataFrame, markers: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Return some columns of texts, in which an empty one and each column's markers are missing."""
    return pd.DataFrame(
        {c: cells[c].mask(cells[c].isin(["", *missing])) for c, missing in markers.items()}
    )


def _guess_missing(
    markers: Mapping[str, Sequence[str]], cells: Mapping[str, pd.Series]
) -> tuple[Guess, dict[str, Guess]]:
    """Return what means "missing" in every column, and what in some columns alone.

    Args:
        markers: column to the texts that mean it there.
        cells: of every column.
    """
    columns_of: dict[str, list[str]] = {}
    for column, texts in markers.items():
        for text in texts:
            columns_of.setdefault(text, []).append(column)
    # What is a level of another column is none of its markers.
    level_of = {
        text: next((c for c in cells if c not in columns and (cells[c] == text).any()), None)
        for text, columns in columns_of.items()
        if text != "NA"
    }
    everywhere = ["NA", *sorted(text for text, column in level_of.items() if column is None)]
    seen = [f"{text!r} in {columns_of[text][-1]!r}" for text in columns_of if text in everywhere]
    reason = f"beside numbers: {', '.join(seen[:3])}"
    own: dict[str, Guess] = {}
    for column, texts in markers.items():
        more = sorted(set(texts) - {*everywhere})
        if more:
            why = ", ".join(f"{text!r}, a level of {level_of[text]!r}" for text in more[:3])
            own[column] = Guess([*everywhere, *more], f"beside numbers: {why}")
    usual = "the usual marker; an empty cell is missing as well"
    return Guess(everywhere, reason if seen else usual), own


def _find_repeats(identity: str | None, train: pd.DataFrame) -> list[str]:
    """Say of an id that it repeats too often to name rows."""
    rows = len(train)
    distinct = rows if identity is None else train[identity].nunique()
    if distinct > _MOSTLY * rows:
        return []
    return [
        f"the id {identity!r} has {distinct:,} different values in {rows:,} rows: it names groups "
        "of rows. Without an id, row numbers stand in; as a feature it needs a kind."
    ]


def _find_leaks(
    train: pd.DataFrame,
    used: Sequence[str],
    target: str,
    identity: str | None,
    number: NDArray[np.float64],
    decimal: str,
) -> list[str]:
    """Name columns that tell the target: equal to it, or in its order."""
    found = []
    truth = pd.Series(number)
    for column in used:
        values = pd.Series(_numbers(train[column], decimal))
        if values.notna().sum() < 20 or min(values.nunique(), 10 * truth.nunique()) < 20:
            continue
        alike = abs(float(values.corr(truth, method="spearman")))
        if alike > (0.98 if column == identity else 0.999):
            what = "the id" if column == identity else "the column"
            found.append(
                f"{what} {column!r} orders the target {target!r} (rank correlation {alike:.3f}): "
                "it may be a leak."
            )
    return found
