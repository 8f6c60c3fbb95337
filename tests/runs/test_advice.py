"""Advice: a run beside the best one before it, and what it says to try next."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from forged import contiguous, day, forge, noisy, truth, write_record

from kaggleprice.cli.program import app
from kaggleprice.competitions.metrics import METRICS
from kaggleprice.runs import advice
from kaggleprice.runs.comparison import paired_rows
from kaggleprice.runs.record import read_record
from kaggleprice.runs.run import Run


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Three runs before the one that is looked at: good, best and bad; and a better one after."""
    small = tmp_path / "runs" / "small"
    forge(small / "good", noisy(1, 0.2), finished=day(1))
    forge(small / "best", noisy(2, 0.1), finished=day(2))
    forge(small / "bad", noisy(3, 0.5), finished=day(3))
    forge(small / "later", noisy(4, 0.01), finished=day(9))
    return small


def made(small: Path, name: str, predicted: Any, **changes: Any) -> Run:
    return Run.read(forge(small / name, predicted, finished=day(5), **changes))


def test_the_best_run_before_is_the_one_to_beat(small: Path) -> None:
    found = advice.compare_with_best(made(small, "new", noisy(7, 0.3)))
    assert found is not None
    assert (found.first.name, found.second.name) == ("best", "new")
    paired = paired_rows(METRICS["log_rmse"], truth(), noisy(2, 0.1), noisy(7, 0.3))
    assert paired is not None
    assert paired.difference > 2 * paired.standard_error
    text = advice.difference_text(found)
    size = f"{paired.difference:.4f} ± {paired.standard_error:.4f}"
    assert text == f"{size} worse than best, the best run before"


@pytest.mark.parametrize(
    ("errors", "says"),
    [(-2.1, "better than"), (-1.9, "no clear"), (1.9, "no clear"), (2.1, "worse than")],
)
def test_less_than_two_standard_errors_are_no_difference(
    small: Path, errors: float, says: str
) -> None:
    found = advice.compare_with_best(made(small, "new", noisy(7, 0.3)))
    assert found is not None
    assert found.by_row is not None
    paired = replace(found.by_row, difference=errors * found.by_row.standard_error)
    assert says in advice.difference_text(replace(found, by_row=paired))


@pytest.mark.parametrize(
    ("predicted", "changes", "says"),
    [
        (noisy(2, 0.1), {}, "the same out-of-fold predictions as best, the best run before"),
        (noisy(7, 0.02), {}, r"0\.\d{4} ± 0\.\d{4} better than best, the best run before"),
        (noisy(2, 0.1) * 1.0001, {}, "no clear difference to best, the best run before: .*"),
    ],
    ids=["same", "better", "no clear difference"],
)
def test_a_difference_in_words(
    small: Path, predicted: Any, changes: dict[str, Any], says: str
) -> None:
    found = advice.compare_with_best(made(small, "new", predicted, **changes))
    assert found is not None
    assert re.fullmatch(says, advice.difference_text(found))


@pytest.mark.parametrize(
    "changes",
    [{"data": "f" * 64}, {"metric": "rmse"}, {"fold": contiguous()[::-1].copy()}],
    ids=["data", "metric", "folds"],
)
def test_runs_of_another_task_are_no_measure(small: Path, changes: dict[str, Any]) -> None:
    run = made(small, "new", noisy(7, 0.3), **changes)
    assert advice.compare_with_best(run) is None


def test_a_first_run_has_nothing_before_it(tmp_path: Path) -> None:
    run = made(tmp_path / "runs" / "small", "new", noisy(7))
    assert advice.compare_with_best(run) is None


def test_a_damaged_run_is_no_measure(small: Path) -> None:
    (small / "best" / "oof.csv").write_text("Id\n", encoding="utf-8")
    assert advice.compare_with_best(made(small, "new", noisy(7))) is None
    (small / "best" / "run.json").write_text("{", encoding="utf-8")
    found = advice.compare_with_best(made(small, "newer", noisy(7)))
    assert found is not None
    assert found.first.name == "good"


@pytest.mark.parametrize(
    ("preset", "options", "command"),
    [
        ("default", {"k": 5}, "kaggleprice cv --preset best"),
        ("default", {"k": 4, "lr": 0.02}, "kaggleprice cv --preset best --k 4"),
        ("fast", {"k": 5}, "kaggleprice cv"),
        ("fast", {"k": 5, "epochs": 90}, "kaggleprice cv --preset best"),
        ("book", {"k": 5, "seeds": 20}, "kaggleprice cv"),
        ("best", {"k": 5}, "kaggleprice report"),
    ],
)
def test_what_to_try_next(
    tmp_path: Path, preset: str, options: dict[str, Any], command: str
) -> None:
    folds = contiguous(k=options["k"])
    run = made(
        tmp_path / "runs" / "small", "new", noisy(7), preset=preset, options=options, fold=folds
    )
    first, second = advice.after_training(run, "-c small.toml")
    assert first.command == "kaggleprice predict -c small.toml"
    assert second.command == f"{command} -c small.toml"
    assert [step.command for step in advice.after_prediction(run)] == [command]
    for step in (first, second):
        assert step.purpose
        parses(step.command)


def parses(command: str) -> None:
    """A command that is recommended is one that there is."""
    _, name, *arguments = shlex.split(command)
    group = typer.main.get_command(app)
    with typer.Context(group) as context:
        subcommand = group.get_command(context, name)
        assert subcommand is not None
        subcommand.make_context(name, arguments, parent=context)


def test_a_run_that_was_cut_short_is_to_be_finished(tmp_path: Path) -> None:
    folder = forge(tmp_path / "runs" / "small" / "new", noisy(7), options={"lr": 0.02})
    record = {**read_record(folder), "cut_at": 3}
    record.pop("digest")
    write_record(folder, record)
    command = advice.after_training(Run.read(folder))[1].command
    assert command == "kaggleprice cv --lr 0.02 --k 4"
    parses(command)
