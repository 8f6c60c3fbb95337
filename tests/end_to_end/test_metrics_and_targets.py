"""Metrics, weights, target transforms, bounds and intervals, as a person asks for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from entry_point import TINY, EntryPoint, Finished
from sklearn.metrics import (
    mean_pinball_loss,
    mean_poisson_deviance,
    mean_tweedie_deviance,
)

ROWS, TEST_ROWS = 120, 30


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Counts that two numbers explain in part, and how long each was counted for."""
    random = np.random.default_rng(0)
    x = random.normal(size=(ROWS + TEST_ROWS, 2))
    frame = pd.DataFrame(x, columns=["a", "b"]).assign(
        exposure=np.where(random.random(len(x)) < 0.1, 0.0, random.gamma(2, size=len(x))),
        count=random.poisson(np.exp(0.6 * x[:, 0])),
    )
    frame[:ROWS].to_csv(tmp_path / "train.csv", index=False)
    frame[ROWS:].drop(columns="count").to_csv(tmp_path / "test.csv", index=False)
    return tmp_path


def describe(entry: EntryPoint, folder: Path, *options: str, first: str = "") -> None:
    """Write competition.toml, with one more line at its beginning."""
    done = entry("init", "--yes", "--target", "count", *options, cwd=folder)
    assert done.code == 0, done.err
    path = folder / "competition.toml"
    path.write_text(f"{first}\n{path.read_text(encoding='utf-8')}", encoding="utf-8")


def cv(entry: EntryPoint, folder: Path, *options: str) -> Any:
    done = entry("cv", *TINY, *options, "--json", cwd=folder)
    assert done.code == 0, done.err
    return done.json


def refused(done: Finished, code: int, *words: str) -> None:
    assert done.code == code, done.err
    assert all(word in done.error for word in words), done.error


SCORES = {
    "smape": lambda a, b, w: np.average(
        2 * np.abs(a - b) / np.maximum(np.abs(a) + np.abs(b), 1e-300), weights=w
    ),
    "pinball 0.9": lambda a, b, w: mean_pinball_loss(a, b, alpha=0.9, sample_weight=w),
    "poisson": lambda a, b, w: mean_poisson_deviance(a, b, sample_weight=w),
    "tweedie 1.2": lambda a, b, w: mean_tweedie_deviance(a, b, power=1.2, sample_weight=w),
}


@pytest.mark.parametrize("metric", SCORES)
def test_a_weighted_metric(entry: EntryPoint, folder: Path, metric: str) -> None:
    describe(entry, folder, "--metric", metric, first='weight_column = "exposure"')
    found = cv(entry, folder)
    oof = pd.read_csv(Path(folder, found["path"], "oof.csv"))
    train = pd.read_csv(folder / "train.csv")
    assert oof["weight"].tolist() == pytest.approx(train["exposure"].tolist(), rel=1e-12)
    expected = SCORES[metric](oof["true"], oof["predicted"], oof["weight"])
    assert found["metric"] == metric
    assert found["scores"]["oof"] == pytest.approx(expected, rel=1e-9)
    record = json.loads(Path(folder, found["path"], "run.json").read_text(encoding="utf-8"))
    assert record["columns"]["weight_column"] == "exposure"
    recipe = Path(folder, found["path"], "recipes", "fold-1.json").read_text(encoding="utf-8")
    assert "exposure" not in recipe
    # A second run is compared row by row, and gates know the direction.
    again = entry(
        "cv",
        *TINY,
        "--seed",
        "1",
        "--fold-seed",
        "0",
        "--baseline",
        "mlp-001",
        "--tolerance",
        "9",
        "--fail-above",
        "99",
        "--json",
        cwd=folder,
    )
    assert again.code == 0, again.err
    assert [gate["passed"] for gate in again.json["gates"]] == [True, True]
    assert again.json["earlier"]["standard_error"] > 0
    assert entry("predict", cwd=folder).code == 0
    submission = pd.read_csv(folder / "submission.csv")
    assert (submission["count"] >= 0).all()
    # Without the weights it is another competition.
    path = folder / "competition.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('weight_column = "exposure"', ""), encoding="utf-8")
    refused(entry("predict", cwd=folder), 3, "weight_column", "exposure then, none now")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("-1", ["'exposure' must be a number of 0 or above", "'-1"]),
        ("much", ["'exposure' must be a number of 0 or above", "'much'"]),
        ("inf", ["'exposure' must be a number of 0 or above", "inf"]),
        ("", ["'exposure' must be a number of 0 or above", "nothing"]),
    ],
)
def test_a_weight_that_cannot_be(
    entry: EntryPoint, folder: Path, value: str, words: list[str]
) -> None:
    describe(entry, folder, first='weight_column = "exposure"')
    train = pd.read_csv(folder / "train.csv", dtype=str)
    train.loc[7, "exposure"] = value
    train.to_csv(folder / "train.csv", index=False)
    refused(entry("cv", *TINY, cwd=folder), 3, "train.csv", "row 8", *words)


