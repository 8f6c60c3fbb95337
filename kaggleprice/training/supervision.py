"""Supervision: what may happen between epochs: going on where training was left, or an early end.

The state of training after an epoch is all that later epochs depend on: every random number
comes from (seed, fold, purpose, epoch), so there is no generator to keep. Training that goes on
from a kept state ends, bit for bit, where it would have ended without the pause.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class TrainingState:
    """Training after an epoch.

    Attributes:
        epoch: how many are finished.
        tensors: by name: parameters, the optimizer's moments, history, best weights.
    """

    epoch: int
    tensors: Mapping[str, Tensor]


class Supervisor(Protocol):
    """What the engine asks between epochs."""

    def resume(self) -> TrainingState | None:
        """Return the state to go on from; None to begin."""

    def go_on(self, epoch: int, state: Callable[[], TrainingState]) -> bool:
        """Say, after an epoch that is not the last, whether to train another.

        Args:
            epoch: how many are finished.
            state: makes the state to keep; costs a copy of all parameters.
        """


class Unsupervised:
    """Begins at the beginning and trains to the end."""

    def resume(self) -> TrainingState | None:
        """Begin."""
        return None

    def go_on(self, epoch: int, state: Callable[[], TrainingState]) -> bool:
        """Train another."""
        return True


UNSUPERVISED = Unsupervised()
