"""Metrics and target transforms: the two registries. Nothing heavy is imported here."""

from __future__ import annotations

from kaggleprice.core.registry import Entry

METRICS: dict[str, Entry] = {
    "log_rmse": Entry("RMSE between logs", "kaggleprice.competitions.scoring:log_rmse"),
    "log1p_rmse": Entry("RMSE between log(1 + y)", "kaggleprice.competitions.scoring:log1p_rmse"),
    "rmse": Entry("RMSE", "kaggleprice.competitions.scoring:rmse"),
    "mae": Entry("mean absolute error", "kaggleprice.competitions.scoring:mae"),
}

TARGET_TRANSFORMS: dict[str, Entry] = {
    "log": Entry(
        "natural logarithm, for positive targets", "kaggleprice.competitions.transforms:LOG"
    ),
    "log1p": Entry(
        "log(1 + y), for targets of zero and above", "kaggleprice.competitions.transforms:LOG1P"
    ),
    "none": Entry("the target as it is", "kaggleprice.competitions.transforms:NONE"),
}
