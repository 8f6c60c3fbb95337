"""Fold schemes through the command line: what a run of each leaves, and what it is good for."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from entry_point import EntryPoint

from kaggleprice.api import workflow
from kaggleprice.competitions.catalog import read_competition
from kaggleprice.runs.run import Run

OPTIONS = [
    "--portfolio",
    "none",
    "--epochs",
    "2",
    "--seeds",
    "1",
    "--k",
    "3",
    "--hidden",
    "8",
    "--threads",
    "1",
]
ROWS, TEST_ROWS, DAYS = 60, 20, 20
TOML = """
name = "panel"
id_column = "place"
target_column = "y"
target_transform = "none"
metric = "rmse"
[kinds]
day = "date %d.%m.%Y"
[train]
path = "train.csv"
[test]
path = "test.csv"
"""


def write_panel(folder: Path, *, later: bool = False, others: bool = False) -> Path:
    """Write three places a day, whose ids repeat, in no order of time; return the folder.

    Args:
        folder: where to.
        later: whether the test days are after those of training.
        others: whether the test file has other subjects.
    """
    random = np.random.default_rng(0)
    count = ROWS + TEST_ROWS
    days = np.arange(count) // 3
    if not later:
        days = random.permutation(days)
    frame = pd.DataFrame(
        {
            "place": random.choice(["a", "b", "c"], count),
            "day": pd.Timestamp("2020-01-25") + pd.to_timedelta(days, "D"),
            "subject": np.arange(count) // 4 if others else np.arange(count) % 10,
            "x": random.normal(size=count).round(3),
        }
    )
    frame["y"] = (frame["x"] + 0.1 * frame["subject"] + random.normal(0, 0.1, count)).round(3)
    frame["day"] = frame["day"].dt.strftime("%d.%m.%Y")
    train = frame[:ROWS].sample(frac=1, random_state=1)
    train.to_csv(folder / "train.csv", index=False)
    frame[ROWS:].drop(columns="y").to_csv(folder / "test.csv", index=False)
    return folder


@pytest.fixture
def panel(tmp_path: Path) -> Path:
    (tmp_path / "competition.toml").write_text(TOML, encoding="utf-8")
    return write_panel(tmp_path)


def command(entry: EntryPoint, folder: Path, *arguments: str) -> Any:
    done = entry(*arguments, cwd=folder)
    assert done.code == 0, (arguments, done.err)
    return done


def tables(folder: Path, run: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    found = folder / "runs" / "panel" / run
    oof, folds = (
        pd.read_csv(found / name, dtype={"fold": str}) for name in ("oof.csv", "folds.csv")
    )
    return oof, folds


# Options; the number of folds, and how many folds validate each row: lowest and highest.
CASES: dict[str, tuple[list[str], int, int, int]] = {
    "shuffled": ([], 3, 1, 1),
    "contiguous": (["--fold-scheme", "contiguous"], 3, 1, 1),
    "stratified": (["--fold-scheme", "stratified", "--repeats", "2"], 6, 2, 2),
    "grouped": (["--fold-scheme", "grouped", "--fold-column", "subject"], 3, 1, 1),
    "forward": (["--fold-scheme", "forward", "--fold-column", "day", "--fold-gap", "2"], 3, 0, 1),
    "hold-out": (["--fold-scheme", "hold-out", "--hold-out", "0.25"], 1, 0, 1),
    "repeated": (["--repeats", "3"], 9, 3, 3),
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_of_each(case: str, entry: EntryPoint, panel: Path) -> None:
    options, count, least, most = CASES[case]
    scored = command(entry, panel, "cv", "--json", "--run", "a", *options, *OPTIONS).json
    assert len(scored["folds"]) == count
    assert scored["members"] == count
    assert (scored["scores"]["fold_sd"] is None) == (count == 1)
    oof, folds = tables(panel, "a")
    assert list(oof) == ["place", "true", "predicted", "fold", "row"]
    # The rows are those of the training file, whatever their ids.
    train = pd.read_csv(panel / "train.csv")
    assert oof["true"].tolist() == train["y"][oof["row"] - 1].tolist()
    assert oof["place"].tolist() == train["place"][oof["row"] - 1].tolist()
    times = oof["row"].value_counts().reindex(range(1, ROWS + 1), fill_value=0)
    assert (times.min(), times.max()) == (least, most)
    assert sorted(folds["row"].unique()) == list(range(1, ROWS + 1))
    assert sorted(folds.loc[folds["fold"] == "none", "row"]) == times[times == 0].index.tolist()
    # The pooled score is that of the mean of a row's predictions.
    by_row = oof.groupby("row")[["true", "predicted"]].mean()
    error = np.sqrt(((by_row["true"] - by_row["predicted"]) ** 2).mean())
    assert scored["scores"]["oof"] == pytest.approx(error, rel=1e-9)
    assert Run.read(panel / "runs/panel/a").predictions["row"].tolist() == by_row.index.tolist()
    # The same folds from their file make the same predictions, and more seeds keep them.
    again = ["--folds", "runs/panel/a/folds.csv", "--run", "b"]
    rest = [option for option in OPTIONS if option not in ("--k", "3")]
    assert (
        command(entry, panel, "cv", "--json", *again, *rest).json["folds_sha256"]
        == (scored["folds_sha256"])
    )
    pd.testing.assert_frame_equal(oof, tables(panel, "b")[0])
    compared = command(entry, panel, "runs", "compare", "a", "b", "--json").json
    assert (compared["same_folds"], compared["unpaired_rows"]) == (True, 0)
    assert (compared["by_fold"] is None) == (count == 1)
    assert compared["by_row"]["count"] == len(by_row)
    more = command(entry, panel, "cv", "--run", "a", "--add-seeds", "1", "--json").json
    assert (more["members"], more["folds_sha256"]) == (2 * count, scored["folds_sha256"])
    command(entry, panel, "predict", "--run", "a")
    assert len(pd.read_csv(panel / "submission.csv")) == TEST_ROWS


NO_IMPORTANCE = ["--no-importance"]


@pytest.mark.parametrize("case", ["forward", "hold-out", "repeated"])
def test_what_is_shown_of_uneven_ones(case: str, entry: EntryPoint, panel: Path) -> None:
    """No command shows NaN, and a report has the scored rows alone."""
    pytest.importorskip("matplotlib")
    shown = [command(entry, panel, "cv", "--run", "a", *CASES[case][0], *OPTIONS)]
    shown += [
        command(entry, panel, *words)
        for words in (
            ["runs"],
            ["runs", "show", "a"],
            ["cv", "--run", "b", "--baseline", "a", *CASES[case][0], *OPTIONS],
            ["runs", "compare", "a", "b"],
            ["report", "a", *(["--permutations", "1"] if case == "repeated" else NO_IMPORTANCE)],
        )
    ]
    page = (panel / "runs/panel/a/report.html").read_text(encoding="utf-8")
    for text in (*(done.out for done in shown), page):
        assert "nan" not in text.lower().replace("nanum", "")
        assert "None" not in text


def test_forward_folds_leave_a_gap_of_days(entry: EntryPoint, panel: Path) -> None:
    command(entry, panel, "cv", "--run", "a", *CASES["forward"][0], *OPTIONS)
    days = pd.to_datetime(pd.read_csv(panel / "train.csv")["day"], format="%d.%m.%Y")
    distinct = sorted(days.unique())
    for train, held in Run.read(panel / "runs/panel/a").folds():
        between = distinct.index(days[held].min()) - distinct.index(days[train].max())
        assert between == 3


def test_the_latest_fold_predicts_the_rows_that_come_later(entry: EntryPoint, panel: Path) -> None:
    """Members of earlier folds know the beginning alone, where the target grows with time."""
    write_panel(panel, later=True)
    options = ["--no-bound", *CASES["forward"][0], *OPTIONS]
    command(entry, panel, "cv", "--run", "a", *options, "--base-models", "ridge")
    done = command(entry, panel, "predict", "--run", "a")
    assert "networks of fold 3" in done.err
    run = Run.read(panel / "runs/panel/a")
    competition = read_competition(panel / "competition.toml")
    data = workflow.load(workflow.DatasetRef(competition, panel / "data"))
    networks = run.ensemble().predict(data.tables.test.features)
    base_models = run.base_models()
    assert base_models is not None
    weight, share = run.ensemble().weights[2], base_models.weights[0, 2]
    expected = (weight * networks[2] + share * base_models.test[0, 2]) / (weight + share)
    assert pd.read_csv(panel / "submission.csv")["y"].to_numpy() == pytest.approx(expected)


def test_row_numbers_are_those_of_the_file(entry: EntryPoint, panel: Path) -> None:
    """Also where rows without a target are left out; a file of folds may name rows by them."""
    train = pd.read_csv(panel / "train.csv", dtype=str)
    train.loc[[0, 7, 30], "y"] = None
    train.to_csv(panel / "train.csv", index=False)
    toml = panel / "competition.toml"
    toml.write_text(f"drop_missing_target = true\n{TOML}", encoding="utf-8")
    command(entry, panel, "cv", "--run", "a", *OPTIONS)
    oof, _ = tables(panel, "a")
    assert oof["row"].tolist() == [i + 1 for i in range(ROWS) if i not in (0, 7, 30)]
    own = oof[["row", "fold"]].sample(frac=1, random_state=0)
    own.to_csv(panel / "own.csv", index=False)
    command(entry, panel, "cv", "--run", "b", "--folds", "own.csv", *OPTIONS)
    pd.testing.assert_frame_equal(oof, tables(panel, "b")[0])
    own[1:].to_csv(panel / "own.csv", index=False)
    done = entry("cv", "--folds", "own.csv", *OPTIONS, cwd=panel)
    assert done.code == 3
    assert f"row {own['row'].iloc[0]} is missing" in done.error


def test_a_date_that_is_no_date_is_named(entry: EntryPoint, panel: Path) -> None:
    done = entry("cv", "--fold-scheme", "forward", "--fold-column", "place", cwd=panel)
    assert done.code == 3
    for words in ("'place'", "--fold-column", "[kinds]"):
        assert words in done.error


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--fold-scheme", "forward", "--repeats", "2"], ["--repeats", "forward"]),
        (["--fold-scheme", "forward", "--k", "60"], ["60 moments", "--k"]),
        (["--fold-scheme", "hold-out", "--hold-out", "0.999"], ["--hold-out 0.999"]),
        (["--hold-out", "1"], ["--hold-out", "below 1"]),
        (["--repeats", "0"], ["--repeats"]),
    ],
)
def test_what_cannot_be(
    options: list[str], words: list[str], entry: EntryPoint, panel: Path
) -> None:
    done = entry("cv", *options, cwd=panel)
    assert done.code == 2
    for word in words:
        assert word in done.error


# What the test file says


@pytest.mark.parametrize(
    ("given", "scheme", "column"),
    [({"later": True}, "forward", "day"), ({"others": True}, "grouped", "subject"), ({}, None, "")],
    ids=["later", "others", "alike"],
)
def test_folds_that_the_test_file_asks_for(
    given: dict[str, bool], scheme: str | None, column: str, entry: EntryPoint, tmp_path: Path
) -> None:
    folder = write_panel(tmp_path, **given)
    keys = command(entry, folder, "init", "--yes", "--json", "--id", "place").json["keys"]
    assert ("fold_scheme" in keys) == (scheme is not None)
    found = read_competition(folder / "competition.toml")
    assert (found.fold_scheme, found.fold_column or "") == (scheme, column)
    # They are what `cv` takes, unless an option says otherwise, of which it warns.
    done = command(entry, folder, "cv", "--run", "a", *OPTIONS)
    assert "warning" not in done.err
    (run,) = folder.glob("runs/*/a")
    settings = Run.read(run).settings
    assert settings.fold_scheme == (scheme or "shuffled")
    assert (settings.fold_column or "") == column
    if scheme is None:
        return
    assert repr(column) in keys["fold_scheme"]["reason"]
    # Contradicts nothing: what the file says is no option of the command.
    assert command(entry, folder, "predict", "--json").json["notes"] == []
    better = f"--fold-scheme {scheme} --fold-column {column}"
    shuffled = ["cv", "--fold-scheme", "shuffled", "--run", "b", *OPTIONS, "--json"]
    done = command(entry, folder, *shuffled)
    (warning,) = [line for line in done.err.splitlines() if line.startswith("warning")]
    # Told before training, and beside the score wherever that stands.
    assert better in warning
    for document in (done.json, command(entry, folder, "predict", "--json").json):
        (note,) = document["notes"]
        assert better in note
    after_score = command(entry, folder, "predict").out.partition("Score to expect")[2]
    assert better in " ".join(after_score.split())
    assert better in " ".join(command(entry, folder, "runs").out.split())


def test_a_later_test_file_tells_as_well(entry: EntryPoint, panel: Path, tmp_path: Path) -> None:
    """What a run's own test file does not say of its folds, another one may."""
    other = tmp_path / "other"
    other.mkdir()
    write_panel(other, later=True)
    later = pd.read_csv(other / "test.csv")
    later["day"] = later["day"].str.replace("2020", "2030")
    later.to_csv(panel / "later.csv", index=False)
    assert command(entry, panel, "cv", "--json", *OPTIONS).json["notes"] == []
    found = command(entry, panel, "predict", "--test", "later.csv", "--json").json
    assert "--fold-scheme forward --fold-column day" in found["notes"][0]
    assert found["expected"]["gain"] > 0


