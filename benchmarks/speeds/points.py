"""Points of the scaling curves, each in a process of its own.

    python -m benchmarks.speeds.points '{"kind": "rows", "size": 1000, ...}'

prints one JSON document. Peak memory is that of the whole process, which is why it has one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.sample import make_sample
from benchmarks.speeds.machine import describe
from benchmarks.speeds.problems import NUMBERS, make_problem, random_tables, train
from benchmarks.speeds.ratios import alternate, timed, timed_between
from kaggleprice.competitions.catalog import COMPETITIONS
from kaggleprice.competitions.tables import Table, Tables, read_tables
from kaggleprice.core.errors import UsageError
from kaggleprice.core.files import replacing
from kaggleprice.evaluation import cross_validation
from kaggleprice.evaluation.folds import make_folds
from kaggleprice.preprocessing.encoding import EncodedRows, Encoding
from kaggleprice.settings.run import make_settings
from kaggleprice.training.devices import choose_compute

SAMPLE = COMPETITIONS["sample"]
TEST_ROWS = 1000
MIB = 2.0**20


@dataclass(frozen=True)
class Point:
    """One size, and all that decides what is done with it.

    Attributes:
        kind: a name in `KINDS`.
        size: rows, columns, members or threads.
        members, rows, epochs, threads: what the kind does not say itself.
        pairs: of `reading` and `reading columns`.
        quick: whether networks are tiny.
    """

    kind: str
    size: int
    members: int = 5
    rows: int = 1460
    epochs: int = 2
    threads: int = 1
    pairs: int = 1
    quick: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """Changes to the default preset."""
        return {"epochs": self.epochs, **({"hidden": (8,)} if self.quick else {})}


def sample_files(folder: Path, rows: int) -> tuple[Path, Path]:
    """Return the files of a sample of so many rows, made where they are not there."""
    paths = folder / f"{rows}" / "train.csv", folder / f"{rows}" / "test.csv"
    if not all(path.exists() for path in paths):
        # In a process of its own: this one's peak is what is measured.
        command = [sys.executable, "-m", "benchmarks.sample", str(paths[0].parent)]
        sizes = ["--train", str(rows), "--test", str(TEST_ROWS)]
        subprocess.run([*command, *sizes], check=True, stdout=subprocess.DEVNULL)
    return paths


def wide_files(folder: Path, rows: int, columns: int) -> tuple[Path, Path]:
    """Return the files of a sample of so many columns of features, made where they are not there.

    Behind its own come copies of them, and of the copies.
    """
    made = folder / f"{rows} x {columns}"
    paths = made / "train.csv", made / "test.csv"
    for narrow, wide in zip(sample_files(folder, rows), paths, strict=True):
        if wide.exists():
            continue
        frame = pd.read_csv(narrow, dtype=str, keep_default_na=False)
        kept = {name: frame.pop(name) for name in ("Id", "SalePrice") if name in frame}
        names = [str(name) for name in frame]
        for number in range(columns):
            copy, place = divmod(number, len(names))
            kept[f"{names[place]} {copy + 1}" if copy else names[place]] = frame[names[place]]
        made.mkdir(parents=True, exist_ok=True)
        with replacing(wide) as beside:
            pd.DataFrame(kept).to_csv(beside, index=False, lineterminator="\n")
    return paths


def peak_memory() -> float:
    """Return the most memory, in bytes, that this process had at once.

    Raises:
        UsageError: where the system does not tell.
    """
    if sys.platform == "linux":
        # Not `getrusage`: what it tells begins with what the process was started from.
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return 1024.0 * float(status.partition("VmHWM:")[2].split()[0])
    try:
        import resource
    except ImportError:
        raise UsageError(
            "peak memory is known on Linux and macOS only; leave the part scaling away."
        ) from None
    # macOS counts in bytes, others in units of 1024.
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * unit


class StageClock:
    """A progress that adds up the seconds of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._stage, self._since = "", time.perf_counter()

    def notice(self, message: str) -> None:
        """Ignore."""

    def detail(self, message: str) -> None:
        """Ignore."""

    def advance(
        self, stage: str, done: int, total: int | None, detail: str = "", unit: str = ""
    ) -> None:
        """Count the time since the last call for the stage that it named."""
        now = time.perf_counter()
        if self._stage:
            self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + now - self._since
        self._stage, self._since = stage, now


