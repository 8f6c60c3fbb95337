"""What `init` found out about a competition's files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Group

from kaggleprice.cli.documents import GuessEntry, InitDocument
from kaggleprice.cli.views.tables import make_table, step_lines, texts
from kaggleprice.competitions.proposal import Guess, Proposal
from kaggleprice.runs.advice import Step

_NEXT = [("kaggleprice cv", "scores it"), ("kaggleprice predict", "writes submission.csv")]


def init_document(proposal: Proposal, path: Path) -> InitDocument:
    """Describe what was guessed, and where it was written."""
    return InitDocument(
        path=str(path),
        train=str(proposal.files.train),
        test=None if proposal.files.test is None else str(proposal.files.test),
        keys=[_entry(key, guess) for key, guess in proposal.keys.items()],
        kinds=[_entry(column, guess) for column, guess in proposal.kinds.items()],
        csv=proposal.csv_format.changes,
        warnings=list(proposal.warnings),
    )


def _entry(name: str, guess: Guess) -> GuessEntry:
    value = list(guess.value) if isinstance(guess.value, tuple) else guess.value
    return GuessEntry(name=name, value=value, reason=guess.reason, sure=guess.sure)


def init_view(document: InitDocument) -> Group:
    """Show each guess with its reason, what looks like a leak, and what to do next."""
    guesses = [*document.keys, *document.kinds]
    rows = [(g.name, _value_text(g.value), _reason(g)) for g in guesses]
    for name, value in document.csv.items():
        rows.append((name, repr(value), "as the training file is written"))
    return Group(
        make_table(("key or column", "guess", "why"), rows),
        *texts(*(f"warning: {warning}" for warning in document.warnings)),
        *texts(f"written to {document.path}, with every guess in it to be edited"),
        *step_lines([Step(command, purpose) for command, purpose in _NEXT]),
    )


def _reason(guess: GuessEntry) -> str:
    return guess.reason if guess.sure else f"not sure: {guess.reason}"


def _value_text(value: Any) -> str:
    if value is None:
        return "none"
    return " < ".join(map(str, value)) if isinstance(value, list) else str(value)
