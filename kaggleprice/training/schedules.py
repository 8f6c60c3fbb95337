"""Learning-rate schedules: share of the training done, 0 ≤ t < 1 → factor of the rate."""

from __future__ import annotations

import math

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
