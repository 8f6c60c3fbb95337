"""Metrics and target transforms: the two registries. Nothing heavy is imported with this module.

Adding a metric is one line of `METRICS` and one of the conformance test in
`tests/competitions/test_metrics.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self, TypeVar

from kaggleprice.core.registry import Entry, Numbered, Parameter
from kaggleprice.settings.training import LEVEL, POWER

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
        function: its name in `sklearn.metrics`; empty where scikit-learn has none, and the score
            is the mean of the losses.
        scale: a function of numpy that target and prediction are put through before; or None.
        row_loss: from target and prediction of n rows, and the metric's number where it takes
            one, to their losses, arrays of shape (n,); or None.
        root: whether the score is the root of the mean of the losses, not the mean itself.
        complement: whether the score is 1 less the mean of the losses.
        greater_is_better: whether the larger of two scores is the better one.
        relative: whether errors are divided by the target, which must not be 0.
        training_loss: what networks are trained on unless told otherwise, a name in
            `kaggleprice.settings.training.LOSSES`.
        positive: whether predictions must be above 0, and the target 0 or above.
        parameter: a number that may follow the name, as in `pinball 0.9`; None for none.
        keyword: what scikit-learn's function calls it.
        number: the one that follows; None for the default.
    """

    name: str
    help: str
    function: str = ""
    scale: str | None = None
    row_loss: Callable[..., Any] | None = None
    root: bool = False
    complement: bool = False
    greater_is_better: bool = False
    relative: bool = False
    training_loss: str = "mse"
    positive: bool = False
    parameter: Parameter | None = None
    keyword: str = ""
    number: float | None = None

    def with_number(self, number: float) -> Self:
        """Return the same metric with a number of its own."""
        named = f"{self.name} {number:g}"
        words = self.help.removesuffix(f"{self._number[0]:g}") + f"{number:g}"
        loss = self.training_loss.replace(self.name, named)
        return replace(self, name=named, help=words, training_loss=loss, number=number)

    @property
    def _number(self) -> tuple[float, ...]:
        if self.parameter is None:
            return ()
        return (self.parameter.default if self.number is None else self.number,)

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

    def floor(self, target: Floats) -> float:
        """Return the least prediction that can be scored, given known targets of shape (n,).

        Metrics whose predictions must be above 0 would take any, and punish one that is much too
        small without end; this one is the mean that a single row in n would make of the target's.
        """
        return float(target.mean() / len(target)) if self.positive else float("-inf")

    def score(
        self, truth: ArrayLike, prediction: ArrayLike, weights: Floats | None = None
    ) -> float:
        """Score predictions of a target in its own unit; both have shape (n,), or (n, T).

        The score of T targets is the mean of their scores.

        Args:
            truth: the target.
            prediction: what was predicted.
            weights: shape (n,), how much each row counts; None where all count the same.

        Returns:
            NaN where the metric is not defined for a value.
        """
        import numpy as np
        import sklearn.metrics

        scaled = [self._scaled(values) for values in (truth, prediction)]
        if scaled[0].ndim == 2:
            # As arrays: of a DataFrame a loop would take the names.
            pairs = zip(np.asarray(truth).T, np.asarray(prediction).T, strict=True)
            return float(np.mean([self.score(*pair, weights) for pair in pairs]))
        if not all(np.isfinite(values).all() for values in scaled):
            return float("nan")
        if self.positive and (np.min(scaled[0]) < 0 or np.min(scaled[1]) <= 0):
            return float("nan")
        if not self.function and self.row_loss is not None:
            losses = self.row_loss(*scaled, *self._number)
            return float(np.average(losses, weights=weights))
        named = {self.keyword: self._number[0]} if self.keyword else {}
        function = getattr(sklearn.metrics, self.function)
        return float(function(*scaled, sample_weight=weights, **named))

    def row_losses(
        self, truth: ArrayLike, prediction: ArrayLike, weights: Floats | None = None
    ) -> Floats | None:
        """Return each row's loss, shaped as the arguments of `score`; None where it has none."""
        if self.row_loss is None:
            return None
        scaled = self._scaled(truth), self._scaled(prediction)
        losses: Floats = self.row_loss(*scaled, *self._number)
        return _unexplained(losses, scaled[0], weights) if self.complement else losses

    def influence(self, losses: Floats, weights: Floats | None = None) -> Floats:
        """Return how far each row moves the score, to first order, shape (n,); the mean is 0.

        Losses have shape (n,), or (n, T) of T targets. With weights the score is a ratio of two
        means, of weighted losses and of weights, and a row moves both.
        """
        import numpy as np

        if losses.ndim == 2:
            columns = [self.influence(column, weights) for column in losses.T]
            influences: Floats = np.mean(columns, axis=0)
            return influences
        mean, slope = np.average(losses, weights=weights), -1.0 if self.complement else 1.0
        if self.root:
            # A score of 0 has losses of 0 only, of which none moves it.
            slope = 0.5 / float(np.sqrt(mean)) if mean > 0 else 0.0
        moved = slope * (losses - mean)
        return moved if weights is None else moved * (weights / np.mean(weights))

    def standard_error(self, losses: Floats, weights: Floats | None = None) -> float:
        """Return how far the score would move if other rows were drawn.

        Losses have shape (n,) or (n, T), of 2 or more rows. It is s / sqrt(n), s being the standard
        deviation (ddof 1) of the rows' influences. For a mean absolute error that is the standard
        error of a mean; for a root mean squared error r of squared errors with standard deviation
        s', it is s' / (2 r sqrt(n)): the delta method
        (Wasserman, All of Statistics, 2004, section 5.5).
        """
        import numpy as np

        return float(np.std(self.influence(losses, weights), ddof=1) / np.sqrt(len(losses)))

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


