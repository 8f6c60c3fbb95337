"""Training: the registries and the settings of the batched engine. Nothing heavy."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kaggleprice.core.errors import UsageError
from kaggleprice.core.registry import Entry, look_up

# CPU threads: more than any machine has. What a system cannot start ends as a lack of memory.
MOST_THREADS = 1024

OPTIMIZERS: dict[str, Entry] = {
    "sgd": Entry("stochastic gradient descent", "kaggleprice.training.optimization:sgd"),
    "momentum": Entry("sgd with momentum 0.9", "kaggleprice.training.optimization:momentum"),
    "nesterov": Entry(
        "sgd with Nesterov momentum 0.9", "kaggleprice.training.optimization:nesterov"
    ),
    "adagrad": Entry("Duchi et al. 2011", "kaggleprice.training.optimization:adagrad"),
    "adadelta": Entry("Zeiler 2012", "kaggleprice.training.optimization:adadelta"),
    "rmsprop": Entry("Tieleman and Hinton 2012", "kaggleprice.training.optimization:rmsprop"),
    "adam": Entry("Kingma and Ba 2015", "kaggleprice.training.optimization:adam"),
    "adamw": Entry(
        "adam with decoupled weight decay, Loshchilov and Hutter 2019",
        "kaggleprice.training.optimization:adamw",
    ),
}

SCHEDULES: dict[str, Entry] = {
    "constant": Entry("the same throughout", "kaggleprice.training.optimization:constant"),
    "cosine": Entry("falls to 0 along half a cosine", "kaggleprice.training.optimization:cosine"),
    "onecycle": Entry(
        "rises for a tenth of the time, then falls to 0",
        "kaggleprice.training.optimization:onecycle",
    ),
}

LOSSES: dict[str, Entry] = {
    "mse": Entry("squared error", "kaggleprice.training.optimization:squared_error"),
    "mae": Entry("absolute error", "kaggleprice.training.optimization:absolute_error"),
    "huber": Entry(
        "squared up to one standard deviation of the target, then linear",
        "kaggleprice.training.optimization:huber",
    ),
}

TARGET_SCALES: dict[str, str] = {
    "standard": "zero mean and unit variance over the member's own training rows",
    "none": "as it is (the book)",
}

STOP_ON: dict[str, str] = {
    "inner": "a part of each fold's training rows, which is then not trained on",
    "validation": "the validation rows themselves; marks the score optimistic",
}

DTYPES: tuple[str, ...] = ("float32", "float64")


@dataclass(frozen=True, order=True)
class Member:
    """One network of the ensemble.

    Attributes:
        fold: the fold that it is validated on, counted from 0.
        seed: which random start of that fold, counted from 0.
    """

    fold: int
    seed: int


@dataclass(frozen=True)
class TrainingSettings:
    """How members are trained.

    Attributes:
        lr: learning rate, the schedule's highest.
        epochs: passes over the training rows.
        batch_size: rows per step and member; the last step of an epoch takes what is left.
        optimizer, schedule, loss: names in `OPTIMIZERS`, `SCHEDULES`, `LOSSES`.
        weight_decay: decoupled with adamw, otherwise L2 added to the gradient (as in
            `torch.optim`); on weight matrices only.
        l1: factor of the sum of absolute weights in the loss.
        clip_norm: bound of the norm of each member's whole gradient; None for none.
        target_scale: a name in `TARGET_SCALES`.
        patience: epochs without improvement after which a member stops; None to never stop.
        stop_on: a name in `STOP_ON`: the rows that early stopping watches.
        stop_share: share of the training rows that are the inner split.
        history_every: epochs between two lines of the history; None for about 12 lines.
        dtype: a name in `DTYPES`.
    """

    lr: float = 0.01
    epochs: int = 60
    batch_size: int = 64
    optimizer: str = "adamw"
    schedule: str = "cosine"
    loss: str = "mse"
    weight_decay: float = 0.03
    l1: float = 0.0
    clip_norm: float | None = None
    target_scale: str = "standard"
    patience: int | None = None
    stop_on: str = "inner"
    stop_share: float = 0.1
    history_every: int | None = None
    dtype: str = "float32"

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            UnknownNameError, UsageError: for a value that cannot be.
        """
        look_up(OPTIMIZERS, self.optimizer, "optimizer")
        look_up(SCHEDULES, self.schedule, "schedule")
        look_up(LOSSES, self.loss, "loss")
        look_up(TARGET_SCALES, self.target_scale, "target scale")
        look_up(STOP_ON, self.stop_on, "rows to stop on")
        look_up(dict.fromkeys(DTYPES), self.dtype, "dtype")
        _check_above("lr (learning rate)", self.lr, 0)
        for name, value in [("weight_decay", self.weight_decay), ("l1", self.l1)]:
            _check_from(name, value, 0)
        for name, count in [("epochs", self.epochs), ("batch_size", self.batch_size)]:
            _check_from(name, count, 1)
        if self.clip_norm is not None:
            _check_above("clip_norm", self.clip_norm, 0)
        if self.patience is not None:
            _check_from("patience", self.patience, 1)
        if self.history_every is not None:
            _check_from("history_every", self.history_every, 1)
        if not 0 < self.stop_share < 1:
            raise UsageError(f"stop_share must lie between 0 and 1, found {self.stop_share}.")

    @property
    def recorded_epochs(self) -> list[int]:
        """Epochs, counted from 1, after which the history gets a line; always the last one."""
        every = self.history_every or max(1, round(self.epochs / 12))
        return sorted({*range(every, self.epochs + 1, every), self.epochs})

    @property
    def optimistic(self) -> bool:
        """Whether validation rows decide when members stop."""
        return self.patience is not None and self.stop_on == "validation"


def _check_above(name: str, value: float, bound: float) -> None:
    if not (math.isfinite(value) and value > bound):
        raise UsageError(f"{name} must be a number above {bound}, found {value}.")


def _check_from(name: str, value: float, bound: float) -> None:
    if not (math.isfinite(value) and value >= bound):
        raise UsageError(f"{name} must be {bound} or more, found {value}.")
