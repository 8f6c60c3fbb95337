"""Schemas: every command's real JSON is what its schema says, and the page for people is fresh."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from entry_point import TINY, EntryPoint, Finished
from small import write_small

from kaggleprice.cli import schemas
from kaggleprice.cli.console.documents import SCHEMA_VERSION
from kaggleprice.cli.schemas import reference

PAGE = Path(__file__).parents[2] / "docs" / "json.md"
SMALL = ["--competition", "small.toml"]
EACH = pytest.mark.parametrize("name", schemas.NAMES)


def check(name: str, document: Any) -> None:
    jsonschema.Draft202012Validator(schemas.read_schema(name)).validate(document)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("schemas")
    write_small(folder)
    return folder


# What is run, in this order, in one folder: command line, exit code, name of the schema.
COMMANDS: list[tuple[str, int, str]] = [
    (f"cv {' '.join([*SMALL, *TINY])} --dry-run", 0, "plan"),
    (f"predict {' '.join([*SMALL, *TINY])} --dry-run", 0, "prediction-plan"),
    (f"cv {' '.join([*SMALL, *TINY])}", 0, "cv"),
    (f"cv {' '.join([*SMALL, *TINY])} --partners ridge --baseline mlp-001 --tolerance 9", 0, "cv"),
    (f"cv {' '.join([*SMALL, *TINY])} --fail-above 0.000001", 6, "cv"),
    (f"predict {' '.join(SMALL)}", 0, "predict"),
    (f"predict {' '.join(SMALL)} --dry-run", 0, "prediction-plan"),
    (f"preprocess {' '.join(SMALL)} --output features.csv", 0, "preprocess"),
    (f"preprocess {' '.join(SMALL)} --impute knn", 0, "preprocess"),
    (f"download {' '.join(SMALL)}", 0, "download"),
    ("cv --preset list", 0, "presets"),
    ("runs list", 0, "runs-list"),
    (f"runs show mlp-001 {' '.join(SMALL)}", 0, "runs-show"),
    (f"runs compare mlp-001 mlp-002 {' '.join(SMALL)}", 0, "runs-compare"),
    (f"runs prune {' '.join(SMALL)} --keep 1 --dry-run", 0, "runs-prune"),
    (f"report mlp-002 {' '.join(SMALL)} --repeats 1", 0, "report"),
    (f"config --command cv {' '.join(SMALL)}", 0, "config"),
    ("cv --epochs none", 2, "error"),
    ("cv --epoch 3", 2, "error"),
    (f"predict {' '.join(SMALL)} --run mlp-009", 2, "error"),
    ("cv --competition absent.toml", 3, "error"),
]


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
    assert {name for _, _, name in COMMANDS} | {"progress"} == set(schemas.NAMES)


def test_every_file_is_a_name() -> None:
    files = {p.stem for p in Path(schemas.__file__).parent.glob("*.json")}
    assert files == set(schemas.NAMES)


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
    line = ["cv", *SMALL, *TINY, "--progress", "json", "--verbose"]
    done = entry(*line, cwd=folder)
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


@pytest.mark.parametrize(
    "line", [["cv", "--progress", "json", "--epoch", "3"], ["predict", *SMALL, "--run", "none"]]
)
def test_an_error_is_a_line_of_progress(entry: EntryPoint, folder: Path, line: list[str]) -> None:
    done = entry(*line, "--json", "--progress=json", cwd=folder)
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
        if "object" in schema.get("type", ()) and schema.get("type") != "string":
            yield path, schema
        for name, part in schema.items():
            yield from objects(part, f"{path}/{name}")
    elif isinstance(schema, list):
        for number, part in enumerate(schema):
            yield from objects(part, f"{path}/{number}")


@EACH
def test_a_schema_is_strict_and_says_what_everything_is(name: str) -> None:
    schema = schemas.read_schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    found = list(objects(schema))
    assert found
    for path, part in found:
        below = part["additionalProperties"]
        # A map from names that nobody knows before is described by what it maps to.
        assert below is False if "properties" in part else below["description"], path
        assert part["description"], path
        for field, described in part.get("properties", {}).items():
            assert described["description"], f"{path}/{field}"
        assert set(part.get("required", ())) <= set(part.get("properties", {})), path


@EACH
def test_versions_are_the_program_s(name: str) -> None:
    schema = schemas.read_schema(name)
    for part in schema.get("oneOf", [schema]):
        assert part["properties"]["schema_version"]["const"] == SCHEMA_VERSION


def test_the_page_is_what_the_schemas_say() -> None:
    """`python -m kaggleprice.cli.schemas > docs/json.md` makes it anew."""
    assert PAGE.read_text(encoding="utf-8") == reference.make_reference()


def test_the_page_has_every_field() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert "| `scores.oof_error` | number |" in page
    assert "| `folds[].validation` | number |" in page
    assert "| `settings.*.first` | any |" in page
    assert "| `total` | integer or null |" in page
    assert page.count("\n## ") == len(schemas.NAMES)
