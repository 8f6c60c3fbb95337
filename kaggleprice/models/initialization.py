"""Initial weights: each member draws its own, from its own random stream.

Sources: d2l.ai 5.7 (normal 0.01); Glorot and Bengio 2010 (xavier); He et al. 2015 (he);
LeCun et al. 1998, "Efficient BackProp" (lecun).
"""

from __future__ import annotations

import math
from collections.abc import Callable

Deviation = Callable[[int, int], float]


def constant_deviation(fan_in: int, fan_out: int) -> float:
    """Return 0.01 whatever the layer's size."""
    return 0.01


def xavier_deviation(fan_in: int, fan_out: int) -> float:
    """Return the deviation that keeps variance forwards and backwards."""
    return math.sqrt(2.0 / (fan_in + fan_out))


def he_deviation(fan_in: int, fan_out: int) -> float:
    """Return the deviation that keeps variance through rectifiers."""
    return math.sqrt(2.0 / fan_in)


def lecun_deviation(fan_in: int, fan_out: int) -> float:
    """Return the deviation that keeps variance through linear layers."""
    return math.sqrt(1.0 / fan_in)
