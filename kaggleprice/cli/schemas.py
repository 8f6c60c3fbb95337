"""JSON Schemas (draft 2020-12) of what `--json` and `--progress json` print, and their reference.

They are derived from the dataclasses of `kaggleprice.cli.documents` and `kaggleprice.cli.views`.
`python -m kaggleprice.cli.schemas cv` prints one of them; without a name the page of all of them
for people is printed: `python -m kaggleprice.cli.schemas > docs/json.md`.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args, get_type_hints

from annotated_doc import Doc
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from kaggleprice.cli import documents
from kaggleprice.cli.views.comparison import RunsCompareDocument
from kaggleprice.cli.views.config import ConfigDocument
from kaggleprice.cli.views.cv import CvDocument
from kaggleprice.cli.views.download import DownloadDocument, KaggleDownloadDocument
from kaggleprice.cli.views.init import InitDocument
from kaggleprice.cli.views.plan import PlanDocument, PredictionPlanDocument
from kaggleprice.cli.views.predict import PredictDocument
from kaggleprice.cli.views.preprocess import PreprocessDocument
from kaggleprice.cli.views.presets import PresetsDocument
from kaggleprice.cli.views.replay import ReplayDocument
from kaggleprice.cli.views.report import ReportDocument
from kaggleprice.cli.views.runs import RunsListDocument, RunsPruneDocument, RunsShowDocument
from kaggleprice.cli.views.submit import SubmitDocument
from kaggleprice.cli.views.tune import TuneDocument
from kaggleprice.core.registry import look_up

Schema = Mapping[str, Any]

# By name, in the order of a person's work; what all commands share comes last.
DOCUMENTS: dict[str, Any] = {
    "init": InitDocument,
    "download": DownloadDocument,
    "download-kaggle": KaggleDownloadDocument,
    "preprocess": PreprocessDocument,
    "cv": CvDocument,
    "plan": PlanDocument,
    "presets": PresetsDocument,
    "predict": PredictDocument,
    "prediction-plan": PredictionPlanDocument,
    "submit": SubmitDocument,
    "tune": TuneDocument,
    "runs-list": RunsListDocument,
    "runs-show": RunsShowDocument,
    "runs-compare": RunsCompareDocument,
    "runs-prune": RunsPruneDocument,
    "report": ReportDocument,
    "replay": ReplayDocument,
    "config": ConfigDocument,
    "error": documents.ErrorDocument,
    "progress": (
        documents.StageEvent
        | documents.ProgressEvent
        | documents.NoticeEvent
        | documents.ErrorEvent
    ),
}
# What prints a document, where that is not the command of its name.
_USAGE = {
    "download-kaggle": "kaggleprice download --source kaggle -c NAME --json",
    "plan": "kaggleprice cv --dry-run --json",
    "presets": "kaggleprice cv --preset list --json",
    "prediction-plan": "kaggleprice predict --dry-run --json",
    "error": "Any command with --json that fails",
    "progress": "Any command with --progress json",
}
_PROGRESS = (
    "Lines of `--progress json` on stderr: an object each, without line breaks. Lines of further "
    "events may come in later versions: pass over those that are not known."
)
_HEAD = """# JSON

Every command takes `--json` and then prints one document on stdout, and nothing else there. Where
it fails, that is the document of an error. With `--progress json` each line on stderr is a JSON
object. This page is made of their JSON Schemas by `python -m kaggleprice.cli.schemas >
docs/json.md`; `python -m kaggleprice.cli.schemas cv` prints one of these, as does

```python
from kaggleprice.cli.schemas import json_schema

json_schema("cv")["properties"]["scores"]
```

No field but the ones described is ever there. A new one may come with a new version of
kaggleprice; `schema_version` changes where one changes its meaning, or goes.
"""


class _Strict(GenerateJsonSchema):
    """Schemas of objects that have all their fields, no others, and a description of each."""

    def dataclass_schema(self, schema: Any) -> dict[str, Any]:
        return _describe(super().dataclass_schema(schema), schema["cls"])

    def typed_dict_schema(self, schema: Any) -> dict[str, Any]:
        return _describe(super().typed_dict_schema(schema), schema["cls"])

    def field_is_required(self, field: Any, total: bool) -> bool:
        """Take a field with a default as required: it is always printed."""
        return True

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Leave titles away, which only repeat the names."""
        return False


