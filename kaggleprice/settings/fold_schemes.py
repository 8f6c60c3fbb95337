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
    from sklearn.model_selection import BaseCrossValidator, BaseShuffleSplit


@dataclass(frozen=True)
class FoldOptions:
    """What splitters are made of.

    Attributes:
        k: how many folds.
        gap: moments left out between training and validation rows.
        hold_out: share of the rows that validate.
        random: the source of random numbers, or a seed.
    """

    k: int
    gap: int = 0
    hold_out: float = 0.2
    random: np.random.RandomState | int = 0


@dataclass(frozen=True)
class FoldScheme:
    """A way to split rows into folds.

    Attributes:
        help: what it does, in a few words.
        splitter: makes a splitter of scikit-learn.
        seeded: whether the seed changes the folds.
        stratifies: whether it splits by classes of rows, which are bins of the target.
        grouped: whether it keeps the rows of one value of `--fold-column` together.
        forward: whether it splits moments in time, which `--fold-column` orders.
        holds_out: whether it makes one fold, whatever `--k` says.
    """

    help: str
    splitter: Callable[[FoldOptions], BaseCrossValidator | BaseShuffleSplit]
    seeded: bool = True
    stratifies: bool = False
    grouped: bool = False
    forward: bool = False
    holds_out: bool = False

    @property
    def takes_column(self) -> bool:
        """Whether `--fold-column` means anything to it."""
        return self.grouped or self.forward


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


def _shuffled(options: FoldOptions) -> BaseCrossValidator:
    from sklearn.model_selection import KFold

    return KFold(options.k, shuffle=True, random_state=options.random)


def _contiguous(options: FoldOptions) -> BaseCrossValidator:
    from sklearn.model_selection import KFold

    return KFold(options.k)


def _stratified(options: FoldOptions) -> BaseCrossValidator:
    from sklearn.model_selection import StratifiedKFold

    return StratifiedKFold(options.k, shuffle=True, random_state=options.random)


def _grouped(options: FoldOptions) -> BaseCrossValidator:
    from sklearn.model_selection import GroupKFold

    return GroupKFold(options.k, shuffle=True, random_state=options.random)


def _forward(options: FoldOptions) -> BaseCrossValidator:
    from sklearn.model_selection import TimeSeriesSplit

    return TimeSeriesSplit(options.k, gap=options.gap)


def _hold_out(options: FoldOptions) -> BaseShuffleSplit:
    from sklearn.model_selection import ShuffleSplit

    return ShuffleSplit(1, test_size=options.hold_out, random_state=options.random)


FOLD_SCHEMES: dict[str, FoldScheme] = {
    "shuffled": FoldScheme("rows at random", _shuffled),
    "contiguous": FoldScheme("rows in the file's order", _contiguous, seeded=False),
    "stratified": FoldScheme("alike in their targets", _stratified, stratifies=True),
    "grouped": FoldScheme("--fold-column's groups whole, at random", _grouped, grouped=True),
    "forward": FoldScheme(
        "validated on what comes after the training rows, by --fold-column or the file's order",
        _forward,
        seeded=False,
        forward=True,
    ),
    "hold-out": FoldScheme(
        "one fold: a random share of the rows validates", _hold_out, holds_out=True
    ),
}
