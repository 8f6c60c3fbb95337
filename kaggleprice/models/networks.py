"""Networks: member-batched architectures and how to build one for given members."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kaggleprice.models.embeddings import MemberEmbedding
from kaggleprice.models.layers import (
    MemberActivation,
    MemberBatchNorm,
    MemberDropout,
    MemberLinear,
    MemberScale,
)
from kaggleprice.settings.model import EMBEDDINGS, INITIALIZATIONS, MODELS, Inputs, ModelSettings
from kaggleprice.settings.portfolio import Variant
from kaggleprice.settings.training import Member


class MemberNetwork(nn.Module):
    """What the engine asks of an architecture.

    Attributes:
        members: M.
        noise_width: 16-bit random numbers that one row takes in a training step.
    """

    members: int
    noise_width: int = 0

    def forward(self, x: Tensor, noise: Tensor | None, rows_used: Tensor | None) -> Tensor:
        """Map features to one output per row.

        Shape:
            x: (M, B, D); noise: (M, B, noise_width), int16, None outside of training;
            rows_used: (M, B, 1), None where all rows are real. Returns (M, B).
        """
        raise NotImplementedError

    def initialize(
        self, generators: Sequence[np.random.Generator], used: NDArray[np.bool_]
    ) -> None:
        """Draw every member's initial weights from its own generator.

        Args:
            generators: one per member.
            used: shape (M, D), the inputs that each member has.
        """
        raise NotImplementedError

    def decayed_parameters(self) -> list[str]:
        """Names of the parameters that weight decay and L1 act on."""
        raise NotImplementedError

    def operations(self) -> int:
        """Multiplications and additions of matrix products, for one member's row in one step.

        Forward, the gradient of the weights, and of a layer's input where something below it
        is learned; a one-hot feature counts as if it were a number.
        """
        raise NotImplementedError


class MemberMLP(MemberNetwork):
    """Numbers embedded, features scaled; then linear → batch norm → activation → dropout, repeated.

    The last layer is linear. Without hidden layers it is the linear model, on features as they
    are.
    """

    def __init__(self, starts: Sequence[int], inputs: Inputs, settings: ModelSettings) -> None:
        super().__init__()
        self.members, self._numbers = len(starts), inputs.numbers
        name = settings.embedding if inputs.numbers and not settings.plain else "none"
        kind: type[MemberEmbedding] = EMBEDDINGS[name].load()
        self.embedding = kind(self.members, inputs.numbers, settings)
        self._bound = None if settings.plain else settings.soft_bound
        width = inputs.width + inputs.numbers * self.embedding.outputs
        learned = settings.feature_scales and not settings.plain
        self.scale = (
            MemberScale(self.members, width, learned=learned)
            if learned or self.embedding.outputs
            else None
        )
        self._deviation = INITIALIZATIONS[settings.init].load()
        self.linears = nn.ModuleList(
            MemberLinear(self.members, i, o, ntk=settings.parametrization == "ntk", full=layer > 0)
            for layer, (i, o) in enumerate(pairwise([width, *settings.widths, 1]))
        )
        self.norms = nn.ModuleList(
            MemberBatchNorm(self.members, o) for o in settings.widths if settings.batch_norm
        )
        names = [settings.activation_of(start) for start in starts]
        self.activations = nn.ModuleList(MemberActivation(names) for _ in settings.widths)
        rates = [settings.rates_of(start) for start in starts]
        self.dropouts = nn.ModuleList(
            MemberDropout([member[layer] for member in rates])
            for layer in range(len(settings.widths))
        )
        # What any random start needs, so that a member's numbers do not depend on the others.
        dropping = [settings.rates_of(turn) for turn in range(len(settings.dropout))]
        self._noise_widths = [
            units if any(rates[layer] for rates in dropping) else 0
            for layer, units in enumerate(settings.widths)
        ]
        self.noise_width = sum(self._noise_widths)

    def forward(self, x: Tensor, noise: Tensor | None, rows_used: Tensor | None) -> Tensor:
        """Map features to one output per row; shapes as in `MemberNetwork.forward`."""
        x = self._embed(x)
        first = self.linears[0]
        # One pass over the features instead of two, where both their factors are to be applied.
        scaled = self.scale is not None and isinstance(first, MemberLinear) and first.ntk
        if self.scale is not None:
            x = self.scale(x, first.scale if scaled else None)
        parts = None if noise is None else torch.split(noise, self._noise_widths, dim=2)
        for layer, (activation, dropout) in enumerate(
            zip(self.activations, self.dropouts, strict=True)
        ):
            x = self.linears[layer](x, scaled=scaled and layer == 0)
            x = activation(self.norms[layer](x, rows_used) if self.norms else x)
            x = dropout(x, parts[layer] if parts and self._noise_widths[layer] else None)
        output: Tensor = self.linears[-1](x, scaled=scaled and len(self.linears) == 1)
        return output.squeeze(2)

    def _embed(self, x: Tensor) -> Tensor:
        """Bound the numbers, and append what the embedding makes of them."""
        parts = [x]
        numbers, rest = x[:, :, : self._numbers], x[:, :, self._numbers :]
        if self._bound is not None:
            bounded = numbers * torch.rsqrt(1 + (numbers / self._bound).square())
            parts = [bounded, rest]
        if self.embedding.outputs:
            parts.append(self.embedding(numbers))
        return torch.cat(parts, dim=2) if len(parts) > 1 else x

    def initialize(
        self, generators: Sequence[np.random.Generator], used: NDArray[np.bool_]
    ) -> None:
        """Draw layer after layer from each member's own generator."""
        linears = [layer for layer in self.linears if isinstance(layer, MemberLinear)]
        for member, generator in enumerate(generators):
            numbers = used[member, : self._numbers]
            self.embedding.initialize(member, generator, numbers)
            embedded = np.repeat(numbers, self.embedding.outputs)
            inputs = np.concatenate([used[member], embedded])
            if self.scale is not None:
                self.scale.initialize(member, inputs)
            for linear in linears:
                linear.initialize(member, generator, self._deviation, inputs)
                inputs = np.ones(linear.weight.shape[2], dtype=bool)

    def operations(self) -> int:
        """Count 2 operations per weight, three times; no gradient of the data themselves."""
        sizes = [weight.shape[1] * weight.shape[2] for weight in self._weights()]
        learned_below = self.scale is not None and isinstance(self.scale.factor, nn.Parameter)
        return 6 * sum(sizes) - (0 if learned_below or self.embedding.outputs else 2 * sizes[0])

    def _weights(self) -> list[Tensor]:
        return [layer.weight for layer in self.linears if isinstance(layer, MemberLinear)]

    def decayed_parameters(self) -> list[str]:
        """Return the weight matrices: all else is left alone."""
        return [f"linears.{i}.weight" for i in range(len(self.linears))]


