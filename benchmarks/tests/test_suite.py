"""The suite: what peers are given and learn, what is run again, the tables' arithmetic."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import mean_absolute_error, root_mean_squared_log_error
from sklearn.model_selection import KFold

from benchmarks import suite
from kaggleprice.core.errors import DataError, KagglePriceError, MissingFileError
from kaggleprice.evaluation.folds import make_folds

ROWS = 60
CASES = {
    "tiny": suite.Case("price", "rmsle", id="Id", dates={"sold": "%d/%m/%Y"}),
    "absolute": suite.Case("price", "mae", id="Id", dates={"sold": "%d/%m/%Y"}),
}


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    area = rng.uniform(20, 200, ROWS).round(1)
    days = pd.Timestamp("2020-01-30") + pd.to_timedelta(rng.permutation(ROWS), unit="D")
    return pd.DataFrame(
        {
            "Id": range(ROWS),
            "area": np.where(np.arange(ROWS) % 9 == 4, np.nan, area),
            "walls": [["brick", "None", ""][row % 3] for row in range(ROWS)],
            "sold": days.strftime("%d/%m/%Y"),
            "fee": area,
            "price": (area * 1000 * rng.uniform(0.9, 1.1, ROWS)).round(),
        }
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A suite of one table under two metrics."""
    for name in CASES:
        (tmp_path / name).mkdir()
        frame().to_csv(tmp_path / name / "train.csv", index=False)
        test = frame().drop(columns=["fee", "price"]).head(20)
        test.to_csv(tmp_path / name / "test.csv", index=False)
    monkeypatch.setenv(suite.VARIABLE, str(tmp_path))
    monkeypatch.setattr(suite, "CASES", CASES)
    return tmp_path


# What is measured


def test_features_are_what_the_test_file_has_but_ids(folder: Path) -> None:
    x, y = suite.read_case(folder / "tiny", CASES["tiny"])
    dates = [f"sold {part}" for part in ("year", "month", "day", "weekday", "hour", "days")]
    assert list(x) == ["area", "walls", *dates]
    assert np.array_equal(y, frame()["price"])
    assert np.array_equal(x["area"], frame()["area"], equal_nan=True)
    assert list(x["walls"][:3]) == ["brick", "None", "missing"]
    day = pd.to_datetime(frame()["sold"], dayfirst=True)
    assert np.array_equal(x["sold month"], day.dt.month)
    assert np.array_equal(x["sold days"], (day - day.min()).dt.days)


@pytest.mark.parametrize("peer", suite.PEERS)
@pytest.mark.parametrize("name", CASES)
def test_garbage_targets_reach_nothing_of_their_fold(folder: Path, name: str, peer: str) -> None:
    if peer in ("lightgbm", "catboost"):
        pytest.importorskip(peer)
    x, y = suite.read_case(folder / name, CASES[name])
    folds = make_folds(len(y), suite.K, seed=2)
    _, held = folds[1]
    garbage = y.copy()
    garbage[held] = 1e6
    metric = CASES[name].metric
    clean, spoilt = (suite.predict_folds(peer, x, t, metric, folds, 2, 1) for t in (y, garbage))
    others = np.setdiff1d(np.arange(ROWS), held)
    assert np.array_equal(clean[held], spoilt[held])
    assert not np.array_equal(clean[others], spoilt[others])
    assert 0 < clean.min() <= clean.max() < 1e6


@pytest.mark.parametrize("name", CASES)
def test_scores_are_those_of_scikit_learn_on_its_folds(folder: Path, name: str) -> None:
    line = suite.measure_peer(name, "hgb", fold_seed=1, threads=1)
    x, y = suite.read_case(folder / name, CASES[name])
    predicted, scores = np.empty(ROWS), []
    logs = name == "tiny"
    score = root_mean_squared_log_error if logs else mean_absolute_error
    for train, held in KFold(5, shuffle=True, random_state=1).split(x):
        trees = HistGradientBoostingRegressor(
            loss="squared_error" if logs else "absolute_error",
            categorical_features="from_dtype",
            random_state=1,
        )
        trees.fit(x.iloc[train], np.log(1 + y[train]) if logs else y[train])
        found = trees.predict(x.iloc[held])
        predicted[held] = np.exp(found) - 1 if logs else found
        scores.append(score(y[held], predicted[held]))
    assert line["folds"] == pytest.approx(scores, rel=1e-9)
    assert line["pooled"] == pytest.approx(score(y, predicted), rel=1e-9)
    assert line["seconds"] > 0


def test_a_preset_is_scored_by_its_commands(folder: Path) -> None:
    line = suite.measure_preset("tiny", "fast", fold_seed=1, threads=1)
    # Of folds of equal sizes.
    assert len(line["folds"]) == 5
    assert line["pooled"] == pytest.approx(np.sqrt(np.mean(np.square(line["folds"]))), rel=1e-9)
    assert 0 < line["pooled"] < 1 < line["seconds"]
    assert sorted(p.name for p in (folder / "tiny").iterdir()) == ["test.csv", "train.csv"]