def test_weights_of_nothing(entry: EntryPoint, folder: Path) -> None:
    describe(entry, folder, first='weight_column = "exposure"')
    train = pd.read_csv(folder / "train.csv").assign(exposure=0)
    train.to_csv(folder / "train.csv", index=False)
    refused(entry("cv", *TINY, cwd=folder), 3, "'exposure' is 0 in every row")
    for column, code, words in [("size", 3, "'size' is missing"), ("count", 3, "is the target")]:
        path = folder / "competition.toml"
        text = path.read_text(encoding="utf-8").partition("\n")[2]
        path.write_text(f'weight_column = "{column}"\n{text}', encoding="utf-8")
        refused(entry("cv", *TINY, cwd=folder), code, words)


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("pinball 2", ["pinball takes a level", "'2'"]),
        ("tweedie x", ["tweedie takes a power", "'x'"]),
        ("pinbal", ["unknown metric", "pinball"]),
    ],
)
def test_a_metric_that_cannot_be(
    entry: EntryPoint, folder: Path, metric: str, words: list[str]
) -> None:
    done = entry("init", "--yes", "--target", "count", "--metric", metric, cwd=folder)
    refused(done, 2, *words)


def test_a_target_below_zero_has_no_deviance(entry: EntryPoint, folder: Path) -> None:
    describe(entry, folder, "--metric", "poisson", "--transform", "none")
    train = pd.read_csv(folder / "train.csv")
    train.loc[3, "count"] = -2
    train.to_csv(folder / "train.csv", index=False)
    refused(entry("cv", *TINY, cwd=folder), 3, "'count' is -2", "row 4", "rmse")


@pytest.mark.parametrize("transform", ["sqrt", "quantile", "yeo-johnson"])
def test_a_transform(entry: EntryPoint, folder: Path, transform: str) -> None:
    describe(entry, folder, "--transform", transform, "--metric", "mae")
    found = cv(entry, folder, "--base-models", "ridge", "--k", "3")
    counts = pd.read_csv(folder / "train.csv")["count"]
    oof = pd.read_csv(Path(folder, found["path"], "oof.csv"))["predicted"]
    assert oof.between(counts.min(), counts.max()).all()
    record = json.loads(Path(folder, found["path"], "run.json").read_text(encoding="utf-8"))
    learned = record["ensemble"]["target"].get("learned")
    if transform == "sqrt":
        assert learned is None
    else:
        # Each fold has its own.
        assert len({tuple(numbers) for numbers in learned}) == 3
    # What is read from the folder predicts; the report has an axis for it.
    assert entry("predict", cwd=folder).code == 0
    first = (folder / "submission.csv").read_bytes()
    submission = pd.read_csv(folder / "submission.csv")["count"]
    assert submission.between(counts.min(), counts.max()).all()
    assert submission.nunique() > 4
    if transform == "quantile":
        assert entry("report", "--permutations", "1", cwd=folder).code == 0
    assert entry("predict", "-o", "again.csv", cwd=folder).code == 0
    assert (folder / "again.csv").read_bytes() == first


