"""Times as ranks: numbers and dates, in their order and not that of their texts."""

from __future__ import annotations

import numpy as np
import pytest

from kaggleprice.competitions.moments import rank_moments
from kaggleprice.core.errors import DataError


@pytest.mark.parametrize(
    ("cells", "kind", "expected"),
    [
        (["9", "10", "9", "2.5"], None, [1, 2, 1, 0]),
        (["2020-02-01", "2019-12-31", "2020-01-05"], None, [2, 0, 1]),
        (["01/02/2020", "02/01/2020"], "date %d/%m/%Y", [1, 0]),
        (["01/02/2020", "02/01/2020"], "date %m/%d/%Y", [0, 1]),
        (["13/02/2020", "01/03/2020"], "date", [0, 1]),
        (["31012020", "01022020"], "date %d%m%Y", [0, 1]),
        (["20200131", "20200201"], None, [0, 1]),
        (["2020-01-01 10:00:00", "2020-01-01 09:00:00"], None, [1, 0]),
    ],
)
def test_rank(cells: list[str], kind: str | None, expected: list[int]) -> None:
    assert rank_moments(np.array(cells, dtype=object), "t", kind).tolist() == expected


@pytest.mark.parametrize(
    ("cells", "named"),
    [
        (["red", "blue"], "red"),
        (["2020-02-01", "nan", "2020-02-03"], "nan"),
        (["1", "2", "three"], "1"),
    ],
)
def test_what_is_no_time(cells: list[str], named: str) -> None:
    with pytest.raises(DataError, match=rf"'t' cannot order.*{named!r}.*--fold-column"):
        rank_moments(np.array(cells, dtype=object), "t", None)
