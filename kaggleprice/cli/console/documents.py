"""Documents: the JSON that commands print on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

SCHEMA_VERSION = 1


def error_document(kind: str, message: str, exit_code: int) -> dict[str, Any]:
    """Describe an error, as `--json` prints it."""
    error = {"type": kind, "message": message, "exit_code": exit_code}
    return {"schema_version": SCHEMA_VERSION, "error": error}


def print_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document on stdout."""
    sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n")
