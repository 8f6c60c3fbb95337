"""Fold schemes: how rows are split into folds. The registry, nothing heavy.

A scheme is an entry of `FOLD_SCHEMES`; its function returns a splitter of scikit-learn. The rows'
order, target and groups are what it may split by, never their features.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sklearn.model_selection import BaseCrossValidator


@dataclass(frozen=True)
class FoldScheme:
    """A way to split rows into folds.

    Attributes:
        help: what it does, in a few words.
        splitter: takes the number of folds and a seed.
        seeded: whether the seed changes the folds.
        stratifies: whether it splits by classes of rows, which are bins of the target.
        grouped: whether it keeps the rows of one value of `--fold-column` together.
    """

    help: str
    splitter: Callable[[int, int], BaseCrossValidator]
    seeded: bool = True
    stratifies: bool = False
    grouped: bool = False


def target_bins(target: NDArray[np.float64], k: int) -> NDArray[Any]:
    """Return the bin of each row, shape (n,): up to 10 of about equally many rows, each k or more.

    Args:
        target: shape (n,).
        k: the number of folds.
    """
    import numpy as np

    bins = max(1, min(10, len(target) // k))
    # Ranks, so that ties fill several bins rather than leave one that is too small.
    ranks = np.argsort(np.argsort(target, kind="stable"), kind="stable")
    return ranks * bins // len(target)


def _shuffled(k: int, seed: int) -> BaseCrossValidator:
    from sklearn.model_selection import KFold

    return KFold(k, shuffle=True, random_state=seed)


def _contiguous(k: int, seed: int) -> BaseCrossValidator:
    from sklearn.model_selection import KFold

    return KFold(k)


def _stratified(k: int, seed: int) -> BaseCrossValidator:
    from sklearn.model_selection import StratifiedKFold

    return StratifiedKFold(k, shuffle=True, random_state=seed)


def _grouped(k: int, seed: int) -> BaseCrossValidator:
    from sklearn.model_selection import GroupKFold

    return GroupKFold(k, shuffle=True, random_state=seed)


FOLD_SCHEMES: dict[str, FoldScheme] = {
    "shuffled": FoldScheme("rows at random", _shuffled),
    "contiguous": FoldScheme("rows in the file's order", _contiguous, seeded=False),
    "stratified": FoldScheme("alike in their targets", _stratified, stratifies=True),
    "grouped": FoldScheme("--fold-column's groups whole, at random", _grouped, grouped=True),
}
