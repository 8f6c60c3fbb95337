"""Listing: all runs in the runs folder, best first, whatever their state."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaggleprice.competitions.catalog import COMPETITIONS, read_competition
from kaggleprice.core.errors import RunFolderError, UnknownNameError, UsageError
from kaggleprice.core.files import sha256
from kaggleprice.runs import IDENTITY, RECORD, UNFINISHED, run_folders
from kaggleprice.runs.describe import nearest_preset
from kaggleprice.runs.records import read_record
from kaggleprice.settings.run import RunSettings, settings_from_record


@dataclass(frozen=True)
class StoredFile:
    """A file of a run folder.

    Attributes:
        name: relative to the folder.
        size: bytes; 0 where it is missing.
        state: `ok`, `missing`, `altered`, or `later` for one that run.json does not list.
    """

    name: str
    size: int
    state: str


def stored_files(run: Listed) -> list[StoredFile]:
    """Return the files of a finished run and whether each is what it was, by name."""
    recorded = {} if run.record is None else dict(run.record["files"])
    present = {p.relative_to(run.path).as_posix(): p for p in run.path.rglob("*") if p.is_file()}
    files = []
    for name in sorted({*recorded, *present}):
        path = present.get(name)
        if path is None:
            files.append(StoredFile(name, 0, "missing"))
            continue
        if name in recorded:
            state = "ok" if sha256(path) == recorded[name] else "altered"
        else:
            state = "ok" if name == RECORD else "later"
        files.append(StoredFile(name, path.stat().st_size, state))
    return files


FINISHED, UNREADABLE, INTERRUPTED = "finished", "unreadable", "unfinished"
# What `runs prune` renames a folder to before it removes it.
PRUNED = ".pruned-"


@dataclass(frozen=True)
class Listed:
    """One run folder, whatever its state.

    Attributes:
        path: the folder.
        state: `finished`, `unreadable` (damaged, or of another version) or `unfinished`.
        record: the content of run.json; None unless it is finished.
        settings: what was asked for; None where nothing says it.
        members: how many networks it has, or will have; None where nothing says it.
        problem: one sentence; empty where it is finished.
        changed: of what is not finished, when its content last changed, seconds since 1970.
    """

    path: Path
    state: str
    record: Mapping[str, Any] | None = None
    settings: RunSettings | None = None
    members: int | None = None
    problem: str = ""
    changed: float = 0.0

    @property
    def name(self) -> str:
        """The run's name."""
        return self.path.name

    @property
    def competition(self) -> str:
        """The name of the competition, which is that of the folder of its runs."""
        return self.path.parent.name

    @property
    def finished(self) -> str:
        """When it was finished, as ISO 8601 in UTC; empty where it is not."""
        return "" if self.record is None else str(self.record["timing"]["finished"])

    @property
    def oof(self) -> float:
        """The pooled score; infinite where there is none."""
        return float("inf") if self.record is None else float(self.record["scores"]["oof"])


def competitions_with_runs(runs_dir: Path) -> list[str]:
    """Return the competitions that have a run of any state, by name."""
    if not runs_dir.is_dir():
        return []
    folders = [p for p in runs_dir.iterdir() if not p.name.startswith(".")]
    return sorted(p.name for p in folders if run_folders(p) or unfinished_folders(p))


def find_competition(runs_dir: Path, name: str) -> str:
    """Return the name of a competition that is registered, in a TOML file, or has runs.

    Raises:
        UnknownNameError: for any other name.
        MissingFileError, DataError: for a TOML file that is absent or not a competition.
    """
    if name.endswith(".toml"):
        return read_competition(Path(name)).name
    known = {*COMPETITIONS, *competitions_with_runs(runs_dir)}
    if name not in known:
        raise UnknownNameError("competition", name, known)
    return name


def list_runs(runs_dir: Path, competition: str | None = None) -> list[Listed]:
    """Return runs, by competition; best first, then unreadable ones, then unfinished ones.

    Scores are better where they are lower, as all metrics are; of equal ones the latest is first.

    Args:
        runs_dir: the folder of all runs.
        competition: whose; None for all.
    """
    names = competitions_with_runs(runs_dir) if competition is None else [competition]
    found: list[Listed] = []
    for name in names:
        runs = [read_listed(folder) for folder in run_folders(runs_dir / name)]
        runs.sort(key=lambda run: run.finished, reverse=True)
        found += sorted(runs, key=lambda run: (run.state != FINISHED, run.oof))
        found += [describe_unfinished(folder) for folder in unfinished_folders(runs_dir / name)]
    return found


