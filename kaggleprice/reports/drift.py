"""Drift: columns whose values differ between training and test rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from kaggleprice.competitions.tables import Tables

Floats = NDArray[np.float64]

_CHANCE = 0.95
_SPLITS = 199


@dataclass(frozen=True)
class Drift:
    """How far one column's values in the two files are apart.

    Attributes:
        column: its name.
        kind: "numeric" or "categorical".
        statistic: from 0 (alike) to 1 (nothing in common). Numeric: the two-sample
            Kolmogorov-Smirnov statistic of the values that are not missing; where a file has
            none, the difference of the shares of missing values. Categorical: the total variation
            distance, half the sum of absolute differences of the levels' shares, where missing is
            a level.
        by_chance: what 95 of 100 splits of one population into two such files stay below.
        missing_train, missing_test: shares of missing values, 0 to 1.
    """

    column: str
    kind: str
    statistic: float
    by_chance: float
    missing_train: float
    missing_test: float

    @property
    def excess(self) -> float:
        """How far the statistic lies above what chance does."""
        return self.statistic - self.by_chance


def measure_drift(tables: Tables, seed: int) -> list[Drift]:
    """Compare every column of the two files; those above chance first, by size.

    Args:
        tables: n training and n_test test rows.
        seed: of the splits by chance.
    """
    numeric = set(tables.train.numeric_columns)
    found = []
    for number, column in enumerate(map(str, tables.train.features)):
        train, test = tables.train.features[column], tables.test.features[column]
        random = np.random.default_rng(np.random.SeedSequence((seed, 1, number)))
        if column in numeric and min(train.count(), test.count()):
            statistic, by_chance = kolmogorov_smirnov(
                train.dropna().to_numpy(np.float64), test.dropna().to_numpy(np.float64)
            )
        elif column in numeric:
            statistic, by_chance = total_variation(train.isna(), test.isna(), random)
        else:
            statistic, by_chance = total_variation(train, test, random)
        found.append(
            Drift(
                column=column,
                kind="numeric" if column in numeric else "categorical",
                statistic=statistic,
                by_chance=by_chance,
                missing_train=float(train.isna().mean()),
                missing_test=float(test.isna().mean()),
            )
        )
    return sorted(found, key=lambda drift: (drift.excess <= 0, -drift.statistic))


def kolmogorov_smirnov(train: Floats, test: Floats) -> tuple[float, float]:
    """Return the two-sample statistic of n and m values, and its 95 % point by chance.

    The point is that of the limiting distribution (Smirnov 1948), which is too large, not too
    small, where values repeat. (0, 0) where a side has no values.
    """
    if not len(train) or not len(test):
        return 0.0, 0.0
    statistic = float(stats.ks_2samp(train, test, method="asymp").statistic)
    spread = np.sqrt((len(train) + len(test)) / (len(train) * len(test)))
    return statistic, min(1.0, float(stats.kstwobign.ppf(_CHANCE) * spread))


def total_variation(
    train: pd.Series, test: pd.Series, random: np.random.Generator
) -> tuple[float, float]:
    """Return the total variation distance of two columns' levels, and its 95 % point by chance.

    The point comes from splitting all values anew, as a permutation test does: the number of
    each level that falls to the training file is multivariate hypergeometric.
    """
    everything = pd.concat([train, test], ignore_index=True)
    codes, levels = pd.factorize(everything, use_na_sentinel=False)
    counts = np.bincount(codes, minlength=len(levels))
    own = np.bincount(codes[: len(train)], minlength=len(levels))
    splits = random.multivariate_hypergeometric(
        counts, len(train), size=_SPLITS, method="marginals"
    )
    chances = _distances(splits, counts, len(train))
    distance = _distances(own[None, :], counts, len(train))[0]
    return float(distance), float(np.quantile(chances, _CHANCE))


def _distances(own: NDArray[np.int64], counts: NDArray[np.int64], rows: int) -> NDArray[np.float64]:
    """Distances of S splits, shape (S, L) → (S,), given the counts of both files together."""
    shares = own / rows - (counts - own) / (counts.sum() - rows)
    return np.asarray(np.abs(shares).sum(axis=1) / 2)
