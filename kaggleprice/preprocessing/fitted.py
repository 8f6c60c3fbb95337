"""A fitted recipe: plain data that turns rows into features, to and from JSON.

The steps of a numeric column, in order: log(1 + x) where chosen, fill missing, clip, shift and
scale. With `scale="quantile"` or `impute="knn"` the last steps are scikit-learn's transformers,
rebuilt from the numbers kept here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.impute import KNNImputer
from sklearn.preprocessing import QuantileTransformer

from kaggleprice.core.errors import DataError, UsageError
from kaggleprice.preprocessing.distribution import Floats, factorized
from kaggleprice.settings.declaration import read_record
from kaggleprice.settings.recipe import Recipe

STATE_VERSION = 1
NEIGHBOURS = 5
_ROWS = 1 << 15


@dataclass(frozen=True, order=True)
class Feature:
    """One column of the encoded table.

    Attributes:
        kind: "numeric", "missing" (a 0/1 indicator of a numeric column) or "level" (one-hot).
        column: the column of the CSV that it comes from.
        level: the category; None for the missing level, and where kind is not "level".
        log: whether a numeric feature is the log(1 + x) of its column.
        rare: whether this level stands for all rare categories of its column.
    """

    kind: str
    column: str
    level: str | None = None
    log: bool = False
    rare: bool = False

    @property
    def name(self) -> str:
        """The name it has in files and tables, in the manner of `pandas.get_dummies`."""
        if self.kind == "numeric":
            return f"log1p({self.column})" if self.log else self.column
        if self.kind == "missing":
            return f"{self.column}_missing"
        return (
            f"{self.column}_{'rare' if self.rare else 'nan' if self.level is None else self.level}"
        )


def log_of_amounts(values: Floats) -> Floats:
    """Return log(1 + x), shape (n,).

    New rows may be negative where the rows learned from were not: they count as 0.
    """
    logs: Floats = np.log1p(np.maximum(values, 0.0))
    return logs


@dataclass(frozen=True)
class NumericState:
    """What was learned of one numeric column; `(clip(fill(log?(x))) - center) / scale`.

    Attributes:
        name: the column.
        log: whether log(1 + x) is taken first; everything below is on that scale.
        missing: missing values among the rows learned from.
        fill: what a missing value becomes (NaN where k nearest neighbours decide).
        low, high: bounds, None where there is no clipping; both 0 where no value was seen, so
            that the column is 0 throughout.
        center: what is subtracted.
        scale: what it is divided by then.
        indicator: whether there is an indicator feature.
    """

    name: str
    log: bool
    missing: int
    fill: float
    low: float | None
    high: float | None
    center: float
    scale: float
    indicator: bool

    @property
    def feature(self) -> Feature:
        """The number that this column becomes."""
        return Feature("numeric", self.name, log=self.log)

    def scaled(self, values: Floats) -> Floats:
        """Take the log, fill, clip and scale; shapes (n,) → (n,)."""
        if self.log:
            values = log_of_amounts(values)
        filled = np.where(np.isnan(values), self.fill, values)
        low, high = (-np.inf if self.low is None else self.low), self.high
        clipped = np.clip(filled, low, np.inf if high is None else high)
        scaled: Floats = (clipped - self.center) / self.scale
        return scaled

    def on_scale(self, center: float, scale: float) -> tuple[float, float, float, float, float]:
        """Return the same steps for values that were shifted and scaled before.

        Returns:
            fill, low, high, shift and factor; where z = (log?(x) - center) / scale,
            `clip(fill(z), low, high) * factor + shift` is `scaled(x)`.
        """
        if self.low is not None and self.low == self.high:
            # All rows have this value, in whatever unit z comes.
            return 0.0, -np.inf, np.inf, (self.low - self.center) / self.scale, 0.0
        return (
            (self.fill - center) / scale,
            -np.inf if self.low is None else (self.low - center) / scale,
            np.inf if self.high is None else (self.high - center) / scale,
            (center - self.center) / self.scale,
            scale / self.scale,
        )


@dataclass(frozen=True)
class CategoricalState:
    """What was learned of one categorical column.

    Attributes:
        name: the column.
        missing: missing values among the rows learned from.
        levels: categories with a column of their own, sorted.
        missing_level: whether missing has a column of its own.
        rare: categories that share one column, sorted; empty where there is none.
    """

    name: str
    missing: int
    levels: tuple[str, ...]
    missing_level: bool
    rare: tuple[str, ...] = ()

    @property
    def feature_of(self) -> dict[str | None, Feature]:
        """The feature that each category switches on, and missing (None); others have none."""
        made: dict[str | None, Feature] = {
            level: Feature("level", self.name, level) for level in self.levels
        }
        made |= dict.fromkeys(self.rare, Feature("level", self.name, rare=True))
        if self.missing_level:
            made[None] = Feature("level", self.name)
        return made

    @property
    def features(self) -> list[Feature]:
        """The one-hot features of this column: levels, rare, missing."""
        return list(dict.fromkeys(self.feature_of.values()))

    def one_hot(self, column: pd.Series) -> NDArray[np.bool_]:
        """Return the features of n rows, shape (n, len(self.features))."""
        codes, levels = factorized(column)
        feature_of, features = self.feature_of, self.features
        place = {feature: i for i, feature in enumerate(features)}
        # The code of a missing value is -1, the last.
        switched = [feature_of.get(level) for level in (*levels, None)]
        table = np.array([len(place) if f is None else place[f] for f in switched])
        made: NDArray[np.bool_] = table[codes][:, None] == np.arange(len(place))
        return made


@dataclass(frozen=True)
class FittedRecipe:
    """A recipe's settings and everything it learned from rows.

    Attributes:
        recipe: the settings.
        rows: number of rows learned from.
        numeric: one state per numeric column, in the table's order.
        categorical: one state per categorical column, in the table's order.
        quantiles: for `scale="quantile"`: shape (q, p), the columns' quantiles.
        neighbours: for `impute="knn"`: shape (rows, p), scaled columns, NaN where missing.
    """

    recipe: Recipe
    rows: int
    numeric: tuple[NumericState, ...]
    categorical: tuple[CategoricalState, ...]
    quantiles: Floats | None = None
    neighbours: Floats | None = None

    @property
    def features(self) -> list[Feature]:
        """Every feature that `transform` makes, in its order."""
        made = [c.feature for c in self.numeric]
        made += [Feature("missing", c.name) for c in self.numeric if c.indicator]
        return made + [f for c in self.categorical for f in c.features]

    def transform(self, frame: pd.DataFrame, dtype: type[np.floating[Any]] = np.float64) -> Any:
        """Turn rows into features.

        Args:
            frame: n rows with at least the columns learned from.
            dtype: of the result; statistics are applied in float64 whatever it is.

        Returns:
            Array of shape (n, len(self.features)).

        Raises:
            DataError: where a column is missing.
        """
        self.check_columns(frame)
        made = np.empty((len(frame), len(self.features)), dtype=dtype)
        # Of many rows, what lies between columns and features would take several times as much.
        for start in range(0, len(frame), _ROWS):
            self._transform(frame.iloc[start : start + _ROWS], made[start : start + _ROWS])
        return made

    def _transform(self, frame: pd.DataFrame, made: NDArray[Any]) -> None:
        parts: list[NDArray[Any]] = [self.numbers(frame)]
        parts += [frame[[c.name]].isna().to_numpy() for c in self.numeric if c.indicator]
        parts += [state.one_hot(frame[state.name]) for state in self.categorical]
        np.concatenate(parts, axis=1, out=made, casting="unsafe")

    def numbers(self, frame: pd.DataFrame) -> Floats:
        """Return the numeric features of n rows, shape (n, p)."""
        scaled = np.empty((len(frame), len(self.numeric)))
        for j, state in enumerate(self.numeric):
            scaled[:, j] = state.scaled(frame[state.name].to_numpy(dtype=np.float64))
        if self.neighbours is not None and self.numeric:
            imputer = KNNImputer(n_neighbors=NEIGHBOURS, keep_empty_features=True)
            scaled = imputer.fit(self.neighbours).transform(scaled)
        if self.quantiles is not None and self.numeric:
            scaled = _quantile_transformer(self.quantiles).transform(scaled)
        return scaled

    def check_columns(self, frame: pd.DataFrame) -> None:
        """Raise DataError where a column that the recipe needs is missing, or is text."""
        numeric = [c.name for c in self.numeric]
        for name in numeric + [c.name for c in self.categorical]:
            if name not in frame:
                raise DataError(f"the column {name!r}, which the recipe needs, is missing.")
        for name in numeric:
            if not pd.api.types.is_numeric_dtype(frame[name]):
                raise DataError(f"the column {name!r} is text; the recipe learned numbers.")

    def to_json(self) -> str:
        """Return the whole state as JSON; numbers keep every bit."""
        record = {
            "state_version": STATE_VERSION,
            "recipe": asdict(self.recipe),
            "rows": self.rows,
            "numeric": [_without_nan(asdict(c)) for c in self.numeric],
            "categorical": [asdict(c) for c in self.categorical],
            "quantiles": _to_lists(self.quantiles),
            "neighbours": _to_lists(self.neighbours),
        }
        return json.dumps(record, indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> FittedRecipe:
        """Read what `to_json` wrote.

        Raises:
            DataError: where the text is not JSON, or not a fitted recipe of this version.
        """
        try:
            record = json.loads(text)
            if record["state_version"] != STATE_VERSION:
                raise DataError(
                    f"recipe of state version {record['state_version']}; this kaggleprice reads "
                    f"version {STATE_VERSION}."
                )
            numeric = tuple(_numeric_state(c) for c in record["numeric"])
            return cls(
                recipe=read_record(Recipe, record["recipe"]),
                rows=_checked(record, "rows", int),
                numeric=numeric,
                categorical=tuple(_categorical_state(c) for c in record["categorical"]),
                quantiles=_from_lists(record["quantiles"], len(numeric)),
                neighbours=_from_lists(record["neighbours"], len(numeric)),
            )
        except (ValueError, KeyError, TypeError, UsageError) as error:
            raise DataError(f"not a fitted recipe: {error!r}.") from None


def _quantile_transformer(quantiles: Floats) -> QuantileTransformer:
    transformer = QuantileTransformer(
        n_quantiles=len(quantiles), output_distribution="normal", subsample=None
    )
    # A transformer is rebuilt from its numbers; fitting again would need the rows.
    transformer.quantiles_ = quantiles
    transformer.n_quantiles_ = len(quantiles)
    transformer.references_ = np.linspace(0, 1, len(quantiles), endpoint=True)
    transformer.n_features_in_ = quantiles.shape[1]
    return transformer


def _without_nan(record: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and np.isnan(v) else v for k, v in record.items()}


def _checked(record: Mapping[str, Any], name: str, kind: type) -> Any:
    """Return `record[name]`, which must be of this kind; whole numbers are floats as well."""
    value = record[name]
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise TypeError(f"{name!r} is {value!r}, expected {kind.__name__}")
    return value


def _numeric_state(record: Mapping[str, Any]) -> NumericState:
    known = {f.name: record[f.name] for f in fields(NumericState)}
    known["fill"] = float("nan") if known["fill"] is None else known["fill"]
    for name, kind in [("name", str), ("log", bool), ("missing", int), ("indicator", bool)]:
        _checked(known, name, kind)
    for name in ("fill", "center", "scale"):
        _checked(known, name, float)
    for name in ("low", "high"):
        if known[name] is not None:
            _checked(known, name, float)
    if not known["scale"] > 0:
        raise ValueError(f"the scale of {known['name']!r} is {known['scale']}")
    return NumericState(**known)


def _categorical_state(record: Mapping[str, Any]) -> CategoricalState:
    known = {f.name: record[f.name] for f in fields(CategoricalState)}
    for name, kind in [("name", str), ("missing", int), ("missing_level", bool)]:
        _checked(known, name, kind)
    for level in [*_checked(known, "levels", list), *_checked(known, "rare", list)]:
        _checked({"level": level}, "level", str)
    return CategoricalState(
        **{**known, "levels": tuple(known["levels"]), "rare": tuple(known["rare"])}
    )


def _to_lists(array: Floats | None) -> list[list[float | None]] | None:
    if array is None:
        return None
    return [[None if np.isnan(v) else float(v) for v in row] for row in array]


def _from_lists(lists: list[list[float | None]] | None, width: int) -> Floats | None:
    if lists is None:
        return None
    rows = [[np.nan if v is None else v for v in row] for row in lists]
    array = np.array(rows, dtype=np.float64)
    if array.shape != (len(rows), width):
        raise ValueError(f"expected rows of {width} numbers, found shape {array.shape}")
    return array
