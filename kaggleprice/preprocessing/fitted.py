"""A fitted recipe: plain data that turns rows into features, to and from JSON and arrays.

The steps of a numeric column, in order: log(1 + x) where chosen, fill missing, clip, shift and
scale. With `scale="quantile"` or `impute="knn"` the last steps are scikit-learn's transformers,
rebuilt from the numbers kept here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pandas as pd
from annotated_types import Gt
from numpy.typing import NDArray
from pydantic import AllowInfNan, BeforeValidator, PlainValidator

from kaggleprice.core.errors import DataError, UsageError
from kaggleprice.preprocessing.distribution import Floats, numbered
from kaggleprice.preprocessing.features import Feature
from kaggleprice.preprocessing.group_context import GroupContext
from kaggleprice.preprocessing.places import PlaceState
from kaggleprice.preprocessing.target_statistics import TargetState
from kaggleprice.preprocessing.text import TextState
from kaggleprice.settings.declaration import STRICT, read_record
from kaggleprice.settings.recipe import Recipe

__all__ = ["CategoricalState", "Feature", "FittedRecipe", "NumericState", "log_of_amounts"]

if TYPE_CHECKING:
    from sklearn.preprocessing import QuantileTransformer

STATE_VERSION = 1
NEIGHBOURS = 5
_ROWS = 1 << 15
# So many numbers are an array; where it stood there is its name, under this key.
_LONG, _ARRAY = 256, "array"

# As JSON has them: null is NaN, and a table is a list of rows.
_NullIsNan = Annotated[
    float, AllowInfNan(True), BeforeValidator(lambda value: np.nan if value is None else value)
]
_Rows = Annotated[Floats, PlainValidator(lambda rows: np.array(rows, dtype=np.float64))]


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
        bit: whether it has two values, which become 0 and 1.
    """

    name: str
    log: bool
    missing: int
    fill: _NullIsNan
    low: float | None
    high: float | None
    center: float
    scale: Annotated[float, Gt(0)]
    indicator: bool
    bit: bool = False

    __pydantic_config__ = STRICT

    @property
    def feature(self) -> Feature:
        """The number that this column becomes."""
        if self.bit:
            return Feature("bit", self.name)
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
        more: those of them that are not rare, but too many for a column each.
    """

    name: str
    missing: int
    levels: tuple[str, ...]
    missing_level: bool
    rare: tuple[str, ...] = ()
    more: tuple[str, ...] = ()

    __pydantic_config__ = STRICT

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
    def vector_of(self) -> dict[str | None, Feature]:
        """The same where levels have learned vectors, of which there are never too many."""
        made = self.feature_of | {m: Feature("level", self.name, m) for m in self.more}
        return {level: replace(feature, kind="vector") for level, feature in made.items()}

    @property
    def features(self) -> list[Feature]:
        """The one-hot features of this column: levels, rare, missing."""
        return list(dict.fromkeys(self.feature_of.values()))

    def one_hot(self, column: pd.Series) -> NDArray[np.bool_]:
        """Return the features of n rows, shape (n, len(self.features))."""
        place = {feature: i for i, feature in enumerate(self.features)}
        numbers = {level: place[feature] for level, feature in self.feature_of.items()}
        codes, table = numbered(column, numbers, unknown=len(place))
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
        targets: one state per categorical column of many levels.
        texts: one state per column of texts.
        places: one state per pair of latitude and longitude.
        context: of the category whose means are told; None where there is none.
        quantiles: for `scale="quantile"`: shape (q, p), the columns' quantiles.
        neighbours: for `impute="knn"`: shape (rows, p), scaled columns, NaN where missing.
    """

    recipe: Recipe
    rows: int
    numeric: tuple[NumericState, ...]
    categorical: tuple[CategoricalState, ...]
    targets: tuple[TargetState, ...] = ()
    texts: tuple[TextState, ...] = ()
    places: tuple[PlaceState, ...] = ()
    context: GroupContext | None = None
    quantiles: _Rows | None = None
    neighbours: _Rows | None = None

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        """Check that tables have a number per numeric column.

        Raises:
            ValueError: where they have not.
        """
        for table in (self.quantiles, self.neighbours):
            if table is not None and table.shape != (len(table), len(self.numeric)):
                raise ValueError(f"expected {len(self.numeric)} columns, found {table.shape}")

    @property
    def features(self) -> list[Feature]:
        """Every feature that `transform` makes, in its order."""
        made = self.learned_features
        made += [c.feature for c in self.numeric]
        made += [Feature("missing", c.name) for c in self.numeric if c.indicator]
        return made + [f for c in self.categorical for f in c.features]

    @property
    def learned_features(self) -> list[Feature]:
        """The learned features, which come first; of these those that the target taught."""
        return [feature for state in self._learning for feature in state.features]

    @property
    def _learning(self) -> list[TargetState | TextState | PlaceState | GroupContext]:
        context = [] if self.context is None else [self.context]
        return [*self.targets, *self.texts, *self.places, *context]

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
        parts: list[NDArray[Any]] = [self.learned(frame), self.numbers(frame)]
        parts += [frame[[c.name]].isna().to_numpy() for c in self.numeric if c.indicator]
        parts += [state.one_hot(frame[state.name]) for state in self.categorical]
        np.concatenate(parts, axis=1, out=made, casting="unsafe")

    def transform_training(
        self,
        frame: pd.DataFrame,
        rows: NDArray[np.int64],
        target: Floats,
        seed: int,
        dtype: type[np.floating[Any]] = np.float64,
    ) -> Any:
        """Turn rows into features, those learned from as a model may be trained on them.

        Args:
            frame: n rows.
            rows: numbers of the rows learned from; their own target is no part of their features.
            target: shape (n,) or (n, T), the transformed target; that of other rows is not looked
                at.
            seed: of everything random.
            dtype: as in `transform`.

        Returns:
            Array of shape (n, len(self.features)).
        """
        made = self.transform(frame, dtype)
        if self.targets:
            crossed = self.cross_fitted(frame.iloc[rows], target[rows], seed)
            made[rows, : crossed.shape[1]] = crossed
        return made

    def learned(self, frame: pd.DataFrame) -> Floats:
        """Return the learned features of n rows, shape (n, r), bounded as numbers are."""
        found = [
            state.transform(frame[state.name], self.scaled(frame, state.numbers))
            if isinstance(state, GroupContext)
            else state.transform(frame)
            for state in self._learning
        ]
        return self._bounded(found, len(frame))

    def cross_fitted(self, frame: pd.DataFrame, target: Floats, seed: int) -> Floats:
        """Return, of the n rows learned from, the learned features that the target taught.

        They are the first ones. Shapes as in `TargetState.cross_fitted`.
        """
        found = [state.cross_fitted(frame, target, seed) for state in self.targets]
        return self._bounded(found, len(frame))

    def _bounded(self, parts: list[Floats], rows: int) -> Floats:
        bound = np.inf if self.recipe.clip is None else self.recipe.clip
        bounded: Floats = np.concatenate([np.empty((rows, 0)), *parts], axis=1).clip(-bound, bound)
        return bounded

    def numbers(self, frame: pd.DataFrame) -> Floats:
        """Return the numeric features of n rows, shape (n, p)."""
        scaled = self.scaled(frame, [state.name for state in self.numeric])
        if self.neighbours is not None and self.numeric:
            # Here, not above: most recipes do without it, and scikit-learn takes a second to load.
            from sklearn.impute import KNNImputer

            imputer = KNNImputer(n_neighbors=NEIGHBOURS, keep_empty_features=True)
            scaled = imputer.fit(self.neighbours).transform(scaled)
        if self.quantiles is not None and self.numeric:
            scaled = _quantile_transformer(self.quantiles).transform(scaled)
        return scaled

    def scaled(self, frame: pd.DataFrame, names: Sequence[str]) -> Floats:
        """Return numeric columns, each scaled by itself, shape (n, len(names))."""
        states = {state.name: state for state in self.numeric}
        scaled = np.empty((len(frame), len(names)))
        for j, name in enumerate(names):
            scaled[:, j] = states[name].scaled(frame[name].to_numpy(dtype=np.float64))
        return scaled

    def check_columns(self, frame: pd.DataFrame) -> None:
        """Raise DataError where a column that the recipe needs is missing, or is text."""
        numeric = [c.name for c in self.numeric]
        learned = [name for state in self._learning for name in state.columns]
        for name in [*numeric, *(c.name for c in self.categorical), *learned]:
            if name not in frame:
                raise DataError(f"the column {name!r}, which the recipe needs, is missing.")
        for name in numeric:
            if not pd.api.types.is_numeric_dtype(frame[name]):
                raise DataError(f"the column {name!r} is text; the recipe learned numbers.")

    def to_json(self, arrays: dict[str, Floats] | None = None) -> str:
        """Return the whole state as JSON; numbers keep every bit.

        Args:
            arrays: filled with the long lists and tables of numbers, by name; the JSON has the name
                in place of each. None leaves them in the JSON.
        """
        state = asdict(self)
        if arrays is not None:
            state = _without_arrays(state, "", arrays)
        record = {"state_version": STATE_VERSION, **_without_nan(state)}
        return json.dumps(record, indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, arrays: Mapping[str, Floats] | None = None) -> FittedRecipe:
        """Read what `to_json` wrote.

        Args:
            text: the JSON.
            arrays: those that `to_json` filled; None where they are in the JSON.

        Raises:
            DataError: where the text is not JSON, or not a fitted recipe of this version.
        """
        try:
            record = _with_arrays(json.loads(text), arrays or {})
            version = record.pop("state_version")
            if version == STATE_VERSION:
                return read_record(cls, record)
        except (
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            OverflowError,
            RecursionError,
            UsageError,
        ) as error:
            raise DataError(f"not a fitted recipe: {error!r}.") from None
        raise DataError(
            f"recipe of state version {version}; this kaggleprice reads version {STATE_VERSION}."
        )