def test_init_proposes_what_the_target_looks_like(entry: EntryPoint, folder: Path) -> None:
    train = pd.read_csv(folder / "train.csv")
    skewed = np.sinh(np.random.default_rng(0).normal(1, 1.2, len(train)))
    train.assign(count=skewed).to_csv(folder / "train.csv", index=False)
    describe(entry, folder)
    text = (folder / "competition.toml").read_text(encoding="utf-8")
    assert 'target_transform = "yeo-johnson"  # with values below 0, skewed' in text
    assert cv(entry, folder)["scores"]["oof"] > 0


def test_predictions_beyond_the_target(entry: EntryPoint, folder: Path) -> None:
    """A steep line that test rows go on along."""
    train, test = (pd.read_csv(folder / name) for name in ("train.csv", "test.csv"))
    train.assign(count=100 * train["a"]).to_csv(folder / "train.csv", index=False)
    test.assign(a=test["a"] * 9).to_csv(folder / "test.csv", index=False)
    describe(entry, folder, "--metric", "rmse", "--transform", "none")
    options = ["--model", "linear", "--epochs", "150", "--lr", "0.1"]
    # pandas below 3.1 reads numbers to all but the last bit.
    ends = 100 * train["a"].min() - 1e-9, 100 * train["a"].max() + 1e-9
    done = entry("cv", *TINY, *options, "--json", cwd=folder)
    assert done.code == 0, done.err
    count = done.json["outside"]
    assert count > 0
    words = "out-of-fold predictions left the range of the training target"
    assert f"{count} of {ROWS} {words}: bounded by it; --no-bound leaves them" in done.err
    for flags, bound in [([], True), (["--no-bound"], False)]:
        made = entry("predict", *flags, "--json", cwd=folder)
        assert made.code == 0, made.err
        predicted = pd.read_csv(folder / "submission.csv")["count"]
        assert predicted.between(*ends).all() == bound
        assert made.json["outside"] > TEST_ROWS // 2
        assert f"{made.json['outside']} of {TEST_ROWS} test predictions left" in made.err
    free = entry("cv", *TINY, *options, "--no-bound", "--json", cwd=folder)
    assert free.json["outside"] == count
    assert free.json["scores"]["oof"] != done.json["scores"]["oof"]
    # That run was made so, and predicts so.
    assert entry("predict", "--run", free.json["run"], "-q", cwd=folder).code == 0
    assert not pd.read_csv(folder / "submission.csv")["count"].between(*ends).all()


def test_intervals(entry: EntryPoint, folder: Path) -> None:
    describe(entry, folder, "--metric", "mae", "--transform", "log1p")
    both = cv(entry, folder, "--interval", "0.8", "--k", "3")["interval"]
    (scored,) = both.values()
    assert list(both) == ["count"]
    assert (scored["level"], scored["rows"]) == (0.8, ROWS)
    assert 0.65 < scored["covered"] < 0.95
    made = entry("predict", "--interval", "0.8", "-o", "out/mine.csv", "--json", cwd=folder)
    assert made.code == 0, made.err
    assert made.json["interval"] == both
    assert made.json["intervals"] == str(Path("out", "mine-intervals.csv"))
    frame = pd.read_csv(folder / made.json["intervals"])
    plain = pd.read_csv(folder / "out" / "mine.csv")
    assert list(frame) == ["row", "count", "count_low", "count_high"]
    pd.testing.assert_frame_equal(frame.iloc[:, :2], plain)
    assert (frame["count_low"] <= frame["count"]).all()
    assert (frame["count"] <= frame["count_high"]).all()
    assert (frame["count_low"] >= 0).all()
    text = entry("predict", "--interval", "0.8", cwd=folder)
    assert "out-of-fold rows lie inside (nested folds)" in text.out
    assert "30 intervals written to submission-intervals.csv" in text.out
    planned = entry("predict", "--interval", "0.8", "--dry-run", "--json", cwd=folder)
    assert "submission-intervals.csv" in planned.json["outputs"]
    none = entry("predict", "--json", cwd=folder).json
    assert (none["interval"], none["intervals"]) == (None, None)


