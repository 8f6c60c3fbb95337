"""The runtime configuration: where runs lie, what trains them, and what an interruption costs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from kaggleprice.competitions.catalog import Competition
from kaggleprice.competitions.data import Dataset, DatasetRef
from kaggleprice.core.errors import DataError, UsageError
from kaggleprice.core.files import check_writable
from kaggleprice.core.progress import Progress
from kaggleprice.core.registry import look_up
from kaggleprice.core.versions import versions
from kaggleprice.evaluation.folds import Folds
from kaggleprice.runs import check_name
from kaggleprice.runs.checkpoints import Checkpoint, key_of
from kaggleprice.runs.exclusive import has_run, recover
from kaggleprice.runs.run import FINISHED, Run
from kaggleprice.runs.writing import describe_columns
from kaggleprice.settings.declaration import show_value
from kaggleprice.settings.run import RunSettings, settings_to_record
from kaggleprice.settings.training import ENGINES
from kaggleprice.training.cluster import Cluster, ClusterAddress, joined
from kaggleprice.training.devices import Compute, choose_compute
from kaggleprice.training.executors import Executor, Threads


@dataclass(frozen=True)
class RuntimeConfig:
    """Where and on what a run is made.

    Attributes:
        runs_dir: the folder of all runs.
        device: as for `kaggleprice.training.devices.choose_devices`.
        threads: CPU threads; None for torch's choice.
        checkpoint_every: seconds between checkpoints, from which the same command goes on after
            it was interrupted; None for none.
        time_limit: seconds after which training ends with the epoch that is finished; None for
            no limit.
        engine: what trains groups of networks, in `ENGINES`.
        address: `HOST:PORT` of a Ray cluster; None for one on this machine.
    """

    runs_dir: Path = Path("runs")
    device: str = "auto"
    threads: int | None = None
    checkpoint_every: float | None = 10.0
    time_limit: float | None = None
    engine: str = "here"
    address: str | None = None

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            UsageError: for seconds that cannot be; for an unknown engine, and an address without
                Ray.
        """
        look_up(ENGINES, self.engine, "engine")
        if self.address is not None and self.engine != "ray":
            raise UsageError("--address names a Ray cluster; it needs --engine ray.")
        if self.checkpoint_every is not None and not self.checkpoint_every >= 0:
            raise UsageError(
                f"checkpoint_every must be 0 seconds or more, found {self.checkpoint_every:g}."
            )
        if self.time_limit is not None and not self.time_limit > 0:
            raise UsageError(f"time_limit must be above 0 seconds, found {self.time_limit:g}.")

    @contextmanager
    def cluster(self, compute: Compute, progress: Progress) -> Iterator[Cluster | None]:
        """Join the cluster that trains, for as long as the block lasts; None for this machine."""
        if self.engine != "ray":
            yield None
            return
        with joined(ClusterAddress(self.address, compute.threads), progress) as cluster:
            yield cluster

    @contextmanager
    def executor(self, compute: Compute, progress: Progress) -> Iterator[Executor]:
        """Return what runs jobs of all threads: one by one, or at once on a cluster's machines."""
        with self.cluster(compute, progress) as cluster:
            if cluster is None:
                yield Threads(compute.device, 1, compute.threads)
            else:
                yield cluster.executor(compute.device, compute.threads)

    def runs_of(self, competition: Competition) -> Path:
        """Return the folder of a competition's runs."""
        return self.runs_dir / competition.name

    def checkpoint(
        self, competition: Competition, identity: dict[str, Any], progress: Progress
    ) -> Checkpoint:
        """Return what keeps the training of the run of this identity, and ends it in time."""
        folder = self.runs_of(competition)
        return Checkpoint(folder, identity, self.checkpoint_every, self.time_limit, progress)


def finished_run(
    competition: Competition, runtime: RuntimeConfig, name: str | None, settings: RunSettings
) -> Run | None:
    """Return the finished run of a name, where the same command may have made it; None without.

    Raises:
        UsageError: where it was made with other settings.
    """
    folder = runtime.runs_of(competition)
    run = Run.describe(folder / name) if name and has_run(folder, name) else None
    if run is None or run.state != FINISHED or not run.record.get("identity"):
        return None
    if run.record["settings"] != json.loads(json.dumps(settings_to_record(settings))):
        raise _is_another(run, "trained with other settings")
    return run


def check_identity(run: Run, identity: Mapping[str, Any], runtime: RuntimeConfig) -> None:
    """Check that a finished run is what would be trained.

    Raises:
        UsageError: where it is not.
    """
    if run.record["identity"] != key_of(identity):
        raise _is_another(run, "of other data, folds, versions, device or threads")
    if run.record.get("cut_at") is not None and runtime.time_limit is None:
        raise _is_another(run, "ended by a time limit")


