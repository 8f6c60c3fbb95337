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


def huber(output: Tensor, target: Tensor, delta: float = 1.0) -> Tensor:
    """Half the squared error up to `delta`, then linear (Huber 1964).

    As in `torch.nn.HuberLoss`, it is not divided by `delta`: the gradient is the error, bounded
    by `delta`.
    """
    return functional.huber_loss(output, target, reduction="none", delta=delta)


def pinball(output: Tensor, target: Tensor, level: float = 0.5) -> Tensor:
    """Pinball loss of a quantile (Koenker and Bassett 1978)."""
    lacking = target - output
    return torch.maximum(level * lacking, (level - 1) * lacking)


def poisson(output: Tensor, target: Tensor, scale: Tensor | float = 1.0) -> Tensor:
    """Half the Poisson deviance between the exponentials of target and output.

    The target is a log (of y, or of 1 + y) that was centered and divided by `scale`, so that the
    exponentials are those of amounts in the unit of their geometric mean. The expected loss is
    least where the exponential of the output is the mean of the target's, whatever its spread.
    It is divided by the scale's square: near the target it is half the squared error.

    Args:
        output: shape (M, B).
        target: shape (M, B).
        scale: shape (M, 1).
    """
    ratio = scale * (output - target)
    return (scale * target).exp() * (ratio.expm1() - ratio) / scale**2


def tweedie(
    output: Tensor, target: Tensor, scale: Tensor | float = 1.0, power: float = 1.5
) -> Tensor:
    """Half the Tweedie deviance of a power between 1 and 2; all else as in `poisson`."""
    ratio, low, high = scale * (output - target), 1 - power, 2 - power
    losses = (high * ratio).expm1() / high - (low * ratio).expm1() / low
    return (high * scale * target).exp() * losses / scale**2


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
