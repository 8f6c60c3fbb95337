"""The record of a run, which is its run.json: its fields and their types, checked when read."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, NotRequired

from pydantic import AfterValidator, Field, PositiveInt, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from kaggleprice.competitions.metrics import METRIC_ALIASES, METRICS
from kaggleprice.core.errors import RunFolderError, UsageError
from kaggleprice.core.registry import look_up
from kaggleprice.evaluation.scores import BaseModelScore, FoldScore, MemberScore, PartScore, Scores
from kaggleprice.runs import RECORD, SCHEMA_VERSION
from kaggleprice.settings.run import RunSettings, settings_from_record, settings_to_record
from kaggleprice.settings.training import Member


def _inside(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or not path.parts or {"..", *"\\:\0"} & {*path.parts, *name}:
        raise ValueError("expected a file inside the run folder")
    return name


def _known_metric(name: str) -> str:
    try:
        look_up(METRICS, name, "metric")
    except UsageError:
        raise ValueError(f"there is no metric {name!r}") from None
    return name


def _zoned(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("expected a time with its zone, as ISO 8601")
    return text


FileName = Annotated[str, AfterValidator(_inside)]


class Columns(TypedDict):
    """What decides how the CSVs are read."""

    id_column: str
    target_column: str | list[str]
    target_transform: str
    missing_values: list[str]
    missing_values_of: NotRequired[dict[str, list[str]]]
    kinds: NotRequired[dict[str, str | list[str]]]
    csv: NotRequired[dict[str, str]]
    weight_column: NotRequired[str]
    drop_missing_target: NotRequired[bool]


class DataFileRecord(TypedDict):
    """One CSV that was read.

    Attributes:
        name: its name.
        sha256: its SHA-256.
        rows: number of rows, without the header.
    """

    name: str
    sha256: str
    rows: PositiveInt


class Data(TypedDict):
    """Both CSVs.

    Attributes:
        train: the training file.
        test: the test file; absent where there was none.
    """

    train: DataFileRecord
    test: NotRequired[DataFileRecord]


class TargetRecord(TypedDict):
    """What was learned of the target in the training rows of each of K folds."""

    lowest: list[list[float]]
    highest: list[list[float]]
    learned: NotRequired[list[list[float]]]
    floor: NotRequired[list[list[float]]]


class EnsembleRecord(TypedDict):
    """What the M members need beside weights and recipes."""

    members: list[Member]
    engineering: str | None
    recipes: list[FileName]
    target_center: list[float]
    target_scale: list[float]
    epochs: list[int]
    weights: NotRequired[list[float] | None]
    target: NotRequired[TargetRecord]


class Timing(TypedDict):
    """Everything that a clock said."""

    finished: Annotated[str, AfterValidator(_zoned)]
    seconds: float
    resumed_from: NotRequired[int | None]


class Record(TypedDict):
    """All of run.json."""

    schema_version: int
    run: str
    competition: str
    metric: Annotated[str, AfterValidator(_known_metric)]
    columns: Columns
    settings: dict[str, Any]
    notes: list[str]
    cut_at: NotRequired[int | None]
    data: Data
    versions: dict[str, str]
    device: str
    threads: int
    groups: NotRequired[list[int]]
    scores: Scores
    outside: NotRequired[int]
    folds: Annotated[list[FoldScore], Field(min_length=1)]
    members: list[MemberScore]
    base_models: list[BaseModelScore]
    parts: NotRequired[list[PartScore]]
    ensemble: EnsembleRecord
    files: dict[FileName, str]
    folds_sha256: NotRequired[str]
    identity: NotRequired[str]
    timing: Timing
    digest: str


def _check_members(record: Record) -> Record:
    """Check that as many members are described everywhere, each of a fold that there is."""
    ensemble = record["ensemble"]
    count, recipes = len(ensemble["members"]), len(ensemble["recipes"])
    for name in ("target_center", "target_scale", "epochs", "weights"):
        values: Any = ensemble.get(name)
        if values is not None and len(values) != count:
            raise ValueError(f"ensemble.{name}: expected {count} values, one for each member")
    if any(not 0 <= member.fold < recipes for member in ensemble["members"]):
        raise ValueError("ensemble.members: a member's fold has no recipe")
    if {member.fold for member in record["members"]} != {fold.fold for fold in record["folds"]}:
        raise ValueError("members: expected members of every fold")
    return record


def read_record(folder: Path) -> Mapping[str, Any]:
    """Read and check the run.json of a run folder.

    Raises:
        RunFolderError: where it is missing, a link, truncated, altered, or of another version.
    """
    file = folder / RECORD
    try:
        linked, text = file.is_symlink(), file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RunFolderError(f"{folder} is not a complete run: {RECORD} is missing.") from None
    except (OSError, ValueError) as error:
        raise _damaged(file, repr(error)) from None
    if linked:
        raise RunFolderError(f"{file} is a link; a run's files must lie in its folder.")
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
        whole = digest in (digest_of(record), _earlier_digest(record))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(file, repr(error)) from None
    if version not in (2, SCHEMA_VERSION):
        raise RunFolderError(
            f"{file} has schema version {version}; this kaggleprice reads up to {SCHEMA_VERSION}."
        )
    if not whole:
        raise RunFolderError(f"{file} was altered after it was written; train the run again.")
    if version == 2:
        record = _from_version_2(record)
    _check_types(Annotated[Record, AfterValidator(_check_members)], json.dumps(record), file)
    return dict(record)


def _from_version_2(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record of schema version 2 with the names of today."""
    names = {"partners": "base_models", "partner_share": "base_model_share"}
    renamed = {names.get(key, key): value for key, value in record.items()}
    renamed["metric"] = METRIC_ALIASES.get(str(record.get("metric")), record.get("metric"))
    if isinstance(record.get("settings"), dict):
        settings = {names.get(key, key): value for key, value in record["settings"].items()}
        shuffled = settings.pop("shuffle", True)
        training: Any = settings.get("training")
        squares = isinstance(training, dict) and training.get("loss") == "mse"
        if squares and renamed["metric"] != "mae" and settings.get("recipe_name") != "book":
            # Squared errors are what suits these metrics.
            settings["training"] = {**training, "loss": None}
        settings["fold_scheme"] = "shuffled" if shuffled else "contiguous"
        renamed["settings"] = settings
    return renamed


def digest_of(record: Mapping[str, Any]) -> str:
    """Return a hash of everything in a record but its digest, and what a clock said."""
    return _earlier_digest({key: value for key, value in record.items() if key != "timing"})


def _earlier_digest(record: Mapping[str, Any]) -> str:
    """Return the digest of earlier versions, of clock values as well."""
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
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _check_types(kind: Any, document: str, file: Path, prefix: str = "") -> None:
    """Check JSON against declared types, none of which is converted."""
    try:
        _adapter(kind).validate_json(document, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = prefix + ".".join(str(part) for part in first["loc"] if part != "[key]")
        said = first["msg"].removeprefix("Value error, ")
        raise _damaged(file, f"{field}: {said}" if field else said) from None


def _damaged(file: Path, problem: str) -> RunFolderError:
    return RunFolderError(f"{file} is damaged: {problem}; train the run again.")
