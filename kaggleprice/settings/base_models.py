"""Base models: other regressors averaged with the networks. The registry, nothing heavy.

An entry of `BASE_MODELS` is a function that takes a `FitContext` and returns an unfitted regressor
of scikit-learn's kind: `fit(X, y, sample_weight)` and `predict(X)`, the same for any number of
threads. It is fitted in each fold, on the features and targets that the fold's networks are trained
on, and is scored on the rows that it has not seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from kaggleprice.core.registry import Entry


@dataclass(frozen=True)
class FitContext:
    """What a base model is told before it is fitted.

    Attributes:
        random_state: of everything random in it.
        rows, features: that it is fitted on; numbers are standardized and none is missing.
        variance: of all features together; below 1 where many say a level.
        loss: the name in `LOSSES` of what the networks learn by.
        threads: how many to use.
    """

    random_state: int
    rows: int
    features: int
    variance: float = 1.0
    loss: str = "mse"
    threads: int = 1


_PLACE = "kaggleprice.evaluation.regressors"

BASE_MODELS: dict[str, Entry] = {
    "boosting": Entry("gradient-boosted trees, the mean of 3", f"{_PLACE}:boosting"),
    "trees": Entry(
        "gradient-boosted trees in smaller steps, each of some rows, for few rows",
        f"{_PLACE}:trees",
    ),
    "svm": Entry(
        "support vector regression; of many rows, three machines of a sample each",
        f"{_PLACE}:svm",
    ),
    "ridge": Entry("linear model, its penalty chosen by leave-one-out", f"{_PLACE}:ridge"),
    "lightgbm": Entry("LightGBM, of the extra `boosting`", f"{_PLACE}:lightgbm"),
    "catboost": Entry("CatBoost, of the extra `boosting`", f"{_PLACE}:catboost"),
}


def best_base_models() -> tuple[str, ...]:
    """Return those of the preset `best`: trees of an extra are among them where it is installed."""
    return ("trees", "svm", *(name for name in ("catboost", "lightgbm") if find_spec(name)))
