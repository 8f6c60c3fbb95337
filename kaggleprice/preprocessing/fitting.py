"""Learning a recipe's state from rows: one state, or one per fold.

scikit-learn's transformers do the numeric work. Where rows are many, the default options go a
streamed way instead (`streaming`), which gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, RobustScaler, StandardScaler

from kaggleprice.competitions.tables import Table
from kaggleprice.preprocessing.fitted import CategoricalState, FittedRecipe, Floats, NumericState
from kaggleprice.preprocessing.fitting_large import Numeric, Sums, stream_numeric
from kaggleprice.settings.recipe import Recipe

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
    return fit_folds(recipe, tables[0], frame, everything, [-1])[0]


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
    )
    learn = stream_numeric if streamed else _fit_numeric
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


def _fit_numeric(
    recipe: Recipe, frame: pd.DataFrame, fold_of_row: NDArray[np.int64], folds: Sequence[int]
) -> list[Numeric]:
    values = frame.to_numpy(dtype=np.float64)
    names = list(frame.columns)
    return [_fit_matrix(recipe, names, values[fold_of_row != fold]) for fold in folds]


def _fit_matrix(recipe: Recipe, names: list[str], values: Floats) -> Numeric:
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
    # Nothing is known of a column without a value: later ones would come in a raw unit.
    unseen = missing == len(raw)
    low[unseen] = high[unseen] = 0.0
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
            low=float(low[j]) if np.isfinite(low[j]) else None,
            high=float(high[j]) if np.isfinite(high[j]) else None,
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
        if len(observed) and observed.min() >= 0:
            everything = np.zeros(len(observed), dtype=np.int64)
            chosen[j] = Sums.of(observed, everything).skew(-1) > recipe.log_skew
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
    center, scale = _standard(_survivable(filled), ddof=recipe.ddof)
    return center - recipe.clip * scale, center + recipe.clip * scale


def _scaler(recipe: Recipe, values: Floats) -> tuple[Floats, Floats]:
    """Return center and scale, each of shape (p,), of columns that may hold NaN."""
    if recipe.scale == "none" or (recipe.scale == "quantile" and recipe.impute != "knn"):
        return np.zeros(values.shape[1]), np.ones(values.shape[1])
    known = _survivable(values)
    if recipe.scale == "minmax":
        minmax = MinMaxScaler().fit(known)
        return minmax.data_min_, 1.0 / minmax.scale_
    if recipe.scale == "robust":
        return _robust(known)
    return _standard(known, ddof=recipe.ddof)


def _survivable(values: Floats) -> Floats:
    """Make columns of nothing but NaN, which have no statistics, constants."""
    return np.where(np.isnan(values).all(axis=0), 0.0, values)


def _standard(values: Floats, *, ddof: int) -> tuple[Floats, Floats]:
    scaler = StandardScaler().fit(values)
    observed = (~np.isnan(values)).sum(axis=0)
    correction = np.sqrt(observed / np.maximum(observed - ddof, 1))
    # Where the scaler found no more variance than rounding leaves, its scale is 1.
    varies = scaler.scale_ == np.sqrt(scaler.var_)
    return scaler.mean_, np.where(varies, scaler.scale_ * correction, scaler.scale_)


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


def _count_levels(
    recipe: Recipe, column: pd.Series, fold_of_row: NDArray[np.int64], folds: Sequence[int]
) -> list[CategoricalState]:
    if isinstance(column.array, pd.Categorical):
        codes, levels = column.array.codes, column.array.categories
    else:
        codes, levels = pd.factorize(column, sort=True)
    width = int(fold_of_row.max()) + 1
    # Missing has code -1; one more than the levels keeps it apart as the last row.
    cells = np.where(codes < 0, np.int64(len(levels)), codes)
    cells *= width
    cells += fold_of_row
    counts = np.bincount(cells, minlength=(len(levels) + 1) * width).reshape(-1, width)
    total = counts.sum(axis=1)
    names = [str(level) for level in levels]
    states = []
    for fold in folds:
        seen = total - counts[:, fold] if fold >= 0 else total
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
