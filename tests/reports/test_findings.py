"""A report's numbers: drift, the score to expect, association, largest errors, ticks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from reported import ROWS, Made
from scipy import stats

from kaggleprice.competitions.catalog import get_competition
from kaggleprice.competitions.tables import Table, Tables
from kaggleprice.competitions.transforms import LOG, LOG1P, NONE, TargetTransform
from kaggleprice.reports.drift import kolmogorov_smirnov, measure_drift, total_variation
from kaggleprice.reports.importance import by_association
from kaggleprice.reports.making import Report
from kaggleprice.reports.out_of_fold import OutOfFold, expect

RANDOM = np.random.default_rng(1)


def identities(count: int) -> np.ndarray:
    return np.arange(count).astype(str).astype(object)


def test_numbers_drift_by_kolmogorov_smirnov() -> None:
    train, test = RANDOM.normal(size=80), RANDOM.normal(0.7, size=50)
    statistic, by_chance = kolmogorov_smirnov(train, test)
    assert statistic == stats.ks_2samp(train, test).statistic
    # The table of every textbook: 1.36 times the root, at 5 %.
    assert by_chance == pytest.approx(1.36 * np.sqrt(130 / 4000), rel=2e-3)
    assert statistic > by_chance
    assert kolmogorov_smirnov(np.array([]), np.array([1.0])) == (0.0, 0.0)


def test_categories_drift_by_total_variation() -> None:
    train = pd.Series(["a"] * 6 + ["b"] * 2 + [None] * 2, dtype="str")
    test = pd.Series(["a"] * 2 + ["c"] * 2, dtype="str")
    statistic, _ = total_variation(train, test, np.random.default_rng(0))
    # Shares: a 0.6 and 0.5, b 0.2 and 0, missing 0.2 and 0, c 0 and 0.5.
    assert statistic == pytest.approx((0.1 + 0.2 + 0.2 + 0.5) / 2)
    # What chance does to two categories: the normal distribution of a difference of shares.
    both = pd.Series(["a", "b"] * 1000)
    _, by_chance = total_variation(both[:1000], both[1000:], np.random.default_rng(0))
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
    ids = identities(200)
    found = measure_drift(Tables(Table(ids, features), Table(ids, test)), seed=0)
    by_name = {drift.column: drift for drift in found}
    assert found[0].column == "moved"
    assert found[0].statistic == pytest.approx(0.75)
    assert by_name["same"].statistic == by_name["kind"].statistic == 0
    assert (by_name["gone"].missing_train, by_name["gone"].missing_test) == (0.5, 1.0)
    assert (by_name["kind"].kind, by_name["same"].kind) == ("categorical", "numeric")
    assert found == sorted(found, key=lambda d: (d.excess <= 0, -d.statistic))


def test_a_column_that_is_empty_in_one_file_drifts() -> None:
    full, half = np.arange(200.0), np.where(np.arange(200) % 2, np.arange(200.0), np.nan)
    columns = {"full": full, "half": half, "rare": np.where(np.arange(200) < 2, 1.0, np.nan)}
    train = pd.DataFrame(columns)
    ids, empty = identities(200), train * np.nan
    for tables in (
        Tables(Table(ids, train), Table(ids, empty)),
        Tables(Table(ids, empty), Table(ids, train)),
    ):
        found = {drift.column: drift for drift in measure_drift(tables, seed=0)}
        statistics = [found[name].statistic for name in columns]
        assert statistics == pytest.approx([1, 0.5, 0.01])
        # What chance does to shares: about 1.96 times the standard error of a difference.
        assert found["half"].by_chance == pytest.approx(1.96 * np.sqrt(0.1875 * 2 / 200), rel=0.2)
        assert [found[name].excess > 0 for name in columns] == [True, True, False]
    both = Tables(Table(ids, empty), Table(ids, empty))
    assert {drift.statistic for drift in measure_drift(both, seed=0)} == {0}


def rows_of(residual: np.ndarray) -> OutOfFold:
    true = np.full(len(residual), 100.0)
    folds = np.arange(len(residual)) % 2
    return OutOfFold(identities(len(true)), true, true * np.exp(residual), folds, LOG)


def test_expected_score_has_the_spread_of_theory() -> None:
    """Delta method: var(MSE) is that of squared errors, for both files; RMSE' is 1 / (2 RMSE)."""
    residual = RANDOM.normal(0, 0.1, 800)
    found = expect(get_competition("sample"), rows_of(residual), 400, seed=0)
    assert found.score == pytest.approx(np.sqrt(np.mean(residual**2)))
    sd = np.std(residual**2) * np.sqrt(1 / 800 + 1 / 400) / (2 * found.score)
    assert found.sd == pytest.approx(sd, rel=0.1)
    assert found.low == pytest.approx(found.score - 1.645 * sd, rel=0.01)
    assert found.high == pytest.approx(found.score + 1.645 * sd, rel=0.01)
    assert expect(get_competition("sample"), rows_of(residual), 400, seed=0) == found


def test_expected_score_by_another_metric() -> None:
    competition = replace(get_competition("sample"), metric="mae", target_transform="none")
    assert expect(competition, rows_of(np.zeros(30)), 10, seed=0).high == 0


def test_largest_errors_are_those_of_oof_csv(made: Made, report: Report) -> None:
    rows = pd.read_csv(made.run.path / "oof.csv")
    distance = np.log(rows["predicted"] / rows["true"])
    order = distance.abs().sort_values(ascending=False, kind="stable").index[:15]
    errors = report.findings.errors
    assert [error.id for error in errors] == rows["Id"][order].tolist()
    assert [error.residual for error in errors] == pytest.approx(distance[order])
    assert [error.fold for error in errors] == rows["fold"][order].tolist()
    train = pd.read_csv(made.folder / "train.csv", dtype={"Id": str}).set_index("Id")
    for error in errors:
        assert list(error.columns) == report.findings.order[:6]
        assert error.columns["Size"] == train["Size"][error.id]
        assert error.relative == pytest.approx(error.predicted / error.true - 1)


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
    order = by_association(Table(identities(count), features), target)
    assert order[:3] == ["strong", "sign", "weak"]
    assert set(order) == set(features)


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
def test_ticks_are_few_round_and_within(
    low: float, high: float, transform: TargetTransform
) -> None:
    pytest.importorskip("matplotlib")
    from kaggleprice.reports.figures import value_ticks

    ticks = value_ticks(low, high, transform)
    assert 2 <= len(ticks) <= 12
    assert ticks == sorted(set(ticks))
    assert low <= ticks[0] <= ticks[-1] <= high


def test_of_many_rows_some_are_drawn_at_random() -> None:
    pytest.importorskip("matplotlib")
    from kaggleprice.reports.figures import MOST_POINTS, choose_rows

    always = np.array([3, 99_999])
    chosen = choose_rows(100_000, 0, always)
    assert MOST_POINTS <= len(chosen) <= MOST_POINTS + 2
    assert set(always) <= set(chosen.tolist())
    assert choose_rows(ROWS, 0).tolist() == list(range(ROWS))
