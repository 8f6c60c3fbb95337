"""Group context: what is usual in a row's category, and how far the row is from it.

Of the numeric columns that say most of the target, a category becomes their means over its rows,
and a row its differences from them: whether a house is large, and large for its neighbourhood.
The target decides which category and which columns; means are those of features alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pandas as pd
from annotated_types import Gt
from numpy.typing import NDArray

from kaggleprice.preprocessing.distribution import Floats, factorized, numbered
from kaggleprice.preprocessing.features import Feature
from kaggleprice.preprocessing.target_statistics import smoothed_means
from kaggleprice.settings.declaration import STRICT

if TYPE_CHECKING:
    from kaggleprice.preprocessing.fitted import FittedRecipe

# A category of fewer levels says little more than its one-hot columns do.
FEWEST_LEVELS = 8
MOST_LEVELS = 60
# More rows hardly change which columns are chosen, and, of so many more, their means.
_MOST_ROWS, _MOST_ROWS_OF_MEANS = 10_000, 1_000_000


@dataclass(frozen=True)
class GroupContext:
    """What was learned of one categorical column and c numeric ones.

    Attributes:
        name: the categorical column.
        numbers: the numeric columns.
        levels: the categories of the training rows, sorted; None, the last, is missing.
        means: for each level, the smoothed means of the c scaled columns.
        center, scale: of each column's means, `(mean - center) / scale` is the feature; the
            center is the mean of all rows, that of a category never seen.
        spread: of each column's differences from the means, what they are divided by.
    """

    name: str
    numbers: tuple[str, ...]
    levels: tuple[str | None, ...]
    means: tuple[tuple[float, ...], ...]
    center: tuple[float, ...]
    scale: tuple[Annotated[float, Gt(0)], ...]
    spread: tuple[Annotated[float, Gt(0)], ...]

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        """Check that every level and every column has its numbers.

        Raises:
            ValueError: where one has not.
        """
        counts = {len(self.numbers), *map(len, (self.center, self.scale, self.spread, *self.means))}
        if len(counts) > 1 or len(self.levels) != len(self.means):
            raise ValueError(f"{self.name!r}: a level or a column without its numbers")

    @property
    def columns(self) -> list[str]:
        """The columns that it needs."""
        return [self.name, *self.numbers]

    @property
    def features(self) -> list[Feature]:
        """The means, then the differences, each in the order of the numeric columns.

        They are told apart by their place. Were it by column, there would be more of them side by
        side wherever targets make the folds choose unlike columns, and each network would start
        from other random weights.
        """
        return [
            Feature("learned", "group", f"{what} {place}", label=f"{self.name}_{what} {number}")
            for what in ("mean", "difference")
            for place, number in enumerate(self.numbers, 1)
        ]

    def transform(self, column: pd.Series, scaled: Floats) -> Floats:
        """Return the features of n rows, shape (n, 2 * c).

        Args:
            column: the categorical column.
            scaled: shape (n, c), the numeric columns as the recipe scales them.
        """
        places = {level: place for place, level in enumerate(self.levels)}
        codes, place = numbered(column, places, unknown=len(places))
        means = np.array([*self.means, self.center])[place[codes]]
        differences = np.where(np.isnan(scaled), 0.0, scaled - means)
        made: Floats = np.concatenate(
            [(means - self.center) / self.scale, differences / self.spread], axis=1
        )
        return made


def learn_context(
    fitted: FittedRecipe,
    frame: pd.DataFrame,
    target: Floats,
    trained: NDArray[np.bool_],
    count: int,
) -> GroupContext | None:
    """Choose a category and numeric columns, and learn their means, from training rows.

    Args:
        fitted: what was learned of each column, from the same rows.
        frame: n rows.
        target: shape (T, n), the transformed targets; those of other rows are not looked at.
        trained: shape (n,), which rows are learned from.
        count: of numeric columns, at most.

    Returns:
        None where no category has a middling number of levels, or no column is a number.
        Targets do not decide that.
    """
    everybody = np.flatnonzero(trained)
    rows = _some(everybody, _MOST_ROWS)
    drawn, own = frame.iloc[rows], target[:, rows]
    numbers = [s.name for s in fitted.numeric if not s.bit and s.missing < fitted.rows]
    name = _telling_category(drawn[[state.name for state in fitted.categorical]], own)
    names = _telling_numbers(drawn[numbers], own, count)
    if name is None or not names:
        return None
    learned = frame[[name, *names]].iloc[_some(everybody, _MOST_ROWS_OF_MEANS)]
    return _learn_means(learned[name], names, fitted.scaled(learned, names))


def _some(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return so many of the rows, in order; all where they are no more."""
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(0).choice(rows, most, replace=False))


def _telling_category(frame: pd.DataFrame, target: Floats) -> str | None:
    """Return the column whose levels leave the least variance of the targets, one by one."""
    left = {}
    for name in frame:
        codes, _ = factorized(frame[name])
        _, codes, counts = np.unique(codes, return_inverse=True, return_counts=True)
        if FEWEST_LEVELS <= len(counts) <= min(MOST_LEVELS, len(codes) - 1):
            sums = np.stack([np.bincount(codes, weights=own) for own in target])
            within = ((target - (sums / counts)[:, codes]) ** 2).sum(axis=1)
            total = ((target - target.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
            # As in an adjusted R²: levels without meaning win nothing by being many.
            share = within / np.where(total > 0, total, 1.0) / (len(codes) - len(counts))
            left[str(name)] = float(share.mean())
    return min(left, key=left.__getitem__) if left else None


def _telling_numbers(frame: pd.DataFrame, target: Floats, count: int) -> tuple[str, ...]:
    """Return the columns of the strongest rank correlation with the targets, strongest first.

    Several that say nearly the same may be among them: what is unusual in all of them is. How many
    there are does not depend on the targets.
    """
    ranks = frame.rank()
    found = np.zeros(len(frame.columns))
    for own in target:
        ranked = pd.Series(own, index=frame.index).rank()
        # Some versions of pandas warn of columns of one value.
        with np.errstate(invalid="ignore", divide="ignore"):
            found += ranks.corrwith(ranked).abs().fillna(0.0).to_numpy()
    strongest = np.argsort(-found, kind="stable")[:count]
    return tuple(str(frame.columns[j]) for j in strongest)


def _learn_means(column: pd.Series, names: tuple[str, ...], scaled: Floats) -> GroupContext:
    codes, levels = factorized(column)
    # Missing, whose code is -1, comes last.
    seen, codes = np.unique(np.where(codes < 0, len(levels), codes), return_inverse=True)
    known = [*map(str, levels), None]
    center = np.nanmean(scaled, axis=0)
    filled = np.where(np.isnan(scaled), center, scaled)
    means = np.stack([smoothed_means(codes, own, len(seen)) for own in filled.T], axis=1)
    scale, spread = means[codes].std(axis=0), (filled - means[codes]).std(axis=0)
    return GroupContext(
        name=str(column.name),
        numbers=names,
        levels=tuple(known[i] for i in seen),
        means=tuple(map(tuple, means.tolist())),
        center=tuple(center.tolist()),
        scale=tuple(np.where(scale > 1e-12, scale, 1.0).tolist()),
        spread=tuple(np.where(spread > 1e-12, spread, 1.0).tolist()),
    )
