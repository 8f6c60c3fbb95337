"""Reading runs: a folder that is complete and unaltered, or one clear sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors import numpy as numpy_files
from safetensors.torch import load_file

from kaggleprice.competitions.catalog import Competition
from kaggleprice.core.errors import DataError, RunFolderError, UnknownNameError, UsageError
from kaggleprice.core.files import sha256
from kaggleprice.evaluation.base_models import BaseModelPredictions
from kaggleprice.evaluation.ensemble import Ensemble
from kaggleprice.models.networks import build_network
from kaggleprice.preprocessing.encoding import Encoding
from kaggleprice.preprocessing.fitted import FittedRecipe
from kaggleprice.runs import RECORD, VOTES, WEIGHTS, run_folders
from kaggleprice.runs.records import read_record
from kaggleprice.settings.run import RunSettings, settings_from_record
from kaggleprice.settings.training import Member
from kaggleprice.training.task import HistoryLine, TrainingResult


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        path: its folder.
        record: the content of its run.json.
    """

    path: Path
    record: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The run's name."""
        return self.path.name

    @property
    def settings(self) -> RunSettings:
        """What was asked for.

        Raises:
            RunFolderError: where the record does not hold settings.
        """
        try:
            return settings_from_record(self.record["settings"])
        except (KeyError, TypeError, UsageError) as error:
            raise RunFolderError(
                f"{self.path / RECORD}: settings cannot be read: {error}."
            ) from None

    def ensemble(self) -> Ensemble:
        """Load the members; they predict, bit for bit, what they predicted when they were saved.

        Raises:
            RunFolderError: where a file is missing, truncated or altered.
        """
        _check_files(self)
        settings, members = self.settings, [Member(**m) for m in self.record["ensemble"]["members"]]
        try:
            encoding = Encoding(
                [
                    FittedRecipe.from_json((self.path / name).read_text(encoding="utf-8"))
                    for name in self.record["ensemble"]["recipes"]
                ]
            )
            dtype: torch.dtype = getattr(torch, settings.training.dtype)
            network = build_network(
                settings.model, [m.seed for m in members], encoding.inputs, dtype
            )
            network.load_state_dict(load_file(self.path / WEIGHTS))
        except (DataError, SafetensorError, RuntimeError, OSError) as error:
            raise RunFolderError(
                f"run {self.name} in {self.path} cannot be loaded: {error}"
            ) from None
        scales = self.record["ensemble"]
        fit = TrainingResult(
            np.array(scales["target_center"]),
            np.array(scales["target_scale"]),
            np.array(scales["epochs"]),
        )
        return Ensemble(encoding, network, members, fit, scales["engineering"])

    def history(self) -> list[HistoryLine]:
        """Load the training history, by epoch, then member.

        Raises:
            RunFolderError: where the file is missing, truncated or altered.
        """
        _check_files(self)
        # As text first: pandas may be off by a last bit, and seeds that are added write it again.
        frame = pd.read_csv(self.path / "history.csv", dtype=str)
        columns = {"member": int, "epoch": int, "train": float, "validation": float}
        lines = frame[list(columns)].astype(columns).itertuples(index=False, name=None)
        return [HistoryLine(*line) for line in lines]

    def fold_of_row(self) -> NDArray[np.int64]:
        """Load the fold that validated each training row, counted from 0; shape (n,).

        Raises:
            RunFolderError: where the file is missing, truncated or altered.
        """
        _check_files(self)
        folds = pd.read_csv(self.path / "folds.csv", usecols=["fold"])["fold"]
        return folds.to_numpy(np.int64) - 1

    def votes(self) -> BaseModelPredictions | None:
        """Load what the partners predict; None where the run has none.

        Raises:
            RunFolderError: where the file is missing, truncated or altered.
        """
        names = self.settings.partners
        if not names:
            return None
        _check_files(self)
        try:
            loaded = numpy_files.load_file(self.path / VOTES)
            return BaseModelPredictions(names, loaded["train"], loaded["test"])
        except (SafetensorError, KeyError, OSError) as error:
            raise RunFolderError(
                f"run {self.name} in {self.path} cannot be loaded: {error}"
            ) from None


def read_run(path: Path) -> Run:
    """Read a run's record.

    Raises:
        RunFolderError: where run.json is missing, truncated or altered, or of another version.
    """
    return Run(path, read_record(path))


def _check_files(run: Run) -> None:
    for name, digest in run.record["files"].items():
        file = run.path / name
        if not file.is_file():
            raise RunFolderError(f"run {run.name}: {file} is missing; train the run again.")
        if sha256(file) != digest:
            raise RunFolderError(
                f"run {run.name}: {file} was truncated or altered after it was written; "
                "train the run again."
            )


def find_run(
    runs_dir: Path,
    competition: Competition,
    name: str | None,
    notify: Callable[[str], None] = lambda _: None,
) -> Run | None:
    """Return the run of this name, or the latest finished one; None where there is none yet.

    Args:
        runs_dir: the folder of all runs.
        competition: whose run it is.
        name: `NAME`, `COMPETITION/NAME`, or its folder's path; None for the latest that can be
            read.
        notify: told of each run that cannot be read, and so is not the latest.

    Raises:
        UnknownNameError: for a name that no run of this competition has.
        UsageError: for a run of another competition.
        RunFolderError: where the named run's record is damaged, or that of every run.
    """
    folders = run_folders(runs_dir / competition.name)
    if name is not None:
        return read_run(_find_folder(runs_dir, competition, name))
    runs, problems = [], []
    for folder in folders:
        try:
            run = read_run(folder)
            _ = run.settings
        except RunFolderError as error:
            problems.append((folder.name, error))
        else:
            runs.append(run)
    if problems and not runs:
        raise problems[-1][1]
    for skipped, problem in problems:
        notify(f"run {skipped} is passed over: {problem}")
    return max(runs, key=lambda run: (run.record["timing"]["finished"], run.name), default=None)


def _find_folder(runs_dir: Path, competition: Competition, name: str) -> Path:
    parent = runs_dir / competition.name
    by_name = {folder.name: folder for folder in run_folders(parent)}
    # `runs` names a run with its competition, and `cv` says in which folder it is saved.
    places = [runs_dir / name, Path(name)]
    for place in places:
        if place.parent.resolve() == parent.resolve():
            name = place.name
    if name in by_name:
        return by_name[name]
    others = [
        place.parent.name
        for place in places
        if (place / RECORD).is_file() and place.parent.parent.resolve() == runs_dir.resolve()
    ]
    if others:
        raise UsageError(
            f"{name} is a run of {others[0]}, not of {competition.name}; say with -c whose it is."
        )
    raise UnknownNameError(f"run of {competition.name}", name, by_name)