def _symmetric(truth: Any, prediction: Any) -> Any:
    import numpy as np

    # A target and a prediction of 0 are no error.
    size = np.maximum(abs(truth) + abs(prediction), np.finfo(np.float64).tiny)
    return 2 * abs(prediction - truth) / size


def _pinball(truth: Any, prediction: Any, level: float) -> Any:
    import numpy as np

    lacking = truth - prediction
    return np.maximum(level * lacking, (level - 1) * lacking)


def _poisson(truth: Any, prediction: Any) -> Any:
    """Return unit deviances (McCullagh and Nelder 1989, "Generalized Linear Models", 2.3)."""
    from scipy.special import xlogy

    return 2 * (xlogy(truth, truth / prediction) - truth + prediction)


def _tweedie(truth: Any, prediction: Any, power: float) -> Any:
    """Return unit deviances (Jørgensen 1987, "Exponential dispersion models")."""
    low, high = 1 - power, 2 - power
    known = truth**high / (low * high)
    return 2 * (known - truth * prediction**low / low + prediction**high / high)


def _unexplained(errors: Floats, truth: Floats, weights: Floats | None) -> Floats:
    """Return losses whose mean is 1 - R², and whose spread allows for that of the target.

    With A the mean squared error and B the target's variance, A / B moves to first order by
    a / B - (b - B) A / B² per row (a, b its squared error and deviation): the delta method.
    """
    import numpy as np

    deviations = (truth - np.average(truth, axis=0, weights=weights)) ** 2
    variance, error = (
        np.average(values, axis=0, weights=weights) for values in (deviations, errors)
    )
    losses: Floats = errors / variance - (deviations - variance) * error / variance**2
    return losses


_RMSE: dict[str, Any] = {
    "function": "root_mean_squared_error",
    "row_loss": _squared,
    "root": True,
}

METRICS: Numbered[Metric] = Numbered(
    {
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
                "smape",
                "mean absolute error relative to target and prediction, from 0 to 2",
                row_loss=_symmetric,
                training_loss="mae",
            ),
            Metric(
                "pinball",
                "pinball loss at level 0.5",
                "mean_pinball_loss",
                row_loss=_pinball,
                training_loss="pinball",
                parameter=LEVEL,
                keyword="alpha",
            ),
            Metric(
                "poisson",
                "Poisson deviance",
                "mean_poisson_deviance",
                row_loss=_poisson,
                training_loss="poisson",
                positive=True,
            ),
            Metric(
                "tweedie",
                "Tweedie deviance of power 1.5",
                "mean_tweedie_deviance",
                row_loss=_tweedie,
                training_loss="tweedie",
                positive=True,
                parameter=POWER,
                keyword="power",
            ),
            Metric(
                "r2",
                "R², the share of the variance explained",
                "r2_score",
                row_loss=_squared,
                complement=True,
                greater_is_better=True,
            ),
        )
    }
)

# Other names, such as those of earlier versions.
METRIC_ALIASES = {"log1p_rmse": "rmsle"}

TARGET_TRANSFORMS: dict[str, Entry] = {
    "log": Entry(
        "natural logarithm, for positive targets", "kaggleprice.competitions.transforms:LOG"
    ),
    "log1p": Entry(
        "log(1 + y), for targets of zero and above", "kaggleprice.competitions.transforms:LOG1P"
    ),
    "sqrt": Entry(
        "square root, for targets of zero and above", "kaggleprice.competitions.transforms:SQRT"
    ),
    "quantile": Entry(
        "normal quantiles, learned in each fold", "kaggleprice.competitions.transforms:QUANTILE"
    ),
    "yeo-johnson": Entry(
        "Yeo and Johnson's power, learned in each fold, for skewed targets of any sign",
        "kaggleprice.competitions.transforms:YEO_JOHNSON",
    ),
    "none": Entry("the target as it is", "kaggleprice.competitions.transforms:NONE"),
}
