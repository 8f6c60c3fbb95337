"""A table larger than memory: what is written, and the arithmetic of the page."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("pyarrow")
if sys.platform != "linux":
    pytest.skip("needs Linux", allow_module_level=True)

from benchmarks import large
from benchmarks.large import GIB, LEVELS, NUMBERS, Point, exponent, own_memory, report, write_table


def test_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "_CHUNK", 400)
    write_table(tmp_path / "train.csv", 1000, 1, target=True)
    write_table(tmp_path / "test.csv", 10, 2, target=False)
    train, test = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("train", "test"))
    assert train.shape == (1000, NUMBERS + LEVELS + 1)
    assert [*test, "y"] == [*train]
    # Each chunk is drawn anew.
    assert not train["x0"][:400].eq(train["x0"][400:800].to_numpy()).any()
    assert train["y"].std() == pytest.approx(1.0, abs=0.1)


def test_the_page() -> None:
    points = [Point(n, 500 * n, 3e-5 * n**0.9, GIB, 0.5) for n in (1000, 10_000, 100_000)]
    assert exponent(points) == pytest.approx(0.9)
    text = report(points, 4 * GIB)
    assert "| 100,000 | 0.05 | 1 | 1.00 | 0.5000 |" in text
    assert "power 0.90" in text


def test_memory_of_a_process() -> None:
    before, held = own_memory(os.getpid()), np.ones(2**24)
    assert own_memory(os.getpid()) - before > 0.9 * held.nbytes
    assert own_memory(2**22 + 1) == 0
