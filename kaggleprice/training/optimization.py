"""Optimizers: those of `torch.optim`, on one parameter per member.

Each member's slice of a batched parameter is a parameter of its own to the optimizer, with its
own state and step count. So whatever the optimizer is, a member is trained exactly as if it
were alone, and one without a gradient takes no step.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
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


Groups = list[dict[str, Any]]


def _kernel(groups: Groups, fused_on: Iterable[str]) -> dict[str, Any]:
    """Choose one call for all members: fused where torch has it on this device, else foreach."""
    device = groups[0]["params"][0].device.type
    return {"fused": True} if device in fused_on else {"foreach": True}


def sgd(groups: Groups, lr: float) -> Optimizer:
    """Plain stochastic gradient descent."""
    return torch.optim.SGD(groups, lr=lr, **_kernel(groups, ("cpu", "cuda", "mps")))


def momentum(groups: Groups, lr: float) -> Optimizer:
    """Heavy-ball momentum of 0.9."""
    return torch.optim.SGD(groups, lr=lr, momentum=0.9, **_kernel(groups, ("cpu", "cuda", "mps")))


def nesterov(groups: Groups, lr: float) -> Optimizer:
    """Nesterov momentum of 0.9."""
    kernel = _kernel(groups, ("cpu", "cuda", "mps"))
    return torch.optim.SGD(groups, lr=lr, momentum=0.9, nesterov=True, **kernel)


def adagrad(groups: Groups, lr: float) -> Optimizer:
    """Adagrad."""
    return torch.optim.Adagrad(groups, lr=lr, **_kernel(groups, ("cpu",)))


def adadelta(groups: Groups, lr: float) -> Optimizer:
    """Adadelta."""
    return torch.optim.Adadelta(groups, lr=lr, foreach=True)


def rmsprop(groups: Groups, lr: float) -> Optimizer:
    """RMSprop."""
    return torch.optim.RMSprop(groups, lr=lr, foreach=True)


def adam(groups: Groups, lr: float) -> Optimizer:
    """Adam; weight decay is added to the gradient."""
    return torch.optim.Adam(groups, lr=lr, **_kernel(groups, ("cpu", "cuda", "mps")))


def adamw(groups: Groups, lr: float) -> Optimizer:
    """Adam with decoupled weight decay."""
    return torch.optim.AdamW(groups, lr=lr, **_kernel(groups, ("cpu", "cuda", "mps")))
