"""Submodels that share their weights within one member.

Gorishniy et al. 2024, "TabM: Advancing Tabular Deep Learning with Parameter-Efficient Ensembling",
after BatchEnsemble (Wen et al. 2020). Throughout: S submodels of each member.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kaggleprice.models.features import FeatureNetwork
from kaggleprice.models.initialization import Deviation
from kaggleprice.models.layers import MemberBatchNorm, MemberLinear
from kaggleprice.settings.model import Inputs, ModelSettings


class MemberSharedLinear(MemberLinear):
    """`y[m, s] = scale[m] * after[m, s] * ((before[m, s] * x[m, s]) @ weight[m]) + bias[m, s]`.

    The adapters `before` and `after` make each submodel's matrix differ from the shared one by a
    factor of rank one. They begin as 1; but `before` of the first layer as 1 or -1, which is what
    makes submodels differ.

    Shape:
        x: (M, B, S, inputs) → (M, B, S, outputs); weight: (M, inputs, outputs);
        before: (M, 1, S, inputs); after, bias: (M, 1, S, outputs).
    """

    def __init__(
        self, members: int, inputs: int, outputs: int, submodels: int, *, ntk: bool, first: bool
    ) -> None:
        super().__init__(members, inputs, outputs, ntk=ntk, full=not first)
        self.times, self._first = submodels, first
        self.before = nn.Parameter(torch.ones(members, 1, submodels, inputs))
        self.after = nn.Parameter(torch.ones(members, 1, submodels, outputs))
        self.bias = nn.Parameter(torch.zeros(members, 1, submodels, outputs))

    @torch.no_grad()
    def initialize(
        self,
        member: int,
        generator: np.random.Generator,
        deviation: Deviation,
        used: NDArray[np.bool_],
    ) -> None:
        """Draw one member's weights, and in the first layer the signs of its used inputs."""
        super().initialize(member, generator, deviation, used)
        if self._first:
            signs = np.ones(self.before.shape[2:])
            signs[:, used] = generator.integers(0, 2, (len(signs), int(used.sum()))) * 2 - 1
            self.before[member, 0] = torch.from_numpy(signs).to(self.before)

    def forward(self, x: Tensor, *, scaled: bool = False) -> Tensor:
        """Apply every submodel's own layer; x may lack S, where all submodels share it.

        Args:
            x: as in the class, or (M, B, 1, inputs).
            scaled: whether x is multiplied by `scale` already.
        """
        own = x * self.before
        product = torch.bmm(own.flatten(1, 2), self.weight).view(*own.shape[:3], -1)
        after = self.after if scaled else self.after * self.scale.unsqueeze(3)
        return torch.addcmul(self.bias, product, after)


class MemberTabM(FeatureNetwork):
    """A multilayer perceptron of shared layers; each submodel has a last layer of its own."""

    def __init__(
        self, starts: Sequence[int], inputs: Inputs, each: Sequence[ModelSettings]
    ) -> None:
        super().__init__(starts, inputs, each)
        settings = self._settings
        hidden, pieces, s = settings.hidden, settings.pieces, settings.submodels
        self._submodels = s
        # The adapters below the first weights are learned.
        self._learned_below = True
        self.linears = nn.ModuleList(
            MemberSharedLinear(
                self.members,
                i,
                pieces * units,
                s,
                ntk=settings.parametrization == "ntk",
                first=layer == 0,
            )
            for layer, (i, units) in enumerate(zip([self.width, *hidden], hidden, strict=False))
        )
        # One column for each submodel, applied to that submodel alone.
        self.exit = self._linear([self.width, *hidden][-1], s, first=not hidden)
        self.norms = nn.ModuleList(
            MemberBatchNorm(self.members, s * pieces * units)
            for units in hidden
            if settings.batch_norm
        )
        self.activations = nn.ModuleList(self._activation(pieces) for _ in hidden)
        self._add_dropouts([s * units for units in hidden])

    def forward(self, x: Tensor, noise: Tensor | None, rows_used: Tensor | None) -> Tensor:
        """Map features to one output per row, in training to S; as in `MemberNetwork.forward`."""
        x = self._features(x).unsqueeze(2)
        for layer, own in enumerate(self._split_noise(noise)):
            x = self.linears[layer](x)
            if self.norms:
                x = self.norms[layer](x.flatten(2), rows_used).view_as(x)
            x = self.activations[layer](x.flatten(1, 2)).unflatten(1, x.shape[1:3])
            x = self.dropouts[layer](x.flatten(2), own).view_as(x)
        weight = self.exit.weight.mT.unsqueeze(1) * self.exit.scale.unsqueeze(3)
        output = (x * weight).sum(dim=3) + self.exit.bias
        return output if self.training else output.mean(dim=2)
