"""Losses: (output, target) → one number per row, in the (scaled) target's unit. Any shape."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def squared_error(output: Tensor, target: Tensor) -> Tensor:
    """Squared error; its gradient is that of `torch.nn.MSELoss`."""
    return functional.mse_loss(output, target, reduction="none")


def absolute_error(output: Tensor, target: Tensor) -> Tensor:
    """Absolute error."""
    return functional.l1_loss(output, target, reduction="none")


def huber(output: Tensor, target: Tensor) -> Tensor:
    """Huber loss with a bend at 1 (Huber 1964)."""
    return functional.huber_loss(output, target, reduction="none")
