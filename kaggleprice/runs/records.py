"""Records: what a run's run.json says, read without loading anything heavy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kaggleprice.core.errors import RunFolderError
from kaggleprice.runs import RECORD, SCHEMA_VERSION


def read_record(folder: Path) -> Mapping[str, Any]:
    """Read and check the run.json of a run folder.

    Raises:
        RunFolderError: where it is missing, truncated or altered, or of another version.
    """
    try:
        text = (folder / RECORD).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RunFolderError(f"{folder} is not a complete run: {RECORD} is missing.") from None
    except (OSError, ValueError) as error:
        raise RunFolderError(
            f"{folder / RECORD} is damaged: {error!r}; train the run again."
        ) from None
    return parse_record(text, folder / RECORD)


def parse_record(text: str, file: Path) -> Mapping[str, Any]:
    """Return the record in a run.json's text, checked.

    Args:
        text: JSON.
        file: where it was found, for the error message.

    Raises:
        RunFolderError: where it is truncated or altered, or of another version.
    """
    try:
        record = json.loads(text)
        version, digest = record["schema_version"], record["digest"]
    except (ValueError, KeyError, TypeError) as error:
        raise RunFolderError(f"{file} is damaged: {error!r}; train the run again.") from None
    if version != SCHEMA_VERSION:
        raise RunFolderError(
            f"{file} has schema version {version}; this kaggleprice reads version {SCHEMA_VERSION}."
        )
    if digest != digest_of(record):
        raise RunFolderError(f"{file} was altered after it was written; train the run again.")
    return dict(record)


def digest_of(record: Mapping[str, Any]) -> str:
    """Return a hash of everything in a record but its digest."""
    rest = {key: value for key, value in record.items() if key != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