def measure_rows(point: Point, folder: Path) -> dict[str, Any]:
    """Read, preprocess, train and score: what `cv --seeds 1` does, less the run folder."""
    train_csv, test_csv = sample_files(folder, point.size)
    warm_up()
    floor, began = peak_memory(), time.perf_counter()
    tables = read_tables(SAMPLE, train_csv, test_csv)
    read = time.perf_counter() - began
    options = {**point.options, "portfolio": (), "seeds": 1, "k": 5}
    settings = make_settings(options=options)
    fold_of_row = make_folds(len(tables.train), settings.k, seed=0)
    clock = StageClock()
    cross_validation.cross_validate(
        SAMPLE, tables, fold_of_row, settings, torch.device("cpu"), progress=clock
    )
    clock.advance("done", 0, None)
    return {
        "seconds": time.perf_counter() - began,
        "stages": {"reading": read, **clock.seconds},
        "peak": peak_memory(),
        "floor": floor,
        "copy": copy_bytes(tables.train),
    }


def warm_up() -> None:
    """Do everything once with a few rows, so that the floor has all that is loaded."""
    frames = make_sample(60, 10)
    target = frames[0].pop("SalePrice").to_numpy(dtype=np.float64)
    tables = [_plain_table(frame) for frame in frames]
    both = Tables(Table(tables[0].ids, tables[0].features, target), tables[1])
    train(make_problem(SAMPLE, both, 5, {"hidden": (8,)}), 1)


def _plain_table(frame: pd.DataFrame) -> Table:
    ids = frame.pop("Id").astype(str).to_numpy(dtype=object)
    numeric = frame.select_dtypes("number").columns
    return Table(ids, frame.astype(dict.fromkeys(numeric, np.float64)))


def copy_bytes(table: Table) -> int:
    """Return the bytes of one float32 copy of the numbers and one byte per category."""
    return len(table) * (4 * len(table.numeric_columns) + len(table.categorical_columns))


def measure_members(point: Point, folder: Path) -> dict[str, Any]:
    """Train so many default networks on a sample of the size of House Prices."""
    return _train_sample(point, folder, point.size)


def measure_threads(point: Point, folder: Path) -> dict[str, Any]:
    """Train with so many threads."""
    torch.set_num_threads(point.size)
    return _train_sample(point, folder, point.members)


def _train_sample(point: Point, folder: Path, members: int) -> dict[str, Any]:
    tables = read_tables(SAMPLE, *sample_files(folder, point.rows))
    problem = make_problem(SAMPLE, tables, members, point.options)
    return _train(lambda epochs: train(problem, epochs), point)


def measure_columns(point: Point, folder: Path) -> dict[str, Any]:
    """Train default networks on so many columns of random numbers."""
    problem = make_problem(
        NUMBERS, random_tables(point.rows, point.size), point.members, point.options
    )
    return _train(lambda epochs: train(problem, epochs), point)


def _train(work: Callable[[int], object], point: Point) -> dict[str, Any]:
    warm_up()
    floor = peak_memory()
    work(1)
    seconds = timed_between(work, 1, 1 + point.epochs)()
    return {"seconds": seconds, "peak": peak_memory(), "floor": floor}


def measure_reading(point: Point, folder: Path) -> dict[str, Any]:
    """Read both files and fit and apply all folds' recipes, in turn with `pandas.read_csv`."""
    return _read(sample_files(folder, point.size), point.size, point.pairs)


def measure_reading_columns(point: Point, folder: Path) -> dict[str, Any]:
    """Do the same with so many columns of features."""
    return _read(wide_files(folder, point.rows, point.size), point.rows, point.pairs)


def _read(files: tuple[Path, Path], rows: int, times: int) -> dict[str, Any]:
    settings = make_settings(options={"k": 5})
    folds = make_folds(rows, settings.k, seed=0)

    def own() -> EncodedRows:
        tables = read_tables(SAMPLE, *files)
        if settings.recipe.engineering:
            tables = tables.engineered(SAMPLE)
        encoding = Encoding(
            cross_validation.fit_recipes(tables, folds, settings, tables.train.known_target)
        )
        return encoding.encode(tables.train.features)

    def base() -> list[pd.DataFrame]:
        return [pd.read_csv(file) for file in files]

    # A large file is its own warm-up; a small one is read in no time.
    pairs = alternate(timed(base), timed(own), times)
    return {"own": list(pairs.own), "base": list(pairs.base)}


KINDS: Mapping[str, Callable[[Point, Path], dict[str, Any]]] = {
    "rows": measure_rows,
    "members": measure_members,
    "columns": measure_columns,
    "threads": measure_threads,
    "reading": measure_reading,
    "reading columns": measure_reading_columns,
}


def main(arguments: list[str] | None = None) -> int:
    """Measure the point that the first argument describes; files lie in the second one."""
    described, folder = sys.argv[1:] if arguments is None else arguments
    point = Point(**json.loads(described))
    choose_compute("cpu", point.threads)
    found = KINDS[point.kind](point, Path(folder))
    print(json.dumps({"point": asdict(point), **found, "machine": describe()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
