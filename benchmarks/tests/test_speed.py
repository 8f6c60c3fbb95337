"""The speed benchmark: its arithmetic, that it times the same networks, that every part runs."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import typer
from torch import nn
from typer.testing import CliRunner

from benchmarks import speed
from benchmarks.speeds import loops, machine, points, problems, scaling, startup, twin, users
from benchmarks.speeds.effort import Effort
from benchmarks.speeds.points import Point
from benchmarks.speeds.ratios import Pairs, Ratio, alternate, timed, timed_between
from benchmarks.speeds.results import Line, Outcome, Table, at_least, at_most, markdown
from kaggleprice.cli.program import app
from kaggleprice.competitions.catalog import COMPETITIONS
from kaggleprice.competitions.tables import Table as Rows
from kaggleprice.competitions.tables import Tables
from kaggleprice.core.errors import RunError
from kaggleprice.evaluation.cross_validation import PreparedRun
from kaggleprice.evaluation.folds import Folds

SAMPLE = COMPETITIONS["sample"]


@pytest.fixture(scope="module")
def tables(sample_tables: Tables) -> Tables:
    train = sample_tables.train
    few = Rows(train.ids[:60], train.features.head(60), train.known_target[:60])
    return Tables(few, sample_tables.test)


@pytest.fixture(scope="module")
def dense() -> PreparedRun:
    return problems.dense_problem(7, 16, rows=50)


@pytest.fixture
def effort(tmp_path: Path) -> Effort:
    return Effort(pairs=1, quick=True, folder=tmp_path / "results", data_dir=tmp_path / "data")


# Ratios


def test_ratios_are_taken_pair_by_pair() -> None:
    pairs = Pairs(base=(8.0, 9.0, 10.0), own=(2.0, 3.0, 1.0))
    faster = pairs.faster()
    assert faster.each == (4.0, 3.0, 10.0)
    # Not the ratio of the medians, which is 4.5.
    assert faster.median == 4.0
    assert faster.spread == (3.0, 10.0)
    assert pairs.costs(2.0).each == pytest.approx((0.5, 2 / 3, 0.2))
    record = faster.record()
    assert (record["seconds"], record["base_seconds"]) == (2.0, 9.0)


def test_both_sides_are_run_in_turn() -> None:
    order: list[str] = []

    def side(name: str, seconds: float) -> Callable[[], float]:
        def timer() -> float:
            order.append(name)
            return seconds

        return timer

    pairs = alternate(side("base", 6.0), side("own", 2.0), 3)
    assert "".join(name[0] for name in order) == "bo" + "bo" + "ob" + "bo"
    assert pairs == Pairs((6.0,) * 3, (2.0,) * 3)
    order.clear()
    alternate(side("base", 1.0), side("own", 1.0), 1, warm=False)
    assert order == ["base", "own"]


class Clock:
    """A clock that goes on where something is done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def work(self, seconds: float) -> None:
        self.now += seconds


def test_seconds_are_per_unit_of_what_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    assert timed(lambda: clock.work(0.25), units=5, least=0.9)() == pytest.approx(0.05)
    assert clock.now == 1.0, "short work is repeated"
    assert timed(lambda: clock.work(0.25))() == 0.25
    # A beginning of 10 seconds, which is done once and does not count, and 3 per unit.
    assert timed_between(lambda units: clock.work(10 + 3 * units), 2, 7)() == pytest.approx(3)
    with pytest.raises(RunError, match="too busy"):
        timed_between(lambda units: clock.work(1), 1, 2)()


# Tables


def a_line(**changes: Any) -> Line:
    ratio = Ratio((8.0, 12.0, 9.0), own=(1.0, 1.0, 1.0), base=(8.0, 12.0, 9.0))
    return replace(Line("ours", "theirs", "times as fast", ratio, 2), **changes)


def a_record(outcome: Outcome, quick: bool = False) -> dict[str, Any]:
    record = {"title": "Part", "meaning": "What it is.", "pairs": 3, "quick": quick}
    # As it is read back.
    whole = {**record, "machine": machine.describe(), **outcome.record()}
    return dict(json.loads(json.dumps(whole, allow_nan=False)))


