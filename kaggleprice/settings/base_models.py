"""Base models: scikit-learn models averaged with the networks. The registry, nothing heavy.

An entry of `BASE_MODELS` is a function that takes a random state and returns an unfitted
scikit-learn regressor. It is fitted once per fold, on the features and targets that the fold's
networks are trained on, and is scored on the rows that it has not seen.
"""

from __future__ import annotations

from kaggleprice.core.registry import Entry

BASE_MODELS: dict[str, Entry] = {
    "boosting": Entry(
        "gradient-boosted trees, the mean of 3", "kaggleprice.evaluation.base_models:boosting"
    ),
    "ridge": Entry(
        "linear model, its penalty chosen by leave-one-out",
        "kaggleprice.evaluation.base_models:ridge",
    ),
}
