"""What architectures share: features made ready for a first layer, and layers drawn in order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kaggleprice.models.embeddings import MemberEmbedding, MemberVectors
from kaggleprice.models.layers import MemberActivation, MemberDropout, MemberLinear, MemberScale
from kaggleprice.models.networks import MemberNetwork
from kaggleprice.settings.model import EMBEDDINGS, INITIALIZATIONS, Inputs, ModelSettings


class FeatureNetwork(MemberNetwork):
    """Numbers bounded and embedded, levels embedded, then features scaled: a first layer's inputs.

    An architecture registers its layers in the order in which they are drawn; the first
    `MemberLinear` of them takes the features.

    Attributes:
        width: features that the first layer takes.
        dropouts: of the hidden layers, where an architecture has asked for them.
    """

    dropouts: nn.ModuleList

    def __init__(
        self, starts: Sequence[int], inputs: Inputs, each: Sequence[ModelSettings]
    ) -> None:
        """Make the front layers.

        Args:
            starts: shape (M,), which random start of its fold each member is, counted from 0.
            inputs: the features.
            each: shape (M,), each member's settings, all of one `ModelSettings.shape`.
        """
        super().__init__()
        settings = each[0]
        self.members, self._numbers = len(starts), inputs.numbers
        # What all members have in common is that of the first.
        self._starts, self._each, self._settings = starts, each, settings
        name = settings.embedding if inputs.numbers else "none"
        kind: type[MemberEmbedding] = EMBEDDINGS[name].load()
        self.embedding = kind(self.members, inputs.numbers, each)
        self.width = inputs.dense + inputs.numbers * self.embedding.outputs
        self._dense, self.vectors = inputs.dense, None
        if inputs.vectors and settings.category_embedding is not None:
            size = settings.category_embedding
            self.vectors = MemberVectors(self.members, inputs.vectors, size)
            self.width += len(inputs.vectors) * size
        learned = settings.feature_scales
        self.scale = (
            MemberScale(self.members, self.width, learned=learned)
            if learned or self.embedding.outputs or self.vectors is not None
            else None
        )
        # Whether something is learned that the gradient of the features has to reach.
        self._learned_below = learned or self.embedding.outputs > 0 or self.vectors is not None

    def _linear(self, inputs: int, outputs: int, *, first: bool = False) -> MemberLinear:
        ntk = self._settings.parametrization == "ntk"
        return MemberLinear(self.members, inputs, outputs, ntk=ntk, full=not first)

    def _activation(self, pieces: int) -> MemberActivation:
        """Return an activation of so many values for each unit: `settings.pieces`, or 1."""
        pairs = zip(self._each, self._starts, strict=True)
        names = [own.activation_of(start) for own, start in pairs]
        return MemberActivation(names, pieces)

    def _add_dropouts(self, widths: Sequence[int]) -> None:
        """Drop values behind each hidden layer: so many of a row, by the settings' rates."""
        rates = [own.rates_of(s) for own, s in zip(self._each, self._starts, strict=True)]
        self.dropouts = nn.ModuleList(
            MemberDropout([member[layer] for member in rates]) for layer in range(len(widths))
        )
        # What any random start needs, so that a member's numbers do not depend on the others.
        drops = self._settings.drops
        self._noise_widths = [width * drops[layer] for layer, width in enumerate(widths)]
        self.noise_width = sum(self._noise_widths)

    def _split_noise(self, noise: Tensor | None) -> list[Tensor | None]:
        """Return each hidden layer's random numbers; None for a layer that drops nothing."""
        if noise is None:
            return [None] * len(self._noise_widths)
        parts = torch.split(noise, self._noise_widths, dim=2)
        return [part if part.shape[2] else None for part in parts]

    def _features(self, x: Tensor) -> Tensor:
        """Return what the first layer takes; (M, B, D) → (M, B, width)."""
        x = self._embed(x)
        return x if self.scale is None else self.scale(x)

    def _enter(self, x: Tensor, first: nn.Module) -> Tensor:
        """Apply the first layer to the features of rows of shape (M, B, D)."""
        if self.scale is not None and isinstance(first, MemberLinear) and first.ntk:
            # One pass over the features instead of two, for both their factors.
            return first.forward(self.scale(self._embed(x), first.scale), scaled=True)
        entered: Tensor = first(self._features(x))
        return entered

    def _embed(self, x: Tensor) -> Tensor:
        """Bound the numbers, and append what embeddings make of them and of levels."""
        bound, codes = self._settings.soft_bound, x[:, :, self._dense :]
        x = x[:, :, : self._dense]
        parts = [x]
        numbers, rest = x[:, :, : self._numbers], x[:, :, self._numbers :]
        if bound is not None:
            bounded = numbers * torch.rsqrt(1 + (numbers / bound).square())
            parts = [bounded, rest]
        if self.embedding.outputs:
            parts.append(self.embedding(numbers))
        if self.vectors is not None:
            parts.append(self.vectors(codes))
        return torch.cat(parts, dim=2) if len(parts) > 1 else x

    def _layers(self) -> dict[str, MemberLinear]:
        """Return the layers that have a matrix of weights, by name, in order."""
        return {n: layer for n, layer in self.named_modules() if isinstance(layer, MemberLinear)}

    def initialize(
        self, generators: Sequence[np.random.Generator], used: NDArray[np.bool_]
    ) -> None:
        """Draw layer after layer from each member's own generator."""
        deviation = INITIALIZATIONS[self._settings.init].load()
        for member, generator in enumerate(generators):
            numbers = used[member, : self._numbers]
            self.embedding.initialize(member, generator, numbers)
            embedded = np.repeat(numbers, self.embedding.outputs)
            inputs = np.concatenate([used[member, : self._dense], embedded])
            if self.vectors is not None:
                own = self.vectors.initialize(member, generator, used[member, self._dense :])
                inputs = np.concatenate([inputs, own])
            if self.scale is not None:
                self.scale.initialize(member, inputs)
            for place, layer in enumerate(self._layers().values()):
                own = np.ones(layer.weight.shape[1], dtype=bool) if place else inputs
                layer.initialize(member, generator, deviation, own)

    @property
    def learns(self) -> bool:
        """Whether the embedding has something to learn."""
        return self.embedding.learns

    def learn(self, member: int, x: Tensor) -> None:
        """Let the embedding learn from one member's numbers."""
        self.embedding.learn(member, x[:, : self._numbers].double().cpu().numpy())

    def operations(self) -> int:
        """Count 2 operations per weight, three times; no gradient of the data themselves."""
        sizes = [layer.times * layer.weight[0].numel() for layer in self._layers().values()]
        return 6 * sum(sizes) - (0 if self._learned_below else 2 * sizes[0])

    def decayed_parameters(self) -> list[str]:
        """Return the weight matrices: all else is left alone."""
        return [f"{name}.weight" for name in self._layers()]
