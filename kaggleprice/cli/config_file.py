"""Settings that stand in a file or in the environment, so that nobody has to type them. Light.

`kaggleprice.toml` in the working folder, or `[tool.kaggleprice]` in its `pyproject.toml`:

    lr = 0.005                  # for every command that has --lr
    hidden = [128, 64]          # or "128,64", as it is typed

    [predict]                   # for one command; [runs.list] for one below `runs`
    output = "best.csv"

    [presets.mine]              # a preset of one's own, for --preset mine
    seeds = 2

A key is an option without its dashes. A flag comes before the environment (`KAGGLEPRICE_LR`), that
before the file, that before the preset. Folders above the working folder are not searched: `data`
and `runs`, too, are those of the working folder, and paths in the file are relative to it, as if
they were typed.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kaggleprice.cli.help import long_name
from kaggleprice.core.errors import UsageError, nearest
from kaggleprice.core.toml import parse_toml

if TYPE_CHECKING:
    from typer.core import TyperOption

FILE_NAME, PROJECT_FILE, PROJECT_TABLE = "kaggleprice.toml", "pyproject.toml", "tool.kaggleprice"
PREFIX = "KAGGLEPRICE_"
# The table of the user's own presets, each a table (`kaggleprice.settings.own_presets`).
PRESETS_TABLE = "presets"

# Variables that are no keys of a file: which file is read, and where the project's own tests look.
_OTHER_VARIABLES = frozenset(
    PREFIX + name
    for name in ("CONFIG", "NO_CONFIG", "REAL_DATA", "REAL_SUITE", "REQUIRE_REAL_DATA")
)

_WHERE_KEYS_ARE = "; `kaggleprice COMMAND --help` lists the options, which are the keys."

Kind = Literal["flag", "environment", "file", "preset", "default"]


@dataclass(frozen=True)
class Origin:
    """Where a value came from.

    Attributes:
        kind: `flag`, `environment`, `file`, `preset` (also a recipe's) or `default`.
        where: as a sentence names it: `--lr`, `KAGGLEPRICE_LR`, `lr in kaggleprice.toml`,
            `preset best`, `default`.
    """

    kind: Kind
    where: str


@dataclass(frozen=True)
class Configuration:
    """A configuration file's content, its keys checked.

    Attributes:
        path: the file.
        table: the table that is read, as in `tool.kaggleprice`; empty for the whole file.
        content: option → value, and command → table of the same shape.
    """

    path: Path
    table: str
    content: Mapping[str, Any]

    def __str__(self) -> str:
        return f"[{self.table}] of {self.path}" if self.table else str(self.path)

    def values_of(self, commands: Sequence[str], root: Any) -> dict[str, tuple[Any, str]]:
        """Return what applies to a command: option → (value, where it stands).

        Args:
            commands: its name, or the names that lead to it, as in ("runs", "list").
            root: click's command, below which all others are.

        Raises:
            UsageError: for a key that is no option and a table that is no command, wherever they
                stand; with the nearest valid name.
        """
        found = self._read(self.content, root, root, ())
        return {
            option: (value, where)
            for table, option, value, where in found
            if (*commands[: len(table)],) == table
        }

    @property
    def presets(self) -> Mapping[str, Any]:
        """The user's own presets, each as it stands there.

        Raises:
            UsageError: where they are no table.
        """
        found = self.content.get(PRESETS_TABLE, {})
        if not isinstance(found, dict):
            raise UsageError(f"{PRESETS_TABLE} in {self} takes a table for each preset.")
        return found

    def _read(
        self, level: Mapping[str, Any], command: Any, root: Any, table: tuple[str, ...]
    ) -> Iterator[tuple[tuple[str, ...], str, Any, str]]:
        """Yield each value as (table, option, value, where it stands), the general ones first."""
        names = ".".join([self.table, *table] if self.table else table)
        place = f"[{names}] of {self.path}" if names else str(self.path)
        options, below = all_options(command), commands_below(command)
        seen = set()
        for key, value in level.items():
            option = key.replace("_", "-")
            if option in options and isinstance(value, dict):
                raise UsageError(f"{key} in {place} takes a value; found a table.")
            if isinstance(value, dict):
                continue
            if option not in options:
                ending = _owners(option, root) or did_you_mean(option, options)
                raise UsageError(f"unknown key {key!r} in {place}{ending or _WHERE_KEYS_ARE}")
            if option in seen:
                raise UsageError(f"{option} stands twice in {place}, with '-' and with '_'.")
            seen.add(option)
            yield table, option, value, f"{key} in {place}"
        for key, value in level.items():
            if key == PRESETS_TABLE and not table:
                # Read where one of them is named.
                continue
            if isinstance(value, dict):
                if key not in below:
                    ending = did_you_mean(key, below, "[{}]") or _list(below)
                    raise UsageError(f"unknown table [{key}] in {place}{ending}")
                yield from self._read(value, below[key], root, (*table, key))


class Defaults(dict[str, Any]):
    """What a file gives a command: parameter → value, in place of the command's own default.

    Attributes:
        configuration: the file.
        where: parameter → where the value stands, as in `lr in kaggleprice.toml`.
    """

    def __init__(self, configuration: Configuration) -> None:
        super().__init__()
        self.configuration = configuration
        self.where: dict[str, str] = {}


def commands_below(command: Any) -> Mapping[str, Any]:
    """Return the commands below one of click's, by name; none of a command that runs."""
    return getattr(command, "commands", {})


def leaves(command: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the commands that run, below one of click's, with the words that lead to them."""
    below = commands_below(command)
    if not below:
        yield path, command
    for name, inner in below.items():
        yield from leaves(inner, f"{path} {name}".strip())


def configurable(command: Any) -> dict[str, TyperOption]:
    """Return the options that a file may give a command, by what a file calls them."""
    options = [p for p in command.params if p.param_type_name == "option"]
    return {long_name(p): p for p in options if p.name not in ("config_file", "no_config")}


def all_options(command: Any) -> set[str]:
    """Return the names of the options of a command, or of all commands below it."""
    below = commands_below(command).values()
    return set().union(*map(all_options, below)) if below else set(configurable(command))


def find_configuration(folder: Path) -> Configuration | None:
    """Read `kaggleprice.toml` of a folder, else `[tool.kaggleprice]` of its `pyproject.toml`.

    Returns:
        None where there is neither.

    Raises:
        UsageError: for a file that cannot be read as TOML.
    """
    paths = [path for name in (FILE_NAME, PROJECT_FILE) if (path := folder / name).exists()]
    return _configuration(paths[0]) if paths else None


def read_configuration(path: Path) -> Configuration:
    """Read a configuration file; of a `pyproject.toml`, `[tool.kaggleprice]`.

    Raises:
        UsageError: for a file that is absent or cannot be read as TOML.
    """
    found = _configuration(path)
    if found is None:
        raise UsageError(f"{path} has no table [{PROJECT_TABLE}].")
    return found


def _configuration(path: Path) -> Configuration | None:
    content: Any = _read_toml(path)
    if path.name != PROJECT_FILE:
        return Configuration(path, "", content)
    for name in PROJECT_TABLE.split("."):
        content = content.get(name) if isinstance(content, dict) else None
    return Configuration(path, PROJECT_TABLE, content) if isinstance(content, dict) else None


def environment_name(option: str) -> str:
    """Return the environment variable of an option: `KAGGLEPRICE_BATCH_SIZE` of `batch-size`."""
    return PREFIX + option.replace("-", "_").upper()


def unknown_variables(root: Any) -> Iterator[str]:
    """Return a sentence on each environment variable that looks like an option and is none."""
    known = {environment_name(option) for option in all_options(root)} | _OTHER_VARIABLES
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            # Without what all of them begin with, which would make any two of them near.
            bare = {other.removeprefix(PREFIX) for other in known}
            ending = did_you_mean(name.removeprefix(PREFIX), bare, PREFIX + "{}") or "."
            yield f"the environment variable {name} is of no option{ending}"


def did_you_mean(name: str, valid: Iterable[str], form: str = "{}") -> str:
    """Return the end of a sentence, `; did you mean NEAREST?`, or nothing where none is near.

    Args:
        name: what was found.
        valid: what could have been meant.
        form: how a name is shown, as in `--{}`.
    """
    near = nearest(name, valid)
    return "" if near is None else f"; did you mean {form.format(near)}?"


def _owners(option: str, root: Any) -> str:
    owners = sorted(
        n for n, command in commands_below(root).items() if option in all_options(command)
    )
    return f"; it is an option of {', '.join(owners)}." if owners else ""


def _list(commands: Collection[str]) -> str:
    if not commands:
        return ": it is the table of a command that has none below it."
    return f"; there are: {', '.join(f'[{name}]' for name in sorted(commands))}."


def _read_toml(path: Path) -> dict[str, Any]:
    without = "mend it, or leave it out with --no-config"
    try:
        # Some editors on Windows put a byte order mark first.
        return parse_toml(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise UsageError(f"configuration file {path} does not exist.") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 (byte {error.start}); {without}.") from None
    except ValueError as error:
        raise UsageError(f"{path} is not TOML: {error}; {without}.") from None
    except OSError as error:
        raise UsageError(
            f"configuration file {path} cannot be read: {error.strerror or error}; {without}."
        ) from None
