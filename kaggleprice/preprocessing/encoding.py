"""Encoding: the fitted recipes of several folds side by side, for the batched engine.

Folds differ in means, scales, known categories and hence in width. Their features are laid out
in one union, so that all members share one table of rows: numeric columns once, in float32, and
category codes as small integers; what a fold does to them is a few vectors. Nothing is copied
per fold, except learned features (target statistics), and numeric columns whose transform is not
affine (`quantile`, `knn`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kaggleprice.core import large_arrays
from kaggleprice.preprocessing.distribution import numbered
from kaggleprice.preprocessing.fitted import (
    CategoricalState,
    Feature,
    FittedRecipe,
    NumericState,
    log_of_amounts,
)
from kaggleprice.preprocessing.target_statistics import targets_of
from kaggleprice.settings.model import Inputs

Float32 = NDArray[np.float32]

# Rows that are encoded at a time; of learned features more, since some look at all levels first.
_ROWS, _LEARNED_ROWS = 1 << 13, 1 << 18


@dataclass(frozen=True)
class EncodedRows:
    """n rows as the engine takes them.

    Attributes:
        learned: shape (F, n, r), each fold's learned features, scaled.
        numeric: shape (1, n, p), or (F, n, p) where each fold has its own; NaN is missing.
        missing: shape (n, i), whether the column behind each indicator is missing.
        codes: shape (n, q), one code per categorical column, counted from 0 in each column.
    """

    learned: Float32
    numeric: NDArray[np.floating]
    missing: NDArray[np.bool_]
    codes: NDArray[np.integer]

    def __len__(self) -> int:
        return len(self.codes)


class Encoding:
    """The union of F fitted recipes' features, in this order.

    They are r learned, p numeric, those of two values last, i indicators, then one-hot levels, and
    levels that have a learned vector. Of these a row has one code per column that has some.

    Attributes:
        recipes: the F fitted recipes.
        vectors_above: a category of more levels than these in a fold has vectors there; None for
            none.
        features: the union, D features in order.
        dense: how many of them are no levels with a vector.
        vector_columns: numbers of the categorical columns that have vectors in some fold.
        active: shape (F, D), which features each fold has. A feature that a fold does not have
            is 0 in all its rows.
        fill, low, high, shift, scale: shape (F, p), float64; a fold's numeric value is
            `clip(fill(x), low, high) * scale + shift`.
        offsets: shape (q,), where each categorical column's codes begin in `level_of_code`.
        level_of_code: shape (F, V), index of the feature that a code switches on; D for none.
    """

    def __init__(self, recipes: Sequence[FittedRecipe], vectors_above: int | None = None) -> None:
        self.recipes, self.vectors_above = list(recipes), vectors_above
        self._affine = recipes[0].recipe.affine
        states = _by_feature(recipes)
        self._columns = list(states)
        # In the order of the first fold that has them: target statistics stay first.
        self._learned = list(dict.fromkeys(f for r in recipes for f in r.learned_features))
        indicated = {c.name for r in recipes for c in r.numeric if c.indicator}
        self._indicators = [
            Feature("missing", c.name) for c in recipes[0].numeric if c.name in indicated
        ]
        levels = [f for column in range(len(recipes[0].categorical)) for f in self._levels(column)]
        one_hot = [f for f in levels if f.kind == "level"]
        vectors = [f for f in levels if f.kind == "vector"]
        self.features = [*self._learned, *self._columns, *self._indicators, *one_hot, *vectors]
        self.dense = len(self.features) - len(vectors)
        self._vectors = Counter(f.column for f in vectors)
        names = [state.name for state in recipes[0].categorical]
        self.vector_columns = [names.index(name) for name in self._vectors]
        position = {feature: d for d, feature in enumerate(self.features)}
        self.active = np.zeros((len(recipes), len(self.features)), dtype=bool)
        for f, recipe in enumerate(recipes):
            own = [feature for feature in recipe.features if feature.kind != "level"]
            own += [f for state in recipe.categorical for f in self._feature_of(state).values()]
            self.active[f, [position[feature] for feature in own]] = True
        self._place_numeric(states)
        self._place_codes(position)

    @property
    def learned_count(self) -> int:
        """Number of learned features, r."""
        return len(self._learned)

    @property
    def numeric_count(self) -> int:
        """Number of numeric features, p."""
        return len(self._columns)

    @property
    def width(self) -> int:
        """Number of features in the union, D."""
        return len(self.features)

    @property
    def row_width(self) -> int:
        """Numbers that a row is given as: of a column whose levels have vectors, one."""
        return self.dense + len(self.vector_columns)

    @property
    def inputs(self) -> Inputs:
        """What a network is told of the features."""
        bits = sum(feature.kind == "bit" for feature in self._columns)
        numbers = self.learned_count + self.numeric_count - bits
        return Inputs(self.width, numbers, tuple(self._vectors.values()))

    def _levels(self, column: int) -> list[Feature]:
        states = [r.categorical[column] for r in self.recipes]
        union = {feature for state in states for feature in self._feature_of(state).values()}
        return sorted(union, key=lambda f: (f.rare, f.level is None, f.level or ""))

    def _feature_of(self, state: CategoricalState) -> dict[str | None, Feature]:
        """Return the feature that each category of a column switches on in a fold."""
        if self.vectors_above is None or len(state.features) <= self.vectors_above:
            return state.feature_of
        return state.vector_of

    def _place_numeric(self, states_of: Mapping[Feature, Mapping[int, NumericState]]) -> None:
        """Write each fold's numeric transform relative to a base that all folds share.

        The base is shifted and scaled once in float64, so that nothing is lost when large values
        (years, ids) become float32: by the fold with the finest scale among those that have
        the feature and have seen a value of it.
        """
        shape = (len(self.recipes), len(self._columns))
        self.fill, self.shift, self.scale = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self.low, self.high = np.full(shape, -np.inf), np.full(shape, np.inf)
        self._base = np.tile([[0.0], [1.0]], len(self._columns))
        for j, states in enumerate(states_of.values()):
            if not self._affine:
                self.scale[list(states), j] = 1.0
                continue
            seen = [s for f, s in states.items() if s.missing < self.recipes[f].rows]
            finest = min(seen or states.values(), key=lambda state: state.scale)
            center, scale = self._base[:, j] = finest.center, finest.scale
            for f, state in states.items():
                steps = state.on_scale(center, scale)
                self.fill[f, j], self.low[f, j], self.high[f, j] = steps[:3]
                self.shift[f, j], self.scale[f, j] = steps[3:]

    def _place_codes(self, position: dict[Feature, int]) -> None:
        """Number every category that some fold knows; a fold maps numbers to its own features."""
        self._known: list[list[str]] = []
        tables = []
        for column in range(len(self.recipes[0].categorical)):
            states = [r.categorical[column] for r in self.recipes]
            known = sorted({level for s in states for level in (*s.levels, *s.rare)})
            self._known.append(known)
            tables.append([self._code_table(s, known, position) for s in states])
        sizes = [len(known) + 2 for known in self._known]
        self.offsets = np.cumsum([0, *sizes[:-1]], dtype=np.int64)[: len(sizes)]
        none = np.zeros((len(self.recipes), 0), dtype=np.int64)
        self.level_of_code = np.concatenate([none, *map(np.array, tables)], axis=1)

    def _code_table(
        self, state: CategoricalState, known: Sequence[str], position: Mapping[Feature, int]
    ) -> list[int]:
        """Return for each code of a column the feature it switches on in this fold.

        Two codes follow the known categories: missing, and a category that no fold knows.
        """
        feature_of = self._feature_of(state)
        switched = [feature_of.get(level) for level in (*known, None)]
        return [*(self.width if f is None else position[f] for f in switched), self.width]

    def encode(self, frame: pd.DataFrame) -> EncodedRows:
        """Turn rows into the engine's form.

        Raises:
            DataError: where a column that the recipes need is missing.
        """
        self.recipes[0].check_columns(frame)
        missing = large_arrays.empty((len(frame), len(self._indicators)), np.bool_)
        for i, feature in enumerate(self._indicators):
            missing[:, i] = frame[feature.column].isna()
        return EncodedRows(
            learned=self._encode_learned(frame),
            numeric=self._encode_affine(frame) if self._affine else self._encode_each(frame),
            missing=missing,
            codes=self._encode_codes(frame),
        )

    def encode_training(
        self,
        frame: pd.DataFrame,
        target: NDArray[np.float64],
        folds: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
        seed: int,
    ) -> EncodedRows:
        """Turn the rows that recipes were fitted on into the engine's form.

        A row's own target is no part of its features in the folds that train on it.

        Args:
            frame: n rows.
            target: shape (n,), the transformed target, or (F * T, n), by fold, then target.
            folds: the F folds: training rows, validation rows.
            seed: of everything random.
        """
        encoded = self.encode(frame)
        learned = encoded.learned
        for f, (recipe, (rows, _)) in enumerate(zip(self.recipes, folds, strict=True)):
            if recipe.targets:
                own = targets_of(target, f, len(self.recipes))[:, rows].T
                crossed = recipe.cross_fitted(frame.iloc[rows], own, seed)
                placed = self._place_learned(recipe)[: crossed.shape[1]]
                learned[f][rows[:, None], placed] = crossed
        return replace(encoded, learned=learned)

    def _encode_learned(self, frame: pd.DataFrame) -> Float32:
        made = large_arrays.empty((len(self.recipes), len(frame), len(self._learned)), np.float32)
        made[...] = 0.0
        for f, recipe in enumerate(self.recipes):
            placed = self._place_learned(recipe)
            for rows in _row_slices(len(frame), _LEARNED_ROWS) if placed else ():
                made[f][rows, placed] = recipe.learned(frame.iloc[rows])
        return made

    def _place_learned(self, recipe: FittedRecipe) -> list[int]:
        place = {feature: j for j, feature in enumerate(self._learned)}
        return [place[feature] for feature in recipe.learned_features]

    def _encode_affine(self, frame: pd.DataFrame) -> Float32:
        base = large_arrays.empty((1, len(frame), len(self._columns)), np.float32)
        columns = [frame[feature.column].to_numpy() for feature in self._columns]
        for rows in _row_slices(len(frame)):
            for j, (feature, column) in enumerate(zip(self._columns, columns, strict=True)):
                values = column[rows].astype(np.float64)
                if feature.log:
                    values = log_of_amounts(values)
                base[0, rows, j] = (values - self._base[0, j]) / self._base[1, j]
        return base

    def _encode_each(self, frame: pd.DataFrame) -> Float32:
        made = np.zeros((len(self.recipes), len(frame), len(self._columns)), dtype=np.float32)
        place = {feature: j for j, feature in enumerate(self._columns)}
        for f, recipe in enumerate(self.recipes):
            placed = [place[c.feature] for c in recipe.numeric]
            made[f][:, placed] = recipe.numbers(frame)
        return made

    def _encode_codes(self, frame: pd.DataFrame) -> NDArray[np.integer]:
        largest = max((len(known) for known in self._known), default=0) + 1
        kind = np.uint8 if largest <= 255 else np.int16 if largest <= 32767 else np.int32
        codes = large_arrays.empty((len(frame), len(self._known)), kind)
        columns = []
        for known, state in zip(self._known, self.recipes[0].categorical, strict=True):
            numbers = {level: code for code, level in enumerate((*known, None))}
            columns.append(numbered(frame[state.name], numbers, unknown=len(known) + 1))
        for rows in _row_slices(len(frame)):
            for j, (own, table) in enumerate(columns):
                codes[rows, j] = table[own[rows]]
        return codes


def _row_slices(count: int, rows: int = _ROWS) -> Iterator[slice]:
    """Few rows at a time: a line of the result then stays near while its columns are written."""
    return (slice(start, start + rows) for start in range(0, count, rows))


def _by_feature(
    recipes: Sequence[FittedRecipe],
) -> dict[Feature, dict[int, NumericState]]:
    """Return the numeric features that any fold has, in order, and the folds' states of each."""
    states: dict[Feature, dict[int, NumericState]] = {}
    for f, recipe in enumerate(recipes):
        for state in recipe.numeric:
            states.setdefault(state.feature, {})[f] = state
    order = {c.name: i for i, c in enumerate(recipes[0].numeric)}
    place = {f: (f.kind == "bit", order[f.column], f.log) for f in states}
    return {f: states[f] for f in sorted(states, key=place.__getitem__)}
