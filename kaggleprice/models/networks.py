"""Networks: member-batched architectures and how to build one for given members."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kaggleprice.models import ACTIVATIONS, INITIALIZATIONS, MODELS, ModelSettings
from kaggleprice.models.layers import MemberBatchNorm, MemberDropout, MemberLinear, MemberPReLU


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


class MemberMLP(MemberNetwork):
    """Hidden layers of linear → batch norm → activation → dropout, then a linear output.

    Without hidden layers it is the linear model.
    """

    def __init__(self, members: int, width: int, settings: ModelSettings) -> None:
        super().__init__()
        self.members = members
        self._deviation = INITIALIZATIONS[settings.init].load()
        self._activation = ACTIVATIONS[settings.activation].load()
        outputs = [units for units, _ in settings.layers]
        self.linears = nn.ModuleList(
            MemberLinear(members, i, o, ntk=settings.parametrization == "ntk")
            for i, o in zip([width, *outputs], [*outputs, 1], strict=True)
        )
        self.norms = nn.ModuleList(
            MemberBatchNorm(members, o) for o in outputs if settings.batch_norm
        )
        self.slopes = nn.ModuleList(
            MemberPReLU(members) for _ in outputs if settings.activation == "prelu"
        )
        self.dropouts = nn.ModuleList(MemberDropout(rate) for _, rate in settings.layers)
        self._noise_widths = [units if rate > 0 else 0 for units, rate in settings.layers]
        self.noise_width = sum(self._noise_widths)

    def forward(self, x: Tensor, noise: Tensor | None, rows_used: Tensor | None) -> Tensor:
        """Map features to one output per row; shapes as in `MemberNetwork.forward`."""
        parts = None if noise is None else torch.split(noise, self._noise_widths, dim=2)
        for layer, dropout in enumerate(self.dropouts):
            x = self.linears[layer](x)
            if self.norms:
                x = self.norms[layer](x, rows_used)
            x = self.slopes[layer](x) if self.slopes else self._activation(x)
            x = dropout(x, parts[layer] if parts is not None else None)
        output: Tensor = self.linears[-1](x)
        return output.squeeze(2)

    def initialize(
        self, generators: Sequence[np.random.Generator], used: NDArray[np.bool_]
    ) -> None:
        """Draw layer after layer from each member's own generator."""
        linears = [layer for layer in self.linears if isinstance(layer, MemberLinear)]
        for member, generator in enumerate(generators):
            inputs = used[member]
            for linear in linears:
                linear.initialize(member, generator, self._deviation, inputs)
                inputs = np.ones(linear.weight.shape[2], dtype=bool)

    def decayed_parameters(self) -> list[str]:
        """Return the weight matrices: biases, norms and slopes are left alone."""
        return [f"linears.{i}.weight" for i in range(len(self.linears))]


def build_network(
    settings: ModelSettings, members: int, width: int, dtype: torch.dtype
) -> MemberNetwork:
    """Return an uninitialized network for M members and D features, on the CPU."""
    network: MemberNetwork = MODELS[settings.model].load()(members, width, settings)
    return network.to(dtype)
