"""One member's network in plain torch, against the member among others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from kaggleprice.models.features import FeatureNetwork
from kaggleprice.models.networks import build_network
from kaggleprice.settings.model import Inputs, ModelSettings

M, B, D, P = 3, 12, 9, 5
# From features (B, width), the layers' random numbers and whether it is training, to outputs.
Plain = Callable[[Tensor, "list[Tensor | None]", bool], Tensor]


def linear(layer: Any, member: int, x: Tensor) -> Tensor:
    """Apply one member's layer as torch does."""
    weight = (layer.weight[member] * layer.scale[member]).T
    return nn.functional.linear(x, weight, layer.bias[member, 0])


def dropped(x: Tensor, noise: Tensor | None, rate: float) -> Tensor:
    """Drop what the random numbers say."""
    if noise is None:
        return x
    lowest = round(rate * 2**16)
    return x * (noise.long() + 2**15 >= lowest) / (1 - lowest / 2**16)


def batch_norm(layer: Any, member: int) -> nn.BatchNorm1d:
    """Return one member's batch normalization, with its state."""
    norm = nn.BatchNorm1d(layer.weight.shape[2], dtype=torch.float64)
    with torch.no_grad():
        for name in ("weight", "bias", "running_mean", "running_var"):
            getattr(norm, name).copy_(getattr(layer, name)[member, 0])
    return norm


def check(settings: ModelSettings, plain: Callable[[Any, int], Plain]) -> None:
    """Compare outputs, and the gradient of the features, in training and outside of it.

    Args:
        settings: of a network.
        plain: makes one of a network and a member.
    """
    network: Any = build_network(settings, range(M), Inputs(D, P), torch.float64)
    assert isinstance(network, FeatureNetwork)
    used = np.ones((M, D), dtype=bool)
    used[1, 3] = False
    network.initialize([np.random.default_rng(m) for m in range(M)], used)
    torch.manual_seed(0)
    with torch.no_grad():
        # Whatever starts at 0 or 1 does not stay there.
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    noise = torch.randint(-(2**15), 2**15, (M, B, network.noise_width)).to(torch.int16)
    for training in (True, False):
        network.train(training)
        x = torch.randn(M, B, D, dtype=torch.float64, requires_grad=True)
        references = [plain(network, m) for m in range(M)]
        output = network(x, noise if training else None, None)
        (gradient,) = torch.autograd.grad(output.square().sum(), x)
        for m, reference in enumerate(references):
            features = network._features(x)[m]
            parts = network._split_noise(noise if training else None)
            expected = reference(features, [p if p is None else p[m] for p in parts], training)
            torch.testing.assert_close(output[m], expected)
            (own,) = torch.autograd.grad(expected.square().sum(), x, retain_graph=True)
            torch.testing.assert_close(gradient[m], own[m])
