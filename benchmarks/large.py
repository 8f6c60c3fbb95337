"""A table larger than memory: seconds and peak memory of one pass over more and more rows.

    python -m benchmarks.large                                # long; large.json, large.md
    python -m benchmarks.large --rows 200000 --memory 1       # does it run?

For each number of rows a competition of 80 columns is written, 70 of numbers and 10 of levels, and
the whole command `kaggleprice cv` trains for one pass on nine tenths of it. The process may take no
more memory than `--memory` says: Linux refuses it more (`ulimit -d`). Pages of files that are
mapped do not count there: the system takes them back whenever it likes.

Needs Linux and the extra `parquet`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.lines import write_page
from benchmarks.speeds.effort import say
from benchmarks.speeds.machine import describe
from kaggleprice.core.errors import KagglePriceError

REPORT = "large.md"
FOLDER = Path(__file__).parent
ROWS, TEST_ROWS = (1_000_000, 3_000_000, 10_000_000), 1_000
GIB = 2**30
NUMBERS, LEVELS = 70, 10
# Rows that are made at a time.
_CHUNK = 100_000
COMMAND = (
    *("cv", "--preset", "fast", "--epochs", "1", "--seeds", "1"),
    *("--embedding", "none", "--hidden", "128,64", "--batch-size", "1024"),
    *("--fold-scheme", "hold-out", "--hold-out", "0.1"),
)
COMPETITION = """\
name = "large"
target_column = "y"
metric = "rmse"
target_transform = "none"

[train]
path = "data/train.csv"

[test]
path = "data/test.csv"
"""


@dataclass(frozen=True)
class Point:
    """One command.

    Attributes:
        rows: of the training file.
        bytes: of it.
        seconds: of the command.
        peak: bytes of memory that belonged to no file, at most.
        score: RMSE of the tenth that was held out; the target's standard deviation is 1.
    """

    rows: int
    bytes: int
    seconds: float
    peak: int
    score: float


def write_table(path: Path, rows: int, seed: int, target: bool) -> None:
    """Write a CSV of 70 numbers of three decimals, 10 columns of 20 levels, and a target."""
    arrow: Any = import_module("pyarrow")
    csv: Any = import_module("pyarrow.csv")
    slopes = np.random.default_rng(0).standard_normal(NUMBERS) / NUMBERS**0.5
    random, writer = np.random.default_rng(seed), None
    for start in range(0, rows, _CHUNK):
        count = min(_CHUNK, rows - start)
        numbers = random.standard_normal((count, NUMBERS)).round(3)
        levels = random.integers(20, size=(count, LEVELS))
        columns: dict[str, Any] = {f"x{i}": numbers[:, i] for i in range(NUMBERS)}
        names = np.array([f"level {n}" for n in range(20)])
        columns |= {f"c{i}": names[levels[:, i]] for i in range(LEVELS)}
        if target:
            effects = np.where(levels[:, 0] < 10, numbers[:, 0], -numbers[:, 0])
            noise = random.standard_normal(count)
            columns["y"] = (0.8 * numbers @ slopes + 0.5 * effects + 0.33 * noise).round(4)
        table = arrow.table(columns)
        writer = writer or csv.CSVWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def measure(rows: int, memory: int, threads: int, place: Path) -> Point:
    """Write a competition, and run the command on it.

    Raises:
        KagglePriceError: where the command fails; it has said why.
    """
    data, train = place / "data", place / "data" / "train.csv"
    data.mkdir()
    write_table(train, rows, 1, target=True)
    write_table(data / "test.csv", TEST_ROWS, 2, target=False)
    (place / "large.toml").write_text(COMPETITION, encoding="utf-8")
    command = [
        *(sys.executable, "-m", "kaggleprice", *COMMAND, "--competition", "large.toml"),
        *("--threads", str(threads), "--json", "--no-config"),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    limit = partial(resource.setrlimit, resource.RLIMIT_DATA, (memory, memory))
    began = time.perf_counter()
    with subprocess.Popen(
        command, cwd=place, env=environment, stdout=subprocess.PIPE, text=True, preexec_fn=limit
    ) as process:
        peak = 0
        while process.poll() is None:
            peak = max(peak, own_memory(process.pid))
            time.sleep(0.1)
        seconds = time.perf_counter() - began
        written = process.stdout.read() if process.stdout is not None else ""
    if process.returncode:
        raise KagglePriceError(f"`{' '.join(command)}` ended with {process.returncode}.")
    score = json.loads(written)["scores"]["oof"]
    return Point(rows, train.stat().st_size, seconds, peak, score)


def own_memory(process: int) -> int:
    """Return the bytes of memory of a process that belong to no file; 0 where it is gone."""
    try:
        lines = Path(f"/proc/{process}/status").read_text("utf-8").splitlines()
    except OSError:
        return 0
    found = dict(line.split(":", 1) for line in lines)
    return 1024 * int(found.get("RssAnon", "0 kB").split()[0])


def exponent(points: Sequence[Point]) -> float:
    """Return the power of rows with which seconds grow."""
    rows, seconds = (np.log([getattr(p, name) for p in points]) for name in ("rows", "seconds"))
    return float(np.polyfit(rows, seconds, 1)[0])


def report(points: Sequence[Point], memory: int) -> str:
    """Return the page."""
    lines = [
        "# A table larger than memory",
        "",
        f"`python -m benchmarks.large`, {describe()['processor']}, 2 threads: `kaggleprice "
        f"{' '.join(COMMAND)}` on {NUMBERS} columns of numbers and {LEVELS} of levels, in a "
        f"process that is given no more than {memory / GIB:g} GiB. *Memory*: the most that it had "
        "at once, mapped files apart.",
        "",
        "| rows | CSV, GB | seconds | memory, GiB | RMSE of the tenth held out |",
        "|---|---|---|---|---|",
        *(
            f"| {p.rows:,} | {p.bytes / 1e9:.2f} | {p.seconds:,.0f} | {p.peak / GIB:.2f} | "
            f"{p.score:.4f} |"
            for p in points
        ),
    ]
    if len(points) > 1:
        lines += ["", f"Seconds grow with the power {exponent(points):.2f} of rows."]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write the page; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.large",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", default=",".join(map(str, ROWS)), help="one number or more")
    parser.add_argument("--memory", type=float, default=4, help="in GiB")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of the results")
    asked = parser.parse_args(arguments)
    memory, points = int(asked.memory * GIB), list[Point]()
    try:
        for rows in map(int, asked.rows.split(",")):
            with tempfile.TemporaryDirectory() as place:
                points.append(measure(rows, memory, asked.threads, Path(place)))
            say(f"{points[-1]}")
    except KagglePriceError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    text, record = report(points, memory), {"machine": describe(), "memory": memory}
    record |= {"points": [asdict(p) for p in points]}
    write_page(asked.folder / REPORT, text, record)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
