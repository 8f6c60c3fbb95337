"""The regressor: the batched networks as a scikit-learn estimator."""

from __future__ import annotations

import textwrap
from dataclasses import make_dataclass
from functools import partial
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import (
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from kaggleprice.api.regressor.columns import LARGEST, Columns, check_names
from kaggleprice.competitions.metrics import METRIC_ALIASES, METRICS, TARGET_TRANSFORMS, Metric
from kaggleprice.competitions.tables import Table
from kaggleprice.competitions.transforms import TargetTransform
from kaggleprice.core.registry import look_up
from kaggleprice.evaluation import cross_validation
from kaggleprice.evaluation.ensemble import Ensemble
from kaggleprice.evaluation.stages import train_others, train_scouts
from kaggleprice.evaluation.target_scale import TargetScale
from kaggleprice.evaluation.weighting import learn_weights
from kaggleprice.models.networks import MemberNetwork
from kaggleprice.preprocessing.encoding import Encoding
from kaggleprice.preprocessing.fitting import fit
from kaggleprice.settings.run import OPTIONS, RunSettings, make_settings
from kaggleprice.training.devices import choose_devices, taking_threads
from kaggleprice.training.task import TrainingResult, TrainingTask
from kaggleprice.training.train import train

# Settings that say nothing without folds, a competition or a run folder; `random_state` is `seed`.
_NOT_HERE = {
    *(
        "k",
        "fold_scheme",
        "fold_column",
        "fold_gap",
        "hold_out",
        "repeats",
        "fold_seed",
        "stop_on",
        "history_every",
        "base_models",
        "base_model_share",
    ),
    *("seed", "recipe", "engineering"),
}
_SETTINGS = [setting for name, setting in OPTIONS.items() if name not in _NOT_HERE]
# What is no setting of a run, or has another name there: default and description.
_OWN: dict[str, tuple[Any, str]] = {
    "random_state": (
        OPTIONS["seed"].default,
        "Drives everything random: a seed, as `--seed`; a `RandomState` that a seed is drawn from; "
        "or None for another one in each fit.",
    ),
    "target_transform": (
        "none",
        "What networks are trained on, and predictions are turned back from. One of "
        f"{', '.join(TARGET_TRANSFORMS)}.",
    ),
    "metric": (
        "rmse",
        "What predictions shall be good by: it chooses the loss where `loss` is None, and keeps "
        "predictions where it is defined; `score` stays R². One of "
        f"{', '.join(METRICS)}; `pinball 0.9` and `tweedie 1.5` take a number.",
    ),
    "kinds": (
        None,
        "Column of a DataFrame to its kind, as `[kinds]` of a competition has them: `category`, "
        "`date`, `text`, `latitude` and so on, or the levels of an order, lowest first; None where "
        "numbers are numbers and all else is categories.",
    ),
    "device": (
        "auto",
        "Where to train: `auto`, `cpu`, `cuda`, `mps`, or several such as `cuda:0,cuda:1`. "
        "Predictions are made on the CPU, in double precision, so that they do not depend on which "
        "rows are asked for together and a fitted regressor can be loaded anywhere.",
    ),
    "threads": (None, "CPU threads, in `fit` and `predict` alone; None for torch's choice."),
}
_PARAMETERS = {**{s.name: (s.default, s.help_text) for s in _SETTINGS}, **_OWN}
_Parameters: Any = make_dataclass(
    "_Parameters",
    [(name, Any, default) for name, (default, _) in _PARAMETERS.items()],
    kw_only=True,
    eq=False,
    repr=False,
)


class KagglePriceRegressor(RegressorMixin, BaseEstimator, _Parameters):  # type: ignore[misc]
    """Networks that are trained together on all given rows and averaged, as an estimator.

    The engine is that of `kaggleprice cv`: a recipe learned from the rows, `seeds` networks as
    one batched network, and their predictions combined; with the defaults of the preset
    `default`. No row is held out to be validated: that is what `cross_val_score` is for. The
    features that a competition adds to its own columns are not added here.

    X may be an array of numbers, or a pandas DataFrame with columns of numbers and of categories
    (text, `category`, truth values). Missing values are allowed in both, as NaN or None. A
    category that `fit` has not seen counts as none.

    Sequences may be lists; a single activation, width or rate stands for a sequence of one, and a
    text for what the command line makes of it: `hidden="128,64"`.

    Args:
        {parameters}

    Attributes:
        n_features_in_: number of columns of X in `fit`.
        feature_names_in_: their names, where X was a DataFrame whose names are all texts.
        ensemble_: the fitted recipe and the trained networks.
        history_: a DataFrame with the columns seed, target (of several), epoch and train, the root
            mean squared error of the transformed target.

    Examples:
        >>> import numpy as np
        >>> from kaggleprice import KagglePriceRegressor
        >>> X = np.linspace(0, 1, 100).reshape(-1, 1)
        >>> model = KagglePriceRegressor(seeds=2, hidden=(16,), device="cpu").fit(X, 3 * X.ravel())
        >>> model.predict([[0.5]]).round(1)
        array([1.5])
    """

    def fit(
        self,
        X: ArrayLike | pd.DataFrame,  # noqa: N803
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train all networks on all rows.

        Args:
            X: shape (n, p), 2 rows or more.
            y: shape (n,), finite numbers, or (n, T) of T targets.
            sample_weight: shape (n,), numbers of 0 or above, not all 0: how much each row counts
                in the loss, beside the others; None where all count the same.

        Raises:
            UsageError: for a parameter that cannot be.
            DivergenceError: where networks leave the finite numbers.
            ValueError, TypeError: for an X or y that cannot be, as scikit-learn's conventions ask.
        """
        metric, transform = self._metric(), self._transform()
        values = self._validated(X, reset=True)
        if y is None:
            # The words are scikit-learn's own.
            validate_data(self, y=None)
        target = _read_target(y, transform, metric)
        check_consistent_length(values, target)
        if len(target) < 2:
            raise ValueError(
                f"Found array with {len(target)} sample(s) (n_samples={len(target)}) while a "
                "minimum of 2 is required by KagglePriceRegressor."
            )
        names = getattr(self, "feature_names_in_", None)
        self._columns = Columns.learn(values, names, self.kinds or {})
        ids = np.arange(len(target)).astype(object)
        frame = self._columns.read(values)
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(
                sample_weight, frame, dtype=np.float64, ensure_non_negative=True
            )
            if not weights.any():
                raise ValueError("sample_weight is 0 in every row: nothing would count.")
        settings = self._settings()
        table = Table(
            ids,
            frame,
            target,
            weights=weights,
            texts=self._columns.free_texts,
            places=self._columns.places,
        )
        self._scale = TargetScale.learn(
            metric, transform, target, [_everything(target)], bound=settings.bound
        )
        devices = choose_devices(self.device)
        with taking_threads(self.threads):
            task = _prepare(table, self._scale.forward(target), settings, metric, transform)
            ensemble = _train(task, devices, table, metric, self._scale)
        history = cross_validation.history_frame(ensemble)
        self.history_ = history.drop(columns=["member", "fold", "validation"])
        self.ensemble_ = ensemble
        return self

    def predict(self, X: ArrayLike | pd.DataFrame) -> NDArray[np.float64]:  # noqa: N803
        """Predict y of n rows; shapes (n, p) → (n,), or (n, T) of T targets; float64.

        Raises:
            NotFittedError: before `fit`.
            ValueError, TypeError: for an X that is not as that of `fit`.
        """
        check_is_fitted(self)
        frame = self._columns.read(self._validated(X, reset=False))
        with taking_threads(self.threads):
            predictions = self.ensemble_.predict_beside(frame)
        return predictions.combine(self._scale, self.combine)

    def _settings(self) -> RunSettings:
        # A default is none that was given by hand, which no variant of the portfolio may change.
        given = {
            s.name: getattr(self, s.name)
            for s in _SETTINGS
            if s.parse(getattr(self, s.name)) != s.default
        }
        seed = self.random_state
        if seed is None or isinstance(seed, np.random.RandomState):
            seed = int(check_random_state(seed).randint(2**31 - 1))
        return make_settings(options={**given, "seed": seed, "engineering": False})

    def _metric(self) -> Metric:
        name = str(self.metric)
        return look_up(METRICS, METRIC_ALIASES.get(name, name), "metric")

    def _transform(self) -> TargetTransform:
        entry = look_up(TARGET_TRANSFORMS, self.target_transform, "target transform")
        transform: TargetTransform = entry.load()
        return transform

    def _validated(self, X: Any, *, reset: bool) -> Any:  # noqa: N803
        """Check X's shape and names as scikit-learn does; a DataFrame stays one."""
        if not isinstance(X, pd.DataFrame):
            return validate_data(self, X, reset=reset, dtype=None, ensure_all_finite="allow-nan")
        check_names(X)
        validate_data(self, X, reset=reset, skip_check_array=True)
        for number, what in zip(X.shape, ["sample", "feature"], strict=True):
            if not number:
                raise ValueError(
                    f"Found array with 0 {what}(s) (shape={X.shape}) while a minimum of 1 is "
                    "required by KagglePriceRegressor."
                )
        return X

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.target_tags.multi_output = True
        tags.input_tags.categorical = tags.input_tags.string = True
        return tags


_LINES = [
    textwrap.fill(f"{name}: {text}", 100, initial_indent=" " * 8, subsequent_indent=" " * 12)
    for name, (_, text) in _PARAMETERS.items()
]
KagglePriceRegressor.__doc__ = str(KagglePriceRegressor.__doc__).replace(
    "        {parameters}", "\n".join(_LINES)
)


def _read_target(y: Any, transform: TargetTransform, metric: Metric) -> NDArray[np.float64]:
    target: NDArray[np.float64] = np.asarray(
        check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
    )
    if target.ndim < 2 or target.shape[1] == 1:
        target = column_or_1d(target, warn=True)
    if np.abs(target).max() > LARGEST:
        raise ValueError(f"Input y contains a number beyond {LARGEST:g}.")
    wrong = ~transform.accepts(target)
    if wrong.any():
        raise ValueError(
            f"y must be {transform.domain} in every row; found {target[wrong][0]:g} in row "
            f"{int(np.argwhere(wrong)[0][0])} ({int(wrong.sum())} such rows)."
        )
    if metric.positive and target.min() < 0:
        raise ValueError(
            f"y must be 0 or above for the metric {metric.name}; found {target.min():g}."
        )
    return target


def _everything(target: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the fold of which all rows train, given a target of n rows."""
    return np.arange(len(target)), np.empty(0, dtype=np.int64)


def _prepare(
    table: Table,
    target: NDArray[np.float64],
    settings: RunSettings,
    metric: Metric,
    transform: TargetTransform,
) -> TrainingTask:
    """Encode all rows; target has shape (n,) or (T, n) and is transformed."""
    recipes = [fit(settings.recipe, table, target=target)]
    encoding = Encoding(recipes, settings.model.resolved.category_embedding)
    settings = cross_validation.resolve(settings, metric, transform, len(table), encoding.width)
    # Random streams are those of the first fold's members; no row is held out by that fold.
    targets = 1 if target.ndim == 1 else len(target)
    members = cross_validation.make_members(1, settings, targets)
    folds = [_everything(table.known_target)]
    rows = encoding.encode_training(table.features, target, folds, settings.seed)
    return TrainingTask(encoding, rows, target, folds, members, settings, table.weights)


def _train(
    task: TrainingTask, devices: Any, table: Table, metric: Metric, scale: TargetScale
) -> Ensemble:
    """Train on all rows, and let members count what the rows that they left out teach."""

    def fit(some: TrainingTask, stage: int) -> Ensemble:
        network, learned = _train_members(some, devices)
        return Ensemble(some.encoding, network.cpu().double(), some.members, learned)

    ensemble = train_scouts(task, fit)
    if not task.settings.learns_weights:
        return ensemble
    truth = table.known_target
    learn = partial(learn_weights, task=task, truth=truth, metric=metric, scale=scale)
    return train_others(task, fit, ensemble, learn)[0]


def _train_members(task: TrainingTask, devices: Any) -> tuple[MemberNetwork, TrainingResult]:
    target = task.target
    if target.min() < target.max():
        return train(task, devices)
    # There is nothing to learn: networks of zeros say the constant exactly.
    network, count = task.blank_network(), len(task.members)
    for parameter in network.parameters():
        parameter.detach().zero_()
    constant, ones = np.full(count, target.flat[0]), np.ones(count)
    return network, TrainingResult(constant, ones, np.zeros(count, dtype=np.int64))
