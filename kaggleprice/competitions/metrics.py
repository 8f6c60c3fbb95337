"""Metrics and target transforms: the two registries. Nothing heavy is imported with this module.

Adding a metric is one line of `METRICS` and one of the conformance test in
`tests/competitions/test_metrics.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from kaggleprice.core.registry import Entry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

# One score, or an array of them.
Score = TypeVar("Score", float, "Floats")


@dataclass(frozen=True)
class Metric:
    """How a prediction is scored, and which scores are better.

    A metric whose score is the mean of one loss per row, the root of that mean, or 1 less that
    mean, also has a standard error; `row_loss` says so.

    Attributes:
        name: in `METRICS`.
        help: what it is, in a few words.
        function: its name in `sklearn.metrics`.
        scale: a function of numpy that target and prediction are put through before; or None.
        row_loss: from target and prediction of n rows to their losses, arrays of shape (n,); or
            None.
        root: whether the score is the root of the mean of the losses, not the mean itself.
        complement: whether the score is 1 less the mean of the losses.
        greater_is_better: whether the larger of two scores is the better one.
        relative: whether errors are divided by the target, which must not be 0.
        training_loss: what networks are trained on unless told otherwise, a name in
            `kaggleprice.settings.training.LOSSES`.
    """

    name: str
    help: str
    function: str
    scale: str | None = None
    row_loss: Callable[[Any, Any], Any] | None = None
    root: bool = False
    complement: bool = False
    greater_is_better: bool = False
    relative: bool = False
    training_loss: str = "mse"

    @property
    def direction(self) -> str:
        """Which scores are better, in words."""
        return "greater is better" if self.greater_is_better else "lower is better"

    @property
    def logarithmic(self) -> bool:
        """Whether errors are measured between logarithms."""
        return self.scale in ("log", "log1p")

    def worse_by(self, score: Score, reference: Score) -> Score:
        """Return by how much a score is worse than another one; below 0 where it is better."""
        return reference - score if self.greater_is_better else score - reference

    def error(self, score: float) -> float:
        """Return what a score lacks: itself, or its distance from 1 where 1 is perfect."""
        return 1 - score if self.complement else score

    def rank(self, score: float) -> float:
        """Return a number to sort scores by: the lowest is that of the best score."""
        return -score if self.greater_is_better else score

    def score(self, truth: ArrayLike, prediction: ArrayLike) -> float:
        """Score predictions of a target in its own unit; both have shape (n,), or (n, T).

        The score of T targets is the mean of their scores.

        Returns:
            NaN where the metric is not defined for a value.
        """
        import numpy as np
        import sklearn.metrics

        scaled = [self._scaled(values) for values in (truth, prediction)]
        if not all(np.isfinite(values).all() for values in scaled):
            return float("nan")
        return float(getattr(sklearn.metrics, self.function)(*scaled))

    def row_losses(self, truth: ArrayLike, prediction: ArrayLike) -> Floats | None:
        """Return each row's loss, shaped as the arguments of `score`; None where it has none."""
        if self.row_loss is None:
            return None
        losses: Floats = self.row_loss(self._scaled(truth), self._scaled(prediction))
        return losses

    def influence(self, losses: Floats) -> Floats:
        """Return how far each row moves the score, to first order, shape (n,); the mean is 0.

        Losses have shape (n,), or (n, T) of T targets.
        """
        import numpy as np

        if losses.ndim == 2:
            influences: Floats = np.mean([self.influence(column) for column in losses.T], axis=0)
            return influences
        mean, slope = np.mean(losses), -1.0 if self.complement else 1.0
        if self.root:
            # A score of 0 has losses of 0 only, of which none moves it.
            slope = 0.5 / float(np.sqrt(mean)) if mean > 0 else 0.0
        return slope * (losses - mean)

    def standard_error(self, losses: Floats) -> float:
        """Return how far the score would move if other rows were drawn.

        Losses have shape (n,) or (n, T), of 2 or more rows. It is s / sqrt(n), s being the standard
        deviation (ddof 1) of the rows' influences. For a mean absolute error that is the standard
        error of a mean; for a root mean squared error r of squared errors with standard deviation
        s', it is s' / (2 r sqrt(n)): the delta method
        (Wasserman, All of Statistics, 2004, section 5.5).
        """
        import numpy as np

        return float(np.std(self.influence(losses), ddof=1) / np.sqrt(len(losses)))

    def _scaled(self, values: ArrayLike) -> Floats:
        import numpy as np

        floats = np.asarray(values, dtype=np.float64)
        if self.scale is None:
            return floats
        scaled: Floats = getattr(np, self.scale)(floats)
        return scaled


def _squared(truth: Any, prediction: Any) -> Any:
    return (prediction - truth) ** 2


def _absolute(truth: Any, prediction: Any) -> Any:
    return abs(prediction - truth)


def _relative(truth: Any, prediction: Any) -> Any:
    import numpy as np

    # The bound below is scikit-learn's.
    return abs(prediction - truth) / np.maximum(abs(truth), np.finfo(np.float64).eps)


def _unexplained(truth: Any, prediction: Any) -> Any:
    """Return losses whose mean is 1 - R², and whose spread allows for that of the target.

    With A the mean squared error and B the target's variance, A / B moves to first order by
    a / B - (b - B) A / B² per row (a, b its squared error and deviation): the delta method.
    """
    import numpy as np

    errors, deviations = (prediction - truth) ** 2, (truth - np.mean(truth, axis=0)) ** 2
    variance = np.mean(deviations, axis=0)
    return errors / variance - (deviations - variance) * np.mean(errors, axis=0) / variance**2


_RMSE: dict[str, Any] = {
    "function": "root_mean_squared_error",
    "row_loss": _squared,
    "root": True,
}

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        # Kaggle's House Prices.
        Metric("log_rmse", "RMSE between logs", scale="log", **_RMSE),
        Metric("rmsle", "RMSE between log(1 + y)", scale="log1p", **_RMSE),
        Metric("rmse", "RMSE", **_RMSE),
        Metric(
            "mae",
            "mean absolute error",
            "mean_absolute_error",
            row_loss=_absolute,
            training_loss="mae",
        ),
        Metric("medae", "median absolute error", "median_absolute_error", training_loss="mae"),
        Metric(
            "mape",
            "mean absolute error relative to the target",
            "mean_absolute_percentage_error",
            row_loss=_relative,
            relative=True,
            training_loss="mae",
        ),
        Metric(
            "r2",
            "R², the share of the variance explained",
            "r2_score",
            row_loss=_unexplained,
            complement=True,
            greater_is_better=True,
        ),
    )
}

# Other names, such as those of earlier versions.
METRIC_ALIASES = {"log1p_rmse": "rmsle"}

TARGET_TRANSFORMS: dict[str, Entry] = {
    "log": Entry(
        "natural logarithm, for positive targets", "kaggleprice.competitions.transforms:LOG"
    ),
    "log1p": Entry(
        "log(1 + y), for targets of zero and above", "kaggleprice.competitions.transforms:LOG1P"
    ),
    "none": Entry("the target as it is", "kaggleprice.competitions.transforms:NONE"),
}
