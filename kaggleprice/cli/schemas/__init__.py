"""Schemas: what every JSON document of the command line holds (JSON Schema, draft 2020-12).

`<name>.json` describes the document whose `command` is that name, with "-" for spaces; `error.json`
any document of an error, `progress.json` a line of `--progress json`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

Schema = Mapping[str, Any]

# In the order of a person's work; the two that every command shares come last.
NAMES = (
    "download",
    "preprocess",
    "cv",
    "plan",
    "presets",
    "predict",
    "prediction-plan",
    "runs-list",
    "runs-show",
    "runs-compare",
    "runs-prune",
    "report",
    "config",
    "error",
    "progress",
)


def read_schema(name: str) -> Schema:
    """Read the schema of this name, one of `NAMES`."""
    file = resources.files("kaggleprice.cli.schemas").joinpath(f"{name}.json")
    schema: Schema = json.loads(file.read_text(encoding="utf-8"))
    return schema


def name_of(document: Mapping[str, Any]) -> str:
    """Return the name of the schema that a document is to be held against."""
    return "error" if "error" in document else str(document["command"]).replace(" ", "-")
