"""The record of a run, which is its run.json: its fields and their types, checked when read."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NotRequired

from typing_extensions import TypedDict

from kaggleprice.competitions.metrics import METRICS
from kaggleprice.core.errors import RunFolderError, UsageError
from kaggleprice.runs import RECORD, SCHEMA_VERSION
from kaggleprice.settings.run import RunSettings, settings_from_record, settings_to_record

if TYPE_CHECKING:
    from pydantic import TypeAdapter


class Columns(TypedDict):
    """What decides how the CSVs are read."""

    id_column: str
    target_column: str
    target_transform: str
    missing_values: list[str]


class DataFileRecord(TypedDict):
    """One CSV that was read.

    Attributes:
        name: its name.
        sha256: its SHA-256.
        rows: number of rows, without the header.
    """

    name: str
    sha256: str
    rows: int


class Data(TypedDict):
    """Both CSVs.

    Attributes:
        train: the training file.
        test: the test file.
    """

    train: DataFileRecord
    test: DataFileRecord


class ScoresRecord(TypedDict):
    """`kaggleprice.evaluation.scores.Scores`; earlier versions had no errors."""

    fold_mean: float
    fold_sd: float
    train_mean: float
    oof: float
    networks_oof: float
    oof_error: NotRequired[float | None]
    mean_squared_log_error: float | None


class FoldRecord(TypedDict):
    """`kaggleprice.evaluation.scores.FoldScore`."""

    fold: int
    train: float
    validation: float


class MemberRecord(FoldRecord):
    """`kaggleprice.evaluation.scores.MemberScore`."""

    seed: int
    epochs: int


class BaseModelRecord(TypedDict):
    """`kaggleprice.evaluation.scores.BaseModelScore`."""

    name: str
    oof: float


class MemberPlace(TypedDict):
    """A member's fold and seed, counted from 0."""

    fold: int
    seed: int


class EnsembleRecord(TypedDict):
    """What the M members need beside weights and recipes."""

    members: list[MemberPlace]
    engineering: str | None
    recipes: list[str]
    target_center: list[float]
    target_scale: list[float]
    epochs: list[int]


class Timing(TypedDict):
    """Everything that a clock said."""

    finished: str
    seconds: float
    resumed_from: NotRequired[int | None]


class Record(TypedDict):
    """All of run.json."""

    schema_version: int
    run: str
    competition: str
    metric: str
    columns: Columns
    settings: dict[str, Any]
    notes: list[str]
    cut_at: NotRequired[int | None]
    data: Data
    versions: dict[str, str]
    device: str
    threads: int
    groups: NotRequired[list[int]]
    scores: ScoresRecord
    folds: list[FoldRecord]
    members: list[MemberRecord]
    base_models: list[BaseModelRecord]
    ensemble: EnsembleRecord
    files: dict[str, str]
    timing: Timing
    digest: str


def read_record(folder: Path) -> Mapping[str, Any]:
    """Read and check the run.json of a run folder.

    Raises:
        RunFolderError: where it is missing, a link, truncated, altered, or of another version.
    """
    file = folder / RECORD
    if file.is_symlink():
        raise RunFolderError(f"{file} is a link; a run's files must lie in its folder.")
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RunFolderError(f"{folder} is not a complete run: {RECORD} is missing.") from None
    except (OSError, ValueError) as error:
        raise _damaged(file, repr(error)) from None
    return parse_record(text, file)


