"""Writing runs: a complete folder, or none."""

from __future__ import annotations

import ctypes
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors import numpy as numpy_files
from safetensors.torch import save

from kaggleprice.competitions.catalog import Competition, Kind
from kaggleprice.competitions.csv_writer import write_csv
from kaggleprice.competitions.tables import Table
from kaggleprice.core.errors import OutputError
from kaggleprice.core.files import replacing, sha256, working_folder
from kaggleprice.core.versions import versions
from kaggleprice.evaluation.cross_validation import CrossValidation, history_frame
from kaggleprice.evaluation.ensemble import Ensemble
from kaggleprice.evaluation.folds import ROW
from kaggleprice.runs import (
    BASE_MODEL_PREDICTIONS,
    RECORD,
    SCHEMA_VERSION,
    UNFINISHED,
    WEIGHTS,
    WRITTEN,
    arrays_beside,
    check_name,
    new_name,
)
from kaggleprice.runs.record import digest_of
from kaggleprice.runs.run import FINISHED, Run
from kaggleprice.settings.run import settings_to_record

# A run is made under a name that no run has.
_NEW = ".new"


def write_run(
    runs_dir: Path,
    name: str | None,
    competition: Competition,
    table: Table,
    result: CrossValidation,
    data: Mapping[str, Any],
    notes: Sequence[str] = (),
    replaced: Run | None = None,
    identity: str = "",
    checkpoint: Path | None = None,
) -> Run:
    """Write a run folder: complete, or not at all.

    Args:
        runs_dir: folder of all runs.
        name: None for the next free one.
        competition: whose run it is.
        table: the training table.
        result: what to write.
        data: what to record of the data files (names, hashes).
        notes: sentences that must stand wherever the score is shown, beside the result's own.
        replaced: the finished run whose place and name the new one takes; only within
            `kaggleprice.runs.exclusive.changing`.
        identity: the key of all that decided what was trained.
        checkpoint: the folder from which training would go on; it is told what was written.

    Raises:
        OutputError: where it cannot be written; what was there is there still.
        UsageError: where a run of this name appeared meanwhile.
    """
    parent = runs_dir / competition.name
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with working_folder(parent, UNFINISHED) as beside:
            folder = beside / _NEW
            folder.mkdir()
            record = _write_files(folder, competition, table, result, data)
            record["identity"] = identity
            record["notes"] = [*record["notes"], *notes]
            if replaced is not None:
                return _replace(folder, replaced, record, checkpoint)
            return _place(folder, runs_dir, competition, result, name, record, checkpoint)
    except OSError as error:
        raise OutputError(f"cannot write a run to {parent}: {error.strerror or error}.") from None


def _write_files(
    folder: Path,
    competition: Competition,
    table: Table,
    result: CrossValidation,
    data: Mapping[str, Any],
) -> dict[str, Any]:
    """Write all files but run.json; return what is to stand in that."""
    _write_tables(folder, competition, table, result)
    recipes = _write_ensemble(folder, result.ensemble)
    if result.base_models is not None:
        found = result.base_models
        arrays = {"train": found.train, "test": found.test, "weights": found.weights}
        if found.left_out is not None:
            arrays["left_out"] = found.left_out
        (folder / BASE_MODEL_PREDICTIONS).write_bytes(numpy_files.save(arrays))
    record = _make_record(competition, result, data, recipes, folder)
    record["folds_sha256"] = result.split.sha256(table.ids, competition.id_name)
    return record


def _place(
    folder: Path,
    runs_dir: Path,
    competition: Competition,
    result: CrossValidation,
    name: str | None,
    record: dict[str, Any],
    checkpoint: Path | None,
) -> Run:
    """Write run.json and give the folder its name; two processes never get the same.

    Where another process has made the very run meanwhile, that is it.
    """
    while True:
        if name is not None:
            made = Run.describe(runs_dir / competition.name / name)
            if made.state == FINISHED and made.record["identity"] == record["identity"] != "":
                return made
            check_name(runs_dir, competition, name)
        named = name or new_name(runs_dir, competition, result.settings)
        target = runs_dir / competition.name / named
        _write_record(folder, record, target.name, checkpoint)
        try:
            # Renaming onto a folder that holds something fails, so a name is given once.
            folder.rename(target)
        except OSError:
            # Where the name is taken, it was taken meanwhile: look for another one.
            if not target.exists():
                raise
            continue
        return Run.read(target)


