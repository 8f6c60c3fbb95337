"""Models: the registries and the settings of member-batched networks. Nothing heavy.

Every parameter carries a leading member dimension M: members have the same architecture and
differ in their rows and their random start.
"""

from __future__ import annotations

from dataclasses import dataclass

from kaggleprice.errors import UsageError
from kaggleprice.registry import Entry, look_up

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


PARAMETRIZATIONS: dict[str, str] = {
    "ntk": "outputs scaled by inputs ** -0.5, weights drawn larger: one rate suits every width",
    "standard": "as torch.nn and the book",
}


@dataclass(frozen=True)
class ModelSettings:
    """The architecture that all members share.

    Attributes:
        model: a name in `MODELS`.
        hidden: widths of the hidden layers; empty for `linear`.
        activation: a name in `ACTIVATIONS`.
        dropout: rate for every hidden layer (one value), or one per hidden layer.
        init: a name in `INITIALIZATIONS`; biases start at 0.
        parametrization: a name in `PARAMETRIZATIONS`.
        batch_norm: whether hidden layers normalize over the rows of a batch, per member.
    """

    model: str = "mlp"
    hidden: tuple[int, ...] = (256, 128)
    activation: str = "silu"
    dropout: tuple[float, ...] = (0.2,)
    init: str = "he"
    parametrization: str = "ntk"
    batch_norm: bool = False

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            UnknownNameError, UsageError: for a value that cannot be.
        """
        look_up(MODELS, self.model, "model")
        look_up(ACTIVATIONS, self.activation, "activation")
        look_up(INITIALIZATIONS, self.init, "initialization")
        look_up(PARAMETRIZATIONS, self.parametrization, "parametrization")
        if any(width < 1 for width in self.hidden):
            raise UsageError(f"hidden layers must be 1 or wider, found {list(self.hidden)}.")
        if not all(0 <= rate < 1 for rate in self.dropout):
            raise UsageError(
                f"dropout must be from 0 up to, not including, 1; found {list(self.dropout)}."
            )
        if len(self.dropout) not in (1, len(self.hidden)) and self.model != "linear":
            raise UsageError(
                f"dropout takes one rate, or one per hidden layer ({len(self.hidden)}); "
                f"found {len(self.dropout)}."
            )

    @property
    def layers(self) -> tuple[tuple[int, float], ...]:
        """Width and dropout rate of each hidden layer; none for `linear`."""
        if self.model == "linear":
            return ()
        rates = self.dropout if len(self.dropout) > 1 else self.dropout * len(self.hidden)
        return tuple(zip(self.hidden, rates, strict=True))
