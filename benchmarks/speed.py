"""Speed, as ratios: against the book's loop, other regressors, the machine, and itself.

    python -m benchmarks.speed                     # everything; an hour or more on 2 cores
    python -m benchmarks.speed limit startup       # these parts
    python -m benchmarks.speed --pairs 9           # more pairs per ratio (default 5)
    python -m benchmarks.speed --quick --folder F  # minutes: does it run?
    python -m benchmarks.speed table               # prints what is measured

Each ratio is of two things that are run in turn in one process: the median of several pairs and
its spread. Writes speed.json and speed.md after every part; parts that were not run stay.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.speeds.effort import Effort, say
from benchmarks.speeds.machine import describe
from benchmarks.speeds.results import Outcome, markdown
from kaggleprice.core.errors import DataError, KagglePriceError, UsageError
from kaggleprice.core.files import replacing
from kaggleprice.core.registry import look_up

RESULTS, REPORT = "speed.json", "speed.md"
FOLDER = Path(__file__).parent
PARTS: Mapping[str, str] = {
    "book": "against the book's `DataLoader` loop",
    "users": "against scikit-learn's MLPRegressor and pytabkit's RealMLP-TD",
    "limit": "against the machine's rate of matrix products",
    "scaling": "members, rows, columns, threads: seconds, memory, exponents",
    "search": "a population of settings against one setting; `tune` against one fit per trial",
    "startup": "whole commands against a typer app with empty bodies",
}
TABLE = "table"
HEADER = """\
# Speed

`python -m benchmarks.speed`, see `benchmarks/README.md`. Every ratio is of two things run in turn:
its median over the pairs, and the lowest and highest of them. The columns of seconds are the
medians of the two.
"""


def measure(part: str, effort: Effort) -> dict[str, Any]:
    """Measure one part; return its record."""
    module = import_module(f"benchmarks.speeds.{part}")
    machine, began = describe(), time.perf_counter()
    measuring: Callable[[Effort], Outcome] = module.measure
    outcome = measuring(effort)
    return {
        "title": module.TITLE,
        "meaning": module.MEANING,
        "machine": machine,
        "pairs": effort.pairs,
        "quick": effort.quick,
        "took": round(time.perf_counter() - began, 1),
        **outcome.record(),
    }


def run(parts: Sequence[str], effort: Effort) -> None:
    """Measure parts, and write the results after each."""
    for number, part in enumerate(parts, start=1):
        say(f"{number} of {len(parts)}: {part}, {PARTS[part]}")
        record = measure(part, effort)
        write({**measured(effort.folder), part: record}, effort.folder)
        print(markdown(part, record), flush=True)


def measured(folder: Path) -> dict[str, Any]:
    """Return the records by part; none where nothing was measured.

    Raises:
        DataError: where the file is not such a record.
    """
    path = folder / RESULTS
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["parts"]
        return {part: found[part] for part in PARTS if part in found}
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{path} is not a result of this benchmark; delete it.") from None


def write(records: Mapping[str, Any], folder: Path) -> None:
    """Write both files, parts in their order."""
    ordered = {part: records[part] for part in PARTS if part in records}
    texts = {RESULTS: json.dumps({"parts": ordered}, indent=1) + "\n", REPORT: report(ordered)}
    for name, text in texts.items():
        with replacing(folder / name) as beside:
            beside.write_text(text, encoding="utf-8")


def report(records: Mapping[str, Any]) -> str:
    """Return all tables as Markdown."""
    return "\n".join([HEADER, *(markdown(part, record) for part, record in records.items())])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    listed = "; ".join(f"{name}: {text}" for name, text in PARTS.items())
    parser.add_argument("parts", nargs="*", help=f"{listed}; {TABLE}: prints what is measured")
    parser.add_argument("--pairs", type=int, default=5, help="per ratio (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes; needs --folder")
    parser.add_argument("--folder", type=Path, help="of the results (default: benchmarks)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; return the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        folder = asked.folder or FOLDER
        if asked.parts == [TABLE]:
            print(report(measured(folder)))
            return 0
        for part in asked.parts:
            look_up(dict(PARTS), part, "part")
        if asked.pairs < 1:
            raise UsageError(f"--pairs must be 1 or more, found {asked.pairs}.")
        if asked.quick and asked.folder is None:
            raise UsageError("--quick measures nothing worth keeping; name another --folder.")
        # Each once, also where it is named twice.
        parts = list(dict.fromkeys(asked.parts or PARTS))
        run(parts, Effort(asked.pairs, asked.quick, folder))
    except KagglePriceError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
