"""Competitions that nobody prepared: three commands each, and guesses that a person would make."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from entry_point import TINY, EntryPoint
from sklearn.datasets import (
    load_diabetes,
    load_linnerud,
    make_friedman1,
    make_friedman2,
    make_friedman3,
)
from suite import SUITE, needs_suite

from kaggleprice.competitions.catalog import read_competition

ORDERED_CUT = ("Fair", "Good", "Very Good", "Premium", "Ideal")
ORDERED_CLARITY = ("I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF")
# By hand: id, target, target transform, kinds of columns that are no plain numbers or categories.
EXPECTED: dict[str, tuple[str | None, str, str, dict[str, Any]]] = {
    "abalone": (None, "Rings", "none", {}),
    "insurance": (None, "charges", "log1p", {}),
    "concrete": (None, "strength", "none", {}),
    "bike-sharing": (
        "datetime",
        "count",
        "log1p",
        {"datetime": "date %Y-%m-%d %H:%M:%S", "casual": "drop", "registered": "drop"},
    ),
    "king-county": ("id", "price", "log1p", {"lat": "latitude", "long": "longitude"}),
    "diamonds": (None, "price", "log1p", {"cut": ORDERED_CUT, "clarity": ORDERED_CLARITY}),
    "cpu-act": (None, "y", "none", {}),
    "melbourne": (
        None,
        "Price",
        "log1p",
        {"Date": "date %d/%m/%Y", "Lattitude": "latitude", "Longtitude": "longitude"},
    ),
    "mercedes": ("ID", "y", "none", {}),
    "elevators": (None, "y", "none", {}),
}


def run(entry: EntryPoint, folder: Path, *options: str) -> None:
    """Go from two files to a submission with three commands."""
    for command in (["init", "--yes"], ["cv", *options], ["predict"]):
        done = entry(*command, cwd=folder)
        assert done.code == 0, (command, done.err)


def check_submission(folder: Path) -> None:
    competition = read_competition(folder / "competition.toml")
    submission, test = (
        pd.read_csv(folder / name, dtype=str) for name in ("submission.csv", "test.csv")
    )
    ids = [str(i + 1) for i in range(len(test))]
    if competition.id_column is not None:
        ids = test[competition.id_column].tolist()
    assert submission.iloc[:, 0].tolist() == ids
    assert np.isfinite(submission[competition.target_column].astype(float)).all()


@needs_suite
# Of those that have plain numbers alone, one; scikit-learn's below are such.
@pytest.mark.parametrize(
    "name", [n for n in EXPECTED if n not in ("concrete", "cpu-act", "elevators")]
)
def test_the_first_rows_of_real_ones(name: str, entry: EntryPoint, tmp_path: Path) -> None:
    for file in ("train.csv", "test.csv"):
        # As they were written: cells as text.
        frame = pd.read_csv(SUITE / name / file, dtype=str, keep_default_na=False, nrows=300)
        # Of the 378 columns of one of them, some.
        frame.iloc[:, :60].to_csv(tmp_path / file, index=False)
    run(entry, tmp_path, *TINY)
    check_submission(tmp_path)
    found = read_competition(tmp_path / "competition.toml")
    identity, target, _, kinds = EXPECTED[name]
    assert (found.id_column, found.target_column) == (identity, target)
    # Of the first rows some levels are absent.
    assert found.kinds.keys() == kinds.keys()


@needs_suite
@pytest.mark.parametrize("name", EXPECTED)
def test_guesses_about_real_ones(name: str, entry: EntryPoint, tmp_path: Path) -> None:
    for file in ("train.csv", "test.csv"):
        (tmp_path / file).symlink_to(SUITE / name / file)
    assert entry("init", "--yes", cwd=tmp_path).code == 0
    found = read_competition(tmp_path / "competition.toml")
    made = (found.id_column, found.target_column, found.target_transform, dict(found.kinds))
    assert made == EXPECTED[name]
    assert found.missing_values == ("NA",)
    assert found.csv_format.changes == {}


@needs_suite
@pytest.mark.slow
@pytest.mark.parametrize("name", EXPECTED)
def test_whole_real_ones(name: str, entry: EntryPoint, tmp_path: Path) -> None:
    for file in ("train.csv", "test.csv"):
        (tmp_path / file).symlink_to(SUITE / name / file)
    run(entry, tmp_path, "--preset", "fast", "--threads", "1")
    check_submission(tmp_path)


SKLEARN = {
    "diabetes": lambda: load_diabetes(return_X_y=True),
    "friedman1": lambda: make_friedman1(300, random_state=0),
    "friedman2": lambda: make_friedman2(300, random_state=0),
    "friedman3": lambda: make_friedman3(300, random_state=0),
}


@pytest.mark.parametrize("name", SKLEARN)
def test_those_of_scikit_learn(name: str, entry: EntryPoint, tmp_path: Path) -> None:
    x, y = SKLEARN[name]()
    frame = pd.DataFrame(x).assign(target=y)
    frame[:200].to_csv(tmp_path / "train.csv", index=False)
    frame[200:].drop(columns="target").to_csv(tmp_path / "test.csv", index=False)
    run(entry, tmp_path, *TINY)
    check_submission(tmp_path)
    found = read_competition(tmp_path / "competition.toml")
    assert (found.id_column, found.target_column, dict(found.kinds)) == (None, "target", {})


def test_several_targets(entry: EntryPoint, tmp_path: Path) -> None:
    frame = load_linnerud(as_frame=True).frame
    targets = ["Weight", "Waist", "Pulse"]
    frame[:15].to_csv(tmp_path / "train.csv", index=False)
    frame[15:].drop(columns=targets).to_csv(tmp_path / "test.csv", index=False)
    named = [part for name in targets for part in ("--target", name)]
    assert entry("init", "--yes", *named, cwd=tmp_path).code == 0
    assert entry("cv", *TINY, cwd=tmp_path).code == 0
    document = json.loads(entry("predict", "--json", cwd=tmp_path).out)
    submission = pd.read_csv(tmp_path / "submission.csv")
    assert list(submission) == ["row", *targets]
    assert np.isfinite(submission).all(axis=None)
    of_targets = document["scores"]["targets"]
    assert list(of_targets) == targets
    assert document["scores"]["oof"] == pytest.approx(np.mean(list(of_targets.values())))
    largest = pytest.approx(submission["Pulse"].max(), rel=1e-12)
    assert document["targets"]["Pulse"]["largest"] == largest
    report = entry("report", "--target", "Pulse", "--permutations", "1", cwd=tmp_path)
    assert report.code == 0, report.err
    wrong = entry("report", "--target", "Puls", cwd=tmp_path)
    assert wrong.code == 2
    assert "'Pulse'" in wrong.err
    before, after = (
        json.loads(entry(*command, "--json", cwd=tmp_path).out)["members"]
        for command in (["runs", "show"], ["cv", "--run", "mlp-001", "--add-seeds", "1"])
    )
    folds = len({member["fold"] for member in before})
    assert after == len(before) + folds * len(targets)


def test_targets_named_by_the_sample_submission(entry: EntryPoint, tmp_path: Path) -> None:
    frame = load_linnerud(as_frame=True).frame
    frame.insert(0, "Id", range(len(frame)))
    frame[:15].to_csv(tmp_path / "train.csv", index=False)
    frame[15:][["Id", "Chins", "Situps", "Jumps"]].to_csv(tmp_path / "test.csv", index=False)
    frame[15:][["Id", "Waist", "Pulse"]].to_csv(tmp_path / "sample_submission.csv", index=False)
    assert entry("init", "--yes", cwd=tmp_path).code == 0
    found = read_competition(tmp_path / "competition.toml")
    assert found.targets == ("Waist", "Pulse")
    assert found.kinds["Weight"] == "drop"


def test_runs_of_other_targets_and_metrics_are_kept_apart(
    entry: EntryPoint, tmp_path: Path
) -> None:
    frame = load_linnerud(as_frame=True).frame
    frame.to_csv(tmp_path / "train.csv", index=False)
    for run, targets, metric in (
        ("one", ["Weight"], "rmse"),
        ("two", ["Weight", "Waist"], "rmse"),
        ("three", ["Weight"], "mae"),
    ):
        named = [part for name in targets for part in ("--target", name)]
        described = ["init", "--yes", "--force", "--metric", metric, *named]
        assert entry(*described, cwd=tmp_path).code == 0
        done = entry("cv", *TINY, "--run", run, cwd=tmp_path)
        assert done.code == 0, done.err
    assert "predict --test FILE" in done.out
    listed = entry("runs", cwd=tmp_path).out
    assert "rmse of 2 targets" in listed
    order = [run["run"] for run in entry("runs", "--json", cwd=tmp_path).json["runs"]]
    assert order == ["three", "two", "one"]
    compared = entry("runs", "compare", "one", "two", cwd=tmp_path)
    assert compared.code == 2
    assert "target differs, Weight and Weight, Waist" in compared.err


def test_next_steps_name_the_files_that_were_named(entry: EntryPoint, tmp_path: Path) -> None:
    frame = load_linnerud(as_frame=True).frame
    data, here = tmp_path / "data", tmp_path / "here"
    data.mkdir()
    here.mkdir()
    frame[:15].to_csv(data / "train.csv", index=False)
    frame[15:].drop(columns="Pulse").to_csv(data / "test.csv", index=False)
    files = ["--train", "../data/train.csv", "--test", "../data/test.csv", "--target", "Pulse"]
    done = entry("cv", *TINY, *files, cwd=here)
    assert done.code == 0, done.err
    step = next(line for line in done.out.splitlines() if "kaggleprice predict" in line)
    command = step.partition("kaggleprice ")[2].partition("  #")[0].split()
    assert set(files) <= set(command)
    assert entry(*command, cwd=here).code == 0


def test_comparisons_tell_the_kinds_that_differ(entry: EntryPoint, tmp_path: Path) -> None:
    load_linnerud(as_frame=True).frame.to_csv(tmp_path / "train.csv", index=False)
    assert entry("init", "--yes", "--target", "Pulse", cwd=tmp_path).code == 0
    for run, kinds in (("a", []), ("b", ["--drop", "Waist", "--kind", "Chins=category"])):
        assert entry("cv", *TINY, "--run", run, *kinds, cwd=tmp_path).code == 0
    compared = entry("runs", "compare", "a", "b", "--json", cwd=tmp_path).json["settings"]
    kinds = {name: both["second"] for name, both in compared.items() if name.startswith("kind")}
    assert kinds["kind of Waist"] == "drop"
    assert kinds["kind of Chins"] == "category"
    assert "kind of Waist" in entry("runs", "compare", "a", "b", cwd=tmp_path).out
    wrong = entry("cv", *TINY, "--drop", "Waste", cwd=tmp_path)
    assert wrong.code == 3
    assert "Did you mean 'Waist'?" in wrong.err
