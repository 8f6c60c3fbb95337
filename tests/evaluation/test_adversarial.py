"""Adversarial validation on files that differ in a known way, and on files that do not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kaggleprice.competitions.tables import Table, Tables
from kaggleprice.evaluation.adversarial import SUSPICIOUS, separate


def tables(rows: int = 600, *, shift: float = 0.0, other: str | None = None) -> Tables:
    random = np.random.default_rng(0)
    made = []
    for test in (False, True):
        frame = pd.DataFrame(
            {
                "a": random.normal(size=rows),
                "b": random.normal(size=rows) + shift * test,
                "kind": pd.Categorical(random.choice(["x", "y"], rows)),
                "many": pd.Categorical([f"n{i}" for i in random.integers(0, 1000, rows)]),
            }
        )
        if test and other is not None:
            frame[other] = pd.Categorical(["x"] * rows, categories=["x", "y"])
        made.append(Table(np.arange(rows).astype(str), frame))
    return Tables(made[0], made[1])


def test_files_that_are_alike() -> None:
    found = separate(tables())
    assert found.auc == pytest.approx(0.5, abs=0.06)
    assert found.columns == ()


@pytest.mark.parametrize(
    ("options", "column"), [({"shift": 3.0}, "b"), ({"other": "kind"}, "kind")]
)
def test_files_that_are_not(options: dict[str, object], column: str) -> None:
    found = separate(tables(**options))  # type: ignore[arg-type]
    assert found.auc > SUSPICIOUS
    assert found.columns == (column,)


def test_the_same_seed_finds_the_same() -> None:
    assert separate(tables(shift=1), 3) == separate(tables(shift=1), 3)


def test_a_column_of_hardly_any_values() -> None:
    found = tables()
    for table in (found.train, found.test):
        table.features["a"] = np.nan
        table.features.loc[0, "b"] = np.nan
    assert separate(found).columns == ()


def test_few_rows() -> None:
    assert separate(tables(3, shift=9)).auc == 0.5
