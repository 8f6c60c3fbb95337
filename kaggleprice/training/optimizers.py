"""Optimizers: those of `torch.optim`, on one parameter per member.

Each member's slice of a batched parameter is a parameter of its own to the optimizer, with its
own state and step count. So whatever the optimizer is, a member is trained exactly as if it
were alone, and one without a gradient takes no step.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch.optim import Optimizer

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
