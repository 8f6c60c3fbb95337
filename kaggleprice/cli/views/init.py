"""What `init` found out about a competition's files."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_doc import Doc
from rich.console import Group

from kaggleprice.cli.documents import COMMAND, Document
from kaggleprice.cli.views.tables import make_table, step_lines, texts
from kaggleprice.competitions.proposal import Guess, Proposal
from kaggleprice.core.errors import DataError
from kaggleprice.evaluation.adversarial import Separation
from kaggleprice.runs.advice import Step


@dataclass(frozen=True, kw_only=True)
class InitDocument(Document):
    """A competition that was described by looking at its files."""

    command: Annotated[Literal["init"], COMMAND] = "init"
    path: Annotated[Path, Doc("Where the description was written.")]
    train: Annotated[Path, Doc("The training file.")]
    test: Annotated[Path | None, Doc("The test file; null for none.")]
    keys: Annotated[dict[str, Guess], Doc("Keys of the competition.")]
    kinds: Annotated[dict[str, Guess], Doc("Columns that are no plain numbers or categories.")]
    missing_values_of: Annotated[
        dict[str, Guess], Doc("Columns with markers of missing values of their own.")
    ]
    csv: Annotated[dict[str, str], Doc("How the files are written, where not as a plain CSV.")]
    warnings: Annotated[list[str], Doc("What may make the score too good to be true.")]
    separation_auc: Annotated[
        float | None,
        Doc(
            "How well trees tell training from test rows: area under the ROC curve, 0.5 by "
            "chance; null where the files cannot be read as described."
        ),
    ]
    unreadable: Annotated[
        str | None, Doc("Why the files cannot be read as described; null where they can.")
    ]


_NEXT = [("cv", "scores it"), ("predict", "writes submission.csv")]


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
        path=path,
        train=proposal.files.train,
        test=proposal.files.test,
        keys=dict(proposal.keys),
        kinds=dict(proposal.kinds),
        missing_values_of=dict(proposal.missing_values_of),
        csv=proposal.csv_format.changes,
        warnings=[
            *proposal.warnings,
            *_separation_warnings(separation, folds="fold_scheme" in proposal.keys),
        ],
        separation_auc=None if isinstance(separation, DataError) else separation.auc,
        unreadable=str(separation) if isinstance(separation, DataError) else None,
    )


def _separation_warnings(separation: Separation | DataError, *, folds: bool) -> list[str]:
    warning = "" if isinstance(separation, DataError) else separation.warning()
    # Folds that are proposed for it are the cure already.
    return [warning] if warning and not folds else []


def init_view(document: InitDocument) -> Group:
    """Show each guess with its reason, what looks like a leak, and what to do next.

    Why the files cannot be read is left to the error with which the command then ends.
    """
    own = {f"missing values of {name}": guess for name, guess in document.missing_values_of.items()}
    guesses = [*document.keys.items(), *document.kinds.items(), *own.items()]
    rows = [(name, _value_text(guess.value), _reason(guess)) for name, guess in guesses]
    for name, value in document.csv.items():
        rows.append((name, repr(value), "as the training file is written"))
    return Group(
        make_table(("key or column", "guess", "why"), rows),
        *texts(*(f"warning: {warning}" for warning in document.warnings)),
        *texts(f"written to {document.path}, with every guess in it to be edited"),
        *step_lines(_steps(document)),
    )


def _steps(document: InitDocument) -> list[Step]:
    if document.separation_auc is None:
        return []
    folder = document.path.parent
    # A description elsewhere is named: by its competition where it lies in the data folder.
    where = "" if folder == Path() else f" -c {shlex.quote(str(document.path))}"
    if folder.parent == Path("data"):
        where = f" -c {shlex.quote(folder.name)}"
    return [
        Step(f"kaggleprice {command}{where}", why)
        for command, why in _NEXT
        if command != "predict" or document.test is not None
    ]


def _reason(guess: Guess) -> str:
    return guess.reason if guess.sure else f"not sure: {guess.reason}"


def _value_text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return " < ".join(value)
    return ", ".join(value) if isinstance(value, list) else str(value)