def _is_another(run: Run, what: str) -> UsageError:
    return UsageError(
        f"there is a run {run.name!r} in {run.path.parent} already, {what}; choose another name, "
        "or leave --run away for a new one. To give it more networks, name no setting but --seeds."
    )


def check_start(competition: Competition, runtime: RuntimeConfig, name: str | None) -> Compute:
    """Check, before long work, that a run can be made; set the threads.

    Raises:
        UsageError: where a new run may not have this name; or for threads that cannot be.
        DeviceError: where this machine does not have the device.
        OutputError: where no run can be written.
    """
    if name is not None:
        check_name(runtime.runs_dir, competition, name)
    compute = choose_compute(runtime.device, runtime.threads)
    recover(runtime.runs_of(competition))
    check_writable(runtime.runs_of(competition) / "run")
    return compute


def identify(
    competition: Competition,
    data: Dataset,
    settings: RunSettings,
    split: Folds,
    compute: Compute,
) -> dict[str, Any]:
    """Return all that decides what is trained, as plain data."""
    return {
        "competition": competition.name,
        "columns": describe_columns(competition),
        "engineering": competition.engineering,
        "data": data.record,
        "settings": settings_to_record(settings),
        "k": len(split),
        "folds": split.fingerprint,
        "versions": versions(),
        "device": compute.name,
        # What checkpoints hold: an older kind is not taken up.
        "checkpoint": 3,
        "threads": compute.threads,
    }


def source_of(run: Run, source: DatasetRef, progress: Progress) -> DatasetRef:
    """Return the data as a run reads them: with the kinds of columns that it was trained with.

    Rows without a target are left out where they were then.

    Args:
        run: a finished one.
        source: the data, with the kinds of today.
        progress: told which of them differ.

    Raises:
        UsageError: where the run was trained with another kind than one that is demanded.
    """
    own = run.kinds
    for column, wanted in source.demanded_kinds.items():
        if own.get(column) != wanted:
            had = f"of kind {show_value(own[column])}" if column in own else "of no named kind"
            raise UsageError(
                f"run {run.name} was trained with the column {column!r} {had}, not "
                f"{show_value(wanted)}; leave --kind and --drop away, since a run knows its own, "
                "or train another run with `kaggleprice cv` first."
            )
    today = source.competition.kinds
    differ = [c for c in {**own, **today} if own.get(c) != today.get(c)]
    columns = run.record["columns"]
    competition = replace(
        source.competition, kinds=own, drop_missing_target="drop_missing_target" in columns
    )
    if not differ:
        return replace(source, competition=competition)
    progress.notice(
        f"run {run.name} reads {', '.join(map(repr, differ))} as it was trained, not as "
        f"{source.competition.name} is described now"
    )
    return replace(source, competition=competition)


def check_data(run: Run, competition: Competition, data: Dataset) -> None:
    """Check that the data are those that a run was trained on.

    Raises:
        DataError: where a file or the way it is read changed since.
    """
    before, present = run.record["columns"], describe_columns(competition)
    for key in {**before, **present}:
        then, now = (_shown(columns.get(key)) for columns in (before, present))
        if then != now:
            raise DataError(
                f"{key} of {competition.name} changed since run {run.name} was trained ({then} "
                f"then, {now} now); train again with `kaggleprice cv`."
            )
    for role, now in data.record.items():
        # A test file that came later was not there.
        then = run.record["data"].get(role, now)
        if then["sha256"] != now["sha256"]:
            raise DataError(
                f"{now['name']} changed since run {run.name} was trained (SHA-256 "
                f"{then['sha256'][:8]} then, {now['sha256'][:8]} now); put it back as it was, or "
                "train again with `kaggleprice cv` and this command's -c, --data-dir and "
                "--no-verify."
            )


def _shown(value: Any) -> str:
    """Return a key's value in a sentence; equal values alone are shown alike."""
    return "none" if value is None else str(value)


def read_duration(flag: str, text: str) -> float:
    """Read a time such as `90`, `90s`, `10m` or `1h30m`; return seconds.

    Raises:
        UsageError: for a text that is none.
    """
    with suppress(ValueError):
        return float(text)
    with suppress(ValueError):
        found = float(pd.Timedelta(text).total_seconds())
        # pandas takes an empty text for a time that is not known.
        if not math.isnan(found):
            return found
    raise UsageError(f"{flag} takes a time such as 90s, 10m or 1h30m; found {text!r}.")
