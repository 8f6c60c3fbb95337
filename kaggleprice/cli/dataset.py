"""Which competition's files a command means, and where and on what its runs are made."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from kaggleprice.cli.configured import explicit
from kaggleprice.cli.output import make_reporter
from kaggleprice.core.errors import UsageError
from kaggleprice.settings.declaration import show_value

if TYPE_CHECKING:
    from kaggleprice.competitions.catalog import Competition, Kind
    from kaggleprice.competitions.data import DatasetRef
    from kaggleprice.runs.runtime import RuntimeConfig


def given_kinds(kind: Sequence[str] | None, drop: Sequence[str] | None) -> dict[str, Kind]:
    """Read `--kind COLUMN=KIND` and `--drop COLUMN`; levels of an order are separated by `<`.

    Raises:
        UsageError: for a pair without `=`, and for a column that is given two kinds.
    """
    found: dict[str, Kind] = {}
    for pair in [*(kind or ()), *(f"{column}=drop" for column in drop or ())]:
        column, equals, name = pair.rpartition("=")
        if not equals:
            raise UsageError(f"--kind takes COLUMN=KIND, as in Date=date; found {pair!r}.")
        levels = tuple(level.strip() for level in name.split("<"))
        value = levels if len(levels) > 1 else name.strip()
        if found.setdefault(column, value) != value:
            raise UsageError(f"--kind and --drop give the column {column!r} two kinds; leave one.")
    return found


def read_dataset(context: typer.Context, later_test: bool = False) -> DatasetRef:
    """Return which competition's files a command means, by those of its options that say so.

    Args:
        context: of the command, its options read.
        later_test: whether `--test` alone names a file to predict in place of the competition's.

    Raises:
        UsageError: where none is named, and the working folder holds files of an unknown one;
            where two are; for a kind that is none, and a target that is to be dropped.
        DataError: where a file cannot be read.
    """
    from kaggleprice.competitions.catalog import get_competition
    from kaggleprice.competitions.data import DatasetRef
    from kaggleprice.competitions.found_files import competition_here

    given = context.params
    # One of them may stand in a configuration.
    if explicit(context, "train_file") and explicit(context, "competition"):
        raise UsageError(
            "--train and --competition exclude each other: the one guesses a competition from its "
            "files, the other names one; leave one away."
        )
    test = given.get("test_file")
    later = test if later_test and given["train_file"] is None else None
    kinds = given_kinds(given.get("kind"), given.get("drop"))
    found = _guessed(given, None if later else test, kinds)
    if found is None:
        name = given["competition"]
        name = competition_here() if name is None else described_in(name, given["data_dir"])
        found = get_competition(name)
    for column in found.targets:
        if kinds.get(column) == "drop":
            raise UsageError(f"the target {column!r} cannot be dropped.")
    drop = found.drop_missing_target or given.get("drop_missing_target", False)
    flags = {name: given[name] for name in ("kind", "drop") if explicit(context, name)}
    return DatasetRef(
        replace(found, kinds={**found.kinds, **kinds}, drop_missing_target=drop),
        given["data_dir"],
        verify=not given.get("no_verify", False),
        demanded_kinds=given_kinds(flags.get("kind"), flags.get("drop")),
        later_test=later,
    )


def described_in(name: str, data_dir: Path) -> str:
    """Return the file that describes a competition; its name where it ships with kaggleprice."""
    from kaggleprice.competitions.catalog import COMPETITIONS, FILE_NAME

    if name in COMPETITIONS or name.endswith(".toml"):
        return name
    here, downloaded = Path(f"{name}.toml"), data_dir / name / FILE_NAME
    return str(downloaded) if downloaded.is_file() and not here.is_file() else name


def _guessed(
    given: Mapping[str, Any], test: Path | None, kinds: Mapping[str, Kind]
) -> Competition | None:
    """Guess the competition of `--train` and `--test`, and tell the guesses; None without."""
    if "train_file" not in given:
        return None
    train, target, id_column = (given[name] for name in ("train_file", "target", "id_column"))
    if train is None:
        for flag, value in {"--test": test, "--target": target, "--id": id_column}.items():
            if value:
                raise UsageError(f"{flag} needs --train FILE as well.")
        return None
    from kaggleprice.competitions.competition_file import competition_name
    from kaggleprice.competitions.found_files import Files
    from kaggleprice.competitions.proposal import one_or_all, propose

    known = {"target_column": one_or_all(target), "id_column": id_column}
    with make_reporter() as reporter:
        named = {key: value for key, value in known.items() if value is not None}
        found = propose(Files(train, test), named, kinds)
        own = {
            f"missing values of {name}": guess for name, guess in found.missing_values_of.items()
        }
        for name, guess in [*found.keys.items(), *found.kinds.items(), *own.items()]:
            if guess.reason != "given":
                value = "none" if guess.value is None else show_value(guess.value)
                reporter.notice(f"{name}: {value} ({guess.reason})")
        for warning in found.warnings:
            reporter.notice(f"warning: {warning}")
    return found.competition(competition_name(train.parent))


def read_runtime(context: typer.Context) -> RuntimeConfig:
    """Return where and on what a command makes runs, with times as they are typed.

    Raises:
        UsageError: for a time that is none.
    """
    from kaggleprice.runs.runtime import RuntimeConfig, read_duration

    given = context.params
    every, limit = given.get("checkpoint_every", "none"), given.get("time_limit")
    return RuntimeConfig(
        given["runs_dir"],
        given["device"] or "auto",
        given["threads"],
        None if every == "none" else read_duration("--checkpoint-every", every),
        None if limit is None else read_duration("--time-limit", limit),
        given.get("engine", "here"),
        given.get("address"),
    )


def repeated(context: typer.Context) -> str:
    """Return the options that say where data and runs are, as far as they were typed."""
    flags = {"competition": "-c", "data_dir": "--data-dir", "runs_dir": "--runs-dir"}
    flags |= {"train_file": "--train"}
    if context.params.get("train_file") is not None:
        flags |= {"test_file": "--test", "target": "--target", "id_column": "--id"}
    return _typed(context, flags)


def repeated_kinds(context: typer.Context) -> str:
    """Return what was typed of columns and rows, which another run of the same may take."""
    missing = "drop_missing_target"
    return _typed(context, {"kind": "--kind", "drop": "--drop", missing: "--drop-missing-target"})


def _typed(context: typer.Context, flags: Mapping[str, str]) -> str:
    """Return options, given their flags by name, as far as they were typed."""
    given = [name for name in flags if name in context.params and explicit(context, name)]
    return " ".join(
        flags[name] if value is True else f"{flags[name]} {shlex.quote(str(value))}"
        for name in given
        for value in _listed(context.params[name])
    )


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]