def test_what_averaging_all_folds_gains(entry: EntryPoint, panel: Path) -> None:
    """A number of those folds alone whose members are as good as each other's."""
    for scheme, known in (("shuffled", True), ("forward", False), ("hold-out", False)):
        words = ["cv", "--fold-scheme", scheme, "--run", scheme, "--json", *OPTIONS]
        expected = command(entry, panel, *words).json["expected"]
        assert (expected["gain"] is not None) == known
        done = command(entry, panel, "predict", "--run", scheme)
        assert ("better since the submission averages" in " ".join(done.out.split())) == known
        predicted = command(entry, panel, "predict", "--run", scheme, "--json").json["expected"]
        assert predicted == expected
    shown = command(entry, panel, "runs", "show", "shuffled", "--json").json
    assert shown["scores"]["averaging_gain"] > 0


def test_files_that_nobody_described_are_split_so_as_well(
    entry: EntryPoint, tmp_path: Path
) -> None:
    folder = write_panel(tmp_path, others=True)
    files = ["--train", "train.csv", "--test", "test.csv", "--target", "y"]
    done = command(entry, folder, "cv", "--json", *files, *OPTIONS)
    assert "fold_scheme: grouped" in done.err
    (run,) = folder.glob("runs/*/*")
    assert Run.read(run).settings.fold_column == "subject"


