"""What a shell offers after TAB: names of registries, presets and folders; nothing heavy."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import typer

from kaggleprice.cli.configured import configuration_of
from kaggleprice.competitions.catalog import COMPETITIONS, DEFAULT_COMPETITION, get_competition
from kaggleprice.core.errors import KagglePriceError, UsageError
from kaggleprice.runs import run_folders
from kaggleprice.settings.declaration import Setting
from kaggleprice.settings.own_presets import check_preset_name
from kaggleprice.settings.run import PRESETS

DEVICES = {
    "auto": "the first there is of CUDA, MPS, CPU",
    "cpu": "the processor",
    "cuda": "an NVIDIA GPU",
    "mps": "an Apple GPU",
}

Completion = tuple[str, str] | str


def complete_competitions(incomplete: str) -> list[Completion]:
    """Offer the registered competitions, and TOML files in this folder."""
    named: list[Completion] = [(name, c.title) for name, c in sorted(COMPETITIONS.items())]
    folder = Path(incomplete).parent if "/" in incomplete else Path()
    files = sorted(folder.glob("*.toml")) if folder.is_dir() else []
    return [*named, *(f.as_posix() for f in files if f.name not in _NOT_COMPETITIONS)]


_NOT_COMPETITIONS = ("kaggleprice.toml", "pyproject.toml")


def complete_presets(context: typer.Context, incomplete: str) -> list[Completion]:
    """Offer the presets, those of the configuration file, and `list`."""
    presets: list[Completion] = [(name, preset.help) for name, preset in PRESETS.items()]
    own: list[Completion] = [(name, "your own") for name in _own_presets(context)]
    return [*presets, *own, ("list", "show them with their measured score and time")]


def _own_presets(context: typer.Context) -> list[str]:
    """Return the names that presets of the configuration file can have; none of a broken file."""
    found = []
    with suppress(UsageError):
        configuration = configuration_of(context)
        for name in {} if configuration is None else configuration.presets:
            with suppress(UsageError):
                check_preset_name(name)
                found.append(name)
    return found


def complete_devices(incomplete: str) -> list[Completion]:
    """Offer the devices that there can be."""
    return list(DEVICES.items())


def complete_runs(context: typer.Context, incomplete: str) -> list[Completion]:
    """Offer the runs of the competition that the line names, in the folder that it names."""
    try:
        name = context.params.get("competition") or DEFAULT_COMPETITION
        competition = get_competition(str(name))
        parent = Path(str(context.params.get("runs_dir") or "runs")) / competition.name
        return [folder.name for folder in run_folders(parent)]
    except (KagglePriceError, OSError):
        # The command itself will say what is wrong; a shell has nothing to offer here.
        return []


def complete_setting(setting: Setting, incomplete: str) -> list[Completion]:
    """Offer a setting's names; of several, the next one: `gelu/ta` becomes `gelu/tanh`."""
    before, separator, _ = incomplete.rpartition(setting.separator or " ")
    return [f"{before}{separator}{name}" for name in setting.names]