def _describe(made: dict[str, Any], of: type) -> dict[str, Any]:
    hints, listed = get_type_hints(of, include_extras=True), _attributes(of)
    said = _text((of.__doc__ or "").partition("Attributes:")[0])
    for name, field in made["properties"].items():
        words = _documented(hints[name]) or listed[name]
        if "NaN" in said + words and field.get("type") == "number":
            # See `kaggleprice.cli.documents.Document.undefined`.
            field["type"] = ["number", "null"]
        field["description"] = words.replace("NaN", "null").replace("None", "null")
        field.pop("default", None)
    made.pop("title")
    return {**made, "description": said.replace("NaN", "null"), "additionalProperties": False}


def _documented(hint: Any) -> str:
    """Return the `Doc` of a field: of its type, or of the type that may be missing or null."""
    found = [m for h in (hint, *get_args(hint)) for m in getattr(h, "__metadata__", ())]
    return next((m.documentation for m in found if isinstance(m, Doc)), "")


def _attributes(of: type) -> dict[str, str]:
    """Return what the docstrings of a class and its bases say of its attributes."""
    found: dict[str, str] = {}
    for cls in reversed(of.__mro__):
        listed = inspect.cleandoc(cls.__doc__ or "").partition("Attributes:\n")[2]
        for names, words in re.findall(r"(?ms)^ {4}(\w.*?): (.*?)(?=^ {4}\w|\Z)", listed):
            text = _text(words)
            found |= dict.fromkeys(names.split(", "), text[0].upper() + text[1:])
    return found


def _text(doc: str) -> str:
    return " ".join(inspect.cleandoc(doc).split())


def json_schema(name: str) -> Schema:
    """Return the schema of a document.

    Args:
        name: the document's `command` with "-" for spaces; `error` for any command's error,
            `progress` for a line of `--progress json`.

    Raises:
        UnknownNameError: for another name.
    """
    document = look_up(DOCUMENTS, name, "document")
    title = _USAGE.get(name, f"kaggleprice {name.replace('-', ' ')} --json")
    made = TypeAdapter(document).json_schema(schema_generator=_Strict, mode="serialization")
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title}
    return {**head, "description": _PROGRESS, **made}


def name_of(document: Mapping[str, Any]) -> str:
    """Return the name of the schema that a document is to be held against."""
    return "error" if "error" in document else str(document["command"]).replace(" ", "-")


def make_reference() -> str:
    """Return the page of all schemas, Markdown: a table of fields for each."""
    return "\n".join([_HEAD, *map(_section, DOCUMENTS)])


def _section(name: str) -> str:
    schema = json_schema(name)
    definitions = schema.get("$defs", {})
    lines = [f"## {name}", "", f"`{schema['title']}`: {schema['description']}", ""]
    for variant in schema.get("anyOf", [schema]):
        described = _resolved(variant, definitions)
        if variant is not schema:
            event = described["properties"]["event"]["const"]
            lines += [f"### {event}", "", described["description"], ""]
        lines += ["| field | type | meaning |", "|---|---|---|"]
        lines += [
            f"| `{path}` | {_type(field)} | {_meaning(field)} |"
            for path, field in _fields(described, definitions)
        ]
        lines.append("")
    return "\n".join(lines)


def _resolved(schema: Schema, definitions: Schema) -> Schema:
    reference = schema.get("$ref")
    found: Schema = definitions[reference.rpartition("/")[2]] if reference else schema
    return found


def _fields(schema: Schema, definitions: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Yield (path, schema) of every field below a schema, of objects in arrays and maps too."""
    for variant in schema.get("anyOf", [schema]):
        found = _resolved(variant, definitions)
        for name, field in found.get("properties", {}).items():
            below = f"{path}.{name}" if path else name
            yield below, field
            yield from _fields(field, definitions, below)
        for key, suffix in (("items", "[]"), ("additionalProperties", ".*")):
            if isinstance(found.get(key), Mapping):
                yield from _fields(found[key], definitions, path + suffix)


def _type(field: Schema) -> str:
    if "anyOf" in field:
        return " or ".join(_type(variant) for variant in field["anyOf"])
    kind = "object" if "$ref" in field else field.get("type", "any")
    if isinstance(kind, list):
        return " or ".join(kind)
    plain = kind == "array" and "$ref" not in field["items"]
    return f"array of {_type(field['items'])}" if plain else kind


def _meaning(field: Schema) -> str:
    words = str(field["description"]).replace("|", "\\|")
    if "const" in field:
        return f"{words} Always `{field['const']}`."
    values = [v for f in field.get("anyOf", [field]) for v in f.get("enum", ())]
    return f"{words} One of {', '.join(f'`{value}`' for value in values)}." if values else words


def main(arguments: Sequence[str]) -> None:
    """Print the schema of the document that is named; the page of all where none is."""
    if arguments:
        print(json.dumps(json_schema(arguments[0]), indent=2))
    else:
        sys.stdout.write(make_reference())


if __name__ == "__main__":
    main(sys.argv[1:])
