"""A Ray cluster of two machines on loopback: the same bytes, whoever of it dies."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from entry_point import EntryPoint
from members import CPU, assert_equal, make_task
from reported import make_run
from small import content, write_small

from kaggleprice.competitions.data import load
from kaggleprice.competitions.tables import Tables
from kaggleprice.core.errors import DivergenceError, RunError, UsageError
from kaggleprice.evaluation import ensemble as ensembles
from kaggleprice.reports.importance import Importance, measure_importance
from kaggleprice.training.cluster import ClusterAddress, joined
from kaggleprice.training.executors import Executor, Threads
from kaggleprice.training.loop import Callback, TrainingLoop
from kaggleprice.training.train import train, train_and_predict

ray = pytest.importorskip("ray", reason="Ray is not installed (the extra `ray`)")
# Ray's own modules warn, and leave sockets to its processes.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.cluster]


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A cluster of one machine with one CPU, to which others may be added."""
    from ray.cluster_utils import Cluster as Machines

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    # Workers import what tests define.
    here = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", here)
    made = Machines(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    yield made
    ray.shutdown()
    made.shutdown()


def address_of(machines: Any) -> ClusterAddress:
    return ClusterAddress(machines.address, 1)


@dataclass
class Noting(Callback):
    """Notes on which machine each group begins, one file each; and takes its time."""

    folder: Path
    seconds: float = 0.0

    def on_train_begin(self, loop: TrainingLoop) -> None:
        node = ray.get_runtime_context().get_node_id()
        name = f"{loop.group.first}-{time.time_ns()}"
        (self.folder / name).write_text(f"{node} {os.getpid()}")

    def on_epoch_end(self, loop: TrainingLoop) -> None:
        time.sleep(self.seconds)


@dataclass
class Dying(Noting):
    """Kills its worker in the second epoch of a group, so many times."""

    times: int = 1

    def on_epoch_end(self, loop: TrainingLoop) -> None:
        tries = len(list(self.folder.glob(f"{loop.group.first}-*")))
        if loop.group.first == 0 and loop.epoch == 2 and tries <= self.times:
            os.kill(os.getpid(), signal.SIGKILL)


def nodes_of(folder: Path) -> set[str]:
    return {file.read_text().split()[0] for file in folder.iterdir()}


def test_one_machine_and_two_write_the_same_bytes(
    sample_tables: Tables, machines: Any, tmp_path: Path
) -> None:
    task = make_task(sample_tables)
    here = train(task, [CPU], group_size=2)
    with joined(address_of(machines)) as cluster:
        one = train(task, [CPU], group_size=2, cluster=cluster)
    machines.add_node(num_cpus=2)
    with joined(address_of(machines)) as cluster:
        two = train(task, [CPU], [Noting(tmp_path, 0.3)], group_size=2, cluster=cluster)
        index = np.tile(np.arange(9), (len(task.members), 1))
        predicted = train_and_predict(task, index, [CPU], cluster=cluster)
    assert_equal(here, one, within=0)
    assert_equal(here, two, within=0)
    assert len(nodes_of(tmp_path)) == 2
    np.testing.assert_array_equal(predicted, train_and_predict(task, index, [CPU]))


def test_many_rows_and_importance(
    tmp_path: Path, machines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run predicts, and its columns are measured, to the same bytes by the cluster's workers."""
    monkeypatch.setattr(ensembles, "_PART_ROWS", 1)
    made = make_run(tmp_path)
    run, competition, train = made.run, made.source.competition, load(made.source).tables.train
    ensemble, many = run.ensemble(), pd.concat([train.features] * 500, ignore_index=True)
    assert len(ensemble.parts_of(len(many))) > 2

    def measure(executor: Executor) -> Importance:
        scale = run.target_scale(competition, train)
        return measure_importance(
            ensemble, competition, train, run.folds(), scale, how=None, repeats=1, executor=executor
        )

    here = ensemble.predict(many), measure(Threads(CPU, 1, 1))
    machines.add_node(num_cpus=1)
    with joined(address_of(machines)) as cluster:
        executor = cluster.executor(CPU, 1)
        there = ensemble.predict(many, executor), measure(executor)
    np.testing.assert_array_equal(here[0], there[0])
    assert here[1] == there[1]


def test_a_killed_worker_costs_its_group_alone(
    sample_tables: Tables, machines: Any, tmp_path: Path
) -> None:
    task = make_task(sample_tables)
    with joined(address_of(machines)) as cluster:
        found = train(task, [CPU], [Dying(tmp_path)], group_size=2, cluster=cluster)
    assert_equal(train(task, [CPU], group_size=2), found, within=0)
    # The first group was begun twice, the others once.
    begun = [int(file.name.split("-")[0]) for file in tmp_path.iterdir()]
    assert sorted(begun) == [0, 0, 2, 4, 6]


def test_a_group_that_fails_each_time_is_named(
    sample_tables: Tables, machines: Any, tmp_path: Path
) -> None:
    task = make_task(sample_tables)
    with (
        joined(address_of(machines)) as cluster,
        pytest.raises(RunError, match="members 1 to 2 was tried 3 times"),
    ):
        train(task, [CPU], [Dying(tmp_path, times=9)], group_size=2, cluster=cluster)


def test_a_machine_may_go_and_another_come(
    sample_tables: Tables, machines: Any, tmp_path: Path
) -> None:
    """In mid-run one is killed and one joins: the run ends with the same bytes."""
    task = make_task(sample_tables)
    first = machines.add_node(num_cpus=1)
    with joined(address_of(machines)) as cluster, ThreadPoolExecutor(1) as pool:
        slow = [Noting(tmp_path, 1.0)]
        training = pool.submit(train, task, [CPU], slow, group_size=1, cluster=cluster)
        while len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.05)
        machines.remove_node(first, allow_graceful=False)
        machines.add_node(num_cpus=1)
        found = training.result()
    assert_equal(train(task, [CPU], group_size=1), found, within=0)
    assert len(nodes_of(tmp_path)) == 3


def test_what_a_group_asks_for(sample_tables: Tables, machines: Any) -> None:
    """More memory than a machine has is asked of none; what there is bounds the groups at once."""
    machines.add_node(num_cpus=4, memory=3 * 10**8)
    with joined(address_of(machines)) as cluster:
        most = max(int(node["Resources"]["memory"]) for node in ray.nodes())
        there = ray.cluster_resources()["memory"]
        assert cluster.executor(CPU, 1).workers == 5
        assert cluster.executor(CPU, 1, most // 2).workers == int(there // (most // 2))
        huge = cluster.executor(CPU, 1, 10**15)
        assert huge.workers == 1
        task = make_task(sample_tables)
        found = train(task, [CPU], group_size=2, cluster=cluster)
    assert_equal(train(task, [CPU], group_size=2), found, within=0)


def test_what_a_group_raises_is_raised(sample_tables: Tables, machines: Any) -> None:
    task = make_task(sample_tables, lr=1e30, optimizer="sgd")
    with joined(address_of(machines)) as cluster, pytest.raises(DivergenceError, match="--lr"):
        train(task, [CPU], cluster=cluster)


def test_no_cluster_is_said() -> None:
    with (
        pytest.raises(UsageError, match=r"127\.0\.0\.1:9"),
        joined(ClusterAddress("127.0.0.1:9", 1)),
    ):
        pass


LONG = "--portfolio robust,tanh --inner-blocks 2 --k 3 --seeds 2 --epochs 60 --hidden 8"
OPTIONS = f"{LONG} --batch-size 4 --threads 1 --checkpoint-every 0".split()


def test_a_killed_command_goes_on(entry: EntryPoint, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("here", "ray")]
    for folder in folders:
        folder.mkdir()
        write_small(folder)
    here = entry("cv", "-c", "small.toml", *OPTIONS, cwd=folders[0])
    assert here.code == 0, here.err
    command = ["cv", "-c", "small.toml", *OPTIONS, "--engine", "ray"]
    killed = entry(*command, cwd=folders[1], interrupt=signal.SIGKILL)
    assert killed.code == -signal.SIGKILL
    again = entry(*command, cwd=folders[1])
    assert again.code == 0, again.err
    assert "going on after epoch" in again.err
    runs = [content(folder / "runs" / "small" / "mlp-001") for folder in folders]
    assert runs[0] == runs[1]
