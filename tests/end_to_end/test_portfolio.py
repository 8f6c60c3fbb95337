"""The default preset as a person has it: unlike settings, and weights learned in each fold."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from entry_point import EntryPoint, Finished
from small import content, write_small

from kaggleprice.settings.portfolio import PORTFOLIO

# Nothing here says which settings there are, nor how rows are left out.
SHORT = shlex.split("--k 2 --epochs 2 --dtype float64 --threads 1")
SEEDS = ["--seeds", "2"]
NAMES = list(PORTFOLIO)


def succeeded(done: Finished) -> Finished:
    assert done.code == 0, done.err
    return done


@pytest.fixture(scope="module")
def folder(entry: EntryPoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run `mine`: 2 folds, up to 2 random starts; it has predicted. Read only."""
    folder = tmp_path_factory.mktemp("portfolio")
    write_small(folder)
    command = ["cv", "-c", "small.toml", *SHORT, *SEEDS, "--run", "mine"]
    succeeded(entry(*command, cwd=folder))
    succeeded(entry("predict", "-c", "small.toml", cwd=folder))
    return folder


@pytest.fixture(scope="module")
def record(folder: Path) -> dict[str, Any]:
    text = (folder / "runs" / "small" / "mine" / "run.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def test_it_trains_each_setting_and_weighs_it(folder: Path, record: dict[str, Any]) -> None:
    names = [part["name"] for part in record["parts"]]
    assert names == [name for name in NAMES if name in names]
    assert len(names) > 2
    weights = np.array([part["weight"] for part in record["parts"]])
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1)
    assert len(set(weights)) > 1, "what the folds' rows teach, not the same for all"
    members = [(m["fold"], m["variant"], m["seed"]) for m in record["members"]]
    assert len(set(members)) == len(members)
    variants = {1 + NAMES.index(name) for name in names}
    # One start of each setting, and another of those that count.
    assert {m for m in members if m[2] == 0} == {(f, v, 0) for f in (1, 2) for v in variants}
    assert any(seed == 1 for _, _, seed in members)
    history = pd.read_csv(folder / "runs" / "small" / "mine" / "history.csv")
    assert set(history["variant"]) == variants


def test_the_same_command_writes_the_same_bytes(
    entry: EntryPoint, folder: Path, tmp_path: Path
) -> None:
    """Also where `predict` trains the run itself."""
    write_small(tmp_path)
    succeeded(entry("predict", "-c", "small.toml", *SHORT, *SEEDS, cwd=tmp_path))
    runs = [
        place / "runs" / "small" / name for place, name in [(folder, "mine"), (tmp_path, "mlp-001")]
    ]
    first, second = ({k: v for k, v in content(run).items() if k != "run.json"} for run in runs)
    assert first == second
    assert "weights.safetensors" in first
    written = [(place / "submission.csv").read_bytes() for place in (folder, tmp_path)]
    assert written[0] == written[1]


def test_two_processes_train_what_one_does(entry: EntryPoint, folder: Path, tmp_path: Path) -> None:
    write_small(tmp_path)
    command = ["cv", "-c", "small.toml", *SHORT, *SEEDS, "--run", "mine"]
    succeeded(entry(*command, "--device", "cpu,cpu", "--threads", "2", cwd=tmp_path))
    one, two = (place / "runs" / "small" / "mine" for place in (folder, tmp_path))
    for name in ("oof.csv", "history.csv"):
        tables = [pd.read_csv(run / name) for run in (one, two)]
        pd.testing.assert_frame_equal(*tables, rtol=1e-9)


def test_added_seeds_are_those_of_the_whole_run(
    entry: EntryPoint, folder: Path, record: dict[str, Any], tmp_path: Path
) -> None:
    """Members, and the weights that are learned anew from all of them."""
    write_small(tmp_path)
    place = ["-c", "small.toml", "--run", "mine"]
    succeeded(entry("cv", *place, *SHORT, "--seeds", "1", cwd=tmp_path))
    done = succeeded(entry("cv", *place, "--add-seeds", "1", "--json", cwd=tmp_path))
    parts = [pd.DataFrame(found["parts"]) for found in (done.json, record)]
    pd.testing.assert_frame_equal(*parts, rtol=1e-9)
    succeeded(entry("predict", "-c", "small.toml", cwd=tmp_path))
    tables = [pd.read_csv(path / "submission.csv") for path in (folder, tmp_path)]
    pd.testing.assert_frame_equal(*tables, rtol=1e-9)


def test_run_and_report_show_the_parts(
    entry: EntryPoint, folder: Path, record: dict[str, Any], tmp_path: Path
) -> None:
    shown = succeeded(entry("runs", "show", "mine", cwd=folder)).out
    page = tmp_path / "report.html"
    given = ["-c", "small.toml", "--no-importance", "--output", page]
    succeeded(entry("report", "mine", *given, cwd=folder))
    rows = [line.split() for line in shown.splitlines()]
    text = page.read_text(encoding="utf-8")
    for part in record["parts"]:
        scores = [part["oof"], part["oof_without"]]
        shown_scores = [f"{score:.4f}" for score in scores if score is not None]
        assert [part["name"], f"{part['weight']:.2f}", *shown_scores] in rows
        assert all(word in text for word in [part["name"], *shown_scores])


def test_run_shows_how_each_network_of_a_fold_scores(
    entry: EntryPoint, folder: Path, record: dict[str, Any]
) -> None:
    shown = succeeded(entry("runs", "show", "mine", "-c", "small.toml", cwd=folder)).out
    for fold in (1, 2):
        alone = [m["validation"] for m in record["members"] if m["fold"] == fold]
        lines = [line.split() for line in shown.splitlines()]
        (cells,) = (line for line in lines if line[:1] == [str(fold)] and len(line) == 8)
        assert int(cells[3]) == len(alone)
        found = [float(cell.replace(",", "")) for cell in (cells[4], cells[6], cells[7])]
        assert found == pytest.approx([np.mean(alone), min(alone), max(alone)], rel=1e-3)