def parse_record(text: str, file: Path) -> Mapping[str, Any]:
    """Return the record in a run.json's text, checked field by field.

    Args:
        text: JSON.
        file: where it was found, for the error message.

    Raises:
        RunFolderError: where it is truncated, altered or of another version, or where a field is
            missing or cannot be, with the field's name.
    """
    try:
        record = json.loads(text, parse_constant=_finite, parse_float=_finite, parse_int=_int64)
        version, digest = record["schema_version"], record["digest"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(file, repr(error)) from None
    if version not in (2, SCHEMA_VERSION):
        raise RunFolderError(
            f"{file} has schema version {version}; this kaggleprice reads up to {SCHEMA_VERSION}."
        )
    if digest != digest_of(record):
        raise RunFolderError(f"{file} was altered after it was written; train the run again.")
    if version == 2:
        record = _from_version_2(record)
    _check_types(Record, json.dumps(record), file)
    for field, problem in _problems(record):
        raise _damaged(file, f"{field}: {problem}")
    return dict(record)


def _from_version_2(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record of schema version 2 with the names of today."""
    names = {"partners": "base_models", "partner_share": "base_model_share"}
    renamed = {names.get(key, key): value for key, value in record.items()}
    if isinstance(record.get("settings"), dict):
        settings = {names.get(key, key): value for key, value in record["settings"].items()}
        shuffled = settings.pop("shuffle", True)
        settings["fold_scheme"] = "shuffled" if shuffled else "contiguous"
        renamed["settings"] = settings
    return renamed


def digest_of(record: Mapping[str, Any]) -> str:
    """Return a hash of everything in a record but its digest."""
    rest = {key: value for key, value in record.items() if key != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a finite number")
    return number


def _int64(text: str) -> int:
    number = int(text)
    if abs(number) >= 2**63:
        raise ValueError(f"a number of {len(text)} digits is too large")
    return number


def read_settings(record: Mapping[str, Any], file: Path) -> RunSettings:
    """Return the settings in a record, checked.

    Raises:
        RunFolderError: where they cannot be read, or one is of another type.
    """
    try:
        settings = settings_from_record(record["settings"])
        plain = json.dumps(settings_to_record(settings))
    except (KeyError, TypeError, ValueError, AttributeError, UsageError) as error:
        raise RunFolderError(f"{file}: settings cannot be read: {error}.") from None
    _check_types(RunSettings, plain, file, "settings.")
    return settings


@cache
def _adapter(kind: type) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _check_types(kind: type, document: str, file: Path, prefix: str = "") -> None:
    """Check JSON against declared types, none of which is converted."""
    from pydantic import ValidationError

    try:
        _adapter(kind).validate_json(document, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = prefix + ".".join(map(str, first["loc"]))
        raise _damaged(file, f"{field}: {first['msg']}") from None


def _problems(record: Record) -> list[tuple[str, str]]:
    """Return (field, what is wrong) of what types cannot say."""
    ensemble, folds = record["ensemble"], record["folds"]
    count = len(ensemble["members"])
    found = [
        (f"ensemble.{name}", f"expected {count} values, one for each member")
        for name in ("target_center", "target_scale", "epochs")
        if len(ensemble[name]) != count
    ]
    if record["metric"] not in METRICS:
        found.append(("metric", f"there is no metric {record['metric']!r}"))
    if len(folds) < 2:
        found.append(("folds", f"expected 2 or more, found {len(folds)}"))
    if {member["fold"] for member in record["members"]} != {fold["fold"] for fold in folds}:
        found.append(("members", "expected members of every fold"))
    if any(not 0 <= member["fold"] < len(ensemble["recipes"]) for member in ensemble["members"]):
        found.append(("ensemble.members", "a member's fold has no recipe"))
    found += [
        (f"files.{name}", "expected a file inside the run folder")
        for name in [*record["files"], *ensemble["recipes"]]
        if not _is_inside(name)
    ]
    found += [
        (f"data.{role}.rows", "expected 1 or more")
        for role, data in (("train", record["data"]["train"]), ("test", record["data"]["test"]))
        if data["rows"] < 1
    ]
    try:
        zone = datetime.fromisoformat(record["timing"]["finished"]).tzinfo
    except ValueError:
        zone = None
    if zone is None:
        found.append(("timing.finished", "expected a time with its zone, as ISO 8601"))
    return found


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return (
        not path.is_absolute()
        and bool(path.parts)
        and not {"..", "\\", ":", "\0"}
        & {
            *path.parts,
            *name,
        }
    )


def _damaged(file: Path, problem: str) -> RunFolderError:
    return RunFolderError(f"{file} is damaged: {problem}; train the run again.")
