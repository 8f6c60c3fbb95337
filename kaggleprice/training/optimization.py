"""Losses, schedules of the learning rate, and optimizers, which are those of `torch.optim`."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.optim import Optimizer


def squared_error(output: Tensor, target: Tensor) -> Tensor:
    """Squared error; its gradient is that of `torch.nn.MSELoss`."""
    return functional.mse_loss(output, target, reduction="none")


def absolute_error(output: Tensor, target: Tensor) -> Tensor:
    """Absolute error."""
    return functional.l1_loss(output, target, reduction="none")


def huber(output: Tensor, target: Tensor) -> Tensor:
    """Huber loss with a bend at 1 (Huber 1964)."""
    return functional.huber_loss(output, target, reduction="none")


_WARM_UP = 0.1


def constant(t: float) -> float:
    """Return 1 throughout."""
    return 1.0


def cosine(t: float) -> float:
    """Fall from 1 to 0 along half a cosine (Loshchilov and Hutter 2017, without restarts)."""
    return 0.5 * (1.0 + math.cos(math.pi * t))


def onecycle(t: float) -> float:
    """Rise from 0.04 to 1 over the first tenth, then fall to 0 (after Smith and Topin 2018)."""
    if t < _WARM_UP:
        return 0.04 + 0.96 * 0.5 * (1.0 - math.cos(math.pi * t / _WARM_UP))
    return cosine((t - _WARM_UP) / (1.0 - _WARM_UP))


def _optimizer(
    kind: Callable[..., Optimizer], fused_on: Collection[str], **options: Any
) -> Callable[[list[dict[str, Any]], float], Optimizer]:
    """Return what makes an optimizer of groups of parameters and a learning rate.

    Args:
        kind: of optimizer.
        fused_on: the devices where torch has one fused call for all parameters.
        options: of the optimizer.
    """

    def make(groups: list[dict[str, Any]], lr: float) -> Optimizer:
        fused = groups[0]["params"][0].device.type in fused_on
        return kind(groups, lr=lr, **options, **{"fused" if fused else "foreach": True})

    return make


_ALL = ("cpu", "cuda", "mps")
sgd = _optimizer(torch.optim.SGD, _ALL)
momentum = _optimizer(torch.optim.SGD, _ALL, momentum=0.9)
nesterov = _optimizer(torch.optim.SGD, _ALL, momentum=0.9, nesterov=True)
adagrad = _optimizer(torch.optim.Adagrad, ("cpu",))
adadelta = _optimizer(torch.optim.Adadelta, ())
rmsprop = _optimizer(torch.optim.RMSprop, ())
adam = _optimizer(torch.optim.Adam, _ALL)
adamw = _optimizer(torch.optim.AdamW, _ALL)
