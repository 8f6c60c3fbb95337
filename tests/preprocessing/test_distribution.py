"""Counts of values by fold, held against numpy for every type that a column may have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from kaggleprice.preprocessing.distribution import Distribution, FoldCounts

ROWS = 90
RANDOM = np.random.default_rng(0)
WHOLE = RANDOM.integers(-40, 40, ROWS)
GAPS = np.where(RANDOM.random(ROWS) < 0.2, np.nan, WHOLE)
COLUMNS: dict[str, Any] = {
    "int8": WHOLE.astype(np.int8),
    "int16": WHOLE.astype(np.int16),
    "int8 of one value": np.full(ROWS, -7, dtype=np.int8),
    # A table of all between them would be longer than the column.
    "int16 far apart": (WHOLE * 400).astype(np.int16),
    "int8 to its ends": np.array([-128, 127] * (ROWS // 2), dtype=np.int8),
    "int32": WHOLE.astype(np.int32),
    "float32 with gaps": GAPS.astype(np.float32),
    "float64": RANDOM.normal(size=ROWS),
    "nothing": np.full(ROWS, np.nan),
    "categories": pd.Categorical(np.where(np.isnan(GAPS), None, (WHOLE % 5).astype(str))),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_counts_are_those_of_numpy(name: str) -> None:
    column, folds = pd.Series(COLUMNS[name]), RANDOM.integers(0, 3, ROWS)
    found = FoldCounts.of(column, [np.flatnonzero(folds == fold) for fold in range(3)])
    seen = column.notna().to_numpy()
    values = column[seen].to_numpy()
    assert list(found.levels) == sorted(set(values.tolist()))
    for fold, (counts, missing) in enumerate(found.trained()):
        own = [int(np.sum((values == level) & (folds[seen] != fold))) for level in found.levels]
        assert counts.tolist() == own
        assert missing == np.sum(~seen & (folds != fold))


def test_the_skewness_of_tiny_numbers() -> None:
    found = Distribution.of(np.array([0.0, 1e-110]), np.array([1, 1]), ddof=0)
    assert found.skewness == 0
