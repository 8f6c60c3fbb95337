"""Recipes: how a table's columns become numbers. The registry and the settings, nothing heavy.

`fitting` learns a recipe's state from rows, `fitted` holds it and applies it, `encoding` puts
the states of several folds side by side for the batched engine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from kaggleprice.core.errors import UsageError
from kaggleprice.core.registry import look_up

SCALES: dict[str, str] = {
    "standard": "zero mean, unit variance",
    "minmax": "from 0 to 1",
    "robust": "median 0, interquartile range 1",
    "quantile": "ranks, mapped to a normal distribution",
    "none": "as it is",
}

IMPUTES: dict[str, str] = {
    "mean": "the column's mean",
    "median": "the column's median",
    "most-frequent": "the column's most frequent value",
    "constant": "0, before scaling",
    "knn": "the mean of the 5 nearest rows, by the scaled numeric columns",
}

SCOPES: dict[str, str] = {
    "fold": "each fold's training rows only: nothing is learned from validation or test rows",
    "all": "all training and test rows together, as the book does: the score has seen features "
    "of validation rows",
}


@dataclass(frozen=True)
class Recipe:
    """Settings of the preprocessing; the defaults are those of a plain pipeline.

    Attributes:
        help: one line for people.
        engineering: whether the competition's own features are added to its columns first.
        scope: which rows the statistics are learned from, a name in `SCOPES`.
        scale: a name in `SCALES`.
        impute: a name in `IMPUTES`, for numeric columns.
        indicators: whether a numeric column with missing values gets a 0/1 column that says so.
        clip: bound of a numeric value's distance from the mean, in standard deviations; or None.
        log_skew: numeric columns without negative values whose skewness exceeds this become
            log(1 + x) first; None for never.
        min_rows: a category seen in fewer rows shares one column with the other rare ones.
        always_missing_level: whether every categorical column has a column for missing, or
            only those that have missing values in the rows learned from.
        observed_statistics: whether means and scales are those of the observed values, or those
            after filling missing ones (as in a scikit-learn pipeline).
        ddof: delta degrees of freedom of the standard deviation.
    """

    help: str = ""
    engineering: bool = False
    scope: str = "fold"
    scale: str = "standard"
    impute: str = "median"
    indicators: bool = True
    clip: float | None = None
    log_skew: float | None = 0.75
    min_rows: int = 1
    always_missing_level: bool = False
    observed_statistics: bool = False
    ddof: int = 0

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            UnknownNameError, UsageError: for a value that cannot be.
        """
        look_up(SCOPES, self.scope, "scope")
        look_up(SCALES, self.scale, "scale")
        look_up(IMPUTES, self.impute, "imputation")
        if self.clip is not None and not 0 < self.clip < math.inf:
            raise UsageError(f"clip must be above 0 standard deviations, found {self.clip}.")
        if self.log_skew is not None and not math.isfinite(self.log_skew):
            raise UsageError(f"log_skew must be a finite number, found {self.log_skew}.")
        if self.min_rows < 1:
            raise UsageError(f"min_rows must be 1 or more, found {self.min_rows}.")

    @property
    def affine(self) -> bool:
        """Whether a numeric column's transform is fill, clip, shift and scale, nothing else."""
        return self.scale != "quantile" and self.impute != "knn"


RECIPES: dict[str, Recipe] = {
    "standard": Recipe(
        help="learned inside each fold: log of skewed amounts, median and indicator for missing "
        "numbers, clipped, standardized, one-hot with rare categories pooled",
        engineering=True,
        clip=5.0,
        min_rows=5,
    ),
    "book": Recipe(
        help="the d2l.ai chapter's own: statistics over train and test, mean for missing, one-hot",
        scope="all",
        impute="mean",
        indicators=False,
        log_skew=None,
        always_missing_level=True,
        observed_statistics=True,
        ddof=1,
    ),
}

DEFAULT_RECIPE = "standard"


def get_recipe(name: str) -> Recipe:
    """Return the recipe of this name.

    Raises:
        UnknownNameError: where there is none; the message lists the valid names.
    """
    return look_up(RECIPES, name, "recipe")
