"""Listing: all runs in the runs folder, best first, whatever their state; and finding one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from kaggleprice.competitions.catalog import COMPETITIONS, read_competition
from kaggleprice.core.errors import RunFolderError, UnknownNameError, UsageError
from kaggleprice.runs import RECORD, UNFINISHED, run_folders
from kaggleprice.runs.exclusive import recover
from kaggleprice.runs.run import FINISHED, UNREADABLE, Run


def competitions_with_runs(runs_dir: Path) -> list[str]:
    """Return the competitions that have a run of any state, by name."""
    if not runs_dir.is_dir():
        return []
    folders = [p for p in runs_dir.iterdir() if not p.name.startswith(".")]
    for folder in folders:
        recover(folder)
    return sorted(p.name for p in folders if run_folders(p) or unfinished_folders(p))


def find_competition(runs_dir: Path, name: str) -> str:
    """Return the name of a competition that is registered, in a TOML file, or has runs.

    Raises:
        UnknownNameError: for any other name.
        MissingFileError, DataError: for a TOML file that is absent or not a competition.
    """
    if name.endswith(".toml"):
        return read_competition(Path(name)).name
    names = {*COMPETITIONS, *competitions_with_runs(runs_dir)}
    if name not in names:
        raise UnknownNameError("competition", name, names)
    return name


def list_runs(runs_dir: Path, competition: str | None = None) -> list[Run]:
    """Return runs, by competition; best first, then unreadable ones, then unfinished ones.

    Of equal scores the latest is first.

    Args:
        runs_dir: the folder of all runs.
        competition: whose; None for all.
    """
    names = _whose(runs_dir, competition)
    found: list[Run] = []
    for name in names:
        runs = [Run.describe(folder) for folder in run_folders(runs_dir / name)]
        runs.sort(key=lambda run: run.finished, reverse=True)
        # Scores of different metrics or targets have no order: those of the latest run come first.
        kinds = list(dict.fromkeys(run.scored_by for run in runs))
        found += sorted(runs, key=lambda run: (run.rank[0], kinds.index(run.scored_by), run.rank))
        found += [Run.describe_unfinished(folder) for folder in unfinished_folders(runs_dir / name)]
    return found


def _whose(runs_dir: Path, competition: str | None) -> list[str]:
    """Return the names of the competitions that are meant, cleared of what dead processes left."""
    if competition is None:
        return competitions_with_runs(runs_dir)
    recover(runs_dir / competition)
    return [competition]


def unfinished_folders(parent: Path) -> list[Path]:
    """Return the folders of runs that are made, and what runs that were interrupted left."""
    left = sorted(parent.glob(f"{UNFINISHED}*"))
    return [path for path in left if path.is_dir() and not path.is_symlink()]


def latest(runs: Iterable[Run]) -> Run | None:
    """Return the one that finished last; None where none did."""
    finished = [run for run in runs if run.state == FINISHED]
    return max(finished, key=lambda run: (run.finished, run.name), default=None)


def latest_run(
    runs_dir: Path, competition: str | None, notify: Callable[[str], None] = lambda _: None
) -> Run | None:
    """Return the finished run that is the latest; None where there is no run yet.

    Args:
        runs_dir: the folder of all runs.
        competition: whose; None for any.
        notify: told of each run that cannot be read, and so is not the latest.

    Raises:
        RunFolderError: where there are runs, and none can be read.
    """
    runs = list_runs(runs_dir, competition)
    found, damaged = latest(runs), [run for run in runs if run.state == UNREADABLE]
    if found is None and damaged:
        raise RunFolderError(damaged[-1].problem)
    for run in damaged:
        notify(f"run {run.name} is passed over: {run.problem}")
    return found


def find_run(runs_dir: Path, competition: str | None, name: str | None) -> Run:
    """Return the finished run of this name.

    Args:
        runs_dir: the folder of all runs.
        competition: whose run it is; None where the name alone says it.
        name: `NAME`, `COMPETITION/NAME`, or a run folder's path; None for the latest.

    Raises:
        UnknownNameError: where there is no such run.
        UsageError: where several competitions have a run of this name, or it is that of another
            competition.
        RunFolderError: where it cannot be read.
    """
    of_whom = "" if competition is None else f" of {competition}"
    if name is None:
        run = latest_run(runs_dir, competition)
        if run is None:
            raise UsageError(
                f"there is no run{of_whom} in {runs_dir} yet; make one with `kaggleprice cv`."
            )
        return run
    names = _whose(runs_dir, competition)
    folders = [folder for each in names for folder in run_folders(runs_dir / each)]
    # `runs` names a run with its competition, and `cv` says in which folder it is saved.
    places = [Path(name), runs_dir / name] if "/" in name else []
    meant = [place.parent.resolve() / place.name for place in places]
    found = [f for f in folders if f.name == name or f.parent.resolve() / f.name in meant]
    if not found:
        # A run that was moved elsewhere, or one of another competition.
        found = [p for p in places if (p / RECORD).is_file() and not p.name.startswith(".")][:1]
    if not found:
        parents = [(runs_dir / each).resolve() for each in names]
        said = next((place.name for place in meant if place.parent in parents), name)
        raise UnknownNameError(f"run{of_whom}", said, {folder.name for folder in folders})
    if len(found) > 1:
        owners = ", ".join(f"{folder.parent.name}/{folder.name}" for folder in found)
        raise UsageError(f"{name} may be any of {owners}; name one of these.")
    run = Run.read(found[0])
    if competition not in (None, run.competition):
        raise UsageError(
            f"{name} is a run of {run.competition}, not of {competition}; say with -c whose it is."
        )
    return run
