"""Executors: the same results in order; errors, signals and deaths reach the right one."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from entry_point import EntryPoint
from members import CPU, fail, make_task, square
from small import content, write_small

from kaggleprice.competitions.tables import Tables
from kaggleprice.core.errors import RunError
from kaggleprice.training import executors
from kaggleprice.training.batches import Batch
from kaggleprice.training.engine import Engine
from kaggleprice.training.executors import Executor, Processes, Threads, store
from kaggleprice.training.train import train

# Large batches make two groups of three members; many epochs leave time to interrupt them.
LONG = shlex.split("""
--portfolio none --k 3 --seeds 2 --epochs 300 --hidden 64,64 --batch-size 2048
--threads 2 --checkpoint-every 0 --device cpu,cpu
""")
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


@pytest.fixture(autouse=True)
def two() -> Iterator[None]:
    before, threads = torch.get_num_threads(), names()
    torch.set_num_threads(2)
    yield
    assert torch.get_num_threads() == 2, "training leaves the number of threads as it was"
    torch.set_num_threads(before)
    assert names() <= threads, "no thread is left"
    assert children_of(os.getpid()) == [], "no process is left"


def test_a_thread_that_ends_without_a_word_is_no_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where not even an exception finds memory."""
    monkeypatch.setattr(executors, "_fulfil", lambda *_: None)
    with pytest.raises(MemoryError):
        Threads(CPU, 2, 1).map(square, range(4))


def names() -> set[str]:
    return {thread.name for thread in threading.enumerate() if "group" in thread.name}


EXECUTORS: dict[str, Executor] = {
    "in sequence": Threads(CPU, 1, 2),
    "threads": Threads(CPU, 2, 1),
    "processes": Processes([CPU, CPU], 1),
}


@pytest.mark.parametrize("executor", EXECUTORS.values(), ids=EXECUTORS)
def test_results_come_in_order(executor: Executor) -> None:
    """Processes map large arrays, and what one writes into them stays its own."""
    reported: list[Sequence[float]] = []
    array = np.zeros(100_000)
    found = executor.map(partial(square, array), [3, 1, 2, 5, 4], reported.append)
    assert [result for result, *_ in found] == [9, 1, 4, 25, 16]
    assert sorted(map(tuple, reported)) == [(n, 0.5) for n in range(1, 6)]
    own = isinstance(executor, Processes)
    places = {(device, threads, mapped) for _, device, threads, _, mapped, _ in found}
    assert places == {("cpu", 3 - executor.workers, own)}
    assert array[0] == (0 if own else 7)
    processes = {process for _, _, _, process, *_ in found}
    assert len(processes) == (2 if own else 1)
    if own:
        assert [untouched for *_, untouched in found].count(True) == 2
    assert executor.map(square, []) == []


@pytest.mark.parametrize("executor", EXECUTORS.values(), ids=EXECUTORS)
def test_what_a_job_raises_is_raised(executor: Executor) -> None:
    with pytest.raises(RunError, match="job 1") as got:
        executor.map(fail, [0, 1, 2])
    if isinstance(executor, Processes):
        assert "in fail" in str(got.value.__cause__), "where it happened is not lost"


def test_every_job_has_a_thread_of_its_own() -> None:
    """Where memory once ran out in a thread, oneDNN makes no code in it ever after."""
    found = Threads(CPU, 2, 1).map(lambda *_: threading.current_thread(), range(5))
    assert len(set(found)) == 5


# Steps of 0.01 seconds that do not end while a test runs.
LASTING = 10**5


class Lasting(list[Batch]):
    def __iter__(self) -> Iterator[Batch]:
        return itertools.repeat(self[0], LASTING)


@pytest.mark.parametrize("where", ["training", "scoring"])
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_all_threads_end_at_their_next_step(
    sample_tables: Tables, monkeypatch: pytest.MonkeyPatch, error: type, where: str
) -> None:
    """Otherwise they would take their whole epoch, of which there may be minutes."""
    both, taken = threading.Barrier(2), dict[threading.Thread, int]()

    def step(*_: object) -> torch.Tensor:
        own = threading.current_thread()
        taken[own] = taken.get(own, 0) + 1
        if taken[own] == 1 and both.wait(60) == 0:
            if error is ZeroDivisionError:
                raise error
            signal.raise_signal(signal.SIGINT)
        time.sleep(0.01)
        return torch.zeros(4)

    def chunks(*_: object) -> Iterator[tuple[slice, np.ndarray]]:
        return ((slice(0, 1), step()[:, None].numpy()) for _ in range(LASTING))

    task = make_task(sample_tables)
    if where == "training":
        steps = Lasting(Engine(task, CPU).batches)
        monkeypatch.setattr("kaggleprice.training.engine.plan_epoch", lambda *_: steps)
        monkeypatch.setattr(Engine, "_step", step)
    else:
        monkeypatch.setattr("kaggleprice.training.engine._predictions", chunks)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(error):
            train(task, [CPU], group_size=4)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert len(taken) == 2
    assert max(taken.values()) < LASTING


# Processes.


def test_no_room_for_the_rows_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"cannot hand the rows to the processes .* set TMPDIR"):
        store(square, tmp_path / "absent")


def test_a_daemonic_process_may_start_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)  # type: ignore[attr-defined]
    with pytest.raises(RunError, match="name one device"):
        Processes([CPU, CPU], 1).map(square, [0])


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
        if int(status[1]) == pid and b"popen_loky" in command and status[0] != "Z":
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
    kept = "runs/small/.unfinished-*/members-*.safetensors"
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
    assert record["groups_cut_at"] == [None, None]
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
        _, err = started.communicate(timeout=60)
        assert started.returncode == 130
        assert err.splitlines()[-1] == "error: interrupted; give the same command again to go on."
        assert "Traceback" not in err
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
        _, err = started.communicate(timeout=60)
    assert started.returncode == 1
    assert err.splitlines()[-1].startswith(
        "error: a process that trained members on one of cpu,cpu"
    )
    assert "SIGKILL" in err
    assert "Traceback" not in err
    left = [path.name for path in (tmp_path / "runs" / "small").iterdir()]
    assert [name[:12] for name in left] == [".unfinished-"]


@linux
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_child_outlives_its_parent(tmp_path: Path, number: signal.Signals) -> None:
    with command(tmp_path) as (started, _):
        started.send_signal(number)
        assert started.wait(60) == (143 if number == signal.SIGTERM else -number)
        started.communicate()


def test_a_script_needs_no_guard(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "print('once')\n"
        "import kaggleprice\n"
        "run = kaggleprice.cross_validate('sample', device='cpu,cpu', k=2, seeds=1, epochs=1,\n"
        "    portfolio='none', hidden=(64, 64), batch_size=8192, quiet=True, data_dir='data')\n"
        "print(run.name)\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.split()) == (0, ["once", "mlp-001"]), done.stderr