def test_a_preset_that_fails_is_an_error(folder: Path) -> None:
    (folder / "tiny" / "train.csv").write_text("", encoding="utf-8")
    with pytest.raises(KagglePriceError, match=r"tiny: `kaggleprice init .*` ended with 3"):
        suite.measure_preset("tiny", "fast", fold_seed=1, threads=1)


def test_a_suite_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(MissingFileError, match=f"{suite.VARIABLE} must name the folder"):
        suite.case_folder("concrete")


# What is run again


def test_what_is_there_is_not_run_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def measure(name: str, what: str, fold_seed: int, threads: int) -> suite.Line:
        calls.append((name, what, fold_seed))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return {"folds": [1.0], "pooled": 1.0, "seconds": 1.0}

    monkeypatch.setattr(suite, "measure_peer", measure)
    monkeypatch.setattr(suite, "measure_preset", measure)
    path = tmp_path / "results.jsonl"
    arguments = [path], ["tiny", "absolute"], ["ridge", "fast"], [0, 1], 2
    with pytest.raises(KeyboardInterrupt):
        suite.run(*arguments)
    suite.run(*arguments)
    suite.run(*arguments)
    expected = [
        (name, what, seed)
        for seed in (0, 1)
        for name in ("tiny", "absolute")
        for what in ("ridge", "fast")
    ]
    assert calls == [*expected[:3], *expected[2:]]
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [(line["set"], line["what"], line["fold_seed"]) for line in lines] == expected
    assert lines[0]["threads"] == 2
    beside = tmp_path / "beside.jsonl"
    suite.run([beside, path], ["tiny"], ["ridge", "hgb"], [0], 2)
    assert calls[-1] == ("tiny", "hgb", 0)
    assert list(suite.read_results([beside])) == [("tiny", "hgb", 0)]
    assert set(suite.read_results([beside, path])) == {*expected, ("tiny", "hgb", 0)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "concrete,concret"], r"unknown set 'concret'.*Did you mean 'concrete'"),
        (["--methods", "rigde"], "unknown method 'rigde'"),
        (["--fold-seeds", "3"], "unknown fold seed '3'; there are: 0, 1, 2"),
    ],
)
def test_unknown_names_are_refused(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert suite.main(["run", "--results", str(tmp_path / "r.jsonl"), *arguments]) == 2
    assert re.search(message, capsys.readouterr().err)


# The tables

# Folds' scores by set, method and fold seed: on concrete lightgbm is the best peer, on mercedes
# catboost, of whose r2 of 0.6 only 0.4 is an error.
SCORES = {
    "concrete": {
        "ridge": {0: [10.0, 12.0], 1: [11.0, 11.0]},
        "hgb": {0: [6.0, 6.0], 1: [5.0, 7.0]},
        "lightgbm": {0: [4.0, 6.0], 1: [5.0, 5.4]},
        "catboost": {0: [5.0, 5.2], 1: [5.2, 5.2]},
        "fast": {0: [4.0, 4.2], 1: [4.1, 4.7], 2: [90.0, 90.0]},
    },
    "mercedes": {
        "ridge": {0: [0.5, 0.5], 1: [0.5, 0.5]},
        "hgb": {0: [0.5, 0.5], 1: [0.5, 0.5]},
        "lightgbm": {0: [0.5, 0.6], 1: [0.6, 0.5]},
        "catboost": {0: [0.6, 0.6], 1: [0.5, 0.7]},
        "fast": {0: [0.5, 0.6]},
    },
    "abalone": {"fast": {0: [1.0, 1.0]}},
}
SECONDS = {"ridge": 1.0, "hgb": 2.0, "lightgbm": 4.0, "catboost": 8.0, "fast": 24.0}


def results(**threads: int) -> dict[suite.Key, suite.Line]:
    return {
        (name, what, seed): {
            "folds": folds,
            "pooled": 0.0,
            "seconds": SECONDS[what] + seed,
            "threads": threads.get(what, 1),
        }
        for name, methods in SCORES.items()
        for what, seeds in methods.items()
        for seed, folds in seeds.items()
    }


def rows(**threads: int) -> dict[tuple[str, str], suite.Row]:
    found = suite.compare(results(**threads), suite.CASES, suite.METHODS, suite.FOLD_SEEDS)
    return {(row.name, row.what): row for row in found}


def test_errors_are_means_over_the_fold_seeds_of_all_peers() -> None:
    found = rows()
    assert len(found) == 10
    assert found["concrete", "fast"].error == pytest.approx((4.1 + 4.4) / 2)
    assert found["mercedes", "catboost"].error == pytest.approx(1 - 0.6)
    assert found["mercedes", "fast"].error == pytest.approx(1 - 0.55)


def test_errors_are_relative_to_the_best_peer_on_the_same_fold_seeds() -> None:
    found = rows()
    assert found["concrete", "lightgbm"].relative == 1
    assert found["concrete", "lightgbm"].spread == 0
    assert found["concrete", "fast"].relative == pytest.approx(4.25 / 5.1)
    # 0.9 better on the one, 0.8 on the other: half their distance is the mean's standard error.
    assert found["concrete", "fast"].spread == pytest.approx(0.05 / 5.1)
    assert found["mercedes", "fast"].relative == pytest.approx(0.45 / 0.4)
    assert np.isnan(found["mercedes", "fast"].spread)


def test_seconds_are_relative_where_threads_are_the_same() -> None:
    assert rows()["concrete", "fast"].seconds == 24.5
    assert rows()["concrete", "fast"].pace == pytest.approx(24.5 / 8.5)
    found = rows(fast=2)
    assert np.isnan(found["concrete", "fast"].pace)
    assert found["concrete", "hgb"].pace == pytest.approx(2.5 / 8.5)


def test_the_summary_is_over_sets() -> None:
    lines = suite.table(list(rows().values()))
    _, _, *last = lines[lines.index("") + 1 :]
    summary = {what: cells for _, what, *cells, _ in (re.split(r" *\| *", line) for line in last)}
    ridge, fast = (summary[what] for what in ("ridge", "fast"))
    assert ridge[0] == "2"
    assert float(ridge[1]) == pytest.approx(np.sqrt(11 / 5.1 * 0.5 / 0.4), abs=0.51e-4)
    # Of the mean of two logs; on mercedes both fold seeds have the same errors.
    shift = np.std([11 - 5.0, 11 - 5.2], ddof=1) / np.sqrt(2) / 11
    assert float(ridge[2]) == pytest.approx(float(ridge[1]) * shift / 2, abs=0.51e-4)
    assert ridge[3:5] == ["2.157 (concrete)", "0"]
    assert fast[2:5] == ["", "1.125 (mercedes)", "1"]
    assert float(fast[5]) == pytest.approx(np.sqrt(24.5 / 8.5 * 24 / 8), abs=0.0051)
    assert summary["catboost"][4] == "1"


def test_the_overview_has_a_column_for_each_method() -> None:
    head, _, *lines, last = suite.overview(list(rows().values()))
    assert head.split(" | ")[2:] == ["ridge", "hgb", "lightgbm", "catboost", "fast |"]
    cells = {line.split(" | ")[0]: line.split(" | ")[1:] for line in lines}
    assert cells.keys() == {"| concrete", "| mercedes"}
    assert cells["| concrete"] == ["rmse", "2.157", "1.176", "1.000", "1.010", "0.833 |"]
    assert float(re.findall(r"[\d.]+", last)[0]) == pytest.approx(
        np.sqrt(11 / 5.1 * 0.5 / 0.4), abs=0.51e-3
    )


def test_a_table_of_nothing_is_an_error() -> None:
    with pytest.raises(DataError, match="nothing to compare"):
        suite.compare(results(), ["abalone"], suite.METHODS, suite.FOLD_SEEDS)


def test_a_portfolio_is_chosen_for_each_set_by_the_others() -> None:
    # Without `b` concrete is better by a half, and mercedes as without anything; without `a`
    # mercedes is better by a fifth of its error of 0.5, and concrete worse.
    without = {
        "concrete": {"a": 5.0, "b": 2.0},
        "mercedes": {"a": 0.6, "b": None},
    }
    results = {
        (name, what, 0): {"folds": [1.0], "pooled": 1.0, "seconds": 1.0, "threads": 2}
        for name in without
        for what in suite.PEERS
    }
    for name, pooled in (("concrete", 4.0), ("mercedes", 0.5)):
        line = {"folds": [pooled], "pooled": pooled, "without": without[name]}
        results[name, "default", 0] = {**line, "seconds": 1.0, "threads": 2}
        for peer in suite.PEERS:
            results[name, peer, 0] |= {"folds": [pooled]}
    rows = suite.compare(results, list(without), ["default"], [0])
    *_, concrete, mercedes, mean = suite.choice(results, rows, "default", [0])
    # What the other set would leave away is worse here: 5 / 4; what it would not change is not.
    assert concrete == "| concrete | 1.000 | a | 1.250 |"
    assert mercedes == "| mercedes | 1.000 | b | 1.000 |"
    assert mean == f"| geometric mean | 1.000 | | {1.25**0.5:.3f} |"


def test_gains_are_paired_over_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "CASES", {"a": suite.Case("y", "rmse"), "b": suite.Case("y", "r2")})
    results = {
        ("a", "tune", 0): {"folds": [1.0, 2.0, 2.5, 3.5]},
        ("a", "default", 0): {"folds": [1.0, 3.0, 3.0, 3.0]},
        ("b", "tune", 0): {"folds": [0.8, 0.6]},
        ("b", "default", 0): {"folds": [0.7, 0.5]},
    }
    names, _, cells = suite.gains(results, ["a", "b", "c"], ["tune", "default"], 0)
    assert names == "| a | b |"
    # Differences 0, -1, -0.5, 0.5, of a mean of 2.5; 1 - r2 is 0.2, 0.4 for 0.3, 0.5.
    difference = np.array([0, -1, -0.5, 0.5])
    error = difference.std(ddof=1) * np.sqrt(1 / 4 + 1 / 3) / 2.5 * 100
    assert cells == f"| -10.00 ± {error:.2f} | -25.00 ± 0.00 |"
    with pytest.raises(DataError, match="nothing to compare"):
        suite.gains(results, ["c"], ["tune", "default"], 0)
