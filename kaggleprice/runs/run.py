"""A run: a folder, whatever its state. What is heavy is loaded when it is wanted."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaggleprice.competitions.catalog import ROW, as_tuple
from kaggleprice.competitions.metrics import METRICS, TARGET_TRANSFORMS, Metric
from kaggleprice.core.errors import (
    DataError,
    KagglePriceError,
    OutputError,
    RunFolderError,
    UsageError,
)
from kaggleprice.core.files import sha256
from kaggleprice.runs import BASE_MODEL_PREDICTIONS, IDENTITY, RECORD, WEIGHTS, arrays_beside
from kaggleprice.runs.describe import nearest_preset
from kaggleprice.runs.record import read_record, read_settings
from kaggleprice.settings.run import RunSettings, settings_from_record

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from kaggleprice.competitions.catalog import Competition, Kind
    from kaggleprice.competitions.tables import Table
    from kaggleprice.evaluation.base_models import BaseModelPredictions
    from kaggleprice.evaluation.ensemble import Ensemble
    from kaggleprice.evaluation.folds import Folds
    from kaggleprice.evaluation.target_scale import TargetScale
    from kaggleprice.training.task import HistoryLine

FINISHED, UNREADABLE, INTERRUPTED = "finished", "unreadable", "unfinished"


@dataclass(frozen=True)
class StoredFile:
    """A file of a run folder.

    Attributes:
        name: relative to the folder.
        bytes: its size, 0 where it is missing.
        state: `ok`, `missing`, `altered`, or `later` for one that run.json does not list.
    """

    name: str
    bytes: int
    state: str


@dataclass(frozen=True)
class Run:
    """One run folder. Links inside it are never followed: what is read or written lies in it.

    Attributes:
        path: the folder.
        record: the content of its run.json, checked; empty unless it is finished.
        state: `finished`, `unreadable` (damaged, or of another version) or `unfinished`.
        problem: one sentence; empty where it is finished.
        identity: what an unfinished one says of its training; may be empty.
    """

    path: Path
    record: Mapping[str, Any] = field(default_factory=dict)
    state: str = FINISHED
    problem: str = ""
    identity: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Run:
        """Read a finished run.

        Raises:
            RunFolderError: where its run.json or the settings in it cannot be read.
        """
        run = cls(path, read_record(path))
        read_settings(run.record, path / RECORD)
        return run

    @classmethod
    def describe(cls, path: Path) -> Run:
        """Describe the folder of a run; one that cannot be read is described as such."""
        try:
            run = cls.read(path)
        except RunFolderError as error:
            return cls(path, state=UNREADABLE, problem=str(error))
        try:
            # A listing names settings by their preset, which needs their recipe.
            nearest_preset(run.settings)
        except UsageError as error:
            problem = f"{path / RECORD}: settings cannot be read: {error}."
            return cls(path, state=UNREADABLE, problem=problem)
        return run

    @classmethod
    def describe_unfinished(cls, path: Path) -> Run:
        """Describe a folder that is no run yet, or no longer."""
        command = "cv"
        try:
            identity = json.loads((path / IDENTITY).read_text(encoding="utf-8"))
            settings = read_settings(identity, path / IDENTITY)
            nearest_preset(settings)
            # What a search leaves, which trains other networks than a run.
            if identity.get("command") == "tune":
                command, settings = "tune", replace(settings, seeds=None)
            targets = len(as_tuple(identity["columns"]["target_column"]))
            members = None
            if settings.seeds is not None:
                each = settings.seeds * len(settings.variants)
                members = int(identity["k"]) * each * targets
            identity = {"settings": identity["settings"], "members": members}
        except (OSError, RecursionError, KeyError, TypeError, ValueError, KagglePriceError):
            # Such as a run that was being written, or is removed now: its line says what it is.
            identity = {}
        what = f"in training, or interrupted: the same `kaggleprice {command}` command goes on"
        return cls(path, {}, INTERRUPTED, f"{what} with it.", identity)

    @property
    def name(self) -> str:
        """The run's name."""
        return self.path.name

    @property
    def competition(self) -> str:
        """The name of the competition."""
        return str(self.record["competition"]) if self.record else self.path.parent.name

    @property
    def metric(self) -> Metric:
        """What a finished run is scored by."""
        return METRICS[self.record["metric"]]

    @property
    def targets(self) -> tuple[str, ...]:
        """The target columns of a finished run."""
        return as_tuple(self.record["columns"]["target_column"])

    @property
    def kinds(self) -> dict[str, Kind]:
        """The kinds of columns that a finished run was trained with."""
        found = self.record["columns"].get("kinds", {})
        return {c: tuple(kind) if isinstance(kind, list) else kind for c, kind in found.items()}

    @property
    def weight_column(self) -> str | None:
        """The column that says how much each row of a finished run counts; None without."""
        found: str | None = self.record["columns"].get("weight_column")
        return found

    @property
    def finished(self) -> str:
        """When it was finished, as ISO 8601 in UTC; empty where it is not."""
        return str(self.record["timing"]["finished"]) if self.record else ""

    @property
    def oof(self) -> float:
        """The pooled score of a finished run."""
        return float(self.record["scores"]["oof"])

    @property
    def fold_scores(self) -> tuple[float, ...]:
        """The validation score of each fold of a finished run."""
        return tuple(fold["validation"] for fold in self.record["folds"])

    @property
    def folds_sha256(self) -> str | None:
        """The hash of its folds: which rows train and validate where."""
        # Earlier versions wrote no more than that into folds.csv.
        earlier = self.record["files"].get("folds.csv")
        found: str | None = self.record.get("folds_sha256", earlier)
        return found

    @property
    def train_sha256(self) -> str:
        """The hash of the training CSV."""
        return str(self.record["data"]["train"]["sha256"])

    @property
    def scored_by(self) -> tuple[str, ...]:
        """Metric and targets of a finished run: runs that differ in them have other scores."""
        return (self.metric.name, *self.targets) if self.state == FINISHED else ()

    @property
    def rank(self) -> tuple[bool, float]:
        """What to sort runs by, so that the best finished one comes first."""
        finished = self.state == FINISHED
        return not finished, self.metric.rank(self.oof) if finished else 0.0

    @property
    def members(self) -> int | None:
        """How many networks it has, or will have; None where nothing says it.

        Where weights are learned, that is found in training.
        """
        if self.record:
            return len(self.record["members"])
        if not self.identity or self.settings.learns_weights:
            return None
        return int(self.identity["members"])

    @property
    def changed(self) -> float:
        """When its content last changed, seconds since 1970."""
        times = []
        for path in (self.path, *self.path.rglob("*")):
            # A process that is training may remove a file meanwhile.
            with contextlib.suppress(OSError):
                times.append(path.lstat().st_mtime)
        return max(times, default=0.0)

    @property
    def has_settings(self) -> bool:
        """Whether anything says with which settings it is trained."""
        return bool(self.record or self.identity)

    @property
    def settings(self) -> RunSettings:
        """What was asked for; only where `has_settings`."""
        return settings_from_record((self.record or self.identity)["settings"])

    def content(self, name: str) -> bytes:
        """Return what is in one of the files that run.json lists: the very bytes that were checked.

        Raises:
            RunFolderError: where it is missing, a link, truncated or altered.
        """
        file = self.path / name
        if self._has_link(file):
            raise RunFolderError(f"{file} is a link; a run's files must lie in its folder.")
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            content = None
        if content is None or name not in self.record["files"]:
            raise self._damaged(f"{file} is missing; train the run again")
        if hashlib.sha256(content).hexdigest() != self.record["files"][name]:
            raise self._damaged(
                f"{file} was truncated or altered after it was written; train the run again"
            )
        return content

    def _damaged(self, problem: str) -> RunFolderError:
        """Return an error, which is another process's doing where the run is not what was read."""
        try:
            same = read_record(self.path)["digest"] == self.record["digest"]
        except RunFolderError:
            same = False
        if not same:
            problem = "another process changed or removed it meanwhile; give the command again"
        return RunFolderError(f"run {self.name}: {problem}.")

    def output(self, name: str) -> Path:
        """Return the path of a file that is to be written into the folder.

        Raises:
            OutputError: where it would be written through a link.
        """
        file = self.path / name
        if self._has_link(file):
            raise OutputError(f"cannot write {file}: it is a link; remove it.")
        return file

    def _has_link(self, file: Path) -> bool:
        inside = [file, *file.parents]
        return any(path.is_symlink() for path in inside[: inside.index(self.path)])

    def stored_files(self) -> list[StoredFile]:
        """Return the files of a finished run and whether each is what it was, by name."""
        recorded = self.record["files"]
        present = {
            path.relative_to(self.path).as_posix(): path
            for path in self.path.rglob("*")
            if path.is_symlink() or path.is_file()
        }
        files = []
        for name in sorted({*recorded, *present}):
            path = present.get(name)
            if path is None:
                state = "missing"
            elif name not in recorded:
                state = "ok" if name == RECORD else "later"
            else:
                same = not self._has_link(path) and sha256(path) == recorded[name]
                state = "ok" if same else "altered"
            files.append(StoredFile(name, 0 if path is None else path.lstat().st_size, state))
        return files

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """The out-of-fold predictions of each row that has one, read once.

        A row that several folds validate has the mean of their predictions, and the first fold.

        Returns:
            Index id (text); columns true and predicted, T times each of T targets, so that
            `predictions["true"]` has T columns; fold, from 1; row, its number in the training
            file, where the run has that; weight, where rows are weighted.

        Raises:
            RunFolderError: where oof.csv is missing, truncated or altered.
        """
        import numpy as np
        import pandas as pd

        # By place, since the id column may have the name of another one. Each number exactly as
        # it was written, in every version of pandas.
        frame = pd.read_csv(
            io.BytesIO(self.content("oof.csv")),
            dtype=str,
            keep_default_na=False,
            header=None,
            skiprows=1,
        )
        weighted, values = self.weight_column is not None, 2 * len(self.targets)
        names = ["true", "predicted"] * len(self.targets) + ["fold"]
        numbered = frame.shape[1] > 1 + len(names) + weighted
        names += [ROW] * numbered + ["weight"] * weighted
        found = frame.iloc[:, 1:].map(float)
        found = found.set_axis(names, axis=1).set_axis(pd.Index(frame[0], name=None))
        stands_in = not numbered and self.record["columns"]["id_column"] == ROW
        if stands_in and frame[0].str.fullmatch("[0-9]{1,18}").all():
            found.insert(values + 1, ROW, frame[0].to_numpy(dtype=np.int64))
        if ROW in found:
            found[ROW] = found[ROW].astype(np.int64)
            if found[ROW].duplicated().any():
                found = _means_of_rows(found)
        return found

    def folds(self) -> Folds:
        """Load the folds of the training rows.

        Raises:
            RunFolderError: where folds.csv is missing, truncated or altered.
        """
        from kaggleprice.evaluation.folds import read_folds_of_run

        return read_folds_of_run(self.path / "folds.csv", self.content("folds.csv"))

    def target_scale(
        self, competition: Competition, train: Table | None = None, bound: bool | None = None
    ) -> TargetScale:
        """Return what was learned of the target; of a run that does not say it, learn it again.

        Args:
            competition: of the run.
            train: its training table; only runs of earlier versions need it.
            bound: whether predictions are kept inside the range; None for what the run says.

        Raises:
            RunFolderError: where folds.csv is needed and missing, truncated or altered.
        """
        from kaggleprice.evaluation.target_scale import TargetScale

        transform = TARGET_TRANSFORMS[competition.target_transform].load()
        bound = self.settings.bound if bound is None else bound
        record = self.record["ensemble"].get("target")
        if record is not None or train is None:
            return TargetScale.from_record(transform, record, bound=bound)
        target, folds = train.known_target, self.folds()
        return TargetScale.learn(self.metric, transform, target, folds, bound=bound)

    def history(self) -> list[HistoryLine]:
        """Load the training history, by epoch, then member.

        Raises:
            RunFolderError: where history.csv is missing, truncated or altered.
        """
        import pandas as pd

        from kaggleprice.training.task import HistoryLine

        # As text first: pandas may be off by a last bit, and seeds that are added write it again.
        frame = pd.read_csv(io.BytesIO(self.content("history.csv")), dtype=str)
        columns = {"member": int, "epoch": int, "train": float, "validation": float}
        lines = frame[list(columns)].astype(columns).itertuples(index=False, name=None)
        return [HistoryLine(*line) for line in lines]

    def base_models(self) -> BaseModelPredictions | None:
        """Load what the base models predict; None where the run has none.

        Raises:
            RunFolderError: where the file is missing, truncated or altered.
        """
        import numpy as np

        from kaggleprice.evaluation.base_models import BaseModelPredictions

        names = self.settings.base_models
        if not names:
            return None
        old = "votes.safetensors"  # of schema version 2
        file = old if old in self.record["files"] else BASE_MODEL_PREDICTIONS
        loaded = self._load_arrays(file)
        try:
            train, test = loaded["train"], loaded["test"]
        except KeyError as error:
            raise self._cannot_load(error) from None
        weights = loaded.get("weights")
        if weights is None:  # of an earlier version, whose settings say how many members it has
            weights = np.full(train.shape[:2], self.settings.equal_weights[1])
        return BaseModelPredictions(names, train, test, weights, loaded.get("left_out"))

    def ensemble(self) -> Ensemble:
        """Load the members; they predict, bit for bit, what they predicted when they were saved.

        Raises:
            RunFolderError: where any file of the run is missing, truncated or altered.
        """
        import numpy as np
        import torch
        from safetensors import SafetensorError
        from safetensors.torch import load

        from kaggleprice.evaluation.ensemble import Ensemble
        from kaggleprice.models.portfolio import build_portfolio
        from kaggleprice.preprocessing.encoding import Encoding
        from kaggleprice.preprocessing.fitted import FittedRecipe
        from kaggleprice.settings.training import Member
        from kaggleprice.training.task import TrainingResult

        for name in self.record["files"]:
            self.content(name)
        saved, settings = self.record["ensemble"], self.settings
        members = [Member(**member) for member in saved["members"]]
        if max(member.variant for member in members) >= len(settings.variants):
            raise RunFolderError(
                f"run {self.name}: {self.path / RECORD} has a member of a setting that it lacks."
            )
        try:
            encoding = Encoding(
                [
                    FittedRecipe.from_json(
                        self.content(name).decode("utf-8"),
                        self._load_arrays(arrays_beside(name)),
                    )
                    for name in saved["recipes"]
                ],
                settings.model.resolved.category_embedding,
            )
            dtype: torch.dtype = getattr(torch, settings.training.dtype)
            network = build_portfolio(settings.variants, members, encoding.inputs, dtype)
            network.load_state_dict(load(self.content(WEIGHTS)))
        except RunFolderError:
            raise
        except (DataError, SafetensorError, RuntimeError, OSError) as error:
            raise self._cannot_load(error) from None
        center, scale, epochs = (
            np.array(saved[name]) for name in ("target_center", "target_scale", "epochs")
        )
        fit = TrainingResult(center, scale, epochs)
        weights = saved.get("weights")
        if weights is None and settings.base_models:
            weights = [settings.equal_weights[0]] * len(members)
        weighed = None if weights is None else np.array(weights)
        return Ensemble(encoding, network, members, fit, saved["engineering"], weighed)

    def _load_arrays(self, name: str) -> dict[str, NDArray[np.float64]]:
        """Load a file of arrays; none from one that the run does not have.

        Raises:
            RunFolderError: where it is missing, truncated or altered, or holds no such arrays.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        if name not in self.record["files"]:
            return {}
        try:
            return load(self.content(name))
        except (SafetensorError, OSError, KeyError, TypeError, AttributeError) as error:
            # The last three: of a type that numpy does not know.
            raise self._cannot_load(error) from None

    def _cannot_load(self, error: Exception) -> RunFolderError:
        return self._damaged(f"it cannot be loaded from {self.path}: {error}")


def _means_of_rows(found: pd.DataFrame) -> pd.DataFrame:
    """Return one line for each number of a row, with the means of what was predicted of it."""
    rows, kept = found[ROW].to_numpy(), found[~found[ROW].duplicated()].copy()
    for place, name in enumerate(found):
        if name == "predicted":
            means = found.iloc[:, place].groupby(rows, sort=False).mean()
            kept.isetitem(place, means.to_numpy())
    return kept
