"""Every command, killed before each change that it makes to files, and at random moments.

    python tests/campaigns/kill_anywhere.py                  # all; some minutes
    python tests/campaigns/kill_anywhere.py --every 20 --moments 10

Signals take turns: SIGKILL, SIGTERM, SIGINT. After each, every file under a name of its own is as
it was before the command, or as it is after an undisturbed one; the same command then succeeds,
leaves the very files that an undisturbed one leaves, and nothing else; and no process is left.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from entry_point import EntryPoint, Finished
from shared import CV, SEARCH, FaultError, chosen, parser_of, tell
from small import write_small

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
# Name: what is done before, and what is killed.
COMMANDS: dict[str, tuple[tuple[str, ...], str]] = {
    "init": ((), "init --train train.csv --test test.csv --yes --force --into new"),
    "download": ((), "download -c sample --data-dir fetched"),
    "preprocess": ((), "preprocess -c small.toml --output features.csv"),
    "cv": ((), f"{CV} --run a --epochs 4 --seeds 2 --junit j.xml --summary s.md"),
    "cv --seeds": ((f"{CV} --run a",), "cv -c small.toml --run a --seeds 3 --checkpoint-every 0"),
    "predict": ((f"{CV} --run a",), "predict -c small.toml --run a --interval 0.5"),
    "predict without a run": ((), f"predict{CV[2:]}"),
    "report": ((f"{CV} --run a",), "report a -c small.toml --permutations 1 -o copy.html"),
    "tune": ((), f"tune -c small.toml {SEARCH} --checkpoint-every 0"),
    "replay": ((f"{CV} --run a",), "replay a -c small.toml"),
    "runs prune": (
        (f"{CV} --run a", f"{CV} --run b --epochs 2", f"{CV} --run c --epochs 3"),
        "runs prune -c small.toml --keep 1 --yes",
    ),
}
Files = dict[str, bytes]


def files_of(folder: Path) -> Files:
    """Return the files under names of their own, without what the clock and the folder decide."""
    found, place = {}, json.dumps(str(folder))[1:-1].encode()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in name.parts):
            found[name.as_posix()] = _without_clock(path).replace(place, b"")
    return found


def _without_clock(path: Path) -> bytes:
    if path.name == "studies.db":
        # SQLite mends it by its journal when it is opened; what it holds, `tune` shows.
        return b""
    content = path.read_bytes()
    if path.name == "run.json":
        record = json.loads(content)
        del record["timing"]
        return json.dumps(record).encode()
    if path.suffix in (".xml", ".md", ".json", ".html", ".toml"):
        clock = rb'time="[^"]*"|[0-9.]+ s\b|"(finished|seconds|created)": [^,\n]*'
        content = re.sub(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.+Z]*", b"", content)
        return re.sub(clock, b"", content)
    return content


def hidden_of(folder: Path) -> set[str]:
    """Return the hidden files and folders."""
    paths = (path.relative_to(folder) for path in folder.rglob(".*"))
    return {path.as_posix() for path in paths}


def processes_in(folder: Path) -> list[str]:
    """Return the processes that work in a folder."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if link.readlink().is_relative_to(folder):
                found.append(link.parent.name)
        except OSError:
            continue
    return found


