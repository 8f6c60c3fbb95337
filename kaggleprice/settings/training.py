"""Training: the registries and the settings of the batched engine. Nothing heavy."""

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, Self

from annotated_doc import Doc
from annotated_types import Ge, Gt, Lt

from kaggleprice.core.registry import Entry, Numbered, Parameter
from kaggleprice.settings.declaration import STRICT, Names, Searched, Shown

# CPU threads: more than any machine has. What a system cannot start ends as a lack of memory.
MOST_THREADS = 1024

# What trains groups of networks.
ENGINES: dict[str, str] = {
    "here": "this machine's threads or devices",
    "ray": "the workers of a Ray cluster",
}

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


@dataclass(frozen=True)
class Loss(Entry):
    """A loss on the scaled target.

    Attributes:
        parameter: a number that may follow its name; None for none.
        number: the one that does; None for the default.
        of_logs: whether it takes the scale of a target that is trained on as a log.
    """

    parameter: Parameter | None = None
    number: float | None = None
    of_logs: bool = False

    def with_number(self, number: float) -> Self:
        """Return the same loss with a number of its own."""
        return replace(self, number=number)

    def load(self) -> Any:
        """Import and return the loss: from outputs and targets, of one shape, to that of each."""
        found = super().load()
        if self.parameter is None or self.number is None:
            return found
        return partial(found, **{self.parameter.name: self.number})


DELTA = Parameter("delta", 1.0, above=0, below=math.inf)
LEVEL = Parameter("level", 0.5, above=0, below=1)
POWER = Parameter("power", 1.5, above=1, below=2)

LOSSES: Numbered[Loss] = Numbered(
    {
        "mse": Loss("squared error", "kaggleprice.training.optimization:squared_error"),
        "mae": Loss("absolute error", "kaggleprice.training.optimization:absolute_error"),
        "huber": Loss(
            "squared up to one standard deviation of the target, or as many as in `huber 0.3`, "
            "then linear",
            "kaggleprice.training.optimization:huber",
            DELTA,
        ),
        "pinball": Loss(
            "that of a quantile, as in `pinball 0.9`",
            "kaggleprice.training.optimization:pinball",
            LEVEL,
        ),
        "poisson": Loss(
            "Poisson deviance, for targets trained on as logs",
            "kaggleprice.training.optimization:poisson",
            of_logs=True,
        ),
        "tweedie": Loss(
            "Tweedie deviance, for targets trained on as logs, as in `tweedie 1.5`",
            "kaggleprice.training.optimization:tweedie",
            POWER,
            of_logs=True,
        ),
    }
)

TARGET_SCALES: dict[str, str] = {
    "standard": "zero mean and unit variance over the member's own training rows",
    "none": "as it is (the d2l.ai chapter)",
}

STOP_ON: dict[str, str] = {
    "inner": "a part of each fold's training rows, which is then not trained on",
    "validation": "the validation rows themselves; marks the score optimistic",
}

# Optimizer steps of batches of one row, and passes where there is a row for each feature.
_STEPS, _PASSES = 27_000, 40
# Beyond so many rows steps grow with rows, to this power.
_MANY_ROWS, _GROWTH = 13_000, 0.75

DTYPES: tuple[str, ...] = ("float32", "float64")


