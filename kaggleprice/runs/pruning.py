"""Pruning: which run folders may go, and removing them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kaggleprice.core.errors import OutputError, UsageError
from kaggleprice.core.files import take_lock, working_folder
from kaggleprice.runs import FILES, PRUNED, RECORD
from kaggleprice.runs.exclusive import changing_at_once, is_changed_now
from kaggleprice.runs.listing import latest
from kaggleprice.runs.run import FINISHED, INTERRUPTED, UNREADABLE, Run

# What commands put into a run folder after run.json was written, and what run.json does not list.
_LATER = {RECORD, "submission.csv", "report.html", "figures"}


@dataclass(frozen=True)
class Pruning:
    """What `prune` would do.

    Attributes:
        remove: the folders that would go.
        spared: those that were meant but stay, each with the reason.
    """

    remove: tuple[Run, ...]
    spared: tuple[tuple[Run, str], ...]


def plan_pruning(
    runs: Sequence[Run],
    keep: int | None = None,
    *,
    unfinished: bool = False,
    unreadable: bool = False,
) -> Pruning:
    """Choose what may go.

    Args:
        runs: as `list_runs` returns them.
        keep: of each competition, keep this many of the best and the latest, which `predict`
            uses; None to keep all that are finished.
        unfinished: whether what interrupted runs left goes.
        unreadable: whether damaged runs and those of another version go.

    Raises:
        UsageError: where nothing was asked for, or `keep` is less than 1.
        OutputError: where a folder's lock cannot be taken, so that nobody knows who trains in it.
    """
    if keep is None and not unfinished and not unreadable:
        raise UsageError(
            "say what to remove: --keep N for all but the N best runs and the latest, "
            "--unfinished for what interrupted runs left, --unreadable for damaged runs."
        )
    if keep is not None and keep < 1:
        raise UsageError(f"--keep must be 1 run or more, found {keep}.")
    chosen: list[Run] = [] if keep is None else _beyond(runs, keep)
    chosen += [run for run in runs if unreadable and run.state == UNREADABLE]
    chosen += [run for run in runs if unfinished and run.state == INTERRUPTED]
    reasons = [(run, _reason_to_stay(run)) for run in chosen]
    return Pruning(
        tuple(run for run, reason in reasons if not reason),
        tuple((run, reason) for run, reason in reasons if reason),
    )


def _beyond(runs: Sequence[Run], keep: int) -> list[Run]:
    chosen = []
    for name in dict.fromkeys(run.competition for run in runs):
        own = [run for run in runs if run.competition == name and run.state == FINISHED]
        last = latest(own)
        chosen += [run for run in own[keep:] if run is not last]
    return chosen


def _reason_to_stay(run: Run) -> str:
    """Say why a folder must not be removed; empty where it may."""
    if run.path.is_symlink():
        return "it is a link to a folder elsewhere"
    if run.state == INTERRUPTED:
        return _in_use(run.path)
    if is_changed_now(run.path):
        return "a process changes it"
    if not (run.path / RECORD).is_file():
        return f"it has no {RECORD}, so it may be a folder of your own"
    # Of a damaged run nothing says which files it had.
    listed = [Path(name).parts[0] for name in run.record.get("files", FILES)]
    own = {*_LATER, *listed}
    foreign = sorted(path.name for path in run.path.iterdir() if path.name not in own)
    return f"it holds {', '.join(foreign)}, which no command wrote" if foreign else ""


def _in_use(folder: Path) -> str:
    try:
        lock = take_lock(folder)
    except OSError as error:
        raise OutputError(
            f"cannot remove {folder}: its lock cannot be taken: {error.strerror or error}."
        ) from None
    if lock is None:
        return "a process is training it"
    lock.release()
    return ""


def remove(run: Run) -> None:
    """Remove a run folder: under another name first, so that no half of a run is ever left.

    Raises:
        OutputError: where it cannot be removed, or changed since it was listed.
    """
    reason = _reason_to_stay(run) if run.path.is_dir() else "it is no longer there"
    if reason:
        raise OutputError(f"{run.path} was not removed: {reason}.")
    describe = Run.describe_unfinished if run.state == INTERRUPTED else Run.describe
    try:
        with changing_at_once(run.path) as ours:
            if not ours:
                raise OutputError(f"{run.path} was not removed: a process changes it.")
            now = describe(run.path)
            if (now.state, now.record) != (run.state, run.record):
                raise OutputError(f"{run.path} was not removed: it changed since it was listed.")
            with working_folder(run.path.parent, PRUNED) as trash:
                run.path.rename(trash / run.name)
                shutil.rmtree(trash / run.name)
    except OSError as error:
        raise OutputError(f"cannot remove {run.path}: {error.strerror or error}.") from None
