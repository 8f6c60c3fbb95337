"""Recipes: how a table's columns become numbers. The registries and the settings, nothing heavy.

A new way to scale or to fill is an entry of `SCALES` or `IMPUTES`.
`fitting` learns a recipe's state from rows, `fitted` holds it and applies it, `encoding` puts
the states of several folds side by side for the batched engine.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_doc import Doc
from annotated_types import Ge, Gt

from kaggleprice.settings.declaration import STRICT, Names, Shown


@dataclass(frozen=True)
class Step:
    """One way to do a step of a recipe for a numeric column.

    Attributes:
        help: what it does, in a few words.
        learn: from the `Distribution` of a column's training rows to what the step needs.
    """

    help: str
    learn: Callable[[Any], Any]


def _robust(values: Any) -> tuple[float, float]:
    """Median and interquartile range; half the range where that is 0 and the column is not.

    The second rule is that of RealMLP's robust scaling (Holzmüller et al. 2024, section 3.1):
    a column that is mostly one value would otherwise keep its raw, large values.
    """
    spread = values.quantile(0.75) - values.quantile(0.25)
    return values.quantile(0.5), spread if spread > 0 else values.range / 2


# Learned: the center and the scale, of values that are filled and clipped.
SCALES: dict[str, Step] = {
    "standard": Step("zero mean, unit variance", lambda values: (values.mean, values.deviation)),
    "minmax": Step("from 0 to 1", lambda values: (values.lowest, values.range)),
    "robust": Step("median 0, interquartile range 1", _robust),
    # `FittedRecipe.quantiles` do it.
    "quantile": Step("ranks, mapped to a normal distribution", lambda values: (0.0, 1.0)),
    "none": Step("as it is", lambda values: (0.0, 1.0)),
}

# Learned: what stands for a missing value, from those observed.
IMPUTES: dict[str, Step] = {
    "mean": Step("the column's mean", lambda values: values.mean),
    "median": Step("the column's median", lambda values: values.quantile(0.5)),
    "most-frequent": Step("the column's most frequent value", lambda values: values.most_frequent),
    "constant": Step("0, before scaling", lambda values: 0.0),
    # `FittedRecipe.neighbours` decide it row by row.
    "knn": Step(
        "the mean of the 5 nearest rows, by the scaled numeric columns",
        lambda values: float("nan"),
    ),
}

SCOPES: dict[str, str] = {
    "fold": "each fold's training rows only: nothing is learned from validation or test rows",
    "all": "all training and test rows together, as the d2l.ai chapter does: the score has seen "
    "features of validation rows",
}


@dataclass(frozen=True)
class Recipe:
    """Settings of the preprocessing; the defaults are those of a plain pipeline."""

    __pydantic_config__ = STRICT

    # One line for people.
    help: str = ""
    engineering: Annotated[bool, Doc("Add the competition's own features first.")] = False
    # Which rows the statistics are learned from.
    scope: Annotated[str, Names(SCOPES)] = "fold"
    scale: Annotated[str, Names(SCALES), Doc("How numeric columns are scaled.")] = "standard"
    impute: Annotated[str, Names(IMPUTES), Doc("What stands for missing numbers.")] = "median"
    indicators: Annotated[bool, Doc("A 0/1 feature where a number was missing.")] = True
    clip: Annotated[
        Annotated[float, Gt(0)] | None,
        Shown("SD"),
        Doc("Bound numbers, in standard deviations from the mean."),
    ] = None
    # Of columns without negative values.
    log_skew: Annotated[
        float | None,
        Shown("SKEW"),
        Doc("Take log(1+x) of amounts whose skewness exceeds this."),
    ] = 0.75
    min_rows: Annotated[int, Ge(1), Doc("Categories seen in fewer rows share one feature.")] = 1
    target_encode_levels: Annotated[
        Annotated[int, Ge(1)] | None,
        Shown("N"),
        Doc("Categories of more levels also enter as each level's mean target and count."),
    ] = None
    group_context: Annotated[
        Annotated[int, Ge(1)] | None,
        Shown("N"),
        Doc("So many numbers also enter as their mean in the row's category, and the rest."),
    ] = None
    # Whether columns of two values become 0 and 1, as levels are, and are embedded as little.
    bits: bool = False
    # Whether every categorical column has a column for missing, or only those that have missing
    # values in the rows learned from.
    always_missing_level: bool = False
    # Whether means and scales are those of the observed values, or those after filling missing
    # ones (as in a scikit-learn pipeline).
    observed_statistics: bool = False
    # Delta degrees of freedom of the standard deviation.
    ddof: int = 0

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
        target_encode_levels=50,
        group_context=6,
        bits=True,
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
