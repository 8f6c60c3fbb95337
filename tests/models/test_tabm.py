"""Submodels of shared weights, against one plain network for each of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from plain_networks import Plain, check, dropped
from torch import Tensor, nn

from kaggleprice.models.networks import build_network
from kaggleprice.settings.model import Inputs, ModelSettings

S, HIDDEN, RATES = 4, (6, 5), (0.5, 0.25)


def submodel(layer: Any, member: int, s: int) -> tuple[Tensor, Tensor]:
    """Return a submodel's own weights and bias: the shared ones times an outer product."""
    rank_one = torch.outer(layer.after[member, 0, s], layer.before[member, 0, s])
    weight = layer.weight[member].T * rank_one * layer.scale[member]
    return weight, layer.bias[member, 0, s]


def plain_tabm(network: Any, member: int) -> Plain:
    def forward(x: Tensor, noise: list[Tensor | None], training: bool) -> Tensor:
        made = []
        for s in range(S):
            y = x
            for layer, units in enumerate(HIDDEN):
                own = noise[layer]
                own = None if own is None else own[:, s * units : (s + 1) * units]
                y = torch.tanh(
                    nn.functional.linear(y, *submodel(network.linears[layer], member, s))
                )
                y = dropped(y, own, RATES[layer])
            head = network.exit.weight[member, :, s] * network.exit.scale[member, 0, 0]
            made.append(y @ head + network.exit.bias[member, 0, s])
        found = torch.stack(made, dim=1)
        return found if training else found.mean(dim=1)

    return forward


@pytest.mark.parametrize("parametrization", ["ntk", "standard"])
@pytest.mark.parametrize("embedding", ["periodic", "none"])
def test_submodels_are_networks_of_their_own(parametrization: str, embedding: str) -> None:
    settings = ModelSettings(
        model="tabm",
        submodels=S,
        hidden=HIDDEN,
        activation=("tanh",),
        dropout=(RATES,),
        parametrization=parametrization,
        embedding=embedding,
    )
    check(settings, plain_tabm)


def test_submodels_begin_with_signs_of_the_features_that_a_member_has() -> None:
    """They differ in nothing else, and features that are not there take no random numbers."""
    settings = ModelSettings(model="tabm", submodels=16, hidden=HIDDEN, embedding="none")
    used = np.array([[True] * 40 + [False] * 20])
    networks: list[Any] = []
    for own in (used, used[:, :40]):
        network = build_network(settings, [0], Inputs(own.shape[1], 4), torch.float64)
        network.initialize([np.random.default_rng(0)], own)
        networks.append(network)
    first, second = networks[0].linears
    signs = first.before[0, 0, :, :40]
    assert set(signs.flatten().tolist()) == {-1.0, 1.0}
    assert abs(signs.mean().item()) < 0.15
    assert len(torch.unique(signs, dim=0)) == 16
    for ones in (first.after, second.before, second.after, first.before[..., 40:]):
        assert torch.equal(ones, torch.ones_like(ones))
    tight = networks[1].linears[0]
    assert torch.equal(signs, tight.before[0, 0])
    assert torch.equal(first.weight[0, :40], tight.weight[0])
    assert torch.equal(networks[0].exit.weight, networks[1].exit.weight)
