"""Gates: limits, baselines of every kind, and what is noise."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forged import ROWS, contiguous, forge, noisy, truth
from scipy import stats

from kaggleprice.cli.views.cv import cv_document
from kaggleprice.competitions.metrics import METRICS
from kaggleprice.core.errors import (
    DataError,
    GateError,
    KagglePriceError,
    RunFolderError,
    UsageError,
)
from kaggleprice.evaluation.folds import Folds
from kaggleprice.runs.comparison import Scored, ScoreFile
from kaggleprice.runs.gates import Gate, Limits, judge, read_scored, require
from kaggleprice.runs.run import Run

IDS = np.array([str(i + 1) for i in range(ROWS)], dtype=object)


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def made(runs_dir: Path, name: str, predicted: Any, **changes: Any) -> Run:
    return Run.read(forge(runs_dir / "small" / name, predicted, **changes))


def only(limits: Limits, found: Scored) -> Gate:
    (gate,) = judge(limits, found)
    return gate


# The score alone.


def test_a_score_is_held_against_a_number(runs_dir: Path) -> None:
    found = made(runs_dir, "a", noisy(1))
    assert judge(Limits(), found) == []
    below, at, above = (
        only(Limits(limit), found) for limit in (found.oof - 1e-9, found.oof, found.oof + 1e-9)
    )
    assert [gate.passed for gate in (below, at, above)] == [False, True, True]
    assert (below.name, below.limit, below.found) == ("fail-above", found.oof - 1e-9, found.oof)
    assert below.reason == f"pooled score {found.oof:.6g} is above --fail-above {below.limit:g}."
    assert "is not above" in at.reason


@pytest.mark.parametrize("number", [-1.0, math.nan, math.inf, -math.inf])
def test_numbers_that_cannot_be(runs_dir: Path, number: float) -> None:
    baseline = made(runs_dir, "a", noisy(1))
    for limits, option in [
        ({"fail_above": number}, "--fail-above"),
        ({"tolerance": number, "baseline": baseline}, "--tolerance"),
    ]:
        with pytest.raises(UsageError, match=option):
            Limits(**limits)


# Against a run, by row.


@pytest.mark.parametrize("tolerance", [0.0, 0.004])
@pytest.mark.parametrize(("beyond", "passed"), [(0.99, True), (1.01, False)])
def test_worse_by_more_than_tolerance_and_noise(
    runs_dir: Path, tolerance: float, beyond: float, passed: bool
) -> None:
    """Noise by scipy: the bound below which a paired difference stays in 95 of 100 cases."""
    baseline = made(runs_dir, "a", noisy(1))
    found = made(runs_dir, "b", noisy(1) * np.exp(0.01 * np.cos(IDS.astype(int))))
    errors = [np.square(np.log(p) - np.log(truth())) for p in (noisy(1), predicted_of(found))]
    roots = [np.sqrt(e.mean()) for e in errors]
    moved = errors[1] / (2 * roots[1]) - errors[0] / (2 * roots[0])
    noise = stats.t.ppf(0.95, ROWS - 1) * stats.sem(moved)
    # A baseline whose pooled score is as much better as is wanted, all else equal.
    shifted = with_score(baseline, found.oof - beyond * (tolerance + noise))
    gate = only(Limits(baseline=shifted, tolerance=tolerance), found)
    assert gate.difference is not None
    assert gate.difference.unit == "row"
    assert gate.difference.bound() == pytest.approx(noise)
    assert gate.limit == pytest.approx(tolerance + noise)
    assert gate.found == pytest.approx(beyond * (tolerance + noise))
    assert gate.passed == passed
    words = f"{'within' if passed else 'beyond'} --tolerance {tolerance:g} and noise of {noise:.3g}"
    assert words in gate.reason
    assert f"of baseline a, {words} (paired over {ROWS} rows)." in gate.reason


def predicted_of(found: Run) -> Any:
    return found.predictions["predicted"].to_numpy()


def with_score(found: Run, oof: float) -> Run:
    record = {**found.record, "scores": {**found.record["scores"], "oof": oof}}
    return Run(found.path, record)


@pytest.mark.parametrize(
    ("spreads", "passed", "limit", "says"),
    [
        ((0.1, 0.1), True, 0, "is equal to "),
        ((0.3, 0.1), True, None, "better than"),
        ((0.1, 0.3), False, None, "beyond --tolerance 0 and noise"),
    ],
)
def test_equal_better_and_much_worse(
    runs_dir: Path, spreads: tuple[float, float], passed: bool, limit: float | None, says: str
) -> None:
    first, second = (
        made(runs_dir, name, noisy(1, spread)) for name, spread in zip("ab", spreads, strict=True)
    )
    gate = only(Limits(baseline=first), second)
    assert (gate.passed, np.sign(gate.found)) == (passed, np.sign(spreads[1] - spreads[0]))
    assert limit is None or gate.limit == limit
    assert says in gate.reason


# Against a file, by fold.


def as_document(run: Run, file: Path) -> Path:
    file.write_text(json.dumps(asdict(cv_document(run))), encoding="utf-8")
    return file


def as_copied_record(run: Run, file: Path) -> Path:
    file.write_bytes((run.path / "run.json").read_bytes())
    return file


@pytest.mark.parametrize("keep", [as_document, as_copied_record])
def test_a_file_of_scores_is_paired_by_fold(
    runs_dir: Path, tmp_path: Path, keep: Callable[[Run, Path], Path]
) -> None:
    first = made(runs_dir, "a", noisy(1))
    second = made(runs_dir, "b", noisy(2, 0.12))
    baseline = read_scored(str(keep(first, tmp_path / "base.json")), runs_dir, "small")
    gate = only(Limits(baseline=baseline, tolerance=0.001), second)
    assert gate.difference is not None
    assert (gate.difference.unit, gate.difference.count) == ("fold", 4)
    moved = np.array(second.fold_scores) - np.array(first.fold_scores)
    noise = stats.t.ppf(0.95, 3) * moved.std(ddof=1) * np.sqrt(1 / 4 + 1 / 3)
    assert gate.limit == pytest.approx(0.001 + noise)
    assert gate.found == pytest.approx(second.oof - first.oof)
    assert gate.passed == (gate.found <= gate.limit)


def test_a_run_json_in_its_run_is_the_run(runs_dir: Path) -> None:
    run = made(runs_dir, "a", noisy(1))
    for text in ("a", "small/a", str(run.path), str(run.path / "run.json")):
        found = read_scored(text, runs_dir, "small")
        assert found == run


def test_a_document_of_an_earlier_version_lacks_hashes(runs_dir: Path, tmp_path: Path) -> None:
    """Then the number of folds is all there is to compare."""
    run = made(runs_dir, "a", noisy(1))
    file = as_document(run, tmp_path / "base.json")
    document = json.loads(file.read_text(encoding="utf-8"))
    for key in ("data", "folds_sha256", "gates"):
        del document[key]
    file.write_text(json.dumps(document), encoding="utf-8")
    baseline = read_scored(str(file), runs_dir, "small")
    assert isinstance(baseline, ScoreFile)
    assert (baseline.folds_sha256, baseline.train_sha256) == (None, None)
    second = made(runs_dir, "b", noisy(2), data="d" * 64)
    assert only(Limits(baseline=baseline), second).difference is not None


def document(**changes: Any) -> str:
    scores = {"competition": "small", "metric": "rmse", "scores": {"oof": 1}}
    return json.dumps({**scores, **changes})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "cannot be read as JSON"),
        ("{", "cannot be read as JSON"),
        ("[]", "neither a run's run.json nor what `cv --json` printed"),
        ('{"error": {"type": "UsageError"}}', "neither"),
        ('{"digest": "0"}', "damaged"),
        (document(folds=[]), "0 fold scores; expected 2 or more"),
        (document(folds=[{"validation": "x"}]), "neither"),
        (document(folds=[{"validation": 1}, {"validation": math.nan}]), "neither"),
    ],
)
def test_files_that_are_no_baseline(tmp_path: Path, content: str, says: str) -> None:
    file = tmp_path / "base.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=says) as raised:
        read_scored(str(file), tmp_path, "small")
    assert str(file) in str(raised.value)


def test_an_altered_record_is_no_baseline(runs_dir: Path, tmp_path: Path) -> None:
    run = made(runs_dir, "a", noisy(1))
    text = (run.path / "run.json").read_text(encoding="utf-8")
    (tmp_path / "base.json").write_text(text.replace('"small"', '"other"'), encoding="utf-8")
    with pytest.raises(RunFolderError, match="altered"):
        read_scored(str(tmp_path / "base.json"), runs_dir, "small")


def test_a_damaged_run_is_found_before_training(runs_dir: Path) -> None:
    run = made(runs_dir, "a", noisy(1))
    (run.path / "oof.csv").write_text("", encoding="utf-8")
    with pytest.raises(RunFolderError, match="truncated or altered"):
        read_scored("a", runs_dir, "small")


# Comparable, before training.


def check(limits: Limits, k: int = 4, data: str = "a" * 64, **changes: Any) -> None:
    folds = Folds.of_rows(contiguous(k=k) - 1).sha256(IDS, "Id")
    names = {"name": "small", "metric": "log_rmse", **changes}
    limits.check(names["name"], names["metric"], data, folds, k)


@pytest.mark.parametrize(
    ("changes", "kind", "says"),
    [
        ({"k": 5}, UsageError, r"has 4 folds, not 5; .* give --k 4"),
        ({"k": 3}, UsageError, r"has 4 folds, not 3; .* give --k 4"),
        ({"data": "f" * 64}, DataError, r"SHA-256 aaaaaaaa then, ffffffff now"),
        ({"name": "other"}, DataError, "of competition small; expected other"),
        ({"metric": "mae"}, DataError, "of metric log_rmse; expected mae"),
    ],
)
def test_what_cannot_be_compared(
    runs_dir: Path, changes: dict[str, Any], kind: type[KagglePriceError], says: str
) -> None:
    limits = Limits(baseline=made(runs_dir, "a", noisy(1)))
    with pytest.raises(kind, match=says):
        check(limits, **changes)


def test_other_folds_of_the_same_number(runs_dir: Path) -> None:
    run = made(runs_dir, "a", noisy(1), fold=np.roll(contiguous(), 3))
    with pytest.raises(UsageError, match=r"has other folds; .*--folds .*folds\.csv"):
        check(Limits(baseline=run))
    with pytest.raises(UsageError, match="has other folds"):
        judge(Limits(baseline=run), made(runs_dir, "b", noisy(1)))


# The verdict.


def test_all_that_was_missed_is_said_in_one_line() -> None:
    good, bad = (Gate("a", 1, 0, True, "Fine."), Gate("b", 0, 1, False, "Too much."))
    require([])
    require([good])
    with pytest.raises(GateError) as raised:
        require([bad, good, Gate("c", 0, 1, False, "Much too much.")])
    assert str(raised.value) == "Too much; Much too much."
    assert raised.value.exit_code == 6


def test_a_metric_of_which_more_is_better() -> None:
    r2 = replace(METRICS["rmse"], greater_is_better=True)
    first, second = (ScoreFile(n, "small", r2, s, (s, s)) for n, s in [("a", 0.9), ("b", 0.8)])
    assert [gate.passed for gate in judge(Limits(0.85), first)] == [True]
    assert [gate.passed for gate in judge(Limits(0.85), second)] == [False]
    assert "is below" in only(Limits(0.85), second).reason
    assert only(Limits(baseline=first), second).found == pytest.approx(0.1)
    assert not only(Limits(baseline=first), second).passed
    assert only(Limits(baseline=second), first).passed
