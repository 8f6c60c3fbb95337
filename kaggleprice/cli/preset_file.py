"""Writing a preset into a configuration file, of which all else stays as it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kaggleprice.cli.config_file import (
    FILE_NAME,
    PRESETS_TABLE,
    Configuration,
)
from kaggleprice.core.errors import OutputError, UsageError
from kaggleprice.core.files import check_writable, replacing
from kaggleprice.core.toml import parse_toml
from kaggleprice.settings.own_presets import preset_toml

_HEADER = re.compile(r"\s*\[+\s*([^\[\]]+?)\s*\]+\s*(#.*)?")


def file_for_presets(configuration: Configuration | None, name: str) -> tuple[Path, str]:
    """Return the file that a preset is written to, and the table of presets in it.

    Args:
        configuration: that was read; None where there is none.
        name: of the preset.

    Raises:
        UsageError: where a preset of this name stands there that no search has written.
        OutputError: where the file cannot be written.
    """
    path = Path(FILE_NAME) if configuration is None else configuration.path
    parts = [] if configuration is None or not configuration.table else [configuration.table]
    there = {} if configuration is None else configuration.presets.get(name, {})
    if there and not (isinstance(there, dict) and there.get("tuned")):
        raise UsageError(
            f"there is a preset {name!r} in {configuration} already, which no search has written; "
            "give another --name."
        )
    check_writable(path)
    return path, ".".join([*parts, PRESETS_TABLE])


def write_preset(path: Path, table: str, name: str, preset: Mapping[str, Any]) -> None:
    """Write a preset into a file, in place of one of the same name.

    Args:
        path: a TOML file; it need not be there.
        table: of presets in it.
        name: of the preset.
        preset: its own table, as `kaggleprice.settings.own_presets.read_preset` takes it.

    Raises:
        OutputError: where the file cannot be written, or its tables are not as usual.
    """
    try:
        before = path.read_text(encoding="utf-8-sig") if path.exists() else ""
        text = _without(before, f"{table}.{name}").rstrip()
        added = preset_toml(name, preset["tuned"], preset["portfolio"], table)
        after = f"{text}\n\n{added}" if text else added
        if _rest(after, table, name) != _rest(before, table, name):
            raise ValueError("its tables are not as usual")
    except (OSError, ValueError) as error:
        raise OutputError(f"the preset {name!r} cannot be written to {path}: {error}.") from None
    with replacing(path) as beside:
        beside.write_text(after, encoding="utf-8")


def _without(text: str, table: str) -> str:
    """Return the lines of a file that do not stand in a table, or in one below it."""
    kept, inside = [], False
    for line in text.splitlines(keepends=True):
        header = _HEADER.fullmatch(line.rstrip("\n"))
        if header:
            inside = header[1] == table or header[1].startswith(f"{table}.")
        if not inside:
            kept.append(line)
    return "".join(kept)


def _rest(text: str, table: str, name: str) -> Any:
    """Return the content of a file but for a preset."""
    content = parse_toml(text)
    level: Any = content
    for part in table.split("."):
        level = level.setdefault(part, {})
    level.pop(name, None)
    return content
