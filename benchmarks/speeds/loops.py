"""Loops that somebody writes with plain torch: one network after the other.

Both train the same networks as kaggleprice, for as many epochs and with the same batch size, each
on the features that its own fold has.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from kaggleprice.evaluation.cross_validation import PreparedRun
from kaggleprice.settings.model import ACTIVATIONS, Inputs, ModelSettings
from kaggleprice.settings.training import TrainingSettings


class Front(nn.Module):
    """What a network makes of its features before the first layer.

    Numbers are bounded softly and embedded as cosines, all features scaled: as far as the
    settings say so.

    Shape:
        x: (B, width), numbers first → (B, width + numbers * frequencies).
    """

    def __init__(self, inputs: Inputs, model: ModelSettings) -> None:
        super().__init__()
        self.numbers, self.bound = inputs.numbers, model.soft_bound
        embedded = model.embedding == "periodic" and inputs.numbers > 0
        shape = (inputs.numbers, model.frequencies if embedded else 0)
        self.frequency = nn.Parameter(torch.randn(shape) * model.frequency_scale)
        self.phase = nn.Parameter(torch.empty(shape).uniform_(-math.pi, math.pi))
        self.width = inputs.width + math.prod(shape)
        self.factor = nn.Parameter(torch.ones(self.width)) if model.feature_scales else None

    def forward(self, x: Tensor) -> Tensor:
        """Make what the first layer sees."""
        numbers, rest = x[:, : self.numbers], x[:, self.numbers :]
        bounded = numbers
        if self.bound is not None:
            bounded = numbers * torch.rsqrt(1 + (numbers / self.bound).square())
        parts = [bounded, rest]
        if self.frequency.numel():
            angle = 2 * math.pi * numbers.unsqueeze(2) * self.frequency + self.phase
            parts.append(angle.cos().flatten(1))
        made = torch.cat(parts, dim=1)
        return made if self.factor is None else made * self.factor


class NtkLinear(nn.Linear):
    """A linear layer in the neural tangent parametrization: weights larger, outputs scaled."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.scale = inputs**-0.5
        nn.init.normal_(self.weight, std=math.sqrt(2.0))
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer."""
        return torch.addmm(self.bias, x, self.weight.t(), alpha=self.scale)


class Activation(nn.Module):
    """A function of torch as a module."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.function: Callable[[Tensor], Tensor] = ACTIVATIONS[name].load()

    def forward(self, x: Tensor) -> Tensor:
        """Apply it."""
        return self.function(x)


def plain_network(model: ModelSettings, inputs: Inputs, start: int) -> nn.Sequential:
    """Return one random start's network of a multilayer perceptron's settings.

    Args:
        model: without batch norm, whose activations are functions without parameters.
        inputs: the features.
        start: counted from 0; says which activation and which dropout rates.
    """
    model = model.resolved
    bent = bool(model.soft_bound or model.feature_scales or model.embedding != "none")
    front = Front(inputs, model) if bent else None
    kind = NtkLinear if model.parametrization == "ntk" else nn.Linear
    widths = [inputs.width if front is None else front.width, *model.hidden]
    layers: list[nn.Module] = [] if front is None else [front]
    for (width, outputs), rate in zip(pairwise(widths), model.rates_of(start), strict=True):
        layers += [kind(width, outputs), Activation(model.activation_of(start))]
        layers += [nn.Dropout(rate)] if rate else []
    return nn.Sequential(*layers, kind(widths[-1], 1))


@dataclass(frozen=True)
class Lone:
    """One network and its training rows.

    Attributes:
        network: on the CPU.
        features: shape (n, D), float32.
        target: shape (n, 1), float32, standardized.
        training: learning rate, batch size and weight decay.
    """

    network: nn.Sequential
    features: Tensor
    target: Tensor
    training: TrainingSettings


def lone_members(problem: PreparedRun) -> list[Lone]:
    """Return a problem's members one by one, by fold, each with the features of its fold."""
    model, found, data = problem.task.settings.model, [], {}
    frame = problem.engineered().train.features
    for member in sorted(problem.task.members):
        recipe = problem.task.encoding.recipes[member.fold]
        if member.fold not in data:
            rows, _ = problem.task.folds[member.fold]
            features = recipe.transform(frame.loc[rows], np.float32)
            target = problem.task.target[rows]
            target = (target - target.mean()) / target.std()
            data[member.fold] = (
                torch.from_numpy(np.ascontiguousarray(features)),
                torch.from_numpy(target.astype(np.float32)[:, None]),
            )
        numbers = sum(feature.kind == "numeric" for feature in recipe.features)
        network = plain_network(model, Inputs(len(recipe.features), numbers), member.seed)
        found.append(Lone(network, *data[member.fold], problem.task.settings.training))
    return found


def book_loop(lone: Lone, epochs: int) -> None:
    """Train as the book does: a `DataLoader` that shuffles, and the optimizer as it comes."""
    training = lone.training
    loader = DataLoader(
        TensorDataset(lone.features, lone.target), batch_size=training.batch_size, shuffle=True
    )
    optimizer = torch.optim.AdamW(
        lone.network.parameters(), lr=training.lr, weight_decay=training.weight_decay
    )
    _descend(lone.network, optimizer, epochs, lambda: iter(loader))


def plain_loop(lone: Lone, epochs: int) -> None:
    """Train with the rows' order as an index into the tensors, and the fused optimizer."""
    training = lone.training
    optimizer = torch.optim.AdamW(
        lone.network.parameters(), lr=training.lr, weight_decay=training.weight_decay, fused=True
    )

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(lone.features))
        for rows in torch.split(order, training.batch_size):
            yield lone.features[rows], lone.target[rows]

    _descend(lone.network, optimizer, epochs, batches)


def _descend(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    epochs: int,
    batches: Callable[[], Iterator[tuple[Tensor, Tensor]]],
) -> None:
    loss = nn.MSELoss()
    network.train()
    for _ in range(epochs):
        for x, y in batches():
            optimizer.zero_grad()
            loss(network(x), y).backward()
            optimizer.step()
