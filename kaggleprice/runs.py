"""Run folders: `runs/<competition>/<name>/`, everything a run produced.

    run.json              every setting, version, data hash and score; hashes of the other files
    folds.csv             id, fold (counted from 1)
    oof.csv               id, true, predicted, fold; in the target's own unit
    history.csv           member, fold, seed, epoch, train, validation
    weights.safetensors   every parameter, members first
    votes.safetensors     what partners predict of training and test rows; only where there are any
    recipes/fold-K.json   the fitted recipe of each fold

A folder is made under a temporary name and renamed when it is complete. Clock values stand only
under `timing` in run.json: the same command on the same machine writes the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors import numpy as numpy_files
from safetensors.torch import load_file, save

from kaggleprice.competitions import Competition
from kaggleprice.crossval import CrossValidation, history_frame
from kaggleprice.ensemble import Ensemble
from kaggleprice.errors import DataError, OutputError, RunFolderError, UnknownNameError, UsageError
from kaggleprice.files import sha256
from kaggleprice.models.networks import build_network
from kaggleprice.partners.fitting import Votes
from kaggleprice.preprocessing.encoding import Encoding
from kaggleprice.preprocessing.state import FittedRecipe
from kaggleprice.settings import RunSettings, settings_from_record, settings_to_record
from kaggleprice.tables import Table
from kaggleprice.training import Member
from kaggleprice.training.engine import Fit
from kaggleprice.versions import versions

SCHEMA_VERSION = 2
_RECORD = "run.json"
_WEIGHTS, _VOTES = "weights.safetensors", "votes.safetensors"
_FILES = (_RECORD, _WEIGHTS, _VOTES, "folds.csv", "oof.csv", "history.csv", "recipes")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_UNFINISHED = ".unfinished-"


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
                f"{self.path / _RECORD}: settings cannot be read: {error}."
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
            network.load_state_dict(load_file(self.path / _WEIGHTS))
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
            loaded = numpy_files.load_file(self.path / _VOTES)
            return Votes(names, loaded["train"], loaded["test"])
        except (SafetensorError, KeyError, OSError) as error:
            raise RunFolderError(
                f"run {self.name} in {self.path} cannot be loaded: {error}"
            ) from None


def new_name(runs_dir: Path, competition: Competition, settings: RunSettings) -> str:
    """Return a name that nothing in this competition's folder has: `mlp-001`, `mlp-002`, …."""
    parent, prefix = runs_dir / competition.name, f"{settings.model.model}-"
    # Some file systems take MLP-001 and mlp-001 for the same name.
    numbered = re.compile(re.escape(prefix) + "([0-9]+)", re.IGNORECASE)
    names = [path.name for path in parent.iterdir()] if parent.is_dir() else []
    taken = [int(found[1]) for found in map(numbered.fullmatch, names) if found]
    return f"{prefix}{max(taken, default=0) + 1:03d}"


def check_name(runs_dir: Path, competition: Competition, name: str) -> None:
    """Check, before long work, that a new run may have this name.

    Raises:
        UsageError: where it cannot be a folder's name, or a run has it already.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"run name {name!r} cannot be: expected letters, digits, '.', '_' and '-', "
            "beginning with a letter or digit."
        )
    if (runs_dir / competition.name / name).exists():
        raise UsageError(
            f"there is a run {name!r} in {runs_dir / competition.name} already; choose another "
            "name, or leave --run away for a new one."
        )


def write_run(
    runs_dir: Path,
    name: str | None,
    competition: Competition,
    table: Table,
    result: CrossValidation,
    data: Mapping[str, Any],
) -> Run:
    """Write a run folder: complete, or not at all.

    Args:
        runs_dir: folder of all runs.
        name: None for the next free one.
        competition: whose run it is.
        table: the training table.
        result: what to write.
        data: what to record of the data files (names, hashes).

    Raises:
        OutputError: where it cannot be written.
        UsageError: where a run of this name appeared meanwhile.
    """
    parent = runs_dir / competition.name
    folder: Path | None = None
    try:
        parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=parent))
        folder.chmod(0o755)
        _write_tables(folder, competition, table, result)
        recipes = _write_ensemble(folder, result.ensemble)
        if result.votes is not None:
            arrays = {"train": result.votes.train, "test": result.votes.test}
            (folder / _VOTES).write_bytes(numpy_files.save(arrays))
        record = _make_record(competition, result, data, recipes, folder)
        return _place(folder, parent, name, runs_dir, competition, record)
    except OSError as error:
        raise OutputError(f"cannot write a run to {parent}: {error.strerror or error}.") from None
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _place(
    folder: Path,
    parent: Path,
    name: str | None,
    runs_dir: Path,
    competition: Competition,
    record: dict[str, Any],
) -> Run:
    """Write run.json and give the folder its name; two processes never get the same."""
    settings = settings_from_record(record["settings"])
    while True:
        if name is not None:
            check_name(runs_dir, competition, name)
        chosen = name or new_name(runs_dir, competition, settings)
        named = {**record, "run": chosen}
        text = json.dumps({**named, "digest": _digest(named)}, indent=1, allow_nan=False)
        (folder / _RECORD).write_text(text + "\n", encoding="utf-8")
        try:
            # Renaming onto a folder that holds something fails, so a name is given once.
            folder.rename(parent / chosen)
        except OSError:
            # Where the name is taken, it was taken meanwhile: look for another one.
            if not (parent / chosen).exists():
                raise
            continue
        return read_run(parent / chosen)


def _write_tables(
    folder: Path, competition: Competition, table: Table, result: CrossValidation
) -> None:
    column = competition.id_column
    folds = pd.DataFrame({column: table.ids, "fold": result.fold_of_row + 1})
    oof = pd.DataFrame(
        {
            column: table.ids,
            "true": table.known_target,
            "predicted": result.oof,
            "fold": result.fold_of_row + 1,
        }
    )
    for name, frame in [
        ("folds.csv", folds),
        ("oof.csv", oof),
        ("history.csv", history_frame(result.ensemble)),
    ]:
        frame.to_csv(folder / name, index=False, lineterminator="\n")


def _write_ensemble(folder: Path, ensemble: Ensemble) -> list[str]:
    """Write weights and recipes; return the recipes' file names."""
    state = {name: value.detach().cpu() for name, value in ensemble.network.state_dict().items()}
    # Not `save_file`, which keeps other users of the folder out.
    (folder / _WEIGHTS).write_bytes(save({n: value.contiguous() for n, value in state.items()}))
    (folder / "recipes").mkdir()
    names = [f"recipes/fold-{i + 1}.json" for i in range(len(ensemble.encoding.recipes))]
    for name, recipe in zip(names, ensemble.encoding.recipes, strict=True):
        (folder / name).write_text(recipe.to_json(), encoding="utf-8")
    return names


