"""Models: the registries and the settings of member-batched networks. Nothing heavy.

Every parameter carries a leading member dimension M: members have layers of the same shape and
differ in their rows, their random start, and in what random starts take in turn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from kaggleprice.core.errors import UsageError
from kaggleprice.core.registry import Entry, look_up

MODELS: dict[str, Entry] = {
    "mlp": Entry("multilayer perceptron", "kaggleprice.models.networks:MemberMLP"),
    "linear": Entry("one linear layer, as in the book", "kaggleprice.models.networks:MemberMLP"),
}

ACTIVATIONS: dict[str, Entry] = {
    "relu": Entry("max(0, x)", "torch.nn.functional:relu"),
    "sigmoid": Entry("logistic function", "torch:sigmoid"),
    "tanh": Entry("hyperbolic tangent", "torch:tanh"),
    "leaky_relu": Entry("slope 0.01 below 0", "torch.nn.functional:leaky_relu"),
    "prelu": Entry("slope below 0 learned per layer, from 0.25", "torch.nn.functional:prelu"),
    "elu": Entry("exponential below 0", "torch.nn.functional:elu"),
    "selu": Entry("self-normalizing elu", "torch.nn.functional:selu"),
    "gelu": Entry("x times the normal distribution function", "torch.nn.functional:gelu"),
    "silu": Entry("x times the logistic function", "torch.nn.functional:silu"),
    "mish": Entry("x times tanh of softplus", "torch.nn.functional:mish"),
}

INITIALIZATIONS: dict[str, Entry] = {
    "normal": Entry(
        "normal, standard deviation 0.01 (the book)",
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
    "none": Entry("nothing", "kaggleprice.models.embeddings:MemberEmbedding"),
}

PARAMETRIZATIONS: dict[str, str] = {
    "ntk": "outputs scaled by inputs ** -0.5, weights drawn larger: one rate suits every width",
    "standard": "as torch.nn and the book",
}


@dataclass(frozen=True)
class Inputs:
    """The features that a network gets: numbers first, then zeros and ones.

    Attributes:
        width: all of them, D.
        numbers: how many are numbers, p.
    """

    width: int
    numbers: int


@dataclass(frozen=True)
class ModelSettings:
    """The architecture of all members.

    Attributes:
        model: a name in `MODELS`; `linear` takes the features as they are, without what the
            settings on embeddings and bounds say.
        embedding: a name in `EMBEDDINGS`: what is made of each number beside the number itself.
        frequencies: cosines per number in a periodic embedding.
        frequency_scale: standard deviation of the frequencies that it starts from, in periods
            per standard deviation of the number.
        soft_bound: the number itself enters as x / sqrt(1 + (x / bound) ** 2), which never
            exceeds the bound; None for x.
        feature_scales: whether each feature has a factor of its own, learned from 1, before the
            first layer.
        hidden: widths of the hidden layers; empty for `linear`.
        activation: names in `ACTIVATIONS`; random starts take them in turn.
        dropout: rates that random starts take in turn, each one rate for every hidden layer, or
            one per hidden layer.
        init: a name in `INITIALIZATIONS`; biases start at 0.
        parametrization: a name in `PARAMETRIZATIONS`.
        batch_norm: whether hidden layers normalize over the rows of a batch, per member.
    """

    model: str = "mlp"
    embedding: str = "periodic"
    frequencies: int = 4
    frequency_scale: float = 0.1
    soft_bound: float | None = 2.0
    feature_scales: bool = True
    hidden: tuple[int, ...] = (128, 128)
    activation: tuple[str, ...] = ("gelu", "tanh")
    dropout: tuple[tuple[float, ...], ...] = ((0.3,), (0.1,))
    init: str = "he"
    parametrization: str = "ntk"
    batch_norm: bool = False

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            UnknownNameError, UsageError: for a value that cannot be.
        """
        look_up(MODELS, self.model, "model")
        look_up(EMBEDDINGS, self.embedding, "embedding")
        for name in self.activation:
            look_up(ACTIVATIONS, name, "activation")
        if not self.activation or not self.dropout:
            raise UsageError("activation and dropout need at least one value each.")
        look_up(INITIALIZATIONS, self.init, "initialization")
        look_up(PARAMETRIZATIONS, self.parametrization, "parametrization")
        if self.frequencies < 1:
            raise UsageError(f"frequencies must be 1 or more, found {self.frequencies}.")
        if not 0 < self.frequency_scale < math.inf:
            raise UsageError(f"frequency_scale must be above 0, found {self.frequency_scale}.")
        if self.soft_bound is not None and not 0 < self.soft_bound < math.inf:
            raise UsageError(f"soft_bound must be above 0, found {self.soft_bound}.")
        if any(width < 1 for width in self.hidden):
            raise UsageError(f"hidden layers must be 1 or wider, found {list(self.hidden)}.")
        for rates in self.dropout:
            self._check_rates(rates)

    def _check_rates(self, rates: tuple[float, ...]) -> None:
        if not all(0 <= rate < 1 for rate in rates):
            raise UsageError(
                f"dropout must be from 0 up to, not including, 1; found {list(rates)}."
            )
        if len(rates) not in (1, len(self.hidden)) and self.model != "linear":
            raise UsageError(
                f"dropout takes one rate, or one per hidden layer ({len(self.hidden)}); "
                f"found {len(rates)}."
            )

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths of the hidden layers; none for `linear`."""
        return () if self.model == "linear" else self.hidden

    def activation_of(self, start: int) -> str:
        """Name of the activation that a random start, counted from 0, has."""
        return self.activation[start % len(self.activation)]

    def rates_of(self, start: int) -> tuple[float, ...]:
        """Dropout rate of each hidden layer of a random start, counted from 0."""
        rates = self.dropout[start % len(self.dropout)]
        return rates if len(rates) > 1 else rates * len(self.widths)

    def turn_of(self, start: int) -> int:
        """Random starts of the same turn, counted from 0, are the same network."""
        return start % math.lcm(len(self.activation), len(self.dropout))
