"""A proposal as the text of a `competition.toml`: every guess, with its reason, to be edited."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kaggleprice.competitions.catalog import FILE_NAME, KINDS
from kaggleprice.competitions.proposal import Guess, Proposal

__all__ = ["FILE_NAME", "competition_name", "to_toml"]
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def competition_name(folder: Path) -> str:
    """Return a competition's name made of a folder's: lower case, no spaces."""
    name = re.sub(r"[^a-z0-9._-]+", "-", folder.resolve().name.lower()).strip("-._")
    return name or "competition"


def to_toml(proposal: Proposal, name: str, folder: Path) -> str:
    """Return the text of a competition file.

    Args:
        proposal: what to write.
        name: of the competition.
        folder: where the file will lie; paths in it are relative to that.
    """
    return "\n".join(_lines(proposal, name, folder)) + "\n"


def _lines(proposal: Proposal, name: str, folder: Path) -> Iterator[str]:
    yield "# A guess of `kaggleprice init`, made by looking at the files. Edit what is wrong."
    yield f"name = {_text(name)}"
    if proposal.kaggle is not None:
        yield f"kaggle = {_text(proposal.kaggle)}  # its name at kaggle.com, for `submit`"
    for key, guess in proposal.keys.items():
        if guess.value is None:
            yield f"# {key}: {_comment(guess.reason)}"
        else:
            unsure = "" if guess.sure else "not sure: "
            yield f"{key} = {_text(guess.value)}  # {unsure}{_comment(guess.reason)}"
    if proposal.prediction_column is not None:
        yield f"prediction_column = {_text(proposal.prediction_column)}  # in the sample submission"
    if proposal.drop_missing_target:
        yield "drop_missing_target = true  # training rows without a target are left out"
    if proposal.csv_format.changes:
        yield "\n[csv]  # how both files are written"
        yield from (f"{key} = {_text(value)}" for key, value in proposal.csv_format.changes.items())
    yield "\n[kinds]  # of columns that are no plain numbers or categories; there are:"
    yield from (f"#   {_text(kind)}: {help_text}" for kind, help_text in KINDS.items())
    yield '#   ["low", "high"]: levels that have an order, lowest first'
    yield from _guesses(proposal.kinds)
    if proposal.missing_values_of:
        yield "\n[missing_values_of]  # columns that have markers of their own"
        yield from _guesses(proposal.missing_values_of)
    for role, path in (("train", proposal.files.train), ("test", proposal.files.test)):
        if path is not None:
            yield f"\n[{role}]\npath = {_text(_relative(path, folder))}"


def _guesses(of_columns: Mapping[str, Guess]) -> Iterator[str]:
    for column, guess in of_columns.items():
        yield f"{_key(column)} = {_text(guess.value)}  # {_comment(guess.reason)}"


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _text(name)


def _text(value: Any) -> str:
    """Return a text, or a list of texts, as TOML has it."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_text, value))}]"
    # JSON's escapes are TOML's, which asks for one more.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _comment(text: str) -> str:
    """Return a text as one line, as a comment must be; it may hold text from data."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