def _make_record(
    competition: Competition,
    result: CrossValidation,
    data: Mapping[str, Any],
    recipes: list[str],
    folder: Path,
) -> dict[str, Any]:
    ensemble = result.ensemble
    finished = datetime.now(UTC)
    return {
        "schema_version": SCHEMA_VERSION,
        "run": "",
        "competition": competition.name,
        "metric": competition.metric,
        "columns": describe_columns(competition),
        "settings": settings_to_record(result.settings),
        "notes": result.settings.notes,
        "data": dict(data),
        "versions": versions(),
        "device": result.device,
        "threads": result.threads,
        "scores": asdict(result.scores),
        "folds": [asdict(fold) for fold in result.folds],
        "members": [asdict(member) for member in result.members],
        "partners": [asdict(partner) for partner in result.partners],
        "ensemble": {
            "members": [asdict(member) for member in ensemble.members],
            "engineering": ensemble.engineering,
            "recipes": recipes,
            "target_center": ensemble.fit.target_center.tolist(),
            "target_scale": ensemble.fit.target_scale.tolist(),
            "epochs": ensemble.fit.epochs.tolist(),
        },
        "files": {
            path.relative_to(folder).as_posix(): sha256(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        },
        "timing": {"finished": finished.isoformat(), "seconds": result.seconds},
    }


def describe_columns(competition: Competition) -> dict[str, Any]:
    """Return what decides how the CSVs are read, as a run records it."""
    return {
        "id_column": competition.id_column,
        "target_column": competition.target_column,
        "target_transform": competition.target_transform,
        "missing_values": list(competition.missing_values),
    }


def _digest(record: Mapping[str, Any]) -> str:
    """Return a hash of everything in a record but its digest."""
    rest = {key: value for key, value in record.items() if key != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def read_run(path: Path) -> Run:
    """Read a run's record.

    Raises:
        RunFolderError: where run.json is missing, truncated or altered, or of another version.
    """
    file = path / _RECORD
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        version, digest = record["schema_version"], record["digest"]
    except FileNotFoundError:
        raise RunFolderError(f"{path} is not a complete run: {_RECORD} is missing.") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunFolderError(f"{file} is damaged: {error!r}; train the run again.") from None
    if version != SCHEMA_VERSION:
        raise RunFolderError(
            f"{file} has schema version {version}; this kaggleprice reads version {SCHEMA_VERSION}."
        )
    if digest != _digest(record):
        raise RunFolderError(f"{file} was altered after it was written; train the run again.")
    return Run(path, record)


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


def _folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    folders = [p for p in parent.iterdir() if p.is_dir() and not p.name.startswith(".")]
    # A folder with none of a run's files is somebody's own; with some, it is a damaged run.
    return sorted(p for p in folders if any((p / name).exists() for name in _FILES))


def find_run(runs_dir: Path, competition: Competition, name: str | None) -> Run | None:
    """Return the run of this name, or the latest finished one; None where there is none yet.

    Raises:
        UnknownNameError: for a name that no run of this competition has.
        RunFolderError: where a run's record is damaged.
    """
    folders = _folders(runs_dir / competition.name)
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
