"""What `kaggleprice tune` searches: settings, between bounds or of some names. Nothing heavy."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kaggleprice.core.errors import UnknownNameError, UsageError
from kaggleprice.core.registry import look_up
from kaggleprice.core.toml import parse_toml
from kaggleprice.settings.declaration import Searched
from kaggleprice.settings.portfolio import Change, Variant
from kaggleprice.settings.run import SETTINGS

# The setting of the portfolio that a proposal starts from: it decides the architecture.
START = "start"
# A proposal's numbers have so many digits, which are those that a preset is written with.
_DIGITS = 4


Space = Mapping[str, Searched]

# Where nothing narrows it: what the settings declare.
SPACE: Space = {
    name: setting.searched for name, setting in SETTINGS.items() if setting.searched is not None
}


def check_space(space: Space) -> None:
    """Check that something is searched.

    Raises:
        UsageError: where nothing is.
    """
    if not space:
        raise UsageError("nothing is left to search; give fewer of these settings by hand.")


def narrow(space: Space, only: Sequence[str]) -> Space:
    """Return a space with some of its settings alone.

    Raises:
        UnknownNameError: for a setting that is not searched.
    """
    for name in only:
        look_up(space, name.replace("-", "_"), "setting that is searched")
    names = {name.replace("-", "_") for name in only}
    return {name: own for name, own in space.items() if name in names}


def read_space(file: Path) -> Space:
    """Read a TOML file: `lr = [0.002, 0.05]`, `activation = ["gelu", "tanh"]`.

    Raises:
        UsageError: for a file that cannot be read, for a setting that cannot be searched, for a
            value that it cannot have, and for bounds that are none.
    """
    try:
        content = parse_toml(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"--space {file}: {error.strerror or error}.") from None
    except ValueError as error:
        raise UsageError(f"--space {file} is not TOML: {error}.") from None
    found = {}
    for key, value in content.items():
        name = key.replace("-", "_")
        if name not in SPACE:
            raise UnknownNameError("setting that is searched", key, SPACE, f" in {file}")
        found[name] = _read(SPACE[name], name, value, f"{key} in {file}")
    if not found:
        raise UsageError(f"{file} names no setting; there are: {', '.join(SPACE)}.")
    return found


def _read(usual: Searched, name: str, value: Any, place: str) -> Searched:
    """Return the dimension that a list in a file means."""
    setting = SETTINGS[name]
    if usual.choices:
        choices = tuple(map(str, value)) if isinstance(value, list) else (str(value),)
        for choice in choices:
            setting.parse(choice, place)
        if not choices or len(set(choices)) < len(choices):
            raise UsageError(f"{place} takes a list of unlike values; found {value!r}.")
        return Searched(choices=choices)
    bounds = value if isinstance(value, list) else [value, value]
    if len(bounds) != 2 or not all(type(bound) in (int, float) for bound in bounds):
        raise UsageError(f"{place} takes two numbers, as in [0.01, 0.1]; found {value!r}.")
    low, high = map(float, bounds)
    for bound in (low, high):
        setting.parse(bound, place)
    if low > high or (usual.log and low <= 0):
        raise UsageError(f"{place} takes the lower of two bounds first; found {value!r}.")
    return Searched(low, high, usual.log)


def without(space: Space, names: Collection[str]) -> Space:
    """Return a space without the settings that are given by hand."""
    return {name: own for name, own in space.items() if name not in names}


def values_of(variant: Variant, names: Iterable[str]) -> dict[str, Any]:
    """Return what a proposal would have to say to mean a setting of the portfolio.

    Args:
        variant: the setting.
        names: of settings that are searched.
    """
    found: dict[str, Any] = {START: variant.name}
    for name in names:
        value = getattr(variant.model, name, None)
        value = getattr(variant.training, name) if value is None else value
        while isinstance(value, tuple) and value:
            value = value[0]
        found[name] = str(value).lower() if SPACE[name].choices else value
    return found


def rounded(proposal: Mapping[str, Any]) -> dict[str, Any]:
    """Return a proposal whose numbers have as many digits as a preset is written with."""
    return {
        name: float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
        for name, value in proposal.items()
    }


def change_of(proposal: Mapping[str, Any], starts: Mapping[str, Change]) -> Change:
    """Return what a proposal changes.

    Args:
        proposal: setting → value, a number or a text as it is typed; `START` → a name in `starts`.
        starts: the portfolio.
    """
    start = starts[proposal[START]]
    given = {name: value for name, value in proposal.items() if name != START}
    values = {name: SETTINGS[name].parse(value) for name, value in given.items()}
    factors = {name: by for name, by in start.factors.items() if name not in values}
    return Change(start.help, {**start.values, **values}, factors)
