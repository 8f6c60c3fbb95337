"""Convolutions over columns: all features, projected to a short sequence of some channels.

LeCun et al. 1998, "Gradient-Based Learning Applied to Document Recognition", in one dimension.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from kaggleprice.models.features import FeatureNetwork
from kaggleprice.models.layers import MemberBatchNorm, MemberLinear
from kaggleprice.settings.model import POOLINGS, Convolution, Inputs, ModelSettings


class MemberConvolution(MemberLinear):
    """A convolution: a linear layer of the windows under the kernel, all members' at once.

    A product, and not torch's convolution of M groups: as fast, and the same bytes each time on
    every device.

    Shape:
        x: (M, B, length, inputs) → (M, B, length after it, outputs); weight: (M, kernel * inputs,
        outputs); bias: (M, 1, outputs).
    """

    def __init__(self, members: int, shape: Convolution, outputs: int, *, ntk: bool) -> None:
        super().__init__(members, shape.kernel * shape.inputs, outputs, ntk=ntk, full=True)
        self.times, self._shape = shape.length, shape

    def forward(self, x: Tensor, *, scaled: bool = False) -> Tensor:
        """Convolve each member's own rows; `scaled` as in `MemberLinear.forward`."""
        shape, padding = self._shape, self._shape.padding
        padded = nn.functional.pad(x, (0, 0, padding, padding))
        span = shape.stride * (shape.length - 1) + 1
        under = [padded[:, :, k : k + span : shape.stride] for k in range(shape.kernel)]
        y = super().forward(torch.cat(under, dim=3).flatten(1, 2), scaled=scaled)
        return y.view(*x.shape[:2], shape.length, -1)


class MemberCNN(FeatureNetwork):
    """A linear projection to channels, convolutions with pooling, then a multilayer perceptron.

    Each convolution is followed by batch normalization where that is on, by the activation, and by
    pooling of neighbours two by two. Dropout is that of the dense layers.
    """

    def __init__(
        self, starts: Sequence[int], inputs: Inputs, each: Sequence[ModelSettings]
    ) -> None:
        super().__init__(starts, inputs, each)
        settings = self._settings
        pieces, hidden, self._shapes = settings.pieces, settings.hidden, settings.convolutions
        channels, length = settings.channels[0], settings.length
        self._first_shape = (length, channels)
        self.entrance = self._linear(self.width, channels * length, first=True)
        ntk = settings.parametrization == "ntk"
        self.convolutions = nn.ModuleList(
            MemberConvolution(self.members, shape, pieces * shape.outputs, ntk=ntk)
            for shape in self._shapes
        )
        flat = self._shapes[-1].outputs * self._shapes[-1].pooled
        widths = [flat, *hidden]
        self.linears = nn.ModuleList(
            self._linear(i, pieces * units) for i, units in zip(widths, hidden, strict=False)
        )
        self.exit = self._linear(widths[-1], 1)
        normed = [*(shape.outputs for shape in self._shapes), *hidden]
        self.norms = nn.ModuleList(
            MemberBatchNorm(self.members, pieces * units) for units in normed if settings.batch_norm
        )
        self.activations = nn.ModuleList(self._activation(pieces) for _ in normed)
        self._pool: Callable[..., Tensor] | None = (
            None if settings.pooling is None else POOLINGS[settings.pooling].load()
        )
        self._add_dropouts(hidden)

    def forward(self, x: Tensor, noise: Tensor | None, rows_used: Tensor | None) -> Tensor:
        """Map features to one output per row; shapes as in `MemberNetwork.forward`."""
        ends = x.shape[:2]
        x = self._enter(x, self.entrance).view(*ends, *self._first_shape)
        for layer, shape in enumerate(self._shapes):
            # Places are as good as rows to a normalization and an activation.
            x = self.convolutions[layer](x).flatten(1, 2)
            if self.norms:
                used = None if rows_used is None else rows_used.repeat_interleave(shape.length, 1)
                x = self.norms[layer](x, used)
            x = self.activations[layer](x).view(*ends, shape.length, shape.outputs)
            if self._pool is not None:
                pairs = x[:, :, : 2 * shape.pooled].view(*ends, shape.pooled, 2, shape.outputs)
                x = self._pool(pairs, dim=3)
        x = x.flatten(2)
        for layer, own in enumerate(self._split_noise(noise)):
            place = len(self._shapes) + layer
            x = self.linears[layer](x)
            x = self.norms[place](x, rows_used) if self.norms else x
            x = self.dropouts[layer](self.activations[place](x), own)
        output: Tensor = self.exit(x)
        return output.squeeze(2)
