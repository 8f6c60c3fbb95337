"""Layers whose parameters carry a leading member dimension.

Throughout: M members, B rows per member in a step, `rows_used` of shape (M, B, 1) marks the rows
that are real where members have unequal numbers of rows, None where all are.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kaggleprice.models.initialization import Deviation
from kaggleprice.settings.model import ACTIVATIONS


class MemberLinear(nn.Module):
    """`y[m] = scale[m] * x[m] @ weight[m] + bias[m]`.

    With `ntk`, the neural tangent parametrization (Jacot et al. 2018, as in RealMLP, Holzmüller
    et al. 2024), a layer of k inputs has scale k ** -0.5 and draws its weights as much larger, so
    that one learning rate suits layers of every width. Otherwise scale is 1.

    Shape:
        x: (M, B, inputs) → (M, B, outputs); weight: (M, inputs, outputs); bias: (M, 1, outputs);
        scale: (M, 1, 1).

    Attributes:
        times: how often a row's step multiplies by the weights.
    """

    scale: Tensor
    times: int = 1

    def __init__(
        self, members: int, inputs: int, outputs: int, *, ntk: bool = False, full: bool = False
    ) -> None:
        """Make a layer of zeros.

        Args:
            members: M.
            inputs: per row.
            outputs: per row.
            ntk: as in the class.
            full: whether all members use all inputs, and so have the same scale.
        """
        super().__init__()
        self.ntk, self.full = ntk, full
        self.weight = nn.Parameter(torch.zeros(members, inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(members, 1, outputs))
        self.register_buffer("scale", torch.ones(members, 1, 1))

    @torch.no_grad()
    def initialize(
        self,
        member: int,
        generator: np.random.Generator,
        deviation: Deviation,
        used: NDArray[np.bool_],
    ) -> None:
        """Draw one member's weights; inputs that the member does not use stay 0.

        Args:
            member: index into M.
            generator: the member's own stream; as many numbers are drawn as weights are used.
            deviation: (fan_in, fan_out) → standard deviation; fan_in counts used inputs only.
            used: shape (inputs,).
        """
        outputs = self.weight.shape[2]
        fan_in = max(int(used.sum()), 1)
        scale = fan_in**-0.5 if self.ntk else 1.0
        drawn = generator.standard_normal((int(used.sum()), outputs)) * deviation(fan_in, outputs)
        weight = np.zeros(self.weight.shape[1:])
        weight[used] = drawn / scale
        self.scale[member] = scale
        self.weight[member] = torch.from_numpy(weight).to(self.weight)

    def forward(self, x: Tensor, *, scaled: bool = False) -> Tensor:
        """Apply every member's own layer to its own rows.

        Args:
            x: as in the class.
            scaled: whether x is multiplied by `scale` already.
        """
        if scaled or not self.ntk:
            return torch.baddbmm(self.bias, x, self.weight)
        if self.full:
            return torch.baddbmm(self.bias, x, self.weight, alpha=x.shape[2] ** -0.5)
        return torch.addcmul(self.bias, torch.bmm(x, self.weight), self.scale)


class MemberBatchNorm(nn.Module):
    """Batch normalization over each member's own rows (Ioffe and Szegedy 2015).

    The same numbers as `torch.nn.BatchNorm1d` for each member alone. A member without rows in a
    step keeps its running statistics.

    Shape:
        x: (M, B, width) → the same; weight, bias, running_mean, running_var: (M, 1, width).
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, members: int, width: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.weight = nn.Parameter(torch.ones(members, 1, width))
        self.bias = nn.Parameter(torch.zeros(members, 1, width))
        self.register_buffer("running_mean", torch.zeros(members, 1, width))
        self.register_buffer("running_var", torch.ones(members, 1, width))

    def forward(self, x: Tensor, rows_used: Tensor | None) -> Tensor:
        """Normalize by the batch while training, by the running statistics otherwise."""
        if not self.training:
            return self._affine(x, self.running_mean, self.running_var)
        used = x.new_ones(x.shape[0], x.shape[1], 1) if rows_used is None else rows_used.to(x.dtype)
        count = used.sum(dim=1, keepdim=True)
        mean = (x * used).sum(dim=1, keepdim=True) / count.clamp(min=1)
        variance = ((x - mean).square() * used).sum(dim=1, keepdim=True) / count.clamp(min=1)
        self._update(mean.detach(), variance.detach(), count)
        return self._affine(x, mean, variance)

    def _affine(self, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        return (x - mean) * torch.rsqrt(variance + self.eps) * self.weight + self.bias

    @torch.no_grad()
    def _update(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        # Running variance is the unbiased one, which a single row does not have.
        rate = self.momentum * (count > 1).to(mean.dtype)
        unbiased = variance * count / (count - 1).clamp(min=1)
        self.running_mean += rate * (mean - self.running_mean)
        self.running_var += rate * (unbiased - self.running_var)


class MemberScale(nn.Module):
    """`x * factor`, one factor per member and feature: 0 for a feature that it does not have.

    Learned from 1 it is RealMLP's scaling layer (Holzmüller et al. 2024, section 3.2), a soft
    selection of features; otherwise it only keeps out what the member does not have.

    Shape:
        x: (M, B, width) → the same; factor: (M, 1, width).
    """

    factor: Tensor

    def __init__(self, members: int, width: int, *, learned: bool) -> None:
        super().__init__()
        if learned:
            self.factor = nn.Parameter(torch.ones(members, 1, width))
        else:
            self.register_buffer("factor", torch.ones(members, 1, width))

    @torch.no_grad()
    def initialize(self, member: int, used: NDArray[np.bool_]) -> None:
        """Keep out the features that a member does not have.

        With a factor and weights of 0 such a feature has no gradient either, and stays out.
        """
        self.factor[member, 0] = torch.from_numpy(used).to(self.factor)

    def forward(self, x: Tensor, by: Tensor | None = None) -> Tensor:
        """Scale every member's own features, and all of them by `by`, shape (M, 1, 1)."""
        return x * (self.factor if by is None else self.factor * by)


class MemberActivation(nn.Module):
    """Each member's own activation, applied to neighbours that share one at once.

    Parametric ones are `(1 - slope) * f(x) + slope * x` with one learned slope per member: with f
    the rectifier the slope is that below 0 (`prelu`, He et al. 2015), otherwise it is as in RealMLP
    (Holzmüller et al. 2024). `maxout` (Goodfellow et al. 2013) takes the larger of pieces that
    stand side by side; other activations beside it take the first piece.

    Shape:
        x: (M, B, pieces * width) → (M, B, width); slope: (M, 1, 1), where a member has one.
    """

    def __init__(self, names: Sequence[str], pieces: int = 1) -> None:
        super().__init__()
        groups = [(name, len(list(group))) for name, group in groupby(names)]
        self._counts, self._pieces = [count for _, count in groups], pieces
        self._entries = [ACTIVATIONS[name] for name, _ in groups]
        self._functions = [entry.load() for entry in self._entries]
        straight = [ACTIVATIONS[name].straight for name in names]
        if any(share is not None for share in straight):
            first = torch.tensor([share or 0.0 for share in straight])
            self.slope = nn.Parameter(first.view(-1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Apply every member's own activation."""
        parts, made, first = torch.split(x, self._counts), [], 0
        for entry, function, part in zip(self._entries, self._functions, parts, strict=True):
            pieces = part.chunk(self._pieces, dim=2)[: entry.pieces]
            # The larger of one piece is the piece.
            y = function(*pieces) if len(pieces) == entry.pieces else part
            if entry.straight is not None:
                slope = self.slope[first : first + len(part)]
                y = torch.addcmul(y, pieces[0] - y, slope)
            made.append(y)
            first += len(part)
        return torch.cat(made) if len(made) > 1 else made[0]


class MemberDropout(nn.Module):
    """Dropout whose random numbers are given, so that each member's are its own.

    Attributes:
        rates: per member, share of values set to 0, in steps of 2 ** -16 (the noise has 16 bits).

    Shape:
        x: (M, B, width) → the same; noise: int16 of the same shape, uniform over all values.
    """

    lowest: Tensor
    factor: Tensor

    def __init__(self, rates: Sequence[float]) -> None:
        super().__init__()
        dropped = torch.tensor([round(rate * 2**16) for rate in rates]).view(-1, 1, 1)
        self.rates = [int(count) / 2**16 for count in dropped]
        factor = 1.0 / (1.0 - dropped.double() / 2**16)
        self.register_buffer("lowest", (dropped - 2**15).to(torch.int16), persistent=False)
        self.register_buffer("factor", factor, persistent=False)

    def forward(self, x: Tensor, noise: Tensor | None) -> Tensor:
        """Drop and rescale while training; the identity otherwise."""
        if not self.training or noise is None:
            return x
        # Compared right into the type of x: torch multiplies unlike types slowly.
        kept = torch.ge(noise, self.lowest, out=torch.empty_like(x))
        return x * kept.mul_(self.factor)
