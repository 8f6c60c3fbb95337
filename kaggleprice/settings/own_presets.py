"""Presets of the user's own, as a configuration file has them. Nothing heavy.

[presets.mine]
start = "default"               # one of kaggleprice's presets; absent: the default
seeds = 2                       # any option

[presets.mine.portfolio.calm]   # settings in place of those of its portfolio, by name
start = "smooth"                # one of kaggleprice's portfolio; absent: the options above
lr = 0.004
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

from kaggleprice.core.errors import UnknownNameError, UsageError
from kaggleprice.core.registry import look_up
from kaggleprice.settings.declaration import show_value
from kaggleprice.settings.model import ModelSettings
from kaggleprice.settings.portfolio import PORTFOLIO, Change, vary
from kaggleprice.settings.run import (
    DEFAULT_PRESET,
    OPTIONS,
    PRESETS,
    SETTINGS,
    Preset,
    make_settings,
)
from kaggleprice.settings.training import TrainingSettings

# All networks of a run have these in common.
_COMMON = {"category_embedding", "dtype", "history_every", "patience", "stop_on", "stop_share"}
_OF_NETWORKS = {f.name for f in (*fields(ModelSettings), *fields(TrainingSettings))} - _COMMON
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


def check_preset_name(name: str) -> None:
    """Check that a preset of the user's own may have this name.

    Raises:
        UsageError: where it is one of kaggleprice's, or cannot be a key.
    """
    if name in PRESETS or name == "list" or not _NAME.fullmatch(name):
        raise UsageError(
            f"a preset of your own cannot be named {name!r}: expected letters, digits, '_' and "
            f"'-', up to 100 of them, and none of {', '.join([*PRESETS, 'list'])}."
        )


def read_preset(name: str, table: Any, where: str) -> Preset:
    """Read a preset from a configuration.

    Args:
        name: of the preset.
        table: its table.
        where: what it stands in, as in `kaggleprice.toml`.

    Raises:
        UsageError: for a key or a value that cannot be; it says where it stands.
    """
    place = f"[presets.{name}] of {where}"
    check_preset_name(name)
    rest = _table(table, place)
    start = look_up(PRESETS, str(rest.pop("start", DEFAULT_PRESET)), f"start in {place}: preset")
    tuned = str(rest.pop("tuned", ""))
    changes: Mapping[str, Change] = PORTFOLIO
    own = rest.pop("portfolio") if isinstance(rest.get("portfolio"), Mapping) else None
    settings = make_settings(start, _read_options(rest, OPTIONS, place))
    if own is not None:
        changes = {key: _read_change(key, value, name, where) for key, value in own.items()}
        varied = vary(changes, settings.model, settings.training)
        settings = replace(settings, portfolio=varied)
    settings = replace(settings, own_preset=name, tuned=tuned)
    return Preset(f"your own, in {where}", settings, changes)


def _table(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise UsageError(f"{place} is no table; found {value!r}.")
    return dict(value)


def _read_options(table: Mapping[str, Any], valid: Iterable[str], place: str) -> dict[str, Any]:
    """Return the options in a table, by the names of their settings."""
    names, found = set(valid), dict[str, Any]()
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in names:
            raise UnknownNameError("key", key, names, f" in {place}")
        found[name] = SETTINGS[name].parse(value, f"{key} in {place}")
    return found


def _read_change(key: str, table: Any, preset: str, where: str) -> Change:
    """Return what one of a preset's settings changes."""
    place = f"[presets.{preset}.portfolio.{key}] of {where}"
    rest = _table(table, place)
    name = rest.pop("start", None)
    start = Change("") if name is None else look_up(PORTFOLIO, str(name), f"start in {place}: name")
    values = _read_options(rest, _OF_NETWORKS, place)
    factors = {n: by for n, by in start.factors.items() if n not in values}
    return Change(start.help, {**start.values, **values}, factors)


def preset_toml(
    name: str, tuned: str, portfolio: Mapping[str, Mapping[str, Any]], table: str = "presets"
) -> str:
    """Return a preset as TOML, which `read_preset` reads.

    Args:
        name: of the preset.
        tuned: how its settings were chosen.
        portfolio: name → key → value: options, and `start`.
        table: in which presets stand.
    """
    lines = [f"[{table}.{name}]", f"tuned = {_quoted(tuned)}"]
    for own, values in portfolio.items():
        lines += ["", f"[{table}.{name}.portfolio.{own}]"]
        lines += [f"{key} = {_toml(key, value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def _toml(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    # A list, or None, as it is typed.
    shown = value if isinstance(value, str) else show_value(value, SETTINGS[key].separator or "/")
    return _quoted(shown)


def _quoted(text: str) -> str:
    # TOML escapes as JSON does, but for pairs of surrogates, and one more control character.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