@dataclass(frozen=True, order=True)
class Member:
    """One network of the ensemble.

    Attributes:
        fold: the fold that it is validated on, counted from 0.
        seed: which random start of that fold, counted from 0.
        target: which of the competition's targets it predicts, counted from 0.
        variant: which setting of the portfolio it has, counted from 0.
    """

    fold: Annotated[int, Ge(0)]
    seed: Annotated[int, Ge(0)]
    target: Annotated[int, Ge(0)] = 0
    variant: Annotated[int, Ge(0)] = 0

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class TrainingSettings:
    """How members are trained.

    `weight_decay` is decoupled with adamw; otherwise it is L2 added to the gradient, as in
    `torch.optim`. The last step of an epoch takes the rows that are left.
    """

    __pydantic_config__ = STRICT

    lr: Annotated[
        float,
        Gt(0),
        Searched(0.002, 0.05, log=True),
        Doc("Learning rate, the highest of the schedule."),
    ] = 0.01
    budget: Annotated[
        float,
        Gt(0),
        Doc("Factor of how long networks are trained, where --epochs does not say it."),
    ] = 1.0
    epochs: Annotated[
        Annotated[int, Ge(1)] | None,
        Shown(none="by rows and --budget"),
        Doc("Passes over the training rows."),
    ] = None
    batch_size: Annotated[
        Annotated[int, Ge(1)] | None,
        Shown(none="by rows"),
        Doc("Training rows per step, of each network."),
    ] = None
    optimizer: Annotated[str, Names(OPTIMIZERS), Doc("Optimizer.")] = "adamw"
    schedule: Annotated[
        str,
        Names(SCHEDULES),
        Searched(choices=("cosine", "onecycle")),
        Doc("Learning rate over time."),
    ] = "cosine"
    loss: Annotated[
        Annotated[str, Names(LOSSES)] | None,
        Shown(none="the one that suits the metric"),
        Searched(choices=("mse", "huber 1", "huber 0.3")),
        Doc(
            "Loss on the scaled target, some with a number, as in `huber 0.3`; poisson and tweedie "
            "set --clip-norm 1 unless it is given."
        ),
    ] = None
    weight_decay: Annotated[
        float,
        Ge(0),
        Searched(0.003, 0.3, log=True),
        Doc("Factor of weight decay, decoupled with adamw, else L2; weights only."),
    ] = 0.03
    l1: Annotated[float, Ge(0), Doc("Factor of the L1 penalty on weights.")] = 0.0
    clip_norm: Annotated[
        Annotated[float, Gt(0)] | None,
        Shown("N"),
        Searched(choices=("none", "1")),
        Doc("Bound of the norm of each network's gradient."),
    ] = None
    target_scale: Annotated[
        str,
        Names(TARGET_SCALES),
        Doc("How the target is scaled, by a network's own training rows."),
    ] = "standard"
    label_noise: Annotated[
        float,
        Ge(0),
        Searched(0.0, 0.3),
        Doc("Noise added to the target at each step, in standard deviations of the target."),
    ] = 0.0
    patience: Annotated[
        Annotated[int, Ge(1)] | None,
        Shown(none="never"),
        Doc("Epochs in a row without a better loss until a network stops."),
    ] = None
    stop_on: Annotated[
        str, Names(STOP_ON), Doc("Rows that stopping watches; `validation` is optimistic.")
    ] = "inner"
    stop_share: Annotated[
        float,
        Gt(0),
        Lt(1),
        Doc("Share of the training rows, from 0 to 1, held back to decide when to stop."),
    ] = 0.1
    history_every: Annotated[
        Annotated[int, Ge(1)] | None,
        Shown(none="about 12 lines"),
        Doc("Epochs between lines of history.csv."),
    ] = None
    dtype: Annotated[str, Names(DTYPES), Doc("Precision of all arithmetic.")] = "float32"

    def for_data(self, rows: int, features: int) -> Self:
        """Return the settings with batch size and epochs, where they do not say them.

        Steps do not grow with rows until these are many: few rows are passed many times, many rows
        few times; and the fewer rows there are for each feature, the fewer times, since more would
        be learned by heart. Batches grow with the root of rows, and fewer steps are taken of larger
        ones.

        Args:
            rows: that a member trains on.
            features: that it is given.
        """
        batch_size = self.batch_size or min(256, max(16, 2 ** round(math.log2(2 * rows**0.5))))
        epochs = self.epochs
        if epochs is None:
            most = _PASSES * (rows / features) ** 0.5 * min(1.0, self.budget)
            steps = self.budget * _STEPS * max(1.0, rows / _MANY_ROWS) ** _GROWTH
            epochs = max(1, round(min(steps * batch_size**0.5 / rows, most)))
        return replace(self, batch_size=batch_size, epochs=epochs)

    @property
    def shared(self) -> Self:
        """What members of one batched network have in common; the others are each member's own."""
        return replace(
            self,
            lr=1.0,
            budget=1.0,
            weight_decay=0.0,
            schedule="constant",
            loss=None,
            clip_norm=None,
            label_noise=0.0,
        )

    @property
    def passes(self) -> int:
        """Epochs, of settings whose rows are known.

        Raises:
            ValueError: of others.
        """
        if self.epochs is None:
            raise ValueError("nobody said how many rows there are")
        return self.epochs

    @property
    def rows_per_step(self) -> int:
        """Batch size, of settings whose rows are known.

        Raises:
            ValueError: of others.
        """
        if self.batch_size is None:
            raise ValueError("nobody said how many rows there are")
        return self.batch_size

    @property
    def recorded_epochs(self) -> list[int]:
        """Epochs, counted from 1, after which the history gets a line; always the last one."""
        every = self.history_every or max(1, round(self.passes / 12))
        return sorted({*range(every, self.passes + 1, every), self.passes})

    @property
    def optimistic(self) -> bool:
        """Whether validation rows decide when members stop."""
        return self.patience is not None and self.stop_on == "validation"
