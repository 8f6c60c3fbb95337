"""The residual network, against plain torch."""

from __future__ import annotations

from typing import Any

import pytest
from plain_networks import Plain, batch_norm, check, dropped, linear
from torch import Tensor, nn

from kaggleprice.core.errors import UsageError
from kaggleprice.settings.model import ModelSettings

HIDDEN, RATES = (6, 4), (0.5, 0.25)


def plain_resnet(network: Any, member: int) -> Plain:
    norms = [batch_norm(norm, member) for norm in network.norms]

    def forward(x: Tensor, noise: list[Tensor | None], training: bool) -> Tensor:
        x = linear(network.entrance, member, x)
        for block, (norm, own) in enumerate(zip(norms, noise, strict=False)):
            y = nn.functional.relu(linear(network.ups[block], member, norm.train(training)(x)))
            x = x + linear(network.downs[block], member, dropped(y, own, RATES[block]))
        return linear(network.exit, member, nn.functional.relu(norms[-1].train(training)(x)))[:, 0]

    return forward


@pytest.mark.parametrize("parametrization", ["ntk", "standard"])
def test_resnet_is_the_papers(parametrization: str) -> None:
    check(
        ModelSettings(
            model="resnet",
            hidden=HIDDEN,
            activation=("relu",),
            dropout=(RATES,),
            parametrization=parametrization,
        ),
        plain_resnet,
    )


def test_resnet_without_blocks_is_refused() -> None:
    with pytest.raises(UsageError, match="--hidden"):
        ModelSettings(model="resnet", hidden=())