def unfinished_folders(parent: Path) -> list[Path]:
    """Return what runs that were interrupted left, and what an interrupted `prune` left."""
    if not parent.is_dir():
        return []
    left = [*parent.glob(f"{UNFINISHED}*"), *parent.glob(f"{PRUNED}*")]
    return sorted(path for path in left if path.is_dir() and not path.is_symlink())


def read_listed(folder: Path) -> Listed:
    """Describe a run folder; one that cannot be read is described as such."""
    try:
        record = read_record(folder)
        settings = settings_from_record(record["settings"])
        listed = Listed(folder, FINISHED, record, settings, len(record["members"]))
        # What the listing will ask for: a record without it is found here.
        _ = listed.finished, listed.oof, nearest_preset(settings)
    except RunFolderError as error:
        return Listed(folder, UNREADABLE, problem=str(error), changed=_changed(folder))
    except (KeyError, TypeError, ValueError, UsageError) as error:
        problem = f"{folder / RECORD}: settings cannot be read: {error}."
        return Listed(folder, UNREADABLE, problem=problem, changed=_changed(folder))
    return listed


def describe_unfinished(folder: Path) -> Listed:
    """Describe what is no run yet, or no longer."""
    what = (
        "what an interrupted `runs prune` left."
        if folder.name.startswith(PRUNED)
        else "in training, or interrupted: the same `kaggleprice cv` command goes on with it."
    )
    settings, members = _read_identity(folder)
    return Listed(folder, INTERRUPTED, None, settings, members, what, _changed(folder))


def _read_identity(folder: Path) -> tuple[RunSettings | None, int | None]:
    """Return the settings that are trained and the number of networks, as far as they are known."""
    try:
        identity = json.loads((folder / IDENTITY).read_text(encoding="utf-8"))
        settings = settings_from_record(identity["settings"])
        _ = nearest_preset(settings)  # which the listing will ask for
        return settings, int(identity["k"]) * settings.seeds
    except (OSError, KeyError, TypeError, ValueError, UsageError):
        # Such as a run that was being written, or is removed now: its line says what it is.
        return None, None


def _changed(folder: Path) -> float:
    times = []
    for path in (folder, *folder.rglob("*")):
        # A process that is training may remove a file meanwhile.
        with contextlib.suppress(OSError):
            times.append(path.stat().st_mtime)
    return max(times, default=0.0)


def latest(runs: Iterable[Listed]) -> Listed | None:
    """Return the one that finished last; None where none did."""
    finished = [run for run in runs if run.state == FINISHED]
    return max(finished, key=lambda run: (run.finished, run.name), default=None)


def find_listed(runs_dir: Path, competition: str | None, name: str | None) -> Listed:
    """Return the finished run of this name.

    Args:
        runs_dir: the folder of all runs.
        competition: whose run it is; None where the name alone says it.
        name: `NAME`, `COMPETITION/NAME`, or a run folder's path; None for the latest.

    Raises:
        UnknownNameError: where there is no such run.
        UsageError: where several competitions have a run of this name.
        RunFolderError: where it cannot be read.
    """
    run = _find(runs_dir, competition, name)
    if run.state != FINISHED:
        raise RunFolderError(run.problem)
    return run


def _find(runs_dir: Path, competition: str | None, name: str | None) -> Listed:
    if name is not None and "/" in Path(name).as_posix() and (Path(name) / RECORD).is_file():
        return read_listed(Path(name))
    runs = [run for run in list_runs(runs_dir, competition) if run.state != INTERRUPTED]
    of_whom = "" if competition is None else f" of {competition}"
    if name is None:
        last = latest(runs) or (runs[0] if runs else None)
        if last is None:
            raise UsageError(
                f"there is no run{of_whom} in {runs_dir} yet; make one with `kaggleprice cv`."
            )
        return last
    found = [run for run in runs if name in (run.name, f"{run.competition}/{run.name}")]
    if not found:
        raise UnknownNameError(f"run{of_whom}", name, {run.name for run in runs})
    if len(found) > 1:
        owners = ", ".join(f"{run.competition}/{run.name}" for run in found)
        raise UsageError(f"{name} may be any of {owners}; name one of these.")
    return found[0]