def _quantile_transformer(quantiles: Floats) -> QuantileTransformer:
    from sklearn.preprocessing import QuantileTransformer

    transformer = QuantileTransformer(
        n_quantiles=len(quantiles), output_distribution="normal", subsample=None
    )
    # A transformer is rebuilt from its numbers; fitting again would need the rows.
    transformer.quantiles_ = quantiles
    transformer.n_quantiles_ = len(quantiles)
    transformer.references_ = np.linspace(0, 1, len(quantiles), endpoint=True)
    transformer.n_features_in_ = quantiles.shape[1]
    return transformer


def _without_arrays(value: Any, name: str, arrays: dict[str, Floats]) -> Any:
    """Return plain data; what is long goes to `arrays`, and its name stands in its place."""
    if isinstance(value, dict):
        return {key: _without_arrays(part, f"{name}.{key}", arrays) for key, part in value.items()}
    if not isinstance(value, list | tuple | np.ndarray):
        return value
    numbers = _numbers(value)
    if numbers is None or numbers.size < _LONG:
        return [_without_arrays(part, f"{name}.{i}", arrays) for i, part in enumerate(value)]
    arrays[name.removeprefix(".")] = numbers
    return {_ARRAY: name.removeprefix(".")}


def _numbers(value: Sequence[Any] | Floats) -> Floats | None:
    """Return a list or table of floats as an array; None where it is something else."""
    if isinstance(value, np.ndarray):
        return value
    lines = value if value and all(isinstance(part, list | tuple) for part in value) else [value]
    same = len({len(line) for line in lines}) == 1
    if not same or not all(isinstance(number, float) for line in lines for number in line):
        return None
    return np.array(value, dtype=np.float64)


def _with_arrays(value: Any, arrays: Mapping[str, Floats]) -> Any:
    """Put arrays back where their names stand; raises KeyError where one is missing."""
    if isinstance(value, dict):
        if value.keys() == {_ARRAY}:
            return _without_nan(arrays[value[_ARRAY]])
        return {key: _with_arrays(part, arrays) for key, part in value.items()}
    return [_with_arrays(part, arrays) for part in value] if isinstance(value, list) else value


def _without_nan(value: Any) -> Any:
    """Return plain data, arrays as lists, NaN as None."""
    if isinstance(value, dict):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and np.isnan(value) else value
