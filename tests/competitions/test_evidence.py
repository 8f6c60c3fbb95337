"""What a test file says of folds, against what a person would say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import KFold

from kaggleprice.competitions.evidence import Evidence, find_evidence

ROWS, TEST_ROWS = 90, 30
DAYS = pd.date_range("2021-03-01", periods=ROWS + TEST_ROWS).strftime("%d/%m/%Y")
SUBJECTS = np.arange(ROWS + TEST_ROWS) // 6
RANDOM = np.random.default_rng(0)


def find(columns: dict[str, Any], kinds: dict[str, Any] | None = None) -> Evidence | None:
    frame = pd.DataFrame({"x": RANDOM.normal(size=ROWS + TEST_ROWS), **columns})
    return find_evidence(frame[:ROWS], frame[ROWS:], kinds or {})


def mixed(values: Any) -> Any:
    """The first rows' values among the others', whatever their order."""
    return RANDOM.permutation(np.asarray(values))


DATE = {"day": "date %d/%m/%Y"}
# Five hours of each of 24 days, of which every fourth is one of the test file.
HOURS = pd.date_range("2021-03-01", periods=24).repeat(5) + pd.to_timedelta(
    list(range(5)) * 24, "h"
)
OF_TEST = np.arange(24).repeat(5) % 4 == 3
HOUR = {"hour": "date %d/%m/%Y %H"}
APART = [*HOURS[~OF_TEST].strftime("%d/%m/%Y %H"), *HOURS[OF_TEST].strftime("%d/%m/%Y %H")]
# Columns, their kinds; scheme and column that are found.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[str, str] | None]] = {
    "later days": ({"day": DAYS}, DATE, ("forward", "day")),
    "days of a category": ({"day": DAYS}, {}, None),
    "earlier days": ({"day": DAYS[::-1]}, DATE, None),
    "days among each other": ({"day": mixed(DAYS)}, DATE, None),
    "one day in common": ({"day": [*DAYS[:ROWS], DAYS[ROWS - 1], *DAYS[ROWS + 1 :]]}, DATE, None),
    "few days": ({"day": [DAYS[i // 30] for i in range(ROWS + TEST_ROWS)]}, DATE, None),
    "other subjects": ({"subject#": SUBJECTS}, {}, ("grouped", "subject#")),
    "other names": ({"who": [f"p{s * 7 % 20}" for s in SUBJECTS]}, {}, ("grouped", "who")),
    "numbers among each other": ({"who": SUBJECTS * 7 % 20}, {}, ("grouped", "who")),
    "a counter that goes on": ({"year": SUBJECTS}, {}, None),
    "a dropped one": ({"who": [f"p{s}" for s in SUBJECTS]}, {"who": "drop"}, None),
    "shared subjects": ({"subject": np.arange(ROWS + TEST_ROWS) % 20}, {}, None),
    "one shared subject": ({"subject": [*SUBJECTS[:-1], 0]}, {}, None),
    "names of rows": ({"who": [f"p{i}" for i in range(ROWS + TEST_ROWS)]}, {}, None),
    "a measurement": ({"subject": SUBJECTS * 7 % 20 + 0.5}, {}, None),
    "few groups": ({"who": ["a"] * 45 + ["b"] * 45 + ["c"] * 15 + ["d"] * 15}, {}, None),
    "what is called a group": (
        {"age": SUBJECTS // 2 * 7 % 20, "patient": SUBJECTS},
        {},
        ("grouped", "patient"),
    ),
    "the coarser one": (
        {"a": [f"a{s}" for s in SUBJECTS], "b": [f"b{s // 3}" for s in SUBJECTS]},
        {},
        ("grouped", "b"),
    ),
    "other days, by the hour": ({"hour": APART}, HOUR, ("contiguous", "hour")),
    "other days in no order": ({"hour": [*mixed(APART[:ROWS]), *APART[ROWS:]]}, HOUR, None),
    "one day of both": ({"hour": [*APART[:-1], APART[0]]}, HOUR, None),
    "time before groups": ({"subject": SUBJECTS, "day": DAYS}, DATE, ("forward", "day")),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("as_text", [False, True], ids=["typed", "text"])
def test_evidence(case: str, as_text: bool) -> None:
    """The same of cells as texts, as `init` reads them, and of numbers and categories."""
    columns, kinds, expected = CASES[case]
    if as_text:
        columns = {name: np.asarray(values).astype(str) for name, values in columns.items()}
    found = find(columns, kinds)
    assert (found and (found.scheme, found.column)) == expected
    if found is not None:
        assert repr(found.column) in found.reason


def test_codes_are_ranks_of_times_and_groups() -> None:
    found = find({"day": DAYS}, DATE)
    assert found is not None
    assert found.codes.tolist() == list(range(ROWS))
    found = find({"subject": SUBJECTS})
    assert found is not None
    assert found.codes.tolist() == SUBJECTS[:ROWS].tolist()


def test_missing_values_are_no_group_and_rows_without_a_time_no_order() -> None:
    subjects = SUBJECTS.astype(float)
    subjects[[0, ROWS]] = np.nan
    found = find({"subject": subjects})
    assert found is not None
    assert found.codes[0] == -1
    days = np.array(DAYS, dtype=object)
    days[ROWS + 2] = None
    found = find({"day": days}, DATE)
    assert found is not None
    assert found.scheme == "forward"
    days[3] = None
    assert find({"day": days}, DATE) is None


def test_blocks_of_rows_in_order_keep_most_days_apart() -> None:
    found = find({"hour": APART}, HOUR)
    assert found is not None
    assert found.options == "--fold-scheme contiguous"
    rows = np.arange(ROWS)
    for scheme, easier in ((KFold(5), False), (KFold(5, shuffle=True, random_state=0), True)):
        for train, held in scheme.split(rows):
            assert bool(found.easier(train, held)) == easier


def test_a_handful_of_test_rows_says_nothing() -> None:
    frame = pd.DataFrame({"subject": SUBJECTS})
    assert find_evidence(frame[:ROWS], frame[ROWS : ROWS + 9], {}) is None