class MemberPortfolio(MemberNetwork):
    """Networks of unlike architectures side by side, each of neighbouring members; to predict with.

    Shape:
        as in `MemberNetwork.forward`, of the members of all networks.
    """

    def __init__(self, networks: Sequence[MemberNetwork]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self._counts = [network.members for network in networks]
        self.members = sum(self._counts)

    def forward(self, x: Tensor, noise: Tensor | None, rows_used: Tensor | None) -> Tensor:
        """Let each network map its members' features; noise and padding are for training alone."""
        parts = zip(self.networks, torch.split(x, self._counts), strict=True)
        return torch.cat([network(part, None, None) for network, part in parts])


def networks_of(network: MemberNetwork) -> list[MemberNetwork]:
    """Return the networks of a portfolio, or the network itself, by variant."""
    if not isinstance(network, MemberPortfolio):
        return [network]
    return [part for part in network.networks if isinstance(part, MemberNetwork)]


def build_network(
    settings: ModelSettings, starts: Sequence[int], inputs: Inputs, dtype: torch.dtype
) -> MemberNetwork:
    """Return an uninitialized network on the CPU.

    Args:
        settings: the architecture.
        starts: shape (M,), which random start of its fold each member is, counted from 0.
        inputs: the features.
        dtype: of the parameters.
    """
    network: MemberNetwork = MODELS[settings.model].load()(starts, inputs, settings)
    return network.to(dtype)


def build_portfolio(
    variants: Sequence[Variant], members: Sequence[Member], inputs: Inputs, dtype: torch.dtype
) -> MemberNetwork:
    """Return an uninitialized network of members of one or more architectures, on the CPU.

    Args:
        variants: the architectures, by `Member.variant`.
        members: M of them; those of a variant stand together, in the order of the variants.
        inputs: the features.
        dtype: of the parameters.
    """
    built = [
        build_network(variants[number].model, [m.seed for m in own], inputs, dtype)
        for number, own in groupby(members, key=lambda member: member.variant)
    ]
    return built[0] if len(variants) == 1 else MemberPortfolio(built)
