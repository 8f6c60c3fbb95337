"""Embeddings: what a network sees of each number beside the number itself, and of each level.

Throughout: M members, B rows per member in a step, p numbers per row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kaggleprice.settings.model import ModelSettings


class MemberEmbedding(nn.Module):
    """What a network asks of an embedding; this one adds nothing.

    Attributes:
        outputs: features per number, d.
        learns: whether it has something to `learn`.
    """

    outputs: int = 0
    learns: bool = False

    def __init__(self, members: int, numbers: int, each: Sequence[ModelSettings]) -> None:
        super().__init__()

    def initialize(
        self, member: int, generator: np.random.Generator, used: NDArray[np.bool_]
    ) -> None:
        """Draw one member's parameters from its own generator.

        Args:
            member: index into M.
            generator: the member's own stream.
            used: shape (p,), the numbers that the member has.
        """

    def learn(self, member: int, numbers: NDArray[np.float64]) -> None:
        """Learn from one member's training rows, before training.

        Args:
            member: index into M.
            numbers: shape (R, p), of rows that it trains on.
        """

    def forward(self, numbers: Tensor) -> Tensor:
        """Embed each number on its own.

        Shape:
            numbers: (M, B, p) → (M, B, p * d), a number's features side by side; whatever those
            are of a number that the member does not have.
        """
        return numbers[:, :, :0]


class MemberPeriodic(MemberEmbedding):
    """`cos(2 pi * frequency * x + phase)`, k times per number; frequencies and phases are learned.

    Periodic embeddings of numbers (Gorishniy et al. 2022, "On Embeddings for Numerical Features
    in Tabular Deep Learning"), with cosine and phase instead of sine and cosine as in RealMLP
    (Holzmüller et al. 2024, "Better by Default", section 3.2), and without their linear layer per
    number. Low frequencies bend the effect of a number; and all are bounded, so that a value
    beyond those seen is not followed out along a straight line.

    Shape:
        frequency, phase: (M, p, k).
    """

    def __init__(self, members: int, numbers: int, each: Sequence[ModelSettings]) -> None:
        super().__init__(members, numbers, each)
        self.outputs = each[0].frequencies
        self._deviations = [own.frequency_scale for own in each]
        shape = (members, numbers, self.outputs)
        self.frequency = nn.Parameter(torch.zeros(shape))
        self.phase = nn.Parameter(torch.zeros(shape))

    @torch.no_grad()
    def initialize(
        self, member: int, generator: np.random.Generator, used: NDArray[np.bool_]
    ) -> None:
        """Draw frequencies from a normal, and phases evenly, of the numbers that are used."""
        size, chosen = (int(used.sum()), self.outputs), torch.from_numpy(used)
        frequency = generator.standard_normal(size) * self._deviations[member]
        phase = generator.uniform(-math.pi, math.pi, size)
        self.frequency[member, chosen] = torch.from_numpy(frequency).to(self.frequency)
        self.phase[member, chosen] = torch.from_numpy(phase).to(self.phase)

    def forward(self, numbers: Tensor) -> Tensor:
        """Embed each number on its own; shapes as in `MemberEmbedding.forward`."""
        turns = (2 * math.pi * numbers).unsqueeze(3)
        angle = torch.addcmul(self.phase.unsqueeze(1), turns, self.frequency.unsqueeze(1))
        return angle.cos().flatten(2)


class MemberPiecewise(MemberEmbedding):
    """How far a number is through each of its bins: 0 below the bin, 1 above it, between a line.

    Piecewise linear encoding (Gorishniy et al. 2022, as above, section 3.2) with bins between
    quantiles of the member's training rows. Unlike there also the outer bins end at 0 and 1: a
    value beyond those seen is not followed out along a straight line.

    Shape:
        low, rate: (M, p, T), where a bin begins, and 1 / its width; a rate of 0 for no bin.
    """

    learns = True
    low: Tensor
    rate: Tensor

    def __init__(self, members: int, numbers: int, each: Sequence[ModelSettings]) -> None:
        super().__init__(members, numbers, each)
        self.outputs = each[0].bins
        self.register_buffer("low", torch.zeros(members, numbers, self.outputs))
        self.register_buffer("rate", torch.zeros(members, numbers, self.outputs))

    @torch.no_grad()
    def learn(self, member: int, numbers: NDArray[np.float64]) -> None:
        """Take the bins between quantiles that differ; repeated values make fewer of them."""
        steps = np.linspace(0, 1, self.outputs + 1)
        low, rate = np.zeros((2, *self.low.shape[1:]))
        for i, quantiles in enumerate(np.quantile(numbers, steps, axis=0).T):
            ends = np.unique(quantiles)
            low[i, : len(ends) - 1], rate[i, : len(ends) - 1] = ends[:-1], 1 / np.diff(ends)
        self.low[member] = torch.from_numpy(low).to(self.low)
        self.rate[member] = torch.from_numpy(rate).to(self.rate)

    def forward(self, numbers: Tensor) -> Tensor:
        """Embed each number on its own; shapes as in `MemberEmbedding.forward`."""
        beyond = numbers.unsqueeze(3) - self.low.unsqueeze(1)
        return (beyond * self.rate.unsqueeze(1)).clamp(0, 1).flatten(2)


class MemberVectors(nn.Module):
    """A learned vector for each level of q categorical columns; zeros for no known level.

    Shape:
        vector: (M, V, size), the levels of all columns one after the other.
    """

    def __init__(self, members: int, levels: Sequence[int], size: int) -> None:
        super().__init__()
        self.size, self._levels = size, list(levels)
        self.vector = nn.Parameter(torch.zeros(members, sum(levels), size))

    @torch.no_grad()
    def initialize(
        self, member: int, generator: np.random.Generator, used: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Draw one member's vectors from a standard normal, as `torch.nn.Embedding` does.

        Args:
            member: index into M.
            generator: the member's own stream.
            used: shape (V,), the levels that the member has.

        Returns:
            Shape (q * size,), the features that it has: of columns of which it has levels.
        """
        drawn = generator.standard_normal((int(used.sum()), self.size))
        self.vector[member, torch.from_numpy(used)] = torch.from_numpy(drawn).to(self.vector)
        columns = np.split(used, np.cumsum(self._levels)[:-1])
        return np.repeat([column.any() for column in columns], self.size)

    def forward(self, codes: Tensor) -> Tensor:
        """Look levels up.

        Shape:
            codes: (M, B, q), whole numbers from 0 to V, V for no known level → (M, B, q * size).
        """
        members, count, _ = self.vector.shape
        place = codes.long()
        first = torch.arange(0, members * count, count, device=codes.device).view(-1, 1, 1)
        rows = (place.clamp(max=count - 1) + first).flatten()
        found = self.vector.flatten(0, 1).index_select(0, rows).view(*codes.shape, self.size)
        return (found * (place < count).unsqueeze(3)).flatten(2)
