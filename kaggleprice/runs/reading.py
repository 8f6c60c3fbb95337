"""Reading runs: a folder that is complete and unaltered, or one clear sentence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors import numpy as numpy_files
from safetensors.torch import load_file

from kaggleprice.competitions import Competition
from kaggleprice.ensemble import Ensemble
from kaggleprice.errors import DataError, RunFolderError, UnknownNameError, UsageError
from kaggleprice.files import sha256
from kaggleprice.models.networks import build_network
from kaggleprice.partners.fitting import Votes
from kaggleprice.preprocessing.encoding import Encoding
from kaggleprice.preprocessing.state import FittedRecipe
from kaggleprice.runs import RECORD, SCHEMA_VERSION, VOTES, WEIGHTS, run_folders
from kaggleprice.settings import RunSettings, settings_from_record
from kaggleprice.training import Member
from kaggleprice.training.engine import Fit


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
        fit = Fit(
            np.array(scales["target_center"]),
            np.array(scales["target_scale"]),
            np.array(scales["epochs"]),
        )
        return Ensemble(encoding, network, members, fit, scales["engineering"])

    def votes(self) -> Votes | None:
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
            return Votes(names, loaded["train"], loaded["test"])
        except (SafetensorError, KeyError, OSError) as error:
            raise RunFolderError(
                f"run {self.name} in {self.path} cannot be loaded: {error}"
            ) from None


def read_run(path: Path) -> Run:
    """Read a run's record.

    Raises:
        RunFolderError: where run.json is missing, truncated or altered, or of another version.
    """
    file = path / RECORD
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        version, digest = record["schema_version"], record["digest"]
    except FileNotFoundError:
        raise RunFolderError(f"{path} is not a complete run: {RECORD} is missing.") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunFolderError(f"{file} is damaged: {error!r}; train the run again.") from None
    if version != SCHEMA_VERSION:
        raise RunFolderError(
            f"{file} has schema version {version}; this kaggleprice reads version {SCHEMA_VERSION}."
        )
    if digest != digest_of(record):
        raise RunFolderError(f"{file} was altered after it was written; train the run again.")
    return Run(path, record)


def digest_of(record: Mapping[str, Any]) -> str:
    """Return a hash of everything in a record but its digest."""
    rest = {key: value for key, value in record.items() if key != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


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


def find_run(runs_dir: Path, competition: Competition, name: str | None) -> Run | None:
    """Return the run of this name, or the latest finished one; None where there is none yet.

    Raises:
        UnknownNameError: for a name that no run of this competition has.
        RunFolderError: where a run's record is damaged.
    """
    folders = run_folders(runs_dir / competition.name)
    if name is not None:
        by_name = {folder.name: folder for folder in folders}
        # `cv` says where a run is saved; that path names it as well.
        if Path(name).parent == runs_dir / competition.name:
            name = Path(name).name
        if name not in by_name:
            raise UnknownNameError(f"run of {competition.name}", name, by_name)
        return read_run(by_name[name])
    runs = [read_run(folder) for folder in folders]
    return max(runs, key=lambda run: (run.record["timing"]["finished"], run.name), default=None)
