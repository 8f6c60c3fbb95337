"""Scaling: seconds and memory against members, rows, columns and threads."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import linregress

from benchmarks.lines import Line, append_line, read_lines
from benchmarks.speeds.effort import Effort, say
from benchmarks.speeds.machine import cores
from benchmarks.speeds.points import MIB, Point
from benchmarks.speeds.ratios import Pairs
from benchmarks.speeds.results import Cell, Outcome, Reach, Table, at_most, shown
from benchmarks.speeds.results import Line as Ratios
from kaggleprice.core.errors import RunError

TITLE = "Scaling"
MEANING = (
    "Each size in a process of its own. *Rows*: a whole cross-validation of the generated sample "
    "(80 columns, 5 folds, one network each, 2 epochs), from the CSV to the score. *Members*, "
    "*columns*, *threads*: one epoch of the default networks. *Peak*: the most memory that the "
    "process had; *floor*: what it had before the data, all libraries loaded and used once; "
    "*copy*: one float32 copy of the numeric columns and one byte per category. Exponents are "
    "fitted by least squares of the logs; *steepest* is the largest between neighbours. *Reading* "
    "is reading, fitting all folds' recipes and encoding, of the same table; *reading columns* is "
    "that of 10,000 rows, in which the sample's columns come again and again."
)
RESULTS = "speed-scaling.jsonl"
# The exponent of rows is that from here on: below, time is that of the beginning and the end.
MANY_ROWS = 10_000
READINGS = ("reading", "reading columns")
EXPONENT, COPIES, READING = at_most(1.05), at_most(2), at_most(2)


def points(effort: Effort) -> list[Point]:
    """Return all sizes, cheap ones first."""
    most = min(2, cores())
    if effort.quick:
        small: dict[str, Any] = {"rows": 60, "quick": True}
        return [
            *(Point("members", size, **small) for size in (1, 5)),
            *(Point("rows", size, quick=True) for size in (60, 120)),
            *(Point("reading columns", n, pairs=effort.pairs, **small) for n in (80, 160)),
            Point("reading", 60, pairs=effort.pairs, quick=True),
        ]
    return [
        *(Point("members", size, epochs=5, threads=most) for size in (1, 2, 4, 8, 16, 32, 64)),
        *(Point("columns", size, epochs=5, threads=most) for size in (20, 63, 200, 632, 2000)),
        *(Point("threads", size, members=20, epochs=5) for size in sorted({1, most})),
        *(Point("rows", size, threads=most) for size in (1_000, 10_000, 100_000)),
        *(
            Point("reading columns", n, rows=MANY_ROWS, pairs=effort.pairs, threads=most)
            for n in (80, 320, 1280)
        ),
        *(Point("reading", n, pairs=effort.pairs, threads=most) for n in (10_000, 100_000)),
        Point("rows", 1_000_000, threads=most),
        Point("reading", 1_000_000, pairs=min(effort.pairs, 3), threads=most),
    ]


def measure(effort: Effort) -> Outcome:
    """Measure what is not measured yet; fit the exponents."""
    wanted, done = points(effort), measured(effort.folder)
    for number, point in enumerate(wanted, start=1):
        place = f"scaling, {number} of {len(wanted)}: {point.kind} {point.size:,}"
        if point in done:
            say(f"{place}: measured before")
            continue
        say(f"{place} ...")
        done[point] = run(point, effort.data_dir / "speed")
        append_line(effort.folder / RESULTS, done[point])
        if "seconds" in done[point]:
            found = done[point]
            say(f"{place}: {shown(found['seconds'])} s, {shown(found['peak'] / MIB)} MiB")
    return outcome({point: done[point] for point in wanted})


def run(point: Point, folder: Path) -> dict[str, Any]:
    """Measure one point in a process of its own.

    Raises:
        RunError: where it fails, as for want of memory.
    """
    root = Path(__file__).parent.parent.parent
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmarks.speeds.points",
            json.dumps(asdict(point)),
            str(folder.absolute()),
        ],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise RunError(
            f"{point.kind} {point.size} ended with exit code {done.returncode}: {last.rstrip('.')}."
        )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measured(folder: Path) -> dict[Point, Line]:
    """Return what has been measured; raises as `read_lines`."""
    return read_lines(folder / RESULTS, lambda line: Point(**line["point"]))


def outcome(done: Mapping[Point, Mapping[str, Any]]) -> Outcome:
    """Return tables, exponents and ratios of points and their results."""
    made = Outcome()
    exponents: list[list[Cell]] = []
    for kind in dict.fromkeys(point.kind for point in done):
        own = {point.size: found for point, found in done.items() if point.kind == kind}
        if kind in READINGS:
            made.lines += [_reading(point, done[point]) for point in done if point.kind == kind]
            own = {size: {"seconds": float(np.median(found["own"]))} for size, found in own.items()}
            exponents += _exponents(kind, own) if len(own) > 1 else []
            continue
        made.tables.append(_sizes(kind, own))
        if kind != "threads" and len(own) > 1:
            exponents += _exponents(kind, own)
    if exponents:
        columns = ["of", "against", "exponent", "standard error", "steepest", "to reach"]
        made.tables.append(Table("Exponents", columns, exponents))
    return made


def _sizes(kind: str, own: Mapping[int, Mapping[str, Any]]) -> Table:
    """Return seconds and memory by size."""
    stages = list(
        dict.fromkeys(stage for found in own.values() for stage in found.get("stages", {}))
    )
    columns = [kind, "seconds", *stages, "peak, MiB", "floor, MiB"]
    copies = kind == "rows"
    rows: list[list[Cell]] = []
    for size, found in own.items():
        row: list[Cell] = [f"{size:,}", found["seconds"]]
        row += [found["stages"].get(stage) for stage in stages]
        row += [found["peak"] / MIB, found["floor"] / MIB]
        if copies:
            above = (found["peak"] - found["floor"]) / found["copy"]
            # Of few rows everything else is larger.
            reach = _judged(COPIES, above) if size >= 1_000_000 else ""
            row += [found["copy"] / MIB, above, reach]
        rows.append(row)
    columns += ["copy, MiB", "copies above the floor", "to reach"] if copies else []
    return Table(f"Against {kind}", columns, rows)


def _exponents(kind: str, own: Mapping[int, Mapping[str, Any]]) -> list[list[Cell]]:
    sizes = sorted(size for size in own if kind != "rows" or size >= MANY_ROWS)
    sizes = sizes if len(sizes) > 1 else sorted(own)
    against = f"{kind}, {min(sizes):,} to {max(sizes):,}"
    values = {"seconds": [own[size]["seconds"] for size in sizes]}
    above = [own[n]["peak"] - own[n]["floor"] for n in sizes if "peak" in own[n]]
    # Small sizes leave no trace above the floor, and of `reading` it is not measured.
    if min(above, default=0) > 0:
        values["memory above the floor"] = above
    rows: list[list[Cell]] = []
    for name, found in values.items():
        x, y = np.log(sizes), np.log(found)
        fitted = linregress(x, y)
        # A line goes through two points without an error.
        error = fitted.stderr if len(sizes) > 2 else float("nan")
        steepest = float(np.max(np.diff(y) / np.diff(x)))
        reach = _judged(EXPONENT, fitted.slope) if kind in ("rows", *READINGS) else ""
        rows.append([name, against, float(fitted.slope), float(error), steepest, reach])
    return rows


def _reading(point: Point, found: Mapping[str, Any]) -> Ratios:
    pairs = Pairs(tuple(found["base"]), tuple(found["own"]))
    wide = point.kind == "reading columns"
    size = f"{point.rows:,} rows of {point.size:,} columns" if wide else f"{point.size:,} rows"
    what = f"reading and preprocessing {size}, 5 folds"
    against = "pandas.read_csv of the same files"
    reach = READING if not wide and point.size >= 1_000_000 else None
    return Ratios(what, against, "times the seconds", pairs.costs(), point.threads, reach)


def _judged(reach: Reach, value: float) -> str:
    return f"{reach} {'✓' if reach.is_met(value) else '✗'}"