@pytest.mark.parametrize(
    ("reach", "shown_as"),
    [
        (None, "|  |"),
        (at_least(8), "| ≥ 8 ✓ |"),
        (at_least(9.5), "| ≥ 9.5 ✗ |"),
        (at_most(9), "| ≤ 9 ✓ |"),
        (at_most(8), "| ≤ 8 ✗ |"),
    ],
)
def test_a_line_says_ratio_spread_and_what_it_is_to_reach(reach: Any, shown_as: str) -> None:
    record = a_record(Outcome([a_line(reach=reach)]))
    assert record["lines"][0]["met"] == (None if reach is None else "✓" in shown_as)
    (row,) = [line for line in markdown("part", record).splitlines() if "| ours |" in line]
    assert row.startswith("| ours | theirs | 2 | **9** | times as fast | 8 to 12 " + shown_as[:-1])
    assert str(a_line()) == "ours against theirs, 2 threads: 9 times as fast (8 to 12)"


def test_a_section_has_tables_notes_and_machine() -> None:
    cells = [["1,000", 0.12345], ["2,000", float("nan")], ["3,000", 1234.6]]
    table = Table("Sizes", ["rows", "seconds"], cells)
    text = markdown("part", a_record(Outcome(tables=[table], notes=["Mind the step."])))
    assert text.startswith("## Part (`part`)\n\nWhat it is.\n")
    assert (
        "| rows | seconds |\n| --- | --- |\n| 1,000 | 0.123 |\n| 2,000 |  |\n| 3,000 | 1,235 |\n"
        in text
    )
    assert "- Mind the step." in text
    assert f"torch {version('torch')}" in text
    assert "--quick" not in text
    assert "--quick" in markdown("part", a_record(Outcome(), quick=True))


# The loops train the same networks


MODELS: dict[str, dict[str, Any]] = {
    "default": {"hidden": (8, 6)},
    "dense": {**problems.DENSE, "hidden": (8, 6)},
    "standard": {"hidden": (8,), "parametrization": "standard", "feature_scales": False},
}