class Campaign:
    """Kills one command again and again, each time in a new copy of what there was before it."""

    def __init__(self, entry: EntryPoint, place: Path, name: str) -> None:
        """Run what comes before the command, and once the command itself."""
        self._entry, self._place, self.name = entry, place, name
        before, self._line = COMMANDS[name]
        self._start = place / "start"
        self._start.mkdir()
        write_small(self._start)
        for line in before:
            self._succeed(line, self._start)
        self._before = files_of(self._start)
        folder = self._copy("undisturbed")
        whole = self._run(folder, at=(0, 0))
        if whole.code:
            raise FaultError(f"{name}: {whole.err}")
        self.changes = len(re.findall(r"^change \d+: ", whole.err, flags=re.MULTILINE))
        began = time.monotonic()
        self._succeed(self._line, self._copy("timed"))
        self.seconds = time.monotonic() - began
        self._after, self._hidden = files_of(folder), hidden_of(folder)

    def _copy(self, name: str) -> Path:
        folder = self._place / name
        shutil.copytree(self._start, folder, symlinks=True)
        return folder

    def _run(
        self, folder: Path, at: tuple[int, int] | None = None, line: str | None = None
    ) -> Finished:
        return self._entry(*(line or self._line).split(), cwd=folder, at=at)

    def _succeed(self, line: str, folder: Path) -> None:
        done = self._run(folder, line=line)
        if done.code:
            raise FaultError(f"{self.name}: `{line}` ended with {done.code}: {done.err[-2000:]}")

    def kill_before(self, change: int, code: signal.Signals) -> bool:
        """Kill the command before one of its changes; return whether that was before its end."""
        folder = self._copy(f"change-{change}")
        done = self._run(folder, at=(change, int(code)))
        return self._check(folder, done, f"{code.name} before change {change}")

    def kill_after(self, seconds: float, code: signal.Signals) -> bool:
        """Kill the command after some seconds; return whether that was before its end."""
        folder = self._copy("moment")
        timer = threading.Timer(seconds, self._kill_in, (folder, code))
        timer.start()
        done = self._run(folder)
        timer.cancel()
        timer.join()
        return self._check(folder, done, f"{code.name} after {seconds:.3f} s")

    @staticmethod
    def _kill_in(folder: Path, code: signal.Signals) -> None:
        for process in processes_in(folder):
            try:
                os.kill(int(process), code)
            except ProcessLookupError:
                continue

    def _check(self, folder: Path, done: Finished, how: str) -> bool:
        where = f"{self.name}, {how} (in {folder})"
        # A process that is only starting has said nothing yet, and dies as the system lets it.
        starting = done.code in (-signal.SIGINT, -signal.SIGTERM) and not done.err
        if not starting and done.code not in (0, -signal.SIGKILL, 130, 143):
            raise FaultError(f"{where}: ended with {done.code}: {done.err[-2000:]}")
        if "Traceback" in done.err:
            raise FaultError(f"{where}: {done.err[-2000:]}")
        time.sleep(0.01)
        if left := processes_in(folder):
            raise FaultError(f"{where}: processes {', '.join(left)} are left")
        for file, content in files_of(folder).items():
            # SQLite's own, by which it mends the file beside it.
            journal = file.endswith("studies.db-journal")
            if not journal and content not in (self._before.get(file), self._after.get(file)):
                raise FaultError(f"{where}: {file} is neither what was there nor what was made")
        self._succeed(self._line, folder)
        found, hidden = files_of(folder), hidden_of(folder)
        if found != self._after:
            both = {**found, **self._after}
            names = sorted(name for name in both if found.get(name) != self._after.get(name))
            raise FaultError(f"{where}: the same command left others: {', '.join(names)}")
        if hidden - self._hidden:
            raise FaultError(f"{where}: {', '.join(sorted(hidden - self._hidden))} is left")
        shutil.rmtree(folder)
        return done.code != 0


def campaign(names: list[str], every: int, moments: int, seed: int) -> Iterator[str]:
    """Kill commands; yield a line of each.

    Args:
        names: of the commands.
        every: so many changes lie between two kills.
        moments: random moments of each command.
        seed: of these.

    Raises:
        FaultError: where a promise was broken.
    """
    chance = random.Random(seed)  # noqa: S311
    for name in names:
        with tempfile.TemporaryDirectory() as place:
            scratch = Path(place) / "scratch"
            scratch.mkdir()
            entry = EntryPoint(scratch)
            try:
                own = Campaign(entry, Path(place), name)
                first = chance.randrange(every)
                changes = range(1 + first, own.changes + 1, every)
                early = sum(own.kill_before(c, SIGNALS[c % 3]) for c in changes)
                times = [chance.uniform(0, own.seconds) for _ in range(moments)]
                early += sum(own.kill_after(t, SIGNALS[i % 3]) for i, t in enumerate(times))
            finally:
                entry.close()
        yield (
            f"{name}: {own.changes} changes, {len(changes)} kills before one and {moments} at "
            f"random moments; {early} ended it early"
        )


def main() -> int:
    """Run the campaign; return 1 where a promise was broken."""
    parser = parser_of(__doc__)
    parser.add_argument("--every", type=int, default=1, help="changes between two kills")
    parser.add_argument("--moments", type=int, default=30, help="random moments of each command")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    names = chosen(asked.only, COMMANDS)
    return tell(campaign(names, asked.every, asked.moments, asked.seed))


if __name__ == "__main__":
    sys.exit(main())
