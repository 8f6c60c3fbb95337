"""Replaying a run: it is trained again, and what comes out is held against what it is."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from kaggleprice.api import DEFAULT_TOLERANCE
from kaggleprice.api.workflow import train_run
from kaggleprice.competitions.data import DatasetRef, load
from kaggleprice.core.errors import UsageError
from kaggleprice.core.files import remove_abandoned, working_folder
from kaggleprice.core.progress import SILENT, Progress
from kaggleprice.runs.listing import find_run
from kaggleprice.runs.run import Run
from kaggleprice.runs.runtime import (
    RuntimeConfig,
    check_data,
    check_start,
    identify,
    source_of,
)

Verdict = Literal["identical", "equal", "different"]


@dataclass(frozen=True)
class Change:
    """What is not as it was when the run was trained.

    Attributes:
        what: `device`, `threads`, or a package.
        then, now: what it was, and is; empty where it was, or is, not there.
    """

    what: str
    then: str
    now: str


@dataclass(frozen=True)
class Replay:
    """A run and what came out when it was trained again.

    Attributes:
        run: the run.
        changes: of what it was trained with.
        files: of the run, and whether each came out the same, byte for byte.
        difference: root mean square of the differences between the out-of-fold predictions, divided
            by that of their errors; infinite where other rows are predicted.
        oof: the pooled score now.
        tolerance: the largest difference that is no difference.
    """

    run: Run
    changes: Sequence[Change]
    files: Mapping[str, bool]
    difference: float
    oof: float
    tolerance: float

    @property
    def verdict(self) -> Verdict:
        """`identical`, `equal` within the tolerance, or `different`."""
        if all(self.files.values()):
            return "identical"
        return "equal" if self.difference <= self.tolerance else "different"


def replay(
    source: DatasetRef,
    runtime: RuntimeConfig,
    name: str | None = None,
    tolerance: float = DEFAULT_TOLERANCE,
    progress: Progress = SILENT,
) -> Replay:
    """Train a finished run again, from the same data, folds and settings, in a folder that goes.

    Args:
        source: the data.
        runtime: where runs lie, and what trains; `auto` is the run's device, and threads that are
            None are the run's.
        name: of the run; None for the latest finished one.
        tolerance: as in `Replay`.
        progress: told what happens.

    Raises:
        UsageError: for a tolerance below 0, and for a run that a time limit ended.
        UnknownNameError, RunFolderError: as `find_run`.
        DataError: where the data changed since the run was trained.
        KagglePriceError: as `kaggleprice.api.workflow.cross_validate`.
    """
    if not tolerance >= 0:
        raise UsageError(f"--tolerance must be 0 or above, found {tolerance:g}.")
    run = find_run(runtime.runs_dir, source.competition.name, name)
    if run.record.get("cut_at") is not None:
        raise UsageError(
            f"run {run.name} was ended by a time limit, which no other training meets at the same "
            "epoch; replay one that was trained without --time-limit."
        )
    progress.notice(f"replaying run {run.name} of {run.path.parent}")
    source, settings, split = source_of(run, source, progress), run.settings, run.folds()
    # A damaged run is told of before anything is trained.
    _ = run.predictions
    place = Path(tempfile.gettempdir())
    remove_abandoned(place)
    with working_folder(place) as folder:
        own = replace(
            runtime,
            runs_dir=folder,
            device=run.record["device"] if runtime.device == "auto" else runtime.device,
            threads=run.record["threads"] if runtime.threads is None else runtime.threads,
            checkpoint_every=None,
            time_limit=None,
        )
        compute = check_start(source.competition, own, None)
        data = load(replace(source, group_column=settings.fold_column), progress)
        check_data(run, source.competition, data)
        identity = identify(source.competition, data, settings, split, compute)
        again, result = train_run(
            source, own, data, identity, compute, split, settings, run.name, progress
        )
        return Replay(
            run=run,
            changes=_changes(run, again),
            files=_compare_files(run, again),
            difference=_difference(run, again),
            oof=result.scores.oof,
            tolerance=tolerance,
        )


def _changes(run: Run, again: Run) -> list[Change]:
    then, now = (
        {"device": r.record["device"], "threads": str(r.record["threads"]), **r.record["versions"]}
        for r in (run, again)
    )
    return [
        Change(what, then.get(what, ""), now.get(what, ""))
        for what in {**then, **now}
        if then.get(what) != now.get(what)
    ]


def _compare_files(run: Run, again: Run) -> dict[str, bool]:
    """Return every file that either run lists, and whether it is the same in both."""
    then, now = run.record["files"], again.record["files"]
    return {name: then.get(name) == now.get(name) for name in sorted({**then, **now})}


def _difference(run: Run, again: Run) -> float:
    """Return `Replay.difference`."""
    then, now = run.predictions, again.predictions
    if not then.index.equals(now.index):
        return float("inf")
    true, before, after = (
        frame[name].to_numpy(dtype=np.float64)
        for frame, name in ((then, "true"), (then, "predicted"), (now, "predicted"))
    )
    moved, error = (float(np.sqrt(np.mean(np.square(x)))) for x in (after - before, before - true))
    if not moved:
        return 0.0
    return moved / error if error else float("inf")
