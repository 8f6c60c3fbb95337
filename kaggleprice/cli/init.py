"""`kaggleprice init`: look at a competition's files, and describe them in a `competition.toml`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggleprice.cli.arguments import DropMissingTargetOption, DropOption, KindOption
from kaggleprice.cli.dataset import given_kinds
from kaggleprice.cli.help import DATA, OUTPUT, option
from kaggleprice.cli.output import ask, make_reporter, output_options, show, start
from kaggleprice.core.errors import DataError, UsageError

if TYPE_CHECKING:
    from kaggleprice.competitions.found_files import Files
    from kaggleprice.competitions.proposal import Guess
    from kaggleprice.evaluation.adversarial import Separation

EXAMPLES = (
    "kaggleprice init",
    "kaggleprice init ~/Downloads/bikes.zip --target count --metric rmsle",
)
# Key of a competition → the flag that gives it.
_FLAGS = {
    "id_column": "--id",
    "target_column": "--target",
    "target_transform": "--transform",
    "metric": "--metric",
}


def init(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FOLDER|ZIP|FILES", help="Where the files are; here by default."),
    ] = None,
    name: Annotated[
        str | None,
        option(
            DATA, "Name of the competition.", "--name", value="NAME", default="that of the folder"
        ),
    ] = None,
    train: Annotated[
        Path | None,
        option(DATA, "The training file.", "--train", value="FILE", default="found by looking"),
    ] = None,
    test: Annotated[
        Path | None,
        option(DATA, "The test file.", "--test", value="FILE", default="found by looking"),
    ] = None,
    target: Annotated[
        list[str] | None,
        option(
            DATA,
            "Column to predict. May be given again.",
            "--target",
            value="COLUMN",
            default="found by looking",
        ),
    ] = None,
    id_column: Annotated[
        str | None,
        option(DATA, "Column that names rows.", "--id", value="COLUMN", default="found by looking"),
    ] = None,
    metric: Annotated[
        str | None,
        option(
            DATA,
            "What predictions are scored by.",
            "--metric",
            value="NAME",
            default="proposed from the target",
        ),
    ] = None,
    transform: Annotated[
        str | None,
        option(
            DATA,
            "What networks are trained on: the target's logs, or the target itself.",
            "--transform",
            value="NAME",
            default="proposed from the target",
        ),
    ] = None,
    into: Annotated[
        Path | None,
        option(
            OUTPUT,
            "Folder for competition.toml, and for what a zip holds.",
            "--into",
            value="FOLDER",
            default="the named folder, else this one",
        ),
    ] = None,
    kind: KindOption = None,
    drop: DropOption = None,
    drop_missing_target: DropMissingTargetOption = False,
    kaggle: Annotated[
        str | None,
        option(
            DATA,
            "Its name in addresses at kaggle.com, which `submit` needs.",
            "--kaggle",
            value="NAME",
            default="not held there",
        ),
    ] = None,
    yes: Annotated[
        bool, option(OUTPUT, "Take every guess, also unsure ones; ask nothing.", "--yes", "-y")
    ] = False,
    force: Annotated[
        bool, option(OUTPUT, "Replace a competition.toml that is there.", "--force")
    ] = False,
) -> None:
    """Look at train, test and sample files, and describe the competition in competition.toml."""
    start()
    from kaggleprice.cli.views.init import init_document, init_view
    from kaggleprice.competitions.catalog import read_competition
    from kaggleprice.competitions.competition_file import FILE_NAME, competition_name, to_toml
    from kaggleprice.competitions.proposal import one_or_all, propose
    from kaggleprice.competitions.tables import read_tables
    from kaggleprice.competitions.unpacking import unpack
    from kaggleprice.core.files import check_writable, replacing
    from kaggleprice.evaluation.adversarial import separate

    with make_reporter() as reporter:
        named = [train, test] if train and test else paths or [Path()]
        folder = into or (named[0] if named[0].is_dir() else Path())
        place = folder / FILE_NAME
        if place.exists() and not force:
            raise UsageError(f"{place} is there already; edit it, or replace it with --force.")
        check_writable(place)
        given = unpack(named, reporter.notice, folder)
        files = _files(given, train, test)
        known = {
            "id_column": id_column,
            "target_column": one_or_all(target),
            "target_transform": transform,
            "metric": metric,
        }
        kinds = given_kinds(kind, drop)
        known = {key: value for key, value in known.items() if value is not None}
        reporter.advance("looking", 0, None, str(files.train))
        proposal = propose(files, known, kinds)
    if not yes:
        answers = _ask(proposal.keys, _FLAGS.__getitem__)
        kinds |= _ask(proposal.kinds, "--kind {}=KIND".format)
        proposal = propose(files, {**known, **answers}, kinds)
    proposal = replace(proposal, drop_missing_target=drop_missing_target, kaggle=kaggle)
    archive = len(named) == 1 and named[0].suffix == ".zip"
    competition = proposal.competition(
        name or competition_name(named[0].with_suffix("") if archive else folder)
    )
    with make_reporter() as reporter:
        separation: Separation | DataError
        try:
            tables = read_tables(competition, files.train, files.test, reporter)
            reporter.advance("comparing", 0, None, "training and test rows")
            separation = separate(tables)
        except DataError as error:
            # The description is what cures it, so it is written all the same.
            separation = error
    with replacing(place) as beside:
        text = to_toml(proposal, competition.name, folder)
        beside.write_text(text, encoding="utf-8")
        read_competition(beside)
    show(init_document(proposal, separation, place), init_view)
    if isinstance(separation, DataError):
        # The one document on stdout is the description, which names this as well.
        output_options.as_json = False
        raise DataError(f"{place} is written, but its files cannot be read yet: {separation}")


def _files(given: list[Path], train: Path | None, test: Path | None) -> Files:
    from kaggleprice.competitions.found_files import Files, find_files

    if train is not None:
        return Files(train, test)
    files = find_files(given)
    return files if test is None else Files(files.train, test, files.sample)


def _ask(guesses: Mapping[str, Guess], flag: Callable[[str], str]) -> dict[str, Any]:
    """Ask for what is unsure; an empty answer takes the guess.

    Args:
        guesses: by key or column.
        flag: gives the flag that would have answered.

    Raises:
        UsageError: where there is nobody to ask; it names the flag.
    """
    answers: dict[str, Any] = {}
    for name, guess in guesses.items():
        if guess.sure:
            continue
        words = name.replace("_", " ")
        answer = ask(f"{words} [{guess.value}]: ", f"Not sure of {words}: {guess.reason}")
        if answer is None:
            raise UsageError(
                f"not sure of {name}: a guess would be {guess.value} ({guess.reason}), and there "
                f"is no terminal to ask; give {flag(name)}, or --yes to take every guess."
            )
        answers[name] = answer or guess.value
    return answers
