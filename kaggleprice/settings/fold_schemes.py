"""Fold schemes: how rows are split into folds. The registry, nothing heavy.

A scheme is an entry of `FOLD_SCHEMES`: a function of the number of folds and a seed that returns a
splitter of scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sklearn.model_selection import BaseCrossValidator


@dataclass(frozen=True)
class FoldScheme:
    """A way to split rows into folds.

    Attributes:
        splitter: takes the number of folds and a seed.
        seeded: whether the seed changes the folds.
    """

    splitter: Callable[[int, int], BaseCrossValidator]
    seeded: bool


def _shuffled(k: int, seed: int) -> BaseCrossValidator:
    from sklearn.model_selection import KFold

    return KFold(k, shuffle=True, random_state=seed)


def _contiguous(k: int, seed: int) -> BaseCrossValidator:
    from sklearn.model_selection import KFold

    return KFold(k)


FOLD_SCHEMES: dict[str, FoldScheme] = {
    "shuffled": FoldScheme(_shuffled, seeded=True),
    "contiguous": FoldScheme(_contiguous, seeded=False),
}
