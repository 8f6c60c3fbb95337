"""A report's other numbers: drift, the score to expect, association, axes, wording."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from kaggleprice.competitions.catalog import get_competition
from kaggleprice.competitions.tables import Table, Tables
from kaggleprice.competitions.transforms import LOG, LOG1P, NONE
from kaggleprice.reports import wording
from kaggleprice.reports.drift import kolmogorov_smirnov, measure_drift, total_variation
from kaggleprice.reports.importance import by_association
from kaggleprice.reports.out_of_fold import OutOfFold, expect

RANDOM = np.random.default_rng(1)


def test_numbers_drift_by_kolmogorov_smirnov() -> None:
    train, test = RANDOM.normal(size=80), RANDOM.normal(0.7, size=50)
    statistic, by_chance = kolmogorov_smirnov(train, test)
    assert statistic == stats.ks_2samp(train, test).statistic
    # The table of every textbook: 1.36 times the root, at 5 %.
    assert by_chance == pytest.approx(1.36 * np.sqrt(130 / 4000), rel=2e-3)
    assert statistic > by_chance


def test_nothing_to_compare_is_no_drift() -> None:
    assert kolmogorov_smirnov(np.array([]), np.array([1.0])) == (0.0, 0.0)


def test_categories_drift_by_total_variation() -> None:
    train = pd.Series(["a"] * 6 + ["b"] * 2 + [None] * 2, dtype="str")
    test = pd.Series(["a"] * 2 + ["c"] * 2, dtype="str")
    statistic, _ = total_variation(train, test, np.random.default_rng(0))
    # Shares: a 0.6 and 0.5, b 0.2 and 0, missing 0.2 and 0, c 0 and 0.5.
    assert statistic == pytest.approx((0.1 + 0.2 + 0.2 + 0.5) / 2)


def test_what_chance_does_to_two_categories() -> None:
    """Against the normal distribution of a difference of shares."""
    everything = pd.Series(["a", "b"] * 1000)
    _, by_chance = total_variation(everything[:1000], everything[1000:], np.random.default_rng(0))
    assert by_chance == pytest.approx(1.96 * np.sqrt(0.25 * 2 / 1000), rel=0.15)


def test_drift_of_tables() -> None:
    features = pd.DataFrame(
        {
            "same": np.arange(200.0),
            "moved": np.arange(200.0),
            "kind": pd.Series(["x", "y"] * 100, dtype="str"),
            "gone": [np.nan, 1.0] * 100,
        }
    )
    test = features.assign(moved=features["moved"] + 150.0, gone=np.nan)
    ids = np.arange(200).astype(str).astype(object)
    found = measure_drift(Tables(Table(ids, features), Table(ids, test)), seed=0)
    assert found[0].column == "moved"
    assert found[0].statistic == pytest.approx(0.75)
    by_name = {drift.column: drift for drift in found}
    assert by_name["same"].statistic == by_name["kind"].statistic == 0
    assert (by_name["gone"].missing_train, by_name["gone"].missing_test) == (0.5, 1.0)
    assert (by_name["kind"].kind, by_name["same"].kind) == ("categorical", "numeric")
    above = [drift for drift in found if drift.excess > 0]
    assert found[: len(above)] == above
    for part in (above, found[len(above) :]):
        assert [d.statistic for d in part] == sorted((d.statistic for d in part), reverse=True)


def rows_of(residual: np.ndarray) -> OutOfFold:
    true = np.full(len(residual), 100.0)
    ids = np.arange(len(residual)).astype(str).astype(object)
    folds = np.arange(len(residual)) % 2
    return OutOfFold(ids, true, true * np.exp(residual), residual, folds)


def test_expected_score_has_the_spread_of_theory() -> None:
    """Delta method: var(MSE) is that of squared errors, for both files; RMSE' is 1 / (2 RMSE)."""
    residual = RANDOM.normal(0, 0.1, 800)
    found = expect(get_competition("sample"), rows_of(residual), 400, seed=0)
    assert found.score == pytest.approx(np.sqrt(np.mean(residual**2)))
    sd = np.std(residual**2) * np.sqrt(1 / 800 + 1 / 400) / (2 * found.score)
    assert found.sd == pytest.approx(sd, rel=0.1)
    assert found.low == pytest.approx(found.score - 1.645 * sd, rel=0.01)
    assert found.high == pytest.approx(found.score + 1.645 * sd, rel=0.01)
    again = expect(get_competition("sample"), rows_of(residual), 400, seed=0)
    assert again == found


def test_expected_score_by_another_metric() -> None:
    competition = replace(get_competition("sample"), metric="mae", target_transform="none")
    assert expect(competition, rows_of(np.zeros(30)), 10, seed=0).high == 0


def test_largest_errors_are_the_largest_either_way() -> None:
    rows = rows_of(np.array([0.1, -0.5, 0.2, 0.4, 0.0]))
    assert rows.largest(3).tolist() == [1, 3, 2]


def test_association_orders_columns_by_what_they_explain() -> None:
    count = 500
    target = RANDOM.normal(size=count)
    features = pd.DataFrame(
        {
            "noise": RANDOM.normal(size=count),
            "names": pd.Series([f"n{i}" for i in range(count)], dtype="str"),
            "weak": target + RANDOM.normal(0, 2, count),
            "sign": pd.Series(np.where(target > 0, "up", "down"), dtype="str"),
            "strong": target + RANDOM.normal(0, 0.1, count),
            "still": 1.0,
        }
    )
    order = by_association(Table(np.arange(count).astype(str).astype(object), features), target)
    assert order[:3] == ["strong", "sign", "weak"]
    assert set(order) == set(features)


def test_numbers_in_words() -> None:
    assert wording.score(0.13579) == "0.1358"
    assert wording.score(31415.9) == "31,416"
    assert [wording.compact(v) for v in (0.5, 1950, 50_000, 1_500_000, -20_000)] == [
        "0.5",
        "1950",
        "50k",
        "1.5M",
        "-20k",
    ]
    assert [wording.cell(v) for v in (None, "x", 4.0, 2.25)] == ["missing", "x", "4", "2.25"]
    assert wording.short("abcdef", 4) == "abc…"
    assert wording.listed(["a"]) == "a"
    assert wording.listed(["a", "b", "c"]) == "a, b and c"
    assert (wording.signed(0.5), wording.share(0.123)) == ("+0.5000", "12.3 %")
    assert (wording.amount(123456.7), wording.amount(1.5)) == ("123,457", "1.5")


@pytest.mark.parametrize(
    ("low", "high", "transform"),
    [
        (34_900, 755_000, LOG),
        (0.001, 0.0019, LOG),
        (99.0, 101.0, LOG),
        (1e-8, 1e8, LOG),
        (0, 977, LOG1P),
        (0, 0.5, LOG1P),
        (-5, 5, NONE),
        (1e6, 1e6 + 1, NONE),
    ],
)
def test_ticks_are_few_round_and_within(low: float, high: float, transform: object) -> None:
    pytest.importorskip("matplotlib")
    from kaggleprice.reports.style import value_ticks

    ticks = value_ticks(low, high, transform)  # type: ignore[arg-type]
    assert 2 <= len(ticks) <= 12
    assert ticks == sorted(set(ticks))
    assert low <= ticks[0] <= ticks[-1] <= high
