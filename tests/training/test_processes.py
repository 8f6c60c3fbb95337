"""Two CPU processes train what one does; errors, signals and deaths reach the right one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from entry_point import EntryPoint
from small import write_small
from test_resume import content
from test_train import CPU, MIXED, STOPPING, Keeping, assert_equal, problem, tables

from kaggleprice.api.regressor import KagglePriceRegressor
from kaggleprice.competitions.tables import Tables
from kaggleprice.core.errors import DivergenceError, RunError, UnknownNameError
from kaggleprice.training import processes
from kaggleprice.training.processes import Processes, fetch, store

__all__ = ["tables"]

TWO = [CPU, CPU]
LONG = ["--k", "3", "--seeds", "2", "--epochs", "150", "--hidden", "8", "--batch-size", "4"]
LONG += ["--threads", "2", "--checkpoint-every", "0", "--device", "cpu,cpu"]
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


@pytest.fixture(scope="module")
def started(tables: Tables) -> Iterator[Processes]:
    """Two processes, which start once for several tests."""
    given = problem(tables, **MIXED)
    with Processes(given.work, given.network, TWO) as course:
        yield course


def test_two_processes_are_one(tables: Tables, started: Processes) -> None:
    whole = problem(tables, **MIXED)
    expected = whole.training().run()
    found = started.laid_out(1).run()
    assert found.groups == (4, 4)
    assert_equal(expected, whole.network, found, started.network)


def test_each_process_has_turns_of_its_own(tables: Tables, started: Processes) -> None:
    """On two devices with too little memory; what was kept is taken up, to the last bit."""
    keeper = Keeping(cut_at=2)
    cut = started.laid_out(3).run(keeper)
    assert (cut.cut_at, cut.epochs.tolist()) == (2, [2] * 8)
    assert cut.groups == (1, 2, 1, 1, 2, 1)
    again = started.laid_out(3).run(replace(keeper, cut_at=None))
    whole = problem(tables, **MIXED)
    assert_equal(whole.training().run(), whole.network, again, started.network)


def test_early_stopping_ends_when_nobody_trains(tables: Tables) -> None:
    whole, spread = problem(tables, **STOPPING), problem(tables, **STOPPING)
    expected = whole.training().run()
    spread = replace(spread, devices=TWO)
    found = spread.train()
    assert max(line.epoch for line in found.history) < STOPPING["epochs"]
    assert len(set(expected.epochs)) > 1
    assert_equal(expected, whole.network, found, spread.network)


def test_divergence_names_members_of_the_second_process(tables: Tables) -> None:
    """Their targets alone are too large for the numbers."""
    given = problem(tables, target_scale="none", optimizer="sgd", lr=1e-3)
    spoilt = given.work.target.copy()
    spoilt[given.work.fold_of_row == 3] = 1e200
    given = replace(given, work=replace(given.work, target=spoilt))
    with pytest.raises(DivergenceError) as alone:
        given.training().run()
    with pytest.raises(DivergenceError) as spread:
        replace(given, devices=TWO).train()
    assert str(spread.value) == str(alone.value)


def test_no_process_is_left(tables: Tables, started: Processes) -> None:
    before = {child.pid for child in torch.multiprocessing.active_children()}
    with pytest.raises(RunError, match=r"4 of 8 members on cpu was killed by SIGKILL; where memo"):
        replace(problem(tables), devices=TWO).train(Killing(before))
    assert {child.pid for child in torch.multiprocessing.active_children()} == before


class Killing(Keeping):
    """Kills one of the new children after the first epoch."""

    def __init__(self, others: set[int | None]) -> None:
        super().__init__()
        self.others = others

    def go_on(self, epoch: int, state: Callable[[], Any]) -> bool:
        children = torch.multiprocessing.active_children()
        next(child for child in children if child.pid not in self.others).kill()
        return True


def test_what_a_process_raises_is_raised(started: Processes) -> None:
    with pytest.raises(AttributeError, match="no_such_method") as caught:
        started.ask("no_such_method", {1: ()})
    assert "In the process of a device" in caught.value.__notes__[0]


def test_errors_survive_the_way() -> None:
    try:
        raise UnknownNameError("optimizer", "adamm", ["adam"])
    except UnknownNameError as error:
        carried = processes._carried(error)
    assert "unknown optimizer 'adamm'" in str(carried)


def test_work_is_stored_and_fetched(tables: Tables, tmp_path: Path) -> None:
    work = problem(tables).work
    large = replace(work, target=np.arange(1e5))
    store(large, tmp_path)
    found = fetch(tmp_path)
    assert isinstance(found.target, np.memmap)
    np.testing.assert_array_equal(found.target, large.target)
    np.testing.assert_array_equal(found.rows.codes, work.rows.codes)
    assert found.settings == work.settings
    # Nobody else sees what a process writes.
    found.target[0] = 7
    assert fetch(tmp_path).target[0] == 0


def test_no_room_for_the_rows_is_told(tables: Tables, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"cannot hand the rows to the processes .* set TMPDIR"):
        store(problem(tables).work, tmp_path / "absent")


def test_a_regressor_may_have_several_devices() -> None:
    x = np.random.default_rng(0).normal(size=(60, 3))
    options: dict[str, Any] = {"seeds": 2, "epochs": 3, "hidden": (8,), "random_state": 0}
    one = KagglePriceRegressor(device="cpu", **options).fit(x, x.sum(axis=1))
    two = KagglePriceRegressor(device="cpu,cpu", **options).fit(x, x.sum(axis=1))
    np.testing.assert_allclose(two.predict(x), one.predict(x), rtol=0, atol=1e-5)


# The command line.


def children_of(pid: int) -> list[int]:
    """Processes of devices, also those that outlived their parent's main thread."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if int(status[1]) == pid and b"spawn_main" in command and status[0] != "Z":
            found.append(int(folder.name))
    return sorted(found)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def command(folder: Path) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A command that has kept a checkpoint, and its children."""
    toml = write_small(folder)
    started = subprocess.Popen(
        [sys.executable, "-m", "kaggleprice", "cv", "-c", str(toml), *LONG],
        cwd=folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )
    kept = "runs/small/.unfinished-*/checkpoint.safetensors"
    wait_until(lambda: list(folder.glob(kept)) or started.poll() is not None)
    children = children_of(started.pid)
    assert len(children) == 2, started.communicate()[1] if started.poll() is not None else ""
    yield started, children
    wait_until(lambda: not any(map(alive, children)))


@pytest.fixture(scope="module")
def straight(entry: EntryPoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on two devices that nobody interrupted."""
    folder = tmp_path_factory.mktemp("straight")
    done = entry("cv", "-c", write_small(folder), *LONG, "--json", cwd=folder)
    assert done.code == 0, done.err
    assert (done.json["device"], done.json["groups"]) == ("cpu,cpu", [3, 3])
    assert "training on cpu,cpu with 2 threads" in done.err
    return folder


