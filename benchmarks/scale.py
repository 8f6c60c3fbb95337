"""Scaling over the workers of a Ray cluster, and what larger work would take by a model of it.

    python -m benchmarks.scale                       # minutes on 2 cores; scale.json, scale.md
    python -m benchmarks.scale --quick --folder F    # does it run?

Workers have one thread each, and a group of networks takes one. The model of the seconds is fitted
on one worker, and held against two, which it has not seen:

    seconds = a + b * groups / workers + operations / (rate * workers)

Needs the extra `ray`.
"""

from __future__ import annotations

import argparse
import io
import pickle
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median

import joblib
import numpy as np
from scipy.optimize import nnls

from benchmarks.lines import write_page
from benchmarks.speeds.effort import say
from benchmarks.speeds.machine import describe
from benchmarks.speeds.problems import dense_problem, operations_per_epoch
from kaggleprice.core.errors import KagglePriceError
from kaggleprice.evaluation.cross_validation import PreparedRun
from kaggleprice.training.cluster import Cluster, ClusterAddress, joined
from kaggleprice.training.devices import taking_threads
from kaggleprice.training.train import fit, train

REPORT = "scale.md"
FOLDER = Path(__file__).parent
REPEATS, EPOCHS = 2, 1
# Rows, and networks of a group.
SIZES = ((1_000, 10), (1_000, 20), (4_000, 10), (4_000, 20))
GROUPS = 4
# What nobody measured: rows, networks, passes over the rows, and numbers in a row.
FAR = (100_000_000, 1_000, 1, 313)
MACHINES, CPUS = (1, 10, 100), 32
# US dollars for an hour of one CPU: an assumption, to be replaced by one's own.
PRICE = 0.04


@dataclass(frozen=True)
class Point:
    """One training.

    Attributes:
        rows: of the table.
        members: networks.
        groups: that they are trained in.
        workers: of the cluster; 0 for this process alone, with one thread.
        operations: multiplications and additions.
        seconds: median of some trainings, the cluster joined before.
    """

    rows: int
    members: int
    groups: int
    workers: int
    operations: float
    seconds: float


def short_problem(members: int, rows: int) -> PreparedRun:
    """Return networks that pass over random rows a few times."""
    problem = dense_problem(members, rows=rows)
    settings = problem.task.settings
    training = replace(settings.training, epochs=EPOCHS, history_every=EPOCHS)
    return replace(
        problem, task=replace(problem.task, settings=replace(settings, training=training))
    )


def seconds_of(problem: PreparedRun, size: int, cluster: Cluster | None, repeats: int) -> float:
    """Return the median seconds of a training, in groups of so many networks."""
    found = []
    # Once before: a worker imports what it needs.
    for number in range(repeats + 1):
        began = time.perf_counter()
        train(problem.task, problem.devices, group_size=size, cluster=cluster)
        if number:
            found.append(time.perf_counter() - began)
    return median(found)


def measure(workers: int, groups: Sequence[int], sizes: Sequence[tuple[int, int]]) -> list[Point]:
    """Train problems of all sizes with so many workers."""
    found = []

    def each(cluster: Cluster | None) -> None:
        for rows, size in sizes:
            for count in groups:
                problem = short_problem(size * count, rows)
                operations = operations_per_epoch(problem) * EPOCHS
                took = seconds_of(problem, size, cluster, REPEATS)
                found.append(Point(rows, size * count, count, workers, operations, took))
                say(f"{found[-1]}")

    with taking_threads(1):
        if not workers:
            each(None)
        else:
            with joined(ClusterAddress(None, workers)) as cluster:
                each(cluster)
    return found


