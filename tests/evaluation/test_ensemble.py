"""An ensemble's rows, cut into parts that are predicted apart."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from kaggleprice.evaluation import ensemble
from kaggleprice.evaluation.ensemble import Ensemble
from kaggleprice.training.engine import chunk_rows


@pytest.mark.parametrize("count", [0, 1, 99, 100, 1000, 54_321])
@pytest.mark.parametrize(("members", "width"), [(3, 7), (5, 400_000), (1, 1)])
def test_parts_cover_all_rows_by_whole_chunks(
    monkeypatch: pytest.MonkeyPatch, count: int, members: int, width: int
) -> None:
    monkeypatch.setattr(ensemble, "_PART_ROWS", 100)
    made: Any = SimpleNamespace(members=[None] * members, encoding=SimpleNamespace(row_width=width))
    parts, chunk = Ensemble.parts_of(made, count), chunk_rows(members, width)
    assert [row for part in parts for row in range(part.start, part.stop)] == list(range(count))
    for part in parts[:-1]:
        rows = part.stop - part.start
        assert rows % chunk == 0
        assert 100 <= rows < 100 + chunk