def _replace(folder: Path, old: Run, record: dict[str, Any], checkpoint: Path | None) -> Run:
    """Put the new folder in the old one's place; a failure leaves the old one there."""
    _write_record(folder, record, old.name, checkpoint)
    if not _exchange(folder, old.path):
        # Two steps. What is put aside, `kaggleprice.runs.exclusive.recover` finds by its name.
        aside = folder.with_name(old.name)
        old.path.rename(aside)
        try:
            folder.rename(old.path)
        except OSError:
            aside.rename(old.path)
            raise
    return Run.read(old.path)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step; False where the system or the disk cannot."""
    if sys.platform != "linux":
        return False
    library = ctypes.CDLL(None)
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    swap = getattr(library, "renameat2", None)
    paths = (bytes(one.absolute()), bytes(other.absolute()))
    return swap is not None and swap(here, paths[0], here, paths[1], exchange) == 0


def _write_record(
    folder: Path, record: Mapping[str, Any], name: str, checkpoint: Path | None
) -> None:
    named = {**record, "run": name}
    text = json.dumps({**named, "digest": digest_of(named)}, indent=1, allow_nan=False)
    (folder / RECORD).write_text(text + "\n", encoding="utf-8")
    if checkpoint is not None:
        # Where the process dies between the renaming and the end, it is of no more use.
        with replacing(checkpoint / WRITTEN) as beside:
            beside.write_text(f"{name} {sha256(folder / RECORD)}", encoding="utf-8")


def _write_tables(
    folder: Path, competition: Competition, table: Table, result: CrossValidation
) -> None:
    column = competition.id_name
    # Where rows have no id, their numbers stand in, and need no second column.
    numbers = None if competition.id_column is None else table.row_numbers
    folds = result.split.to_csv(table.ids, column, numbers)
    (folder / "folds.csv").write_text(folds, encoding="utf-8", newline="")
    rows, fold = result.split.lines
    values, names = [table.ids[rows]], [column]
    for target, *pair in zip(
        competition.targets,
        _columns(table.known_target[rows]),
        _columns(result.oof),
        strict=True,
    ):
        values += pair
        several = f" {target}" if len(competition.targets) > 1 else ""
        names += [f"true{several}", f"predicted{several}"]
    values.append(fold + 1)
    names.append("fold")
    if numbers is not None:
        values.append(numbers[rows])
        names.append(ROW)
    if table.weights is not None:
        values.append(table.weights[rows])
        names.append("weight")
    # By place, since the id column may have the name of another one.
    oof = pd.DataFrame(dict(enumerate(values))).set_axis(names, axis=1)
    for name, frame in [("oof.csv", oof), ("history.csv", history_frame(result.ensemble))]:
        write_csv(frame, folder / name)


def _columns(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the columns of an array of shape (n,) or (n, T), shape (T, n)."""
    return values.reshape(len(values), -1).T


def _write_ensemble(folder: Path, ensemble: Ensemble) -> list[str]:
    """Write weights and recipes; return the recipes' file names."""
    state = {name: value.detach().cpu() for name, value in ensemble.network.state_dict().items()}
    # Not `save_file`, which keeps other users of the folder out.
    (folder / WEIGHTS).write_bytes(save({n: value.contiguous() for n, value in state.items()}))
    (folder / "recipes").mkdir()
    names = [f"recipes/fold-{i + 1}.json" for i in range(len(ensemble.encoding.recipes))]
    for name, recipe in zip(names, ensemble.encoding.recipes, strict=True):
        arrays: dict[str, NDArray[np.float64]] = {}
        (folder / name).write_text(recipe.to_json(arrays), encoding="utf-8")
        if arrays:
            (folder / arrays_beside(name)).write_bytes(numpy_files.save(arrays))
    return names


def _make_record(
    competition: Competition,
    result: CrossValidation,
    data: Mapping[str, Any],
    recipes: list[str],
    folder: Path,
) -> dict[str, Any]:
    """Return all of `kaggleprice.runs.record.Record` but the name and the digest."""
    ensemble = result.ensemble
    return {
        "schema_version": SCHEMA_VERSION,
        "run": "",
        "competition": competition.name,
        "metric": competition.metric,
        "columns": describe_columns(competition),
        "settings": settings_to_record(result.settings),
        "notes": result.notes,
        "cut_at": ensemble.fit.cut_at,
        "data": dict(data),
        "versions": versions(),
        "device": result.device,
        "threads": result.threads,
        "groups": list(ensemble.fit.groups),
        "groups_cut_at": list(ensemble.fit.groups_cut_at),
        "scores": asdict(result.scores),
        "outside": result.outside,
        "folds": [asdict(fold) for fold in result.folds],
        "members": [asdict(member) for member in result.members],
        "base_models": [asdict(score) for score in result.base_model_scores],
        "parts": [asdict(part) for part in result.parts],
        "ensemble": {
            "members": [asdict(member) for member in ensemble.members],
            "engineering": ensemble.engineering,
            "recipes": recipes,
            "target_center": ensemble.fit.target_center.tolist(),
            "target_scale": ensemble.fit.target_scale.tolist(),
            "epochs": ensemble.fit.epochs.tolist(),
            "weights": None if ensemble.weights is None else ensemble.weights.tolist(),
            "target": result.scale.to_record(),
        },
        "files": {
            path.relative_to(folder).as_posix(): sha256(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        },
        "timing": {
            "finished": datetime.now(UTC).isoformat(),
            "seconds": result.seconds,
            "resumed_from": ensemble.fit.resumed_from,
        },
    }


def describe_columns(competition: Competition) -> dict[str, Any]:
    """Return what decides how the CSVs are read, as a run records it."""
    own = {column: list(markers) for column, markers in competition.missing_values_of.items()}
    return {
        "id_column": competition.id_name,
        "target_column": _plain_name(competition.target_column),
        "target_transform": competition.target_transform,
        "missing_values": list(competition.missing_values),
        **({"missing_values_of": own} if own else {}),
        **({"kinds": _plain(competition.kinds)} if competition.kinds else {}),
        **({"weight_column": competition.weight_column} if competition.weight_column else {}),
        **({"drop_missing_target": True} if competition.drop_missing_target else {}),
        **({"csv": competition.csv_format.changes} if competition.csv_format.changes else {}),
    }


def _plain_name(names: str | tuple[str, ...]) -> str | list[str]:
    return names if isinstance(names, str) else list(names)


def _plain(kinds: Mapping[str, Kind]) -> dict[str, str | list[str]]:
    return {c: list(kind) if isinstance(kind, tuple) else kind for c, kind in kinds.items()}
