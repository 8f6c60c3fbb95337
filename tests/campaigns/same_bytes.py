"""The same command in ten environments: every preset with every fold scheme, by 1 thread and by 2.

    python tests/campaigns/same_bytes.py                     # all; some minutes
    python tests/campaigns/same_bytes.py --only fast --repetitions 2

A repetition is a new process with another `PYTHONHASHSEED`, locale, time zone, umask and working
folder. Each writes the same run, its clock values apart, and the same submission.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from entry_point import EntryPoint
from shared import FaultError, chosen, parser_of, tell
from small import content, write_small

from kaggleprice.settings.fold_schemes import FOLD_SCHEMES
from kaggleprice.settings.run import PRESETS

THREADS = (1, 2)
# PYTHONHASHSEED, LC_ALL, TZ, umask, the working folder.
ENVIRONMENTS = (
    ("0", "C", "UTC", 0o022, "a"),
    ("1", "C.UTF-8", "Asia/Kathmandu", 0o077, "with space"),
    ("2", "POSIX", "America/St_Johns", 0o002, "ünï-文"),
    ("3", "de_DE.UTF-8", "Pacific/Chatham", 0o000, "deep/er/than/that"),
    ("4", "tr_TR.UTF-8", "Europe/Lisbon", 0o027, "[bold]x[/]"),
    ("4294967295", "ja_JP.UTF-8", "Pacific/Kiritimati", 0o022, "a" * 200),
    ("random", "C", "Etc/GMT+12", 0o022, "b"),
    ("random", "en_US.UTF-8", "Australia/Lord_Howe", 0o077, "c"),
    ("random", "fa_IR.UTF-8", "nowhere/at-all", 0o022, "line\nbreak"),
    ("random", "C.UTF-8", "", 0o022, "d"),
)


@contextmanager
def environment(number: int, place: Path) -> Iterator[Path]:
    """Be in one of the environments, for processes that begin now; yield the working folder."""
    seed, locale, zone, umask, name = ENVIRONMENTS[number % len(ENVIRONMENTS)]
    variables = {"PYTHONHASHSEED": seed, "LC_ALL": locale, "LANG": locale, "TZ": zone}
    earlier, mask = dict(os.environ), os.umask(umask)
    os.environ.update(variables)
    folder = place / str(number) / name
    folder.mkdir(parents=True)
    write_small(folder)
    try:
        yield folder
    finally:
        os.umask(mask)
        os.environ.clear()
        os.environ.update(earlier)
        shutil.rmtree(place / str(number))


def digests(presets: Sequence[str], folder: Path, scratch: Path) -> Iterator[tuple[str, str]]:
    """Yield what every command writes, as a name and a hash, from a process of this environment."""
    with closing(EntryPoint(scratch)) as entry:
        for threads in THREADS:
            for preset in presets:
                for scheme, kind in FOLD_SCHEMES.items():
                    column = ["--fold-column", "Area"] if kind.grouped else []
                    options = ["--fold-scheme", scheme, *column, "--threads", str(threads)]
                    size = ["--k", "2", "--seeds", "2", "--epochs", "2"]
                    common = ["-c", "small.toml", "--preset", preset, *size, *options]
                    for line in (["cv", *common, "--run", "r"], ["predict", "-c", "small.toml"]):
                        done = entry(*line, cwd=folder)
                        if done.code:
                            raise FaultError(f"`{' '.join(line)}` in {folder}: {done.err}")
                    written = content(folder / "runs" / "small" / "r")
                    written["submission.csv"] = (folder / "submission.csv").read_bytes()
                    shutil.rmtree(folder / "runs")
                    yield f"{preset} {scheme} {threads}", _digest(written)


def _digest(files: dict[str, bytes]) -> str:
    parts = (f"{name} {sha256(files[name]).hexdigest()}" for name in sorted(files))
    return "\n".join(parts)


def _results(files: str) -> list[str]:
    """Leave out the record, which has the number of threads, and what hashes it."""
    return [line for line in files.splitlines() if not line.startswith("run.json ")]


def campaign(presets: Sequence[str], repetitions: int) -> Iterator[str]:
    """Repeat commands; yield a line of each environment, and one at the end.

    Raises:
        FaultError: where a repetition wrote other bytes than the first.
    """
    first = dict[str, str]()
    with tempfile.TemporaryDirectory() as made:
        for number in range(repetitions):
            with environment(number, Path(made)) as folder:
                found = dict(digests(presets, folder, Path(made)))
            first = first or found
            for name, files in found.items():
                if files != first[name]:
                    pairs = zip(files.splitlines(), first[name].splitlines(), strict=False)
                    others = [one.partition(" ")[0] for one, other in pairs if one != other]
                    raise FaultError(f"{name}, repetition {number}: {', '.join(others)} differ")
            yield f"repetition {number}: {len(found)} runs and submissions, the same bytes"
    pairs = {name.rpartition(" ")[0] for name in first}
    equal = sum(_results(first[f"{name} 1"]) == _results(first[f"{name} 2"]) for name in pairs)
    yield f"{equal} of {len(pairs)} are the same by 1 thread and by 2, the record of threads apart"


def main() -> int:
    """Run the campaign; return 1 where a promise was broken."""
    parser = parser_of(__doc__)
    parser.add_argument("--repetitions", type=int, default=len(ENVIRONMENTS), help="%(default)s")
    asked = parser.parse_args()
    return tell(campaign(chosen(asked.only, PRESETS), asked.repetitions))


if __name__ == "__main__":
    sys.exit(main())