@dataclass(frozen=True)
class Model:
    """Seconds of a training: `a + b * groups / workers + operations * c / workers`."""

    a: float
    b: float
    c: float

    @classmethod
    def fitted(cls, points: Sequence[Point]) -> Model:
        """Fit it to trainings by one worker; no part of the time is below 0."""
        rows = np.array([[1.0, p.groups, p.operations] for p in points])
        seconds = np.array([p.seconds for p in points])
        # Relative errors count.
        found, _ = nnls(rows / seconds[:, None], np.ones(len(points)))
        return cls(*found.tolist())

    def seconds(self, groups: float, operations: float, workers: int) -> float:
        """Return what it says."""
        waves = -(-groups // workers)
        return self.a + self.b * waves + self.c * operations / groups * waves


def bytes_moved(problem: PreparedRun) -> tuple[int, int]:
    """Return what travels to each machine once, and what comes back of all networks."""
    buffer = io.BytesIO()
    joblib.dump(partial(fit, problem.task, []), buffer)
    weights = [p.detach().numpy() for p in problem.task.blank_network().parameters()]
    return buffer.tell(), len(pickle.dumps(weights))


def report(points: Sequence[Point], moved: tuple[int, int, int, int]) -> str:
    """Return the page."""
    one, two, alone = ([p for p in points if p.workers == n] for n in (1, 2, 0))
    model = Model.fitted(one)
    key = lambda p: (p.rows, p.members // p.groups, p.groups)  # noqa: E731
    by_key = [{key(p): p for p in own} for own in (one, two, alone)]
    lines = [
        "# Scaling over a cluster's workers",
        "",
        f"`python -m benchmarks.scale`, {describe()['processor']}; workers of one thread, the "
        "cluster joined before. A training's seconds by one process with one thread (*alone*), by "
        "a worker, and by two.",
        "",
        "| rows | networks | groups | alone | 1 worker | 2 workers | strong scaling | model of 2 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    errors = []
    for own in one:
        other, lonely = by_key[1][key(own)], by_key[2][key(own)]
        said = model.seconds(own.groups, own.operations, 2)
        errors.append(said / other.seconds - 1)
        lines.append(
            f"| {own.rows:,} | {own.members} | {own.groups} | {lonely.seconds:.2f} | "
            f"{own.seconds:.2f} | {other.seconds:.2f} | "
            f"{own.seconds / other.seconds / 2:.2f} | {said:.2f} ({errors[-1]:+.0%}) |"
        )
    weak = [
        p.seconds / by_key[1][p.rows, p.members // p.groups, 2 * p.groups].seconds
        for p in one
        if (p.rows, p.members // p.groups, 2 * p.groups) in by_key[1]
    ]
    overhead = [(p.seconds - by_key[2][key(p)].seconds) / p.groups for p in one]
    rows, members, there, back = moved
    lines += [
        "",
        "*Strong scaling*: the seconds of one worker, divided by twice those of two; 1 is ideal. "
        f"Weak scaling, twice the groups on two workers: {median(weak):.2f} (1 is ideal). Overhead "
        f"of a group: {median(overhead) * 1000:.0f} ms (median over the lines). Of {rows:,} rows "
        f"and {members} networks {there / 1e6:.1f} MB travel to each machine once, and "
        f"{back / 1e6:.1f} MB of weights come back.",
        "",
        f"The model, fitted on one worker: {model.a:.2f} s, {model.b * 1000:.0f} ms for each group "
        f"that a worker trains, {1e-9 / model.c:.1f} billion operations a second. Against two "
        f"workers, which it has not seen, it is off by {np.mean(np.abs(errors)):.0%} (mean), "
        f"{max(map(abs, errors)):.0%} (most).",
        "",
        f"**Extrapolated, not measured**: {FAR[0]:,} rows of {FAR[3]} numbers, {FAR[1]:,} "
        f"networks, one pass; machines of {CPUS} CPUs, USD {PRICE} for an hour of a CPU (an "
        "assumption). What memory and wires of such machines would add is not in it.",
        "",
        "| machines | hours | USD |",
        "|---|---|---|",
    ]
    return "\n".join(lines)


def far_lines(model: Model, operations: float, groups: int) -> list[str]:
    """Return the lines of the table of what nobody measured."""
    lines = []
    for machines in MACHINES:
        workers = machines * CPUS
        hours = model.seconds(max(groups, workers), operations, workers) / 3600
        lines.append(f"| {machines} | {hours:,.1f} | {hours * workers * PRICE:,.0f} |")
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write the page; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of the results")
    asked = parser.parse_args(arguments)
    sizes, groups = (SIZES[:1], (2, 4)) if asked.quick else (SIZES, (GROUPS, 2 * GROUPS))
    try:
        points = [p for workers in (0, 1, 2) for p in measure(workers, groups, sizes)]
    except KagglePriceError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    rows, size = sizes[-1]
    problem = short_problem(size * groups[-1], rows)
    moved = (rows, size * groups[-1], *bytes_moved(problem))
    each = problem.task.blank_network().operations()
    model = Model.fitted([p for p in points if p.workers == 1])
    far = FAR[0] * 0.8 * FAR[1] * FAR[2] * each
    text = "\n".join([report(points, moved), *far_lines(model, far, FAR[1])]) + "\n"
    record = {"machine": describe(), "points": [asdict(p) for p in points]}
    write_page(asked.folder / REPORT, text, record)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
