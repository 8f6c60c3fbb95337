"""Learning a recipe's state from rows: one state, or one per fold.

scikit-learn's transformers do the numeric work. Where rows are many, the default options go a
streamed way instead: one column at a time, sums per fold, so that every fold's statistics come
from one pass (training sums are the total less the fold's own); the numbers are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import skew
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, RobustScaler, StandardScaler

from kaggleprice.preprocessing import Recipe
from kaggleprice.preprocessing.state import (
    CategoricalState,
    FittedRecipe,
    Floats,
    NumericState,
)
from kaggleprice.tables import Table

STREAM_ROWS = 100_000
_MAX_QUANTILES = 1000
_SIMPLE = {
    "mean": "mean",
    "median": "median",
    "most-frequent": "most_frequent",
    "constant": "constant",
}


def fit(recipe: Recipe, *tables: Table) -> FittedRecipe:
    """Learn a recipe from all rows of one or more tables with the same columns."""
    frames = [table.features for table in tables]
    frame = frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
    everything = np.zeros(len(frame), dtype=np.int64)
    return fit_folds(replace(recipe, scope="fold"), tables[0], frame, everything, [-1])[0]


def fit_folds(
    recipe: Recipe,
    table: Table,
    frame: pd.DataFrame,
    fold_of_row: NDArray[np.int64],
    folds: Sequence[int],
    *,
    stream_rows: int = STREAM_ROWS,
) -> list[FittedRecipe]:
    """Learn a recipe once per fold, from the rows that are not in that fold.

    Args:
        recipe: the settings; its scope is the caller's business.
        table: says which columns are numeric and which categorical.
        frame: n rows of features.
        fold_of_row: shape (n,), the fold in which each row is validated.
        folds: the folds to fit, in the order of the result.
        stream_rows: from this many rows on the streamed way is taken where it can be.
    """
    streamed = (
        len(frame) >= stream_rows
        and recipe.impute in ("mean", "median", "constant")
        and recipe.scale in ("standard", "none")
        and recipe.clip is None
    )
    learn = _stream_numeric if streamed else _fit_numeric
    numeric = learn(recipe, frame[table.numeric_columns], fold_of_row, folds)
    categorical = [
        _count_levels(recipe, frame[name], fold_of_row, folds) for name in table.categorical_columns
    ]
    return [
        FittedRecipe(
            recipe=recipe,
            rows=int((fold_of_row != fold).sum()),
            numeric=states,
            categorical=tuple(column[i] for column in categorical),
            quantiles=quantiles,
            neighbours=neighbours,
        )
        for i, (fold, (states, quantiles, neighbours)) in enumerate(
            zip(folds, numeric, strict=True)
        )
    ]


_Numeric = tuple[tuple[NumericState, ...], Floats | None, Floats | None]


def _fit_numeric(
    recipe: Recipe, frame: pd.DataFrame, fold_of_row: NDArray[np.int64], folds: Sequence[int]
) -> list[_Numeric]:
    values = frame.to_numpy(dtype=np.float64)
    names = list(frame.columns)
    return [_fit_matrix(recipe, names, values[fold_of_row != fold]) for fold in folds]


def _fit_matrix(recipe: Recipe, names: list[str], values: Floats) -> _Numeric:
    """Learn the numeric columns from their training rows, shape (n, p), with scikit-learn."""
    if not names:
        return (), None, None
    log = _choose_log(recipe, values)
    raw = values.copy()
    raw[:, log] = np.log1p(raw[:, log])
    missing = np.isnan(raw).sum(axis=0)
    fill = _fill_values(recipe, raw)
    filled = np.where(np.isnan(raw), fill, raw)
    low, high = _clip_bounds(recipe, filled)
    clipped = np.clip(filled, low, high)
    center, scale = _scaler(
        recipe, np.clip(raw, low, high) if recipe.observed_statistics else clipped
    )
    states = tuple(
        NumericState(
            name=name,
            log=bool(log[j]),
            missing=int(missing[j]),
            fill=float(fill[j]),
            low=None if recipe.clip is None else float(low[j]),
            high=None if recipe.clip is None else float(high[j]),
            center=float(center[j]),
            scale=float(scale[j]),
            indicator=recipe.indicators and bool(missing[j]),
        )
        for j, name in enumerate(names)
    )
    # A state without the neighbours and quantiles scales up to the step that they take over.
    neighbours = (
        FittedRecipe(recipe, len(raw), states, ()).scaled(raw) if recipe.impute == "knn" else None
    )
    quantiles = None
    if recipe.scale == "quantile":
        before = FittedRecipe(recipe, len(raw), states, (), neighbours=neighbours).scaled(raw)
        quantiles = _quantiles(before)
    return states, quantiles, neighbours


def _choose_log(recipe: Recipe, values: Floats) -> NDArray[np.bool_]:
    chosen = np.zeros(values.shape[1], dtype=bool)
    if recipe.log_skew is None:
        return chosen
    for j, column in enumerate(values.T):
        observed = column[~np.isnan(column)]
        if len(observed) and observed.min() >= 0 and observed.min() < observed.max():
            chosen[j] = skew(observed) > recipe.log_skew
    return chosen


def _fill_values(recipe: Recipe, raw: Floats) -> Floats:
    if recipe.impute == "knn":
        return np.full(raw.shape[1], np.nan)
    imputer = SimpleImputer(
        strategy=_SIMPLE[recipe.impute], fill_value=0.0, keep_empty_features=True
    )
    # An all-missing column has no statistic: it becomes 0 throughout.
    return np.nan_to_num(np.asarray(imputer.fit(raw).statistics_, dtype=np.float64))


def _clip_bounds(recipe: Recipe, filled: Floats) -> tuple[Floats, Floats]:
    if recipe.clip is None:
        infinite = np.full(filled.shape[1], np.inf)
        return -infinite, infinite
    center, scale = _standard(filled, ddof=recipe.ddof)
    return center - recipe.clip * scale, center + recipe.clip * scale


def _scaler(recipe: Recipe, values: Floats) -> tuple[Floats, Floats]:
    """Return center and scale, each of shape (p,), of columns that may hold NaN."""
    if recipe.scale == "none" or (recipe.scale == "quantile" and recipe.impute != "knn"):
        return np.zeros(values.shape[1]), np.ones(values.shape[1])
    # A column of nothing but NaN has no statistics; as a constant it survives.
    known = np.where(np.isnan(values).all(axis=0), 0.0, values)
    if recipe.scale == "minmax":
        minmax = MinMaxScaler().fit(known)
        return minmax.data_min_, 1.0 / minmax.scale_
    if recipe.scale == "robust":
        return _robust(known)
    return _standard(known, ddof=recipe.ddof)


def _standard(values: Floats, *, ddof: int) -> tuple[Floats, Floats]:
    scaler = StandardScaler().fit(values)
    observed = (~np.isnan(values)).sum(axis=0)
    correction = np.sqrt(observed / np.maximum(observed - ddof, 1))
    return scaler.mean_, np.where(scaler.var_ > 0, scaler.scale_ * correction, scaler.scale_)


def _robust(values: Floats) -> tuple[Floats, Floats]:
    """Median and interquartile range; half the range where that is 0 and the column is not.

    The second rule is that of RealMLP's robust scaling (Holzmüller et al. 2024, section 3.1):
    a column that is mostly one value would otherwise keep its raw, large values.
    """
    scaler = RobustScaler().fit(values)
    quartiles = np.nanpercentile(values, [25, 75], axis=0)
    half_range = (np.nanmax(values, axis=0) - np.nanmin(values, axis=0)) / 2
    mostly_one_value = (quartiles[0] == quartiles[1]) & (half_range > 0)
    return scaler.center_, np.where(mostly_one_value, half_range, scaler.scale_)


def _quantiles(values: Floats) -> Floats:
    count = min(_MAX_QUANTILES, len(values))
    transformer = QuantileTransformer(
        n_quantiles=count, output_distribution="normal", subsample=None
    )
    quantiles: Floats = transformer.fit(values).quantiles_
    return quantiles


def _stream_numeric(
    recipe: Recipe, frame: pd.DataFrame, fold_of_row: NDArray[np.int64], folds: Sequence[int]
) -> list[_Numeric]:
    columns = [
        _stream_column(recipe, str(name), frame[name].to_numpy(np.float64), fold_of_row, folds)
        for name in frame
    ]
    return [(tuple(column[i] for column in columns), None, None) for i in range(len(folds))]


def _stream_column(
    recipe: Recipe,
    name: str,
    values: Floats,
    fold_of_row: NDArray[np.int64],
    folds: Sequence[int],
) -> list[NumericState]:
    observed = ~np.isnan(values)
    known, known_folds = values[observed], fold_of_row[observed]
    plain = _Sums(known, known_folds)
    may_log = recipe.log_skew is not None and len(known) > 0 and known.min() >= 0
    logged = _Sums(np.log1p(known), known_folds) if may_log else plain
    states = []
    for fold in folds:
        count = int((fold_of_row != fold).sum())
        log = may_log and recipe.log_skew is not None and plain.skew(fold) > recipe.log_skew
        sums = logged if log else plain
        fill = sums.fill(recipe.impute, fold)
        center, scale = sums.center_and_scale(recipe, fold, count, fill)
        missing = count - sums.count(fold)
        states.append(
            NumericState(
                name=name,
                log=log,
                missing=missing,
                fill=fill,
                low=None,
                high=None,
                center=center,
                scale=scale,
                indicator=recipe.indicators and missing > 0,
            )
        )
    return states


class _Sums:
    """Power sums of one column about its overall mean, per fold; queries leave one fold out.

    Sums about a value near the mean lose no digits to cancellation (Chan, Golub and LeVeque
    1983, "Algorithms for computing the sample variance").
    """

    def __init__(self, values: Floats, fold_of_row: NDArray[np.int64]) -> None:
        self._values, self._folds = values, fold_of_row
        self._shift = float(values.mean()) if len(values) else 0.0
        centered = values - self._shift
        powers = [np.ones_like(centered), centered, centered**2, centered**3]
        self._by_fold = np.stack([np.bincount(fold_of_row, weights=p) for p in powers])

    def _training(self, fold: int) -> Floats:
        """Return the four sums over all rows but the fold's, shape (4,)."""
        total: Floats = self._by_fold.sum(axis=1)
        inside = 0 <= fold < self._by_fold.shape[1]
        return total - self._by_fold[:, fold] if inside else total

    def count(self, fold: int) -> int:
        """Observed values among the training rows."""
        return int(self._training(fold)[0])

    def skew(self, fold: int) -> float:
        """Skewness of the training rows; 0 where they are constant or none."""
        n, s1, s2, s3 = self._training(fold)
        if not n:
            return 0.0
        mean = s1 / n
        variance = s2 / n - mean**2
        third = s3 / n - 3 * mean * s2 / n + 2 * mean**3
        return float(third / variance**1.5) if variance > 0 else 0.0

    def fill(self, impute: str, fold: int) -> float:
        """Return the value for missing ones; 0 where nothing was observed."""
        n, s1, *_ = self._training(fold)
        if impute == "constant" or not n:
            return 0.0
        if impute == "mean":
            return self._shift + float(s1 / n)
        return float(np.median(self._values[self._folds != fold]))

    def center_and_scale(
        self, recipe: Recipe, fold: int, count: int, fill: float
    ) -> tuple[float, float]:
        """Mean and standard deviation of the `count` training rows, missing ones filled or not."""
        if recipe.scale == "none":
            return 0.0, 1.0
        n, s1, s2, _ = self._training(fold)
        if not recipe.observed_statistics:
            missing, offset = count - n, fill - self._shift
            n, s1, s2 = count, s1 + missing * offset, s2 + missing * offset**2
        if not n:
            return 0.0, 1.0
        variance = s2 / n - (s1 / n) ** 2
        scale = float(np.sqrt(variance * n / max(n - recipe.ddof, 1))) if variance > 0 else 1.0
        return self._shift + float(s1 / n), scale


def _count_levels(
    recipe: Recipe, column: pd.Series, fold_of_row: NDArray[np.int64], folds: Sequence[int]
) -> list[CategoricalState]:
    codes, levels = pd.factorize(column, sort=True)
    width = int(fold_of_row.max()) + 1
    # Missing has code -1; one more than the levels keeps it apart as the last row.
    cells = np.where(codes < 0, len(levels), codes) * width + fold_of_row
    counts = np.bincount(cells, minlength=(len(levels) + 1) * width).reshape(-1, width)
    total = counts.sum(axis=1)
    states = []
    for fold in folds:
        seen = total - counts[:, fold] if fold >= 0 else total
        names = [str(level) for level in levels]
        rare = [n for n, c in zip(names, seen[:-1], strict=True) if 0 < c < recipe.min_rows]
        kept = [n for n, c in zip(names, seen[:-1], strict=True) if c >= max(recipe.min_rows, 1)]
        states.append(
            CategoricalState(
                name=str(column.name),
                missing=int(seen[-1]),
                levels=tuple(kept),
                missing_level=recipe.always_missing_level or bool(seen[-1]),
                rare=tuple(rare),
            )
        )
    return states
