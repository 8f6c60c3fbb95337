"""The multilayer perceptron, and without hidden layers the linear model."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from kaggleprice.models.features import FeatureNetwork
from kaggleprice.models.layers import MemberBatchNorm
from kaggleprice.settings.model import Inputs, ModelSettings


class MemberMLP(FeatureNetwork):
    """Linear → batch norm → activation → dropout for each hidden layer, then a linear layer."""

    def __init__(
        self, starts: Sequence[int], inputs: Inputs, each: Sequence[ModelSettings]
    ) -> None:
        super().__init__(starts, inputs, each)
        settings = self._settings
        hidden, pieces = settings.hidden, settings.pieces
        outputs = [*(pieces * units for units in hidden), 1]
        self.linears = nn.ModuleList(
            self._linear(i, o, first=layer == 0)
            for layer, (i, o) in enumerate(zip([self.width, *hidden], outputs, strict=True))
        )
        self.norms = nn.ModuleList(
            MemberBatchNorm(self.members, pieces * units) for units in hidden if settings.batch_norm
        )
        self.activations = nn.ModuleList(self._activation(pieces) for _ in hidden)
        self._add_dropouts(hidden)

    def forward(self, x: Tensor, noise: Tensor | None, rows_used: Tensor | None) -> Tensor:
        """Map features to one output per row; shapes as in `MemberNetwork.forward`."""
        first, *others = self.linears
        x = self._enter(x, first)
        for layer, (linear, own) in enumerate(zip(others, self._split_noise(noise), strict=True)):
            x = self.norms[layer](x, rows_used) if self.norms else x
            x = self.dropouts[layer](self.activations[layer](x), own)
            x = linear(x)
        return x.squeeze(2)
