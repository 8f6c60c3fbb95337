"""Every command on a full or read-only disk, as a user who may not, in folders of odd names, and
in little memory.

    sudo python tests/campaigns/hostile_places.py           # mounts small disks, and becomes nobody

Each command ends with 0, or with one sentence and the exit code of what is wrong; what was there
before is there still; and where the place is mended, the same command succeeds and leaves the very
files that it leaves elsewhere. Without root only the places that need none are tried.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from entry_point import Finished, become, load_everything
from kill_anywhere import COMMANDS, Files, files_of, hidden_of
from shared import FaultError, chosen, parser_of, tell
from small import write_small

# Of the room that a command needs, what a disk has.
SHARES = (0.0, 0.3, 0.6, 0.9)
NAMES = ("with space", "line\nbreak", "ünï-文", "[bold]x[/]", "-c", "a" * 200, "'\"$(id)`")
# Bytes that a command may take beside its modules.
ROOMS = tuple(2**20 * room for room in (1, 4, 8, 12, 16, 24, 32, 48, 64, 96))
NOBODY = 65534
_ENDS = (0, 1, 2, 3)


def run(
    line: str, folder: Path, scratch: Path, prepare: Callable[[], object] = lambda: None, **env: str
) -> Finished:
    """Run a command in a fork of this process, after some preparation there."""
    streams = [str(scratch / name) for name in ("out", "err")]
    for path in streams:
        Path(path).touch()
        Path(path).chmod(0o666)
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        prepare()
        become(line.split(), str(folder), env, *streams)
    _, status = os.waitpid(child, 0)
    out, err = (Path(path).read_text(encoding="utf-8") for path in streams)
    return Finished(os.waitstatus_to_exitcode(status), out, err)


def _system(*command: str) -> None:
    subprocess.run(command, check=True)


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[Path]:
    """Mount a disk of so many bytes."""
    place.mkdir()
    options = f"size={size}"
    _system("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place))
    try:
        yield place
    finally:
        _system("umount", str(place))
        place.rmdir()


def remount(place: Path, option: str) -> None:
    """Change a mounted disk."""
    _system("mount", "-o", f"remount,{option}", str(place))


def size_of(folder: Path) -> int:
    """Return the bytes that a folder's files take on a disk of pages of 4096."""
    sizes = (path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return sum(-(-size // 4096) * 4096 for size in sizes)


class Case:
    """One command: what is there before it, and what it leaves where nothing is in its way."""

    def __init__(self, name: str, place: Path) -> None:
        """Run what comes before it, and itself."""
        self.name, self._place = name, place
        before, self.line = COMMANDS[name]
        self.start, self.scratch = place / "start", place / "scratch"
        self.start.mkdir()
        self.scratch.mkdir()
        write_small(self.start)
        for line in before:
            self._succeed(line, self.start)
        self.before = files_of(self.start)
        folder = place / "undisturbed"
        shutil.copytree(self.start, folder)
        self._succeed(self.line, folder)
        self.after, self.needs = files_of(folder), size_of(folder) - size_of(self.start)
        self.hidden = hidden_of(folder)

    def _succeed(self, line: str, folder: Path, **env: str) -> None:
        done = run(line, folder, self.scratch, **env)
        if done.code:
            raise FaultError(
                f"{self.name} in {folder}: `{line}` ended with {done.code}: {done.err}"
            )

    def try_in(
        self, folder: Path, prepare: Callable[[], object] = lambda: None, **env: str
    ) -> bool:
        """Run it where something is in its way; return whether it succeeded all the same."""
        return self.judge(folder, run(self.line, folder, self.scratch, prepare, **env))

    def judge(self, folder: Path, done: Finished) -> bool:
        """Return whether a command succeeded; check that it says so where it did not."""
        where = f"{self.name} in {folder}"
        if done.code not in _ENDS or "Traceback" in done.err:
            raise FaultError(f"{where}: ended with {done.code}: {done.err[-3000:]}")
        errors = [line for line in done.err.splitlines() if line.startswith("error: ")]
        if len(errors) != bool(done.code):
            raise FaultError(f"{where}: ended with {done.code}, and said: {done.err[-3000:]}")
        return done.code == 0

    def check_before(self, folder: Path) -> None:
        """Check that every file is what was there, or what is to be there."""
        for file, content in files_of(folder).items():
            known = content in (self.before.get(file), self.after.get(file))
            if (
                not known
                and not file.endswith("-journal")
                and not _tells_of_an_error(folder / file)
            ):
                raise FaultError(f"{self.name} in {folder}: {file} is damaged")
        self._all_there(folder, self.before)

    def _all_there(self, folder: Path, wanted: Files) -> None:
        lost = sorted(name for name in wanted if not (folder / name).is_file())
        # Those that the command itself removes.
        lost = [name for name in lost if name in self.after]
        if lost:
            raise FaultError(f"{self.name} in {folder}: {', '.join(lost)} is lost")

    def check_after(self, folder: Path, **env: str) -> None:
        """Run it where nothing is in its way any more, and check what it leaves."""
        self._succeed(self.line, folder, **env)
        found, hidden = files_of(folder), hidden_of(folder) - self.hidden
        both = {**found, **self.after}
        names = sorted(name for name in both if found.get(name) != self.after.get(name))
        if names or hidden:
            left = ", ".join([*names, *sorted(hidden)])
            raise FaultError(f"{self.name} in {folder}: it left others: {left}")


def _tells_of_an_error(file: Path) -> bool:
    """Whether a file is what a failed command writes for the workflow that runs it."""
    if file.suffix == ".xml":
        return ElementTree.parse(file).find(".//error") is not None  # noqa: S314
    return file.suffix == ".md" and file.read_text("utf-8").endswith("\n")


def on_full_disks(case: Case, place: Path) -> tuple[int, int]:
    """Run a command where the disk has too little room; then where it has enough."""
    tried = succeeded = 0
    for share in SHARES:
        with small_disk(place / "disk", size_of(case.start) + 2**22) as disk:
            folder = disk / "folder"
            shutil.copytree(case.start, folder)
            there = os.statvfs(disk)
            used = (there.f_blocks - there.f_bfree) * there.f_frsize
            remount(disk, f"size={used + int(share * max(case.needs, 0))}")
            succeeded += case.try_in(folder, TMPDIR=str(folder) if share == 0.3 else "")
            tried += 1
            case.check_before(folder)
            remount(disk, f"size={2**26}")
            case.check_after(folder)
    return tried, succeeded


def on_a_read_only_disk(case: Case, place: Path) -> tuple[int, int]:
    """Run a command where nothing can be written; then where it can."""
    with small_disk(place / "disk", 2**26) as disk:
        folder = disk / "folder"
        shutil.copytree(case.start, folder)
        remount(disk, "ro")
        succeeded = case.try_in(folder)
        remount(disk, "rw")
        case.check_before(folder)
        case.check_after(folder)
    return 1, int(succeeded)


def as_nobody(case: Case, place: Path) -> tuple[int, int]:
    """Run a command as a user who may write nothing, or may not read one of the files."""
    tried = succeeded = 0
    place.chmod(0o755)
    hidden = ("train.csv", "small.toml", "runs", "runs/small/a/run.json", "runs/small/a")
    for name in ("", *hidden):
        folder = place / f"denied-{name.replace('/', '-')}"
        if name and not (case.start / name).exists():
            continue
        shutil.copytree(case.start, folder)
        if name:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, NOBODY, NOBODY)
            os.chown(folder / name, 0, 0)
            mode = (folder / name).stat().st_mode
            (folder / name).chmod(0)
        succeeded += case.try_in(folder, lambda: os.setuid(NOBODY))
        tried += 1
        if name:
            (folder / name).chmod(mode)
        case.check_before(folder)
        case.check_after(folder)
        shutil.rmtree(folder)
    return tried, succeeded


def in_odd_places(case: Case, place: Path) -> tuple[int, int]:
    """Run a command in folders of odd names, and without the usual variables."""
    tried = succeeded = 0
    for name in NAMES:
        folder = place / "odd" / name
        shutil.copytree(case.start, folder)
        succeeded += case.try_in(folder)
        tried += 1
        case.check_after(folder)
        shutil.rmtree(folder)

    def bare() -> None:
        for name in ("HOME", "TMPDIR", "PATH", "LANG", "USER"):
            os.environ.pop(name, None)

    folder = place / "bare"
    shutil.copytree(case.start, folder)
    succeeded += case.try_in(folder, bare)
    shutil.rmtree(folder)
    shutil.copytree(case.start, folder)
    succeeded += case.try_in(folder, HOME="/nowhere", TMPDIR="/nowhere", LANG="C")
    shutil.rmtree(folder)
    return tried + 2, succeeded


def in_little_memory(case: Case, place: Path) -> tuple[int, int]:
    """Run a command where it may take few bytes more than its modules do; then any number."""
    tried = succeeded = 0
    for room in ROOMS:
        folder = place / "memory"
        shutil.copytree(case.start, folder)
        done = run(case.line, folder, case.scratch, partial(_take_no_more_than, room))
        # Where C's library finds no room for a thread, it ends the process: that is a kill.
        if done.code not in (127, -signal.SIGABRT):
            succeeded += case.judge(folder, done)
        tried += 1
        case.check_before(folder)
        case.check_after(folder)
        shutil.rmtree(folder)
    return tried, succeeded


def _take_no_more_than(room: int) -> None:
    status = Path("/proc/self/status").read_text("utf-8")
    taken = next(line.split()[1] for line in status.splitlines() if line.startswith("VmData"))
    most = int(taken) * 1024 + room
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


PLACES: dict[str, tuple[Callable[[Case, Path], tuple[int, int]], bool]] = {
    "full disk": (on_full_disks, True),
    "read-only disk": (on_a_read_only_disk, True),
    "denied": (as_nobody, True),
    "odd names": (in_odd_places, False),
    "little memory": (in_little_memory, False),
}


def campaign(names: Sequence[str], places: Sequence[str]) -> Iterator[str]:
    """Try some commands in some places; yield a line of each.

    Raises:
        FaultError: where a promise was broken.
    """
    for name in names:
        with tempfile.TemporaryDirectory() as made:
            case = Case(name, Path(made))
            parts = []
            for which in places:
                tried, succeeded = PLACES[which][0](case, Path(made))
                parts.append(f"{which}: {tried} tried, {succeeded} succeeded")
        yield f"{name}: {'; '.join(parts)}"


def main() -> int:
    """Run the campaign; return 1 where a promise was broken."""
    parser = parser_of(__doc__)
    parser.add_argument("--places", help="by commas; all that this user can try")
    asked = parser.parse_args()
    root = os.geteuid() == 0
    places = [place for place, (_, needs_root) in PLACES.items() if root or not needs_root]
    load_everything()
    return tell(campaign(chosen(asked.only, COMMANDS), chosen(asked.places, places)))


if __name__ == "__main__":
    sys.exit(main())
