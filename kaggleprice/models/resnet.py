"""The residual network for tables.

Gorishniy et al. 2021, "Revisiting Deep Learning Models for Tabular Data".
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from kaggleprice.models.features import FeatureNetwork
from kaggleprice.models.layers import MemberBatchNorm
from kaggleprice.settings.model import Inputs, ModelSettings


class MemberResNet(FeatureNetwork):
    """A stream of features to which each block adds: x + linear(dropout(act(linear(norm(x))))).

    A linear layer makes the stream, as wide as the first block's hidden layer, and linear(act(
    norm(x))) ends it. Of the paper's two dropouts this is the one inside a block.
    """

    def __init__(
        self, starts: Sequence[int], inputs: Inputs, each: Sequence[ModelSettings]
    ) -> None:
        super().__init__(starts, inputs, each)
        settings = self._settings
        hidden, pieces = settings.hidden, settings.pieces
        width = hidden[0]
        self.entrance = self._linear(self.width, width, first=True)
        self.ups = nn.ModuleList(self._linear(width, pieces * units) for units in hidden)
        self.downs = nn.ModuleList(self._linear(units, width) for units in hidden)
        self.exit = self._linear(width, 1)
        self.norms = nn.ModuleList(MemberBatchNorm(self.members, width) for _ in [*hidden, 1])
        # The stream has no pieces: maxout leaves it as it is.
        self.activations = nn.ModuleList(self._activation(pieces) for _ in hidden)
        self.activations.append(self._activation(1))
        self._add_dropouts(hidden)

    def forward(self, x: Tensor, noise: Tensor | None, rows_used: Tensor | None) -> Tensor:
        """Map features to one output per row; shapes as in `MemberNetwork.forward`."""
        x = self._enter(x, self.entrance)
        for block, own in enumerate(self._split_noise(noise)):
            y = self.ups[block](self.norms[block](x, rows_used))
            y = self.dropouts[block](self.activations[block](y), own)
            x = x + self.downs[block](y)
        output: Tensor = self.exit(self.activations[-1](self.norms[-1](x, rows_used)))
        return output.squeeze(2)
