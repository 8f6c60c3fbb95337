"""What `init` found out about a competition's files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Group

from kaggleprice.cli.documents import GuessEntry, InitDocument
from kaggleprice.cli.views.tables import make_table, step_lines, texts
from kaggleprice.competitions.proposal import Guess, Proposal
from kaggleprice.core.errors import DataError
from kaggleprice.evaluation.adversarial import SUSPICIOUS, Separation
from kaggleprice.runs.advice import Step

_NEXT = [("kaggleprice cv", "scores it"), ("kaggleprice predict", "writes submission.csv")]


def init_document(
    proposal: Proposal, separation: Separation | DataError, path: Path
) -> InitDocument:
    """Describe what was guessed, and where it was written.

    Args:
        proposal: the guesses.
        separation: how training and test rows differ, or why they cannot be read like this.
        path: of the file that was written.
    """
    return InitDocument(
        path=str(path),
        train=str(proposal.files.train),
        test=None if proposal.files.test is None else str(proposal.files.test),
        keys=[_entry(key, guess) for key, guess in proposal.keys.items()],
        kinds=[_entry(column, guess) for column, guess in proposal.kinds.items()],
        csv=proposal.csv_format.changes,
        warnings=[*proposal.warnings, *_separation_warnings(separation)],
        separation_auc=None if isinstance(separation, DataError) else separation.auc,
    )


def _separation_warnings(separation: Separation | DataError) -> list[str]:
    if isinstance(separation, DataError):
        return [f"the files cannot be read like this yet: {separation}"]
    if separation.auc <= SUSPICIOUS:
        return []
    by = f", by {', '.join(map(repr, separation.columns[:3]))}" if separation.columns else ""
    return [
        f"training and test rows are told apart{by} (AUC {separation.auc:.2f}; 0.5 is chance): "
        "folds drawn at random may promise a better score than the test rows give."
    ]


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
