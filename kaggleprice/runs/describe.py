"""Wording: how a run was asked for, as options that differ from a preset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kaggleprice.competitions.catalog import COMPETITIONS, DEFAULT_COMPETITION
from kaggleprice.settings.declaration import show_value
from kaggleprice.settings.run import (
    DEFAULT_PRESET,
    PRESETS,
    SETTINGS,
    RunSettings,
    flat_settings,
    make_settings,
)


def nearest_preset(settings: RunSettings) -> tuple[str, dict[str, Any]]:
    """Return the preset that needs the fewest options beside it, and these.

    Of several such presets the default, which need not be typed, else the first. A preset of the
    user's own is that one.
    """
    if settings.own_preset:
        changed = changed_options(settings)
        return settings.own_preset, {n: v for n, v in changed.items() if n != "portfolio"}
    ways = [(name, changed_options(settings, name)) for name in PRESETS]
    return min(ways, key=lambda way: (len(way[1]), way[0] != DEFAULT_PRESET))


def changed_options(settings: RunSettings, preset: str = DEFAULT_PRESET) -> dict[str, Any]:
    """Return the options, name to value, that lead from a preset to these settings.

    Raises:
        UnknownNameError: where the settings' recipe is not registered.
    """
    wanted = flat_settings(settings)
    start = PRESETS[preset].settings
    own_recipe = settings.recipe_name != start.recipe_name
    chosen = {"recipe": settings.recipe_name} if own_recipe else {}
    had = flat_settings(make_settings(preset, chosen))
    return {**chosen, **{name: wanted[name] for name in wanted if wanted[name] != had[name]}}


def setting_text(name: str, value: Any) -> str:
    """Return a setting's value as it is typed, in the words of `--help`."""
    return show_value(value, SETTINGS[name].separator or "/")


def short_settings(settings: RunSettings) -> str:
    """Say in a few words how a run was asked for: `best`; `book: seeds 20, no-batch-norm`."""
    preset, changed = nearest_preset(settings)
    words = [_short(name, value) for name, value in changed.items()]
    return f"{preset}: {', '.join(words)}" if words else preset


def typed_settings(settings: RunSettings) -> str:
    """Return the options that ask for these settings: `--preset book --seeds 20`."""
    preset, changed = nearest_preset(settings)
    named = "" if preset == DEFAULT_PRESET else f"--preset {preset}"
    return f"{named} {typed_options(changed)}".strip()


def typed_command(settings: RunSettings, competition: str) -> str:
    """Return what asks for such a run: `kaggleprice cv --preset book --seeds 20 -c sample`.

    Args:
        settings: of the run.
        competition: its name; what file describes one that is not registered, no run knows.
    """
    named = competition if competition in COMPETITIONS else "FILE.toml"
    whose = "" if competition == DEFAULT_COMPETITION else f"-c {named}"
    return " ".join(part for part in ("kaggleprice cv", typed_settings(settings), whose) if part)


def typed_options(options: Mapping[str, Any]) -> str:
    """Return options, name to value, as they are typed: `--seeds 20 --model linear`."""
    return " ".join(f"--{_short(name, value)}" for name, value in options.items())


def _short(name: str, value: Any) -> str:
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return flag if value else f"no-{flag}"
    return f"{flag} {setting_text(name, value)}"
