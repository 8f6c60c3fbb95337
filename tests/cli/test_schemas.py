"""Schemas: every command's real JSON is what its schema says, and the page for people is fresh."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from entry_point import EntryPoint, Finished
from every import COMMANDS, CV, SMALL
from small import write_small

from kaggleprice.cli import schemas
from kaggleprice.cli.documents import SCHEMA_VERSION
from kaggleprice.core.errors import UnknownNameError

PAGE = Path(__file__).parents[2] / "docs" / "json.md"
EACH = pytest.mark.parametrize("name", schemas.DOCUMENTS)


def check(name: str, document: Any) -> None:
    jsonschema.Draft202012Validator(schemas.json_schema(name)).validate(document)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("schemas")
    write_small(folder)
    return folder


@pytest.fixture(scope="module")
def finished(entry: EntryPoint, folder: Path) -> dict[str, Finished]:
    return {line: entry(*line.split(), "--json", cwd=folder) for line, _, _ in COMMANDS}


@pytest.mark.parametrize(("line", "code", "name"), COMMANDS, ids=[c[0] for c in COMMANDS])
def test_real_output(finished: dict[str, Finished], line: str, code: int, name: str) -> None:
    done = finished[line]
    assert done.code == code, done.err
    assert schemas.name_of(done.json) == name
    check(name, done.json)


def test_every_schema_was_held_against_something() -> None:
    # Those with Kaggle: in test_kaggle.py.
    elsewhere = {"progress", "submit", "download-kaggle"}
    assert {name for _, _, name in COMMANDS} | elsewhere == set(schemas.DOCUMENTS)


def test_an_extended_document_is_refused(finished: dict[str, Finished]) -> None:
    """The checks above can fail: at the top and far below, with a field more or less."""
    document = finished[COMMANDS[2][0]].json
    for place in (lambda d: d, lambda d: d["scores"], lambda d: d["folds"][0]):
        more, fewer = copy.deepcopy(document), copy.deepcopy(document)
        place(more)["new"] = 1
        place(fewer).popitem()
        for changed in (more, fewer):
            with pytest.raises(jsonschema.ValidationError):
                check("cv", changed)


def test_the_lines_of_progress(entry: EntryPoint, folder: Path) -> None:
    done = entry(*CV.split(), "--progress", "json", "--verbose", cwd=folder)
    assert done.code == 0
    events = [json.loads(line) for line in done.err.splitlines()]
    for event in events:
        check("progress", event)
    kinds = [event["event"] for event in events]
    assert {"stage", "progress", "notice"} == set(kinds)
    stages = [(e["stage"], e["state"]) for e in events if e["event"] == "stage"]
    # Each ends before the next begins.
    assert [state for _, state in stages] == ["begun", "ended"] * (len(stages) // 2)
    assert {"starting", "reading", "preparing", "training", "scoring", "writing"} <= {
        name for name, _ in stages
    }
    last = [e for e in events if e["event"] == "progress" and e["stage"] == "training"][-1]
    assert (last["done"], last["total"], last["unit"]) == (1, 1, "epochs")
    assert "2 members" in last["detail"]


@pytest.mark.parametrize("line", ["cv --progress json --epoch 3", f"predict {SMALL} --run none"])
def test_an_error_is_a_line_of_progress(entry: EntryPoint, folder: Path, line: str) -> None:
    done = entry(*line.split(), "--json", "--progress=json", cwd=folder)
    event = json.loads(done.err.splitlines()[-1])
    check("progress", event)
    assert done.code == event["error"]["exit_code"] == 2
    assert event["error"] == {**done.json["error"], "traceback": None}


def test_the_environment_asks_for_both(entry: EntryPoint, folder: Path) -> None:
    """An option that there is not is found before any option is read."""
    for line in (["cv", "--epoch", "3"], ["cv", "--lr", "much"]):
        done = entry(*line, cwd=folder, KAGGLEPRICE_JSON="1", KAGGLEPRICE_PROGRESS="json")
        assert done.code == 2
        check("error", done.json)
        check("progress", json.loads(done.err))


def objects(schema: Any, path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every schema of an object, wherever it stands."""
    if isinstance(schema, Mapping):
        if schema.get("type") == "object":
            yield path, schema
        for name, part in schema.items():
            yield from objects(part, f"{path}/{name}")
    elif isinstance(schema, list):
        for number, part in enumerate(schema):
            yield from objects(part, f"{path}/{number}")


@EACH
def test_a_schema_is_strict_and_says_what_everything_is(name: str) -> None:
    schema = schemas.json_schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"]
    found = list(objects(schema))
    assert found
    versions = [
        part["properties"]["schema_version"]
        for _, part in found
        if "schema_version" in part.get("properties", {})
    ]
    assert versions
    assert all(version["const"] == SCHEMA_VERSION for version in versions)
    for path, part in found:
        if "properties" in part:  # a map from names that nobody knows before has none
            assert part["description"], path
            assert part["additionalProperties"] is False, path
        for field, described in part.get("properties", {}).items():
            assert described["description"], f"{path}/{field}"
        assert set(part.get("properties", {})) == set(part.get("required", ())), path


def test_one_schema_is_printed_by_its_name() -> None:
    command = [sys.executable, "-m", "kaggleprice.cli.schemas", "cv"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert json.loads(printed) == schemas.json_schema("cv")
    with pytest.raises(UnknownNameError, match="predict"):
        schemas.json_schema("predictt")


def test_the_page_is_what_the_schemas_say() -> None:
    """`python -m kaggleprice.cli.schemas > docs/json.md` makes it anew."""
    page = PAGE.read_text(encoding="utf-8")
    assert page == schemas.make_reference()
    assert page.count("\n## ") == len(schemas.DOCUMENTS)
    for row in (
        "scores.oof_error` | number or null",
        "settings.*.first` | any",
        "total` | integer or null",
    ):
        assert f"| `{row} |" in page
