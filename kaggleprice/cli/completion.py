"""What a shell offers after TAB: names, read from registries and folder names; nothing heavy."""

from __future__ import annotations

from pathlib import Path

import typer

from kaggleprice.competitions.catalog import COMPETITIONS, DEFAULT_COMPETITION, get_competition
from kaggleprice.core.errors import KagglePriceError
from kaggleprice.runs import run_folders
from kaggleprice.settings.declaration import Setting
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


def complete_presets(incomplete: str) -> list[Completion]:
    """Offer the presets, and `list`."""
    presets: list[Completion] = [(name, preset.help) for name, preset in PRESETS.items()]
    return [*presets, ("list", "show them with their measured score and time")]


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
