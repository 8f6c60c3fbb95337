"""Networks: what the engine asks of an architecture, and how to build one for given members."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kaggleprice.settings.model import MODELS, Inputs, ModelSettings


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
            rows_used: (M, B, 1), None where all rows are real. Returns (M, B); in training it may
            be (M, B, S), of S submodels whose losses are averaged.
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

    @property
    def learns(self) -> bool:
        """Whether it has something to `learn`."""
        return False

    def learn(self, member: int, x: Tensor) -> None:
        """Learn from one member's training rows, before training.

        Args:
            member: index into M.
            x: shape (R, D), features of rows that it trains on.
        """

    def decayed_parameters(self) -> list[str]:
        """Names of the parameters that weight decay and L1 act on."""
        raise NotImplementedError

    def operations(self) -> int:
        """Multiplications and additions of matrix products, for one member's row in one step.

        Forward, the gradient of the weights, and of a layer's input where something below it
        is learned; a one-hot feature counts as if it were a number.
        """
        raise NotImplementedError


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
    return build_batch([settings] * len(starts), starts, inputs, dtype)


def build_batch(
    settings: Sequence[ModelSettings], starts: Sequence[int], inputs: Inputs, dtype: torch.dtype
) -> MemberNetwork:
    """Return an uninitialized network of members of one shape, on the CPU.

    Args:
        settings: shape (M,), each member's; all have the same `ModelSettings.shape`.
        starts: shape (M,), which random start of its fold each member is, counted from 0.
        inputs: the features.
        dtype: of the parameters.
    """
    kind = MODELS[settings[0].model].load()
    network: MemberNetwork = kind(starts, inputs, [own.resolved for own in settings])
    return network.to(dtype)
