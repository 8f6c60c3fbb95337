"""Reference: the schemas as tables for people, field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kaggleprice.cli.schemas import NAMES, Schema, read_schema

_HEAD = """# JSON

Every command takes `--json` and then prints one document on stdout, and nothing else there. Where
it fails, that is the document of an error. With `--progress json` each line on stderr is a JSON
object. This page is made of the schemas in `kaggleprice/cli/schemas`, by
`python -m kaggleprice.cli.schemas > docs/json.md`; they come with the package:

```python
from kaggleprice.cli.schemas import read_schema

read_schema("cv")["properties"]["scores"]
```

No field but the ones described is ever there. A new one may come with a new version of
kaggleprice; `schema_version` changes where one changes its meaning, or goes.
"""


def make_reference() -> str:
    """Return the whole page, Markdown."""
    return "\n".join([_HEAD, *(_section(name, read_schema(name)) for name in NAMES)])


def _section(name: str, schema: Schema) -> str:
    parts = [f"## {name}", "", f"`{schema['title']}`: {schema['description']}", ""]
    for variant in schema.get("oneOf", [schema]):
        if variant is not schema:
            event = variant["properties"]["event"]["const"]
            parts += [f"### {event}", "", variant["description"], ""]
        parts += ["| field | type | meaning |", "|---|---|---|"]
        parts += [f"| `{path}` | {kind} | {words} |" for path, kind, words in _fields(variant)]
        parts.append("")
    return "\n".join(parts)


def _fields(schema: Schema, path: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield (path, type, meaning) of everything below a schema."""
    for name, field in schema.get("properties", {}).items():
        yield from _field(field, f"{path}.{name}" if path else name)


def _field(field: Schema, path: str) -> Iterator[tuple[str, str, str]]:
    yield path, _type(field), _meaning(field)
    yield from _fields(field, path)
    if "items" in field:
        yield from _fields(field["items"], f"{path}[]")
    below = field.get("additionalProperties")
    if isinstance(below, Mapping):
        yield from _fields(below, f"{path}.*")


def _type(field: Schema) -> str:
    kinds = field.get("type", "any")
    words = " or ".join([kinds] if isinstance(kinds, str) else kinds)
    if "items" in field and _has_no_fields(field["items"]):
        words += f" of {_type(field['items'])}"
    return words


def _has_no_fields(items: Schema) -> bool:
    return "properties" not in items


def _meaning(field: Mapping[str, Any]) -> str:
    words = str(field["description"]).replace("|", "\\|")
    if "const" in field:
        return f"{words} Always `{field['const']}`."
    if "enum" in field:
        values = ", ".join(f"`{value}`" for value in field["enum"] if value is not None)
        return f"{words} One of {values}."
    return words
