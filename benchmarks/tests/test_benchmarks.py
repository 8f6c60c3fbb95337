"""Benchmarks: the folds and scores of the peers, what is measured again, the tables' arithmetic."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV

from benchmarks import peers
from benchmarks import score as ablations
from kaggleprice.api.workflow import DatasetRef
from kaggleprice.competitions.catalog import COMPETITIONS
from kaggleprice.competitions.tables import Table, Tables
from kaggleprice.core.errors import DataError
from kaggleprice.evaluation import cross_validation
from kaggleprice.preprocessing.fitting import fit
from kaggleprice.settings.recipe import Recipe
from kaggleprice.settings.run import make_settings

SAMPLE = COMPETITIONS["sample"]
TINY = {"k": peers.K, "hidden": (8,), "epochs": 2, "portfolio": (), "seeds": 2}
# Every peer, in the order of the tables, with made-up pooled scores per fold seed.
OOF = {
    "ridge": {100: 0.130, 101: 0.136, 102: 0.131, 103: 0.5},
    "xgboost": {100: 0.121, 101: 0.120, 102: 0.126},
    "kaggleprice": {100: 0.118, 101: 0.121, 102: 0.119, 104: 0.5},
}


@pytest.fixture(scope="module")
def problem(sample_tables: Tables) -> peers.Problem:
    return peers.Problem(SAMPLE, sample_tables, fold_seed=1)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> peers.Networks:
    networks = peers.Networks("default", TINY)
    monkeypatch.setitem(peers.PEERS, "kaggleprice", networks)
    return networks


def made_up(peer: str, fold_seed: int, oof: float = 0.12, **changes: Any) -> peers.Line:
    """A result line as the file holds it."""
    line = {
        "peer": peer,
        "fold_seed": fold_seed,
        "fold_mean": oof - 0.002,
        "oof": oof,
        "usual": oof - 0.005,
        "seconds": 100 * oof,
        "threads": 1,
        "versions": {"numpy": "2.0"},
        "settings": peers.PEERS[peer].settings,
    }
    return dict(json.loads(json.dumps({**line, **changes})))


def write(folder: Path, *lines: peers.Line, more: str = "") -> Path:
    path = folder / peers.RESULTS
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + more, encoding="utf-8")
    return path


def write_all(folder: Path, scores: Mapping[str, Mapping[int, float]] = OOF) -> Path:
    lines = [made_up(p, seed, oof) for p, own in scores.items() for seed, oof in own.items()]
    return write(folder, *lines)


def cells(table: list[str]) -> dict[str, list[str]]:
    """Peer → the cells of its row."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]
    return {name: rest for name, *rest in rows}


# What is measured


def test_ridge_is_ridge_on_the_plain_recipe_of_the_training_rows(
    problem: peers.Problem,
) -> None:
    train = problem.tables.train
    held = problem.fold_of_row == 2
    rest = Table(train.ids[~held], train.features[~held], train.known_target[~held])
    recipe = fit(Recipe(), rest)
    ridge = RidgeCV(alphas=np.logspace(-1, 3, 17))
    ridge.fit(recipe.transform(rest.features), np.log(rest.known_target))
    expected = ridge.predict(recipe.transform(train.features[held]))
    assert np.allclose(peers.PEERS["ridge"].predict(problem)[held], expected, atol=1e-4)


@pytest.mark.parametrize("name", ["ridge", "hist-gradient-boosting"])
def test_garbage_targets_reach_nothing_of_their_fold(problem: peers.Problem, name: str) -> None:
    table = problem.tables.train
    train = Table(table.ids[:100], table.features.head(100), table.known_target[:100])
    problem = replace(problem, tables=Tables(train, problem.tables.test))
    held = problem.fold_of_row == 1
    garbage = replace(train, target=np.where(held, 1e9, train.known_target))
    spoilt = replace(problem, tables=Tables(garbage, problem.tables.test))
    clean, garbled = (peers.PEERS[name].predict(p) for p in (problem, spoilt))
    assert np.array_equal(clean[held], garbled[held])
    assert not np.array_equal(clean[~held], garbled[~held])


