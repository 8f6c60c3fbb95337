"""Models: the registries and the settings of member-batched networks. Nothing heavy.

Every parameter carries a leading member dimension M: members have layers of the same shape and
differ in their rows, their random start, and in what random starts take in turn.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Annotated, Any

from annotated_doc import Doc
from annotated_types import Ge, Gt, Lt, MinLen

from kaggleprice.core.registry import Entry
from kaggleprice.settings.declaration import (
    STRICT,
    ConflictError,
    Listed,
    Names,
    Searched,
    Shown,
)


@dataclass(frozen=True)
class Model(Entry):
    """A line of `MODELS`.

    Attributes:
        fixed: setting → value, of settings that it decides itself.
        own: settings that say nothing of other models.
    """

    fixed: Mapping[str, Any] = field(default_factory=dict)
    own: tuple[str, ...] = ()


MODELS: dict[str, Model] = {
    "mlp": Model("multilayer perceptron", "kaggleprice.models.mlp:MemberMLP"),
    "linear": Model(
        "one linear layer, as in the d2l.ai chapter",
        "kaggleprice.models.mlp:MemberMLP",
        {
            "embedding": "none",
            "soft_bound": None,
            "feature_scales": False,
            "category_embedding": None,
            "hidden": (),
            "activation": ("relu",),
            "dropout": ((0.0,),),
            "batch_norm": False,
        },
    ),
    "resnet": Model(
        "residual blocks with batch normalization, Gorishniy et al. 2021",
        "kaggleprice.models.resnet:MemberResNet",
        {"batch_norm": True},
    ),
    "tabm": Model(
        "submodels that share weights within each network, Gorishniy et al. 2024",
        "kaggleprice.models.tabm:MemberTabM",
        own=("submodels",),
    ),
    "cnn": Model(
        "convolutions over columns that are projected to a sequence",
        "kaggleprice.models.cnn:MemberCNN",
        own=("channels", "length", "kernel", "stride", "padding", "pooling"),
    ),
    "lenet": Model(
        "the convolutions of LeNet-5 in one dimension, LeCun et al. 1998",
        "kaggleprice.models.cnn:MemberCNN",
        {
            "channels": (1, 6, 16),
            "length": 28,
            "kernel": (5,),
            "stride": (1,),
            "padding": (2, 0),
            "pooling": "average",
            "hidden": (120, 84),
            "activation": ("sigmoid",),
            "dropout": ((0.0,),),
            "batch_norm": False,
        },
    ),
}


@dataclass(frozen=True)
class Activation(Entry):
    """A line of `ACTIVATIONS`.

    Attributes:
        straight: what the learned share of a straight line is at first, in (1 - share) * f(x) +
            share * x; None where none is learned.
        pieces: values that it takes for each one that it gives.
    """

    straight: float | None = None
    pieces: int = 1


ACTIVATIONS: dict[str, Activation] = {
    "relu": Activation("max(0, x)", "torch.nn.functional:relu"),
    "sigmoid": Activation("logistic function", "torch:sigmoid"),
    "tanh": Activation("hyperbolic tangent", "torch:tanh"),
    "leaky_relu": Activation("slope 0.01 below 0", "torch.nn.functional:leaky_relu"),
    "prelu": Activation(
        "slope below 0 learned per layer, from 0.25, He et al. 2015",
        "torch.nn.functional:relu",
        straight=0.25,
    ),
    "elu": Activation("exponential below 0", "torch.nn.functional:elu"),
    "selu": Activation("self-normalizing elu", "torch.nn.functional:selu"),
    "gelu": Activation("x times the normal distribution function", "torch.nn.functional:gelu"),
    "silu": Activation("x times the logistic function", "torch.nn.functional:silu"),
    "mish": Activation("x times tanh of softplus", "torch.nn.functional:mish"),
    "pgelu": Activation(
        "gelu and x, shares learned per layer", "torch.nn.functional:gelu", straight=0.0
    ),
    "pmish": Activation(
        "mish and x, shares learned per layer, as in RealMLP",
        "torch.nn.functional:mish",
        straight=0.0,
    ),
    "maxout": Activation(
        "the larger of two linear units, Goodfellow et al. 2013", "torch:maximum", pieces=2
    ),
}

INITIALIZATIONS: dict[str, Entry] = {
    "normal": Entry(
        "normal, standard deviation 0.01 (the d2l.ai chapter)",
        "kaggleprice.models.initialization:constant_deviation",
    ),
    "xavier": Entry(
        "normal, variance 2 / (inputs + outputs)",
        "kaggleprice.models.initialization:xavier_deviation",
    ),
    "he": Entry("normal, variance 2 / inputs", "kaggleprice.models.initialization:he_deviation"),
    "lecun": Entry(
        "normal, variance 1 / inputs", "kaggleprice.models.initialization:lecun_deviation"
    ),
}


EMBEDDINGS: dict[str, Entry] = {
    "periodic": Entry(
        "cosines of learned frequencies, Gorishniy et al. 2022",
        "kaggleprice.models.embeddings:MemberPeriodic",
    ),
    "piecewise": Entry(
        "how far it is through bins between quantiles, Gorishniy et al. 2022",
        "kaggleprice.models.embeddings:MemberPiecewise",
    ),
    "none": Entry("nothing", "kaggleprice.models.embeddings:MemberEmbedding"),
}

POOLINGS: dict[str, Entry] = {
    "max": Entry("the larger of two neighbours", "torch:amax"),
    "average": Entry("the mean of two neighbours", "torch:mean"),
}

PARAMETRIZATIONS: dict[str, str] = {
    "ntk": "outputs scaled by inputs ** -0.5, weights drawn larger: one rate suits every width",
    "standard": "as torch.nn and the d2l.ai chapter",
}


@dataclass(frozen=True)
class Inputs:
    """The features that a network gets: numbers first, then zeros and ones, then levels' codes.

    Attributes:
        width: all of them, each level counted.
        numbers: how many are numbers, p.
        vectors: how many levels with a vector each column of codes has; they come last.
    """

    width: int
    numbers: int
    vectors: tuple[int, ...] = ()

    @property
    def dense(self) -> int:
        """How many are no levels with a vector."""
        return self.width - sum(self.vectors)


@dataclass(frozen=True)
class Convolution:
    """One convolution over a sequence.

    Attributes:
        inputs, outputs: channels.
        kernel, stride, padding: as in `torch.nn.Conv1d`.
        length: of its output.
        pooled: length after pooling.
    """

    inputs: int
    outputs: int
    kernel: int
    stride: int
    padding: int
    length: int
    pooled: int


# One for all hidden layers, or one each.
Rates = Annotated[tuple[Annotated[float, Ge(0), Lt(1)], ...], Listed(",")]


@dataclass(frozen=True)
class ModelSettings:
    """The architecture of all members.

    Random starts take activations and dropout in turn. `soft_bound` lets a number x enter as
    x / sqrt(1 + (x / bound) ** 2), beside what the embedding makes of it. Biases start at 0;
    feature scales start at 1. Some models decide some of the settings (`Model.fixed`).
    """

    __pydantic_config__ = STRICT

    model: Annotated[str, Names(MODELS), Doc("Architecture.")] = "mlp"
    embedding: Annotated[
        str, Names(EMBEDDINGS), Doc("Embedding of each number, beside the number itself.")
    ] = "periodic"
    frequencies: Annotated[int, Ge(1), Doc("Cosines per number in a periodic embedding.")] = 16
    frequency_scale: Annotated[
        float,
        Gt(0),
        Searched(0.05, 2.0, log=True),
        Doc("Spread of the first frequencies, in periods per standard deviation of the number."),
    ] = 0.5
    bins: Annotated[
        int, Ge(1), Doc("Bins per number in a piecewise embedding, of as many training rows each.")
    ] = 16
    category_embedding: Annotated[
        Annotated[int, Ge(1)] | None,
        Shown("N"),
        Doc(
            "Size of a learned vector per level, in place of one-hot, of categories of more levels."
        ),
    ] = None
    soft_bound: Annotated[
        Annotated[float, Gt(0)] | None,
        Shown("SD"),
        Doc("Numbers bend smoothly towards this bound, in standard deviations."),
    ] = 2.0
    feature_scales: Annotated[bool, Doc("A learned factor for each feature.")] = True
    hidden: Annotated[
        tuple[Annotated[int, Ge(1)], ...],
        Listed(",", "256,128"),
        Shown("W,W,..."),
        Doc("Units of each hidden layer."),
    ] = (128, 128)
    submodels: Annotated[
        int, Ge(1), Doc("Submodels of shared weights in each network (tabm); their mean predicts.")
    ] = 8
    channels: Annotated[
        tuple[Annotated[int, Ge(1)], ...],
        MinLen(2),
        Listed(",", "16,32,32"),
        Shown("C,C,..."),
        Doc("Channels that features are projected to, then of each convolution (cnn)."),
    ] = (16, 32, 32)
    length: Annotated[
        int, Ge(1), Doc("Length of the sequence that features are projected to (cnn).")
    ] = 16
    kernel: Annotated[
        tuple[Annotated[int, Ge(1)], ...],
        MinLen(1),
        Listed(",", "5 or 3,1"),
        Shown("N,..."),
        Doc("Size of the kernels: one for all convolutions or one each (cnn)."),
    ] = (3,)
    stride: Annotated[
        tuple[Annotated[int, Ge(1)], ...],
        MinLen(1),
        Listed(",", "1 or 2,1"),
        Shown("N,..."),
        Doc("Places from kernel to kernel: one for all convolutions or one each (cnn)."),
    ] = (1,)
    padding: Annotated[
        tuple[Annotated[int, Ge(0)], ...],
        MinLen(1),
        Listed(",", "1 or 2,0"),
        Shown("N,..."),
        Doc("Zeros at both ends: one number for all convolutions or one each (cnn)."),
    ] = (1,)
    pooling: Annotated[
        Annotated[str, Names(POOLINGS)] | None,
        Doc("What halves the sequence after each convolution (cnn)."),
    ] = "max"
    activation: Annotated[
        tuple[Annotated[str, Names(ACTIVATIONS)], ...],
        MinLen(1),
        Listed("/", "gelu/tanh"),
        Shown("NAME/..."),
        Searched(choices=("gelu", "mish", "relu", "tanh")),
        Doc("Between layers; of several, as in gelu/tanh, random starts take one in turn."),
    ] = ("gelu",)
    dropout: Annotated[
        tuple[Rates, ...],
        MinLen(1),
        Listed("/", "0.3 or 0.3/0.1,0.2", nested=True),
        Shown("P,.../..."),
        Searched(0.0, 0.5),
        Doc("Share of units left out: one for all hidden layers or one each; 0.3/0.1,0.2 in turn."),
    ] = ((0.1,),)
    init: Annotated[str, Names(INITIALIZATIONS), Doc("Initial weights.")] = "he"
    parametrization: Annotated[
        str, Names(PARAMETRIZATIONS), Doc("How outputs and rates scale with width.")
    ] = "ntk"
    batch_norm: Annotated[bool, Doc("Batch normalization in hidden layers.")] = False

    def __post_init__(self) -> None:
        """Check that there are as many dropout rates as layers, and layers where some are needed.

        Raises:
            ConflictError: where it is not so.
        """
        if self.model == "resnet" and not self.hidden:
            raise ConflictError(
                "model resnet takes one hidden layer or more (--hidden W,W,...), one in each "
                "block; found none.",
                "model",
                "hidden",
            )
        if "channels" in MODELS[self.model].own:
            self._check_convolutions()
        layers = len(self.hidden)
        for rates in self.dropout:
            if len(rates) not in (1, layers) and "dropout" not in MODELS[self.model].fixed:
                raise ConflictError(
                    f"dropout takes one rate, or one per hidden layer ({layers}); "
                    f"found {len(rates)}.",
                    "dropout",
                    "hidden",
                )

    def _check_convolutions(self) -> None:
        count = len(self.channels) - 1
        for name in ("kernel", "stride", "padding"):
            found = len(getattr(self, name))
            if found not in (1, count):
                raise ConflictError(
                    f"{name} takes one number, or one per convolution ({count}); found {found}.",
                    name,
                    "channels",
                )
        for number, shape in enumerate(self.convolutions, 1):
            if shape.pooled < 1:
                raise ConflictError(
                    f"convolution {number} of {count} leaves nothing of a length of {self.length}; "
                    "take a larger --length or --padding, a smaller --kernel or --stride, or "
                    "--pooling none.",
                    "length",
                    "channels",
                    "kernel",
                    "stride",
                    "padding",
                    "pooling",
                )

    @property
    def convolutions(self) -> list[Convolution]:
        """The convolutions of a model that has some, in order."""
        made, length = list[Convolution](), self.length
        count = len(self.channels) - 1
        each = [
            value if len(value) > 1 else value * count
            for value in (self.kernel, self.stride, self.padding)
        ]
        ends = pairwise(self.channels)
        for (inputs, outputs), kernel, stride, padding in zip(ends, *each, strict=True):
            # Each kernel lies within the sequence and the zeros at its ends.
            length = (length + 2 * padding - kernel) // stride + 1
            pooled = length if self.pooling is None else length // 2
            made.append(Convolution(inputs, outputs, kernel, stride, padding, length, pooled))
            length = pooled
        return made

    @property
    def resolved(self) -> "ModelSettings":
        """These settings with those that the model decides itself."""
        return replace(self, **MODELS[self.model].fixed)

    def activation_of(self, start: int) -> str:
        """Name of the activation that a random start, counted from 0, has."""
        return self.activation[start % len(self.activation)]

    @property
    def pieces(self) -> int:
        """How many values a linear layer gives for each unit behind it, of any random start."""
        return max(ACTIVATIONS[name].pieces for name in self.activation)

    @property
    def drops(self) -> tuple[bool, ...]:
        """Whether units of each hidden layer are left out, in any random start."""
        starts = [self.rates_of(start) for start in range(len(self.dropout))]
        return tuple(any(rates) for rates in zip(*starts, strict=True))

    @property
    def shape(self) -> tuple[Any, ...]:
        """What members of one batched network have in common, of settings that are `resolved`.

        The others, activation, dropout and the spread of frequencies, are each member's own.
        """
        alike = replace(self, activation=("gelu",), dropout=((0.0,),), frequency_scale=1.0)
        return (alike, self.pieces, self.drops)

    def rates_of(self, start: int) -> tuple[float, ...]:
        """Dropout rate of each hidden layer of a random start, counted from 0."""
        rates = self.dropout[start % len(self.dropout)]
        return rates if len(rates) > 1 else rates * len(self.hidden)

    def turn_of(self, start: int) -> int:
        """Random starts of the same turn, counted from 0, are the same network."""
        return start % math.lcm(len(self.activation), len(self.dropout))
