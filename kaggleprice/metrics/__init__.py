"""Metrics and target transforms: the two registries. Nothing heavy is imported here."""

from __future__ import annotations

from kaggleprice.registry import Entry

METRICS: dict[str, Entry] = {
    "log_rmse": Entry("RMSE between logs", "kaggleprice.metrics.scores:log_rmse"),
    "log1p_rmse": Entry("RMSE between log(1 + y)", "kaggleprice.metrics.scores:log1p_rmse"),
    "rmse": Entry("RMSE", "kaggleprice.metrics.scores:rmse"),
    "mae": Entry("mean absolute error", "kaggleprice.metrics.scores:mae"),
}

TARGET_TRANSFORMS: dict[str, Entry] = {
    "log": Entry("natural logarithm, for positive targets", "kaggleprice.metrics.transforms:LOG"),
    "log1p": Entry(
        "log(1 + y), for targets of zero and above", "kaggleprice.metrics.transforms:LOG1P"
    ),
    "none": Entry("the target as it is", "kaggleprice.metrics.transforms:NONE"),
}