class Recorder:
    """A regressor that keeps what it was made with, and predicts 0."""

    made: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, **arguments: Any) -> None:
        self.made.append(arguments)

    def fit(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        assert len(x) == len(y)

    def predict(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.zeros(len(x))


def test_seed_and_threads_are_passed_on(
    problem: peers.Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recorder, "made", [])
    target = f"{__name__}:Recorder"
    peer = peers.Estimator("", target, {"depth": 4}, threaded=True)
    assert not peer.predict(problem).any()
    assert Recorder.made == 5 * [{"depth": 4, "random_state": 1, "n_jobs": torch.get_num_threads()}]


def test_scores_are_those_of_numpy(problem: peers.Problem) -> None:
    train = problem.tables.train
    error = np.random.default_rng(0).normal(0, 0.1, len(train))
    error[train.ids == "524"] = 3.0
    found = peers.score(problem, np.log(train.known_target) + error)
    folds = [error[problem.fold_of_row == fold] for fold in range(5)]
    others = error[(train.ids != "524") & (train.ids != "1299")]
    assert len(others) < len(error)
    assert found == pytest.approx(
        {
            "fold_mean": np.mean([np.linalg.norm(e) / np.sqrt(len(e)) for e in folds]),
            "oof": np.linalg.norm(error) / np.sqrt(len(error)),
            "usual": np.linalg.norm(others) / np.sqrt(len(others)),
        }
    )
    assert found["usual"] < 0.11 < found["oof"]


def test_networks_score_as_cross_validation_says(
    problem: peers.Problem, tiny: peers.Networks
) -> None:
    line = peers.measure("kaggleprice", problem)
    settings = make_settings("default", {**TINY, "fold_seed": 1})
    result = cross_validation.cross_validate(
        SAMPLE, problem.tables, problem.split, settings, torch.device("cpu")
    )
    assert line["fold_mean"] == pytest.approx(result.scores.fold_mean, rel=1e-9)
    assert line["oof"] == pytest.approx(result.scores.oof, rel=1e-9)
    assert line["settings"]["epochs"] == 2
    assert line["threads"] == torch.get_num_threads()
    assert line["versions"]["torch"] == torch.__version__
    assert line["seconds"] > 0


# What is measured again


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What is measured, instead of measuring it."""
    found: list[tuple[str, int]] = []

    def measure(name: str, problem: peers.Problem) -> peers.Line:
        found.append((name, problem.fold_seed))
        return made_up(name, problem.fold_seed)

    monkeypatch.setattr(peers, "measure", measure)
    return found


def go(folder: Path, fold_seeds: tuple[int, ...], *names: str) -> None:
    peers.run(fold_seeds, names, folder, DatasetRef(SAMPLE, folder / "data"))


def test_a_run_measures_and_writes(tmp_path: Path, tiny: peers.Networks) -> None:
    go(tmp_path, (0,), "ridge", "kaggleprice")
    done = peers.measured(tmp_path)
    assert set(done) == {("ridge", 0), ("kaggleprice", 0)}
    assert all(0 < line["fold_mean"] < 1 for line in done.values())


def test_what_is_there_is_not_measured_again(tmp_path: Path, calls: list[tuple[str, int]]) -> None:
    write(tmp_path, made_up("ridge", 0, 0.7))
    go(tmp_path, (0, 1), "ridge", "kaggleprice")
    assert calls == [("kaggleprice", 0), ("ridge", 1), ("kaggleprice", 1)]
    assert peers.measured(tmp_path)["ridge", 0]["oof"] == 0.7
    calls.clear()
    go(tmp_path, (0, 1), "ridge", "kaggleprice")
    assert calls == []


def test_results_of_other_settings_are_measured_again(
    tmp_path: Path, calls: list[tuple[str, int]]
) -> None:
    old = {**peers.PEERS["kaggleprice"].settings, "epochs": 7}
    path = write(tmp_path, made_up("kaggleprice", 0, 0.7, settings=old))
    assert peers.measured(tmp_path) == {}
    go(tmp_path, (0,), "kaggleprice")
    assert calls == [("kaggleprice", 0)]
    assert peers.measured(tmp_path)["kaggleprice", 0]["oof"] == 0.12
    assert len(path.read_text(encoding="utf-8").splitlines()) == 2


@pytest.mark.parametrize("cut", [1, 40, None], ids=["one character", "40", "all but its end"])
def test_a_line_cut_off_is_measured_again(
    tmp_path: Path, calls: list[tuple[str, int]], cut: int | None
) -> None:
    path = write(tmp_path, made_up("ridge", 0), more=json.dumps(made_up("ridge", 1))[:cut])
    assert set(peers.measured(tmp_path)) == {("ridge", 0)}
    go(tmp_path, (0, 1), "ridge")
    assert calls == [("ridge", 1)]
    lines = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]
    assert [line["fold_seed"] for line in lines] == [0, 1]


@pytest.mark.parametrize("text", ["{", "[1]", '{"peer": "ridge"}'])
def test_a_broken_line_is_named(tmp_path: Path, text: str) -> None:
    write(tmp_path, made_up("ridge", 0), more=f"{text}\n")
    with pytest.raises(DataError, match="line 2 is not a result"):
        peers.measured(tmp_path)


def test_a_library_that_is_absent_is_skipped(
    tmp_path: Path,
    calls: list[tuple[str, int]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    absent = peers.Estimator("", "no_such_library.of_trees:Trees", {})
    monkeypatch.setitem(peers.PEERS, "xgboost", absent)
    go(tmp_path, (0,), "xgboost", "ridge")
    assert calls == [("ridge", 0)]
    assert "no_such_library is not installed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "ridge,rigde"], r"unknown peer 'rigde'; there are: .*'ridge'\?"),
        (["--fold-seeds", "0,7"], "unknown fold seed '7'; there are: 0, 1, 100"),
        (["--fold-seeds", "x"], "unknown fold seed 'x'"),
    ],
)
def test_unknown_names_are_refused(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    calls: list[tuple[str, int]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert peers.main(["run", *arguments, "--folder", str(tmp_path)]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert calls == []
    assert list(tmp_path.iterdir()) == []


# The tables


def test_table_is_the_mean_over_the_fold_seeds_of_all(tmp_path: Path) -> None:
    write_all(tmp_path)
    table = peers.table(peers.measured(tmp_path), peers.CONFIRMATION)
    found = cells(table)
    assert list(found) == ["ridge", "xgboost", "kaggleprice"]
    for name, row in found.items():
        oof = np.array([OOF[name][seed] for seed in (100, 101, 102)])
        shown = [float(row[i]) for i in (0, 1, 3, 4)]
        means = [(oof - 0.002).mean(), oof.mean(), (oof - 0.005).mean()]
        assert shown[:3] == pytest.approx(means, abs=0.51e-4)
        assert shown[3] == round((100 * oof).mean())


def test_differences_are_paired_by_fold_seed(tmp_path: Path) -> None:
    write_all(tmp_path)
    found = cells(peers.table(peers.measured(tmp_path), peers.CONFIRMATION))
    assert found["kaggleprice"][2] == ""
    for name in ("ridge", "xgboost"):
        change = [OOF[name][s] - OOF["kaggleprice"][s] for s in (100, 101, 102)]
        mean, error = (float(part) for part in found[name][2].split("±"))
        assert mean == pytest.approx(np.mean(change), abs=0.51e-4)
        assert error == pytest.approx(np.std(change, ddof=1) / np.sqrt(3), abs=0.51e-4)
    assert found["xgboost"][2] == "+0.0030 ± 0.0023"


@pytest.mark.parametrize(
    ("scores", "difference"),
    [
        ({"ridge": {1: 0.13}, "kaggleprice": {1: 0.12}}, "+0.0100"),
        ({"ridge": {1: 0.13}}, "unknown"),
    ],
)
def test_differences_without_a_standard_error(
    tmp_path: Path, scores: dict[str, dict[int, float]], difference: str
) -> None:
    write_all(tmp_path, scores)
    found = cells(peers.table(peers.measured(tmp_path), peers.DEVELOPMENT))
    assert found["ridge"][2] == difference


@pytest.mark.parametrize("scores", [{}, {"ridge": {100: 0.13}, "kaggleprice": {101: 0.12}}])
def test_a_table_of_nothing_is_an_error(
    tmp_path: Path, scores: dict[str, dict[int, float]], capsys: pytest.CaptureFixture[str]
) -> None:
    write_all(tmp_path, scores)
    assert peers.main(["table", "--folder", str(tmp_path)]) == 3
    assert "nothing to compare on fold seeds 100, 101, 102" in capsys.readouterr().err


def test_report_has_both_tables_and_says_what_they_rest_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seeds = {name: {**own, 0: own[100], 2: own[101]} for name, own in OOF.items()}
    write_all(tmp_path, seeds)
    assert peers.main(["report", "--folder", str(tmp_path)]) == 0
    text = (tmp_path / peers.REPORT).read_text(encoding="utf-8")
    development, confirmation = text.split("\n## ")[1:3]
    for part, fold_seeds, shared in [
        (development, peers.DEVELOPMENT, "0, 2"),
        (confirmation, peers.CONFIRMATION, "100, 101, 102"),
    ]:
        assert "\n".join(peers.table(peers.measured(tmp_path), fold_seeds)) in part
        assert f"Mean over fold seeds {shared}; threads: 1; numpy 2.0." in part
        assert re.search(r"Not measured: hist-gradient-boosting\b", part)
    assert all(f"- {name}: " in text for name in peers.PEERS)
    assert peers.main(["table", "--folder", str(tmp_path)]) == 0
    table = peers.table(peers.measured(tmp_path), peers.CONFIRMATION)
    assert capsys.readouterr().out.splitlines()[-len(table) :] == table


def test_report_before_the_confirmation_says_so(tmp_path: Path) -> None:
    write_all(tmp_path, {"ridge": {0: 0.13}, "kaggleprice": {0: 0.12}})
    peers.report(tmp_path)
    text = (tmp_path / peers.REPORT).read_text(encoding="utf-8")
    assert text.count("| ridge |") == 1
    assert "Not yet: nothing to compare on fold seeds 100" in text


# Ablations


def test_each_ablation_changes_a_setting() -> None:
    base = make_settings(options=ablations.BASE)
    for name, options in ablations.VARIANTS.items():
        changed = make_settings(options={**ablations.BASE, **options})
        assert (changed == base) == (name == "default"), name


def test_the_page_of_ablations_has_what_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed = ablations.REPORT.read_text(encoding="utf-8")
    monkeypatch.setattr(ablations, "REPORT", tmp_path / "score.md")
    ablations.report()
    assert (tmp_path / "score.md").read_text(encoding="utf-8") == committed