# Averages of runs


def test_an_average_of_runs(entry: EntryPoint, panel: Path) -> None:
    for name, more in [("a", []), ("b", ["--seed", "1"]), ("c", CASES["forward"][0])]:
        command(entry, panel, "cv", "--run", name, *more, *OPTIONS)
    alone = []
    for name in "abc":
        command(entry, panel, "predict", "--run", name)
        alone.append(pd.read_csv(panel / "submission.csv")["y"].to_numpy())
    both = ["predict", "--run", "a", "--run", "b", "--json", "-o", "average.csv"]
    found = command(entry, panel, *both).json
    assert [(run["run"], run["weight"]) for run in found["runs"]] == [("a", 0.5), ("b", 0.5)]
    np.testing.assert_allclose(
        pd.read_csv(panel / "average.csv")["y"], np.mean(alone[:2], axis=0), rtol=1e-12
    )
    # A run's own submission stays its own.
    np.testing.assert_array_equal(pd.read_csv(panel / "runs/panel/a/submission.csv")["y"], alone[0])
    oof = [tables(panel, name)[0].set_index("row") for name in "abc"]
    mean = (oof[0]["predicted"] + oof[1]["predicted"]) / 2
    expected = np.sqrt(((oof[0]["true"] - mean) ** 2).mean())
    assert found["expected"]["score"] == pytest.approx(expected)
    # Weighted; the score is that of the rows that all of them predict.
    weighted = ["--run", "c", "--weight", "3", "--weight", "1", "--weight", "4"]
    found = command(entry, panel, *both, *weighted).json
    assert [run["weight"] for run in found["runs"]] == [0.375, 0.125, 0.5]
    np.testing.assert_allclose(
        pd.read_csv(panel / "average.csv")["y"],
        np.average(alone, axis=0, weights=[3, 1, 4]),
        rtol=1e-12,
    )
    common = pd.concat(
        [part["predicted"].rename(name) for name, part in zip("abc", oof, strict=True)], axis=1
    ).dropna()
    mean = np.average(common, axis=1, weights=[3, 1, 4])
    truth = oof[0].loc[common.index, "true"]
    assert len(common) < ROWS
    assert found["expected"]["score"] == pytest.approx(np.sqrt(((truth - mean) ** 2).mean()))


