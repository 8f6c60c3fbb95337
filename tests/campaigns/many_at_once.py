"""Twenty processes at once in one folder: ten of each of two commands, for every pair of commands.

    python tests/campaigns/many_at_once.py                  # all pairs; some minutes
    python tests/campaigns/many_at_once.py --only predict,cv --processes 6

Every process ends, with 0 or with one sentence that says what another one did; no update is lost;
every run that is there can be read; and nothing is left behind.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from entry_point import Finished, become, load_everything
from shared import CV, SEARCH, FaultError, chosen, parser_of, tell
from small import TEST_ROWS, write_small


@dataclass(frozen=True)
class Command:
    """One of the commands.

    Attributes:
        line: what follows `kaggleprice`; `#` is the number of the process.
        refusals: what it may say where another process was faster.
    """

    line: str
    refusals: tuple[str, ...] = ()


GONE = ("unknown run", "no run of", "is incomplete", "does not exist", "meanwhile")
COMMANDS = {
    "init": Command("init --train train.csv --test test.csv --yes --force --into new"),
    "download": Command("download -c sample --data-dir fetched"),
    "preprocess": Command("preprocess -c small.toml --output features.csv"),
    "cv": Command(f"{CV} --epochs 2"),
    "cv --run": Command(f"{CV} --run same --epochs 3"),
    "cv --add-seeds": Command("cv -c small.toml --run a --add-seeds 1", GONE),
    "cv --seeds": Command("cv -c small.toml --run a --seeds 3", (*GONE, "seeds per fold already")),
    "predict": Command("predict -c small.toml --run a", GONE),
    "report": Command("report a -c small.toml --permutations 1 -o copy.html", GONE),
    "tune": Command(f"tune -c small.toml {SEARCH}"),
    "runs prune": Command("runs prune -c small.toml --keep 1 --yes", ("was not removed",)),
}
# What a run of its own appears for, each time that it succeeds.
NEW = ("cv",)


def run_together(lines: Sequence[str], folder: Path, scratch: Path) -> list[Finished]:
    """Run commands at the same time, each in a fork of this process."""
    children = []
    for number, line in enumerate(lines):
        streams = [str(scratch / f"{name}-{number}") for name in ("out", "err")]
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            become(line.split(), str(folder), {}, *streams)
        children.append((child, streams))
    found = []
    for child, streams in children:
        _, status = os.waitpid(child, 0)
        out, err = (Path(path).read_text(encoding="utf-8") for path in streams)
        found.append(Finished(os.waitstatus_to_exitcode(status), out, err))
    return found


def seeds_of(folder: Path, name: str) -> int | None:
    """Return how many random starts a run has in each fold; None where it is not there."""
    try:
        record = json.loads((folder / "runs" / "small" / name / "run.json").read_text())
    except FileNotFoundError:
        return None
    return 1 + max(int(member["seed"]) for member in record["members"])


def try_pair(names: Sequence[str], processes: int, start: Path, place: Path) -> str:
    """Run a pair of commands; return a line of what they did.

    Raises:
        FaultError: where a promise was broken.
    """
    folder, scratch = place / "folder", place / "scratch"
    shutil.copytree(start, folder)
    scratch.mkdir()
    before = seeds_of(folder, "a") or 0
    turns = [names[i % len(names)] for i in range(processes)]
    done = run_together([COMMANDS[name].line for name in turns], folder, scratch)
    succeeded: Counter[str] = Counter()
    for name, one in zip(turns, done, strict=True):
        if one.code == -signal.SIGALRM:
            raise FaultError(f"{' and '.join(names)}: {name} never ended")
        refused = any(text in one.err for text in COMMANDS[name].refusals)
        if one.code not in ((0, 1, 2, 3) if refused else (0,)) or "Traceback" in one.err:
            raise FaultError(f"{' and '.join(names)}: {name} ended with {one.code}: {one.err}")
        succeeded[name] += one.code == 0
    _check(names, folder, scratch, succeeded, before)
    shutil.rmtree(folder)
    shutil.rmtree(scratch)
    parts = [f"{succeeded[name]} of {turns.count(name)} {name}" for name in dict.fromkeys(names)]
    return f"succeeded: {', '.join(parts)}"


def _check(
    names: Sequence[str], folder: Path, scratch: Path, succeeded: Counter[str], before: int
) -> None:
    """Check what is in the folder after a pair of commands."""
    which = " and ".join(names)
    # A command that comes later clears away what others could not.
    (listed,) = run_together(["runs list -c small.toml --json"], folder, scratch)
    if listed.code:
        raise FaultError(f"{which}: runs cannot be listed: {listed.err}")
    runs = listed.json["runs"]
    if any(run["state"] != "finished" for run in runs):
        raise FaultError(f"{which}: a run cannot be read: {runs}")
    pruned = "runs prune" in names
    made = sum(succeeded[name] for name in NEW) + (succeeded["cv --run"] > 0)
    if not pruned and len(runs) != 2 + made:
        raise FaultError(f"{which}: {len(runs)} runs, though 2 were there and {made} were made")
    seeds = seeds_of(folder, "a")
    if not pruned and "cv --seeds" not in names and seeds != before + succeeded["cv --add-seeds"]:
        raise FaultError(
            f"{which}: {seeds} seeds, though there were {before} and "
            f"{succeeded['cv --add-seeds']} were added"
        )
    # The locks of downloads stay: who removes one may take it from another process.
    hidden = [path for path in folder.rglob(".*") if not path.name.endswith(".csv.lock")]
    if hidden:
        raise FaultError(f"{which}: left are {', '.join(map(str, hidden))}")
    submission = folder / "submission.csv"
    if submission.exists() and len(submission.read_text().splitlines()) != TEST_ROWS + 1:
        raise FaultError(f"{which}: {submission} is not whole")


def campaign(names: Sequence[str], processes: int) -> Iterator[str]:
    """Run every pair of some commands; yield a line of each."""
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        start, scratch = place / "start", place / "first"
        start.mkdir()
        scratch.mkdir()
        write_small(start)
        for name in ("a", "b"):
            (done,) = run_together([f"{CV} --run {name}"], start, scratch)
            if done.code:
                raise FaultError(done.err)
        for pair in combinations_with_replacement(names, 2):
            yield f"{' and '.join(dict.fromkeys(pair))}: {try_pair(pair, processes, start, place)}"


def main() -> int:
    """Run the campaign; return 1 where a promise was broken."""
    parser = parser_of(__doc__)
    parser.add_argument("--processes", type=int, default=20, help="at once")
    asked = parser.parse_args()
    load_everything()
    return tell(campaign(chosen(asked.only, COMMANDS), asked.processes))


if __name__ == "__main__":
    sys.exit(main())
