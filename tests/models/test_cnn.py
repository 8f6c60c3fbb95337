"""Convolutions over columns, against `torch.nn` for each member."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from plain_networks import Plain, batch_norm, check, dropped, linear
from torch import Tensor, nn

from kaggleprice.models.networks import build_network
from kaggleprice.settings.declaration import ConflictError
from kaggleprice.settings.model import Inputs, ModelSettings

CNN = ModelSettings(
    model="cnn",
    channels=(3, 4, 6),
    length=12,
    hidden=(7, 5),
    activation=("relu",),
    dropout=((0.5, 0.25),),
    batch_norm=True,
)


def convolution(layer: Any, member: int, **how: Any) -> nn.Conv1d:
    """Return one member's convolution."""
    weight = layer.weight[member] * layer.scale[member]
    inputs, outputs = len(weight) // how["kernel_size"], weight.shape[1]
    made = nn.Conv1d(inputs, outputs, **how, dtype=torch.float64)
    # The input channels of a place stand together.
    made.weight = nn.Parameter(weight.view(-1, inputs, outputs).permute(2, 1, 0))
    made.bias = nn.Parameter(layer.bias[member, 0])
    return made


# Of maxout the larger of two feature maps, or of two units.
ACTIVATIONS = {
    "relu": nn.functional.relu,
    "sigmoid": torch.sigmoid,
    "maxout": lambda x: torch.maximum(*x.chunk(2, dim=1)),
}


def plain_cnn(settings: ModelSettings) -> Any:
    pools = {"max": nn.MaxPool1d(2), "average": nn.AvgPool1d(2), None: nn.Identity()}
    activation = ACTIVATIONS[settings.activation[0]]
    lists = (settings.kernel, settings.stride, settings.padding)
    each = [value * 2 if len(value) == 1 else value for value in lists]
    rates = settings.dropout[0] * 2

    def plain(network: Any, member: int) -> Plain:
        norms = [batch_norm(norm, member) for norm in network.norms] or [nn.Identity()] * 4
        convolutions = [
            convolution(layer, member, kernel_size=kernel, stride=stride, padding=padding)
            for layer, kernel, stride, padding in zip(network.convolutions, *each, strict=True)
        ]

        def forward(x: Tensor, noise: list[Tensor | None], training: bool) -> Tensor:
            for norm in norms:
                norm.train(training)
            x = linear(network.entrance, member, x).view(len(x), -1, settings.channels[0]).mT
            for conv, norm in zip(convolutions, norms[:2], strict=True):
                x = pools[settings.pooling](activation(norm(conv(x))))
            x = x.mT.flatten(1)
            for layer, (own, rate) in enumerate(zip(noise, rates, strict=False)):
                x = activation(norms[2 + layer](linear(network.linears[layer], member, x)))
                x = dropped(x, own, rate)
            return linear(network.exit, member, x)[:, 0]

        return forward

    return plain


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"pooling": "average"},
        {"activation": ("maxout",)},
        {"pooling": None, "batch_norm": False},
        {"kernel": (5, 1), "padding": (2, 0)},
        {"kernel": (4,), "stride": (2, 1), "pooling": None, "parametrization": "standard"},
    ],
    ids=str,
)
def test_convolutions_are_torchs(changes: dict[str, Any]) -> None:
    settings = replace(CNN, **changes)
    check(settings, plain_cnn(settings))


def test_lenet_is_as_published_in_one_dimension() -> None:
    lenet = ModelSettings(model="lenet")
    check(lenet, plain_cnn(lenet.resolved))
    network: Any = build_network(lenet, [0], Inputs(30, 10), torch.float32)
    assert [layer.weight.shape[1:] for layer in network._layers().values()][1:] == [
        (5, 6),
        (6 * 5, 16),
        (16 * 5, 120),
        (120, 84),
        (84, 1),
    ]
    assert [(shape.length, shape.pooled) for shape in lenet.resolved.convolutions] == [
        (28, 14),
        (10, 5),
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kernel": (3, 3, 3)}, "kernel takes one number, or one per convolution (2); found 3"),
        ({"length": 3}, "convolution 2 of 2 leaves nothing of a length of 3"),
        ({"kernel": (20,)}, "convolution 1 of 2 leaves nothing of a length of 12"),
    ],
)
def test_convolutions_that_leave_nothing_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConflictError, match=re.escape(words)):
        replace(CNN, **changes)
    # They say nothing of other models.
    replace(CNN, **changes, model="mlp")