def test_averages_that_cannot_be(entry: EntryPoint, panel: Path) -> None:
    command(entry, panel, "cv", "--run", "a", *OPTIONS)
    shutil.copytree(panel / "runs/panel/a", panel / "runs/panel/b")
    for words, code, said in [
        (["--run", "a", "--run", "a"], 2, "twice"),
        (["--run", "a", "--run", "nobody"], 2, "nobody"),
        (["--run", "a", "--run", "b", "--weight", "1"], 2, "--weight"),
        (["--run", "a", "--run", "b", "--weight", "1", "--weight", "-1"], 2, "-1"),
        (["--weight", "1"], 2, "--weight"),
    ]:
        done = entry("predict", *words, cwd=panel)
        assert done.code == code, words
        assert said in done.error


def test_runs_to_average_may_stand_in_a_configuration(entry: EntryPoint, panel: Path) -> None:
    for name, seed in [("a", "0"), ("b", "1")]:
        command(entry, panel, "cv", "--run", name, "--seed", seed, *OPTIONS)
    for value, runs in [('"a"', ["a"]), ('["a", "b"]', ["a", "b"])]:
        (panel / "kaggleprice.toml").write_text(f"[predict]\nrun = {value}\n", encoding="utf-8")
        found = command(entry, panel, "predict", "--json").json
        assert [run["run"] for run in found["runs"]] == runs