def test_the_command_line_scores_as_on_one_device(
    entry: EntryPoint, straight: Path, tmp_path: Path
) -> None:
    one = entry("cv", "-c", write_small(tmp_path), *LONG, "--device", "cpu", cwd=tmp_path)
    assert one.code == 0, one.err
    found, expected = (
        pd.read_csv(folder / "runs" / "small" / "mlp-001" / "oof.csv")
        for folder in (straight, tmp_path)
    )
    np.testing.assert_allclose(found["predicted"], expected["predicted"], rtol=1e-3)
    record = json.loads((straight / "runs" / "small" / "mlp-001" / "run.json").read_text())
    assert (record["device"], record["groups"], record["threads"]) == ("cpu,cpu", [3, 3], 2)
    shown = entry("runs", "show", "-c", straight / "small.toml", "mlp-001", cwd=straight)
    assert "on cpu,cpu (2 threads), in 2 groups of 3" in shown.out
    done = entry("predict", "-c", straight / "small.toml", "--device", "cpu,cpu", cwd=straight)
    assert done.code == 0, done.err
    planned = entry("cv", "-c", straight / "small.toml", *LONG, "--dry-run", "--json", cwd=straight)
    assert (planned.json["device"], planned.json["workload"]["members"]) == ("cpu,cpu", 6)


@linux
def test_an_interrupted_run_goes_on_to_the_same_bytes(
    entry: EntryPoint, straight: Path, tmp_path: Path
) -> None:
    with command(tmp_path) as (started, _):
        # As a terminal does: Ctrl-C reaches the children as well.
        os.killpg(started.pid, signal.SIGINT)
        _, said = started.communicate(timeout=60)
        assert started.returncode == 130
        assert said.splitlines()[-1] == "error: interrupted."
        assert "Traceback" not in said
    again = entry("cv", "-c", tmp_path / "small.toml", *LONG, cwd=tmp_path)
    assert again.code == 0, again.err
    assert "going on after epoch" in again.err
    runs = [folder / "runs" / "small" / "mlp-001" for folder in (straight, tmp_path)]
    expected, found = map(content, runs)
    # A prediction of another test may lie there.
    expected.pop("submission.csv", None)
    assert found == expected


@linux
def test_a_killed_child_is_told_in_one_sentence(tmp_path: Path) -> None:
    with command(tmp_path) as (started, children):
        os.kill(children[1], signal.SIGKILL)
        _, said = started.communicate(timeout=60)
    assert started.returncode == 1
    assert said.splitlines()[-1].startswith("error: the process that trained 3 of 6 members on cpu")
    assert "was killed by SIGKILL" in said
    assert "Traceback" not in said
    left = [path.name for path in (tmp_path / "runs" / "small").iterdir()]
    assert [name[:12] for name in left] == [".unfinished-"]


@linux
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_child_outlives_its_parent(tmp_path: Path, number: signal.Signals) -> None:
    with command(tmp_path) as (started, _):
        started.send_signal(number)
        assert started.wait(60) == -number
        started.communicate()


def test_a_script_needs_no_guard(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "print('once')\n"
        "import kaggleprice\n"
        "run = kaggleprice.cross_validate('sample', device='cpu,cpu', k=2, seeds=1, epochs=1,\n"
        "    hidden=(8,), quiet=True, data_dir='data')\n"
        "print(run.name)\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.split()) == (0, ["once", "mlp-001"]), done.stderr