@pytest.mark.parametrize("options", MODELS.values(), ids=MODELS)
def test_plain_networks_are_the_members(tables: Tables, options: dict[str, Any]) -> None:
    # Learned on all rows, a fold's features are those of all folds.
    problem = problems.make_problem(SAMPLE, tables, 7, {**options, "scope": "all"})
    network, lone = problem.task.network().eval(), loops.lone_members(problem)
    weights = network.state_dict()
    for one, member in zip(lone, sorted(problem.task.members), strict=True):
        m = problem.task.members.index(member)
        parts = {n: value[m] for n, value in weights.items() if n != "scale.factor"}
        with torch.no_grad():
            for module in one.network:
                if isinstance(module, loops.Front):
                    if module.frequency.numel():
                        module.frequency.copy_(parts["embedding.frequency"])
                        module.phase.copy_(parts["embedding.phase"])
                elif isinstance(module, nn.Linear):
                    module.weight.copy_(parts.pop(next(n for n in parts if "weight" in n)).T)
                    module.bias.copy_(parts.pop(next(n for n in parts if "bias" in n))[0])
        counted = sum(p.numel() for p in one.network.parameters())
        own = sum(p.numel() // len(p) for p in network.parameters())
        assert counted == own
        x = one.features[:5]
        together = network(x.expand(len(lone), -1, -1), None, None)
        torch.testing.assert_close(one.network.eval()(x)[:, 0], together[m], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("loop", [loops.book_loop, loops.plain_loop])
def test_loops_learn(tables: Tables, loop: Callable[[loops.Lone, int], None]) -> None:
    problem = problems.make_problem(SAMPLE, tables, 1, {"hidden": (8,), "batch_size": 16})
    (lone,) = loops.lone_members(problem)
    assert lone.features.shape[0] == lone.target.shape[0] == 48
    assert float(lone.target.std(unbiased=False)) == pytest.approx(1, rel=1e-5)
    torch.manual_seed(0)
    loop(lone, 30)
    with torch.no_grad():
        error = nn.functional.mse_loss(lone.network.eval()(lone.features), lone.target)
    assert float(error) < 0.5


def test_problems_have_as_many_members_as_asked_for(dense: PreparedRun) -> None:
    assert len(dense.task.members) == dense.task.blank_network().members == 7
    assert len(set(dense.task.members)) == 7
    # 40 of 50 rows; forward and gradient of weights everywhere, of inputs above the first layer.
    first, others = 313 * 256, 256 * 128 + 128
    assert problems.operations_per_epoch(dense) == 7 * 40 * (4 * first + 6 * others)


# Users


def test_fewest_epochs_that_reach_a_score() -> None:
    ladder = {2: 0.3, 4: 0.14, 8: 0.12, 16: 0.125}
    assert users.fewest_reaching(0.14, ladder) == 4
    assert users.fewest_reaching(0.13, ladder) == 8
    assert users.fewest_reaching(0.11, ladder) is None


def test_gaps_are_filled_from_training_rows_only() -> None:
    frame = pd.DataFrame({"a": [1.0, 3.0, np.nan, 100.0], "b": ["x", None, "y", "z"]})
    whole = users.filled(frame, np.array([False, False, False, True]), ["a"])
    assert whole["a"].tolist() == [1.0, 3.0, 2.0, 100.0]
    assert whole["b"].tolist() == ["x", "missing", "y", "z"]


def test_garbage_targets_reach_nothing_of_their_fold(tables: Tables) -> None:
    folds = np.arange(60) % users.K
    task = users.Task(SAMPLE, tables, Folds.of_rows(folds), seeds=1, quick=True)
    held = folds == 2
    garbage = replace(tables.train, target=np.where(held, 1e9, tables.train.known_target))
    spoilt = replace(task, tables=replace(tables, train=garbage))
    clean, garbled = users.perceptron(task), users.perceptron(spoilt)
    assert np.array_equal(clean[held], garbled[held])
    assert not np.array_equal(clean[~held], garbled[~held])
    assert task.pooled(task.target + 0.1) == pytest.approx(0.1)


# Scaling


def made_up(point: Point) -> dict[str, Any]:
    """Results as a process prints them: seconds and memory grow with the size."""
    found = {"seconds": 2e-3 * point.size, "floor": 1e8, "peak": 1e8 + 600.0 * point.size**1.1}
    if point.kind == "rows":
        found |= {"stages": {"reading": 1.0}, "copy": 200 * point.size}
    if point.kind == "reading columns":
        found = {"own": [1e-3 * point.size] * 3, "base": [1e-3 * point.size**0.5] * 3}
    if point.kind == "reading":
        found = {"own": [3.0, 2.0, 2.5], "base": [1.0, 1.0, 1.0]}
    return {"point": {**vars(point)}, **found}


def test_points_become_tables_exponents_and_ratios() -> None:
    wanted = scaling.points(Effort())
    kinds = {kind: [p.size for p in wanted if p.kind == kind] for kind in points.KINDS}
    assert kinds["members"][::6] == [1, 64]
    assert kinds["rows"][::3] == [1_000, 1_000_000]
    assert kinds["columns"][::4] == [20, 2_000]
    outcome = scaling.outcome({point: made_up(point) for point in wanted})
    tables = {table.title: table for table in outcome.tables}
    rows = {(row[0], str(row[1]).split(",")[0]): row for row in tables["Exponents"].rows}
    seconds, memory = rows["seconds", "rows"], rows["memory above the floor", "rows"]
    assert seconds[1] == "rows, 10,000 to 1,000,000"
    assert seconds[2] == pytest.approx(1)
    assert seconds[5] == "≤ 1.05 ✓"
    assert memory[2] == pytest.approx(1.1)
    assert memory[5] == "≤ 1.05 ✗"
    # Those made up take 2.5 seconds, whatever their size.
    assert rows["seconds", "reading"][1] == "reading, 10,000 to 1,000,000"
    assert rows["seconds", "reading"][2] == pytest.approx(0)
    assert len(rows["seconds", "reading"]) == 6
    assert ("memory above the floor", "reading") not in rows
    columns = rows["seconds", "reading columns"]
    assert columns[1] == "reading columns, 80 to 1,280"
    assert columns[2] == pytest.approx(1)
    assert columns[5] == "≤ 1.05 ✓"
    wide = next(line for line in outcome.lines if "1,280 columns" in line.what)
    assert "10,000 rows" in wide.what
    assert (wide.ratio.median, wide.reach) == (pytest.approx(1280**0.5), None)
    largest = tables["Against rows"].rows[-1]
    # 600 * 1e6 ** 1.1 bytes above the floor, 200e6 in a copy.
    assert largest[-2] == pytest.approx(600 * 1e6**1.1 / 200e6)
    assert largest[-1] == "≤ 2 ✗"
    reading = outcome.lines[-1]
    assert "1,000,000 rows" in reading.what
    assert reading.ratio.median == 2.5
    assert reading.reach == at_most(2)


def test_what_was_measured_is_not_measured_again(
    effort: Effort, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[Point] = []

    def run(point: Point, folder: Path) -> dict[str, Any]:
        ran.append(point)
        if len(ran) == 3:
            raise KeyboardInterrupt
        return made_up(point)

    monkeypatch.setattr(scaling, "run", run)
    with pytest.raises(KeyboardInterrupt):
        scaling.measure(effort)
    wanted = scaling.points(effort)
    scaling.measure(effort)
    assert ran == [*wanted[:3], *wanted[2:]]
    assert len(scaling.measured(effort.folder)) == len(wanted)


@pytest.mark.parametrize("kind", points.KINDS)
def test_every_kind_of_point_is_measured(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = {"threads": 1, "members": 2, "columns": 3, "reading columns": 170}
    described = {"kind": kind, "size": sizes.get(kind, 60), "rows": 60, "quick": True, "epochs": 3}
    if kind == "columns":  # As the benchmark does it: in a process of its own.
        found = scaling.run(Point(**described), tmp_path)
    else:
        assert points.main([json.dumps(described), str(tmp_path)]) == 0
        found = json.loads(capsys.readouterr().out)
    assert Point(**found["point"]) == Point(**described)
    if kind.startswith("reading"):
        assert found["own"][0] > 0
        assert found["base"][0] > 0
        if kind == "reading columns":
            folder = tmp_path / "60 x 170"
            for name, more in (("train", 2), ("test", 1)):
                frame = pd.read_csv(folder / f"{name}.csv", dtype=str, keep_default_na=False)
                assert frame.shape[1] == 170 + more
                assert frame["Street"].equals(frame["Street 2"])
        return
    assert found["seconds"] > 0
    assert found["peak"] >= found["floor"] > 0
    if kind == "rows":
        stages = found["stages"]
        assert {"reading", "preparing", "training", "scoring"} <= set(stages)
        assert sum(stages.values()) == pytest.approx(found["seconds"], rel=0.2)
        # 36 numbers of 4 bytes and 43 categories of 1 byte, of House Prices' 79 columns.
        assert found["copy"] == 60 * (4 * 36 + 43)


def test_a_point_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A Python that knows no module: it ends as one that was killed does, with a code.
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'Killed.' >&2\nexit 137\n", encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(RunError, match="columns 3 ended with exit code 137: Killed"):
        scaling.run(Point("columns", 3), tmp_path)


# Starting up


def commands(group: Any, path: str = "") -> dict[str, Any]:
    found = {path: group}
    for name, command in getattr(group, "commands", {}).items():
        found |= commands(command, f"{path} {name}")
    return found


@pytest.mark.parametrize("rich", [True, False])
def test_the_twin_has_the_same_commands_and_options(rich: bool) -> None:
    scope: dict[str, Any] = {"__name__": "twin_of_kaggleprice"}
    text = twin.source(typer.main.get_command(app), rich=rich)
    exec(compile(text, "twin", "exec"), scope)  # noqa: S102
    ours, theirs = (commands(typer.main.get_command(a)) for a in (app, scope["app"]))
    assert list(ours) == list(theirs)
    for name, command in ours.items():
        flags, twins = (
            {p.name: (*p.opts, *p.secondary_opts) for p in c.params if p.name != "help"}
            for c in (command, theirs[name])
        )
        assert {n: f for n, f in flags.items() if n in twins} == twins
        assert set(flags) - set(twins) <= {"install_completion", "show_completion"}
        texts = [
            {p.name: getattr(p, "help", None) for p in c.params} for c in (command, theirs[name])
        ]
        assert {n: t for n, t in texts[0].items() if n in twins} == {
            n: t for n, t in texts[1].items() if n in twins
        }
    said = CliRunner().invoke(scope["app"], ["cv", "--help"])
    assert said.exit_code == 0
    assert "--time-limit" in said.stdout
    assert CliRunner().invoke(scope["app"], ["cv", "--lr", "0.01"]).exit_code == 0


def test_what_a_command_loads_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    # That none of the heavy ones is loaded is told by `test_every_cheap_part_runs`.
    monkeypatch.setattr(startup, "HEAVY", ("torch", "typer", "json"))
    assert startup.loads(["--version"]) == "typer json"


def test_a_command_that_fails_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="ended with 3: no luck"):
        startup.process(["-c", "import sys; sys.stderr.write('no luck.'); sys.exit(3)"], tmp_path)()


# The entry point


@pytest.mark.parametrize("part", ["book", "limit", "users", "search", "startup"])
def test_every_cheap_part_runs(
    part: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("KAGGLEPRICE_DATA_DIR", str(tmp_path / "data"))
    # Installed or not, it takes too long for a test.
    monkeypatch.delitem(users.PEERS, "pytabkit's RealMLP-TD")  # type: ignore[arg-type]
    arguments = [part, "--quick", "--pairs", "1", "--folder", str(tmp_path)]
    assert speed.main(arguments) == 0
    shown, _ = capsys.readouterr()
    record = speed.measured(tmp_path)[part]
    assert record["quick"]
    assert record["machine"]["versions"]["torch"] == version("torch")
    assert record["lines"] or record["notes"]
    assert all(line["median"] > 0 for line in record["lines"])
    assert markdown(part, record) in shown
    assert markdown(part, record) in (tmp_path / speed.REPORT).read_text(encoding="utf-8")
    if part == "startup":
        assert [row[1] for row in record["tables"][0]["rows"]] == ["none"]


def test_parts_that_were_not_run_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = a_record(Outcome([a_line()])), a_record(Outcome(notes=["Later."]))
    speed.write({"limit": first}, tmp_path)
    speed.write({**speed.measured(tmp_path), "book": second}, tmp_path)
    assert list(speed.measured(tmp_path).items()) == [("book", second), ("limit", first)]
    assert speed.main(["table", "--folder", str(tmp_path)]) == 0
    text = (tmp_path / speed.REPORT).read_text(encoding="utf-8")
    assert capsys.readouterr().out.rstrip() == text.rstrip()
    assert text.index("(`book`)") < text.index("(`limit`)")


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (["limits"], "unknown part 'limits'; there are: .* Did you mean 'limit'?", 2),
        (["--pairs", "0"], "--pairs must be 1 or more, found 0", 2),
        (["limit", "--quick"], "name another --folder", 2),
    ],
)
def test_what_cannot_be_is_refused(
    arguments: list[str], message: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert speed.main(arguments) == code
    assert re.search(message, capsys.readouterr().err)


def test_a_broken_result_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / speed.RESULTS).write_text("[]", encoding="utf-8")
    assert speed.main(["table", "--folder", str(tmp_path)]) == 3
    assert "speed.json is not a result" in capsys.readouterr().err