@pytest.mark.parametrize("command", ["cv", "predict"])
def test_intervals_that_cannot_be(entry: EntryPoint, folder: Path, command: str) -> None:
    describe(entry, folder, "--metric", "mae")
    options = TINY if command == "cv" else []
    cv(entry, folder)
    refused(entry(command, *options, "--interval", "90", cwd=folder), 2, "--interval", "found 90")
    done = entry(command, *options, "--interval", "0.99", cwd=folder)
    refused(done, 3, "need 199 out-of-fold rows", "found 60")
    held_out = ["--fold-scheme", "hold-out"]
    if command == "cv":
        refused(entry("cv", *TINY, *held_out, "--interval", "0.5", cwd=folder), 2, "one fold")
    # Refused before anything was trained or written.
    assert [path.name for path in folder.glob("runs/*/*")] == ["mlp-001"]
    assert not (folder / "submission.csv").exists()
    cv(entry, folder)
    both = ["--run", "mlp-001", "--run", "mlp-002"]
    done = entry("predict", *both, "--interval", "0.5", cwd=folder)
    refused(done, 2, "--interval", "one run", "2 runs")


def test_weighted_intervals_of_several_targets(entry: EntryPoint, folder: Path) -> None:
    train = pd.read_csv(folder / "train.csv")
    train["other"] = 1000 * (train["count"] + train["a"] ** 2) + 500
    train.to_csv(folder / "train.csv", index=False)
    describe(entry, folder, "--target", "other", first='weight_column = "exposure"')
    scored = cv(entry, folder, "--interval", "0.8", "--k", "3")
    oof = pd.read_csv(Path(folder, scored["path"], "oof.csv"))
    assert list(scored["interval"]) == ["count", "other"]
    done = entry("predict", "--interval", "0.8", cwd=folder)
    assert done.code == 0, done.err
    for name in ("count", "other"):
        assert f"intervals of 0.8 for {name}" in done.out
    frame = pd.read_csv(folder / "submission-intervals.csv")
    assert list(frame) == [
        *("row", "count", "other", "count_low", "count_high", "other_low", "other_high")
    ]
    for name in ("count", "other"):
        low, high = frame[f"{name}_low"], frame[f"{name}_high"]
        assert ((low <= frame[name]) & (frame[name] <= high)).all()
        # By the residuals of its own target, and by their weights.
        true, predicted = oof[f"true {name}"], oof[f"predicted {name}"]
        reach = np.average(np.abs(true - predicted), weights=oof["weight"])
        assert reach < (high - low).median() < 8 * reach


@pytest.mark.parametrize("words", [("true", "FALSE"), ("1", "0")])
def test_a_target_of_two_values(entry: EntryPoint, folder: Path, words: tuple[str, str]) -> None:
    """Learned as 1 and 0, however it is written, and on no transformed scale."""
    train = pd.read_csv(folder / "train.csv")
    truth = train["count"] > 2
    train["count"] = np.where(truth, *words)
    train.to_csv(folder / "train.csv", index=False)
    describe(entry, folder)
    assert 'target_transform = "none"' in (folder / "competition.toml").read_text()
    done = entry("cv", *TINY, "--json", cwd=folder)
    assert done.code == 0, done.err
    assert ("1 and 0" in done.err) == (words[0] != "1")
    oof = pd.read_csv(Path(folder, done.json["path"], "oof.csv"))
    assert oof["true"].tolist() == truth.astype(float).tolist()
    assert entry("predict", cwd=folder).code == 0
    assert pd.read_csv(folder / "submission.csv")["count"].between(0, 1).all()


def test_a_target_of_classes_is_refused(entry: EntryPoint, folder: Path) -> None:
    train = pd.read_csv(folder / "train.csv")
    train["count"] = np.where(train["count"] > 2, "many", "few")
    train.to_csv(folder / "train.csv", index=False)
    refused(entry("init", "--yes", cwd=folder), 3, "'count'", "1 and 0")
