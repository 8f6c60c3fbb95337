"""What Kaggle says of a run's submission: `leaderboard.json`, beside what the run itself wrote.

The run's record is not touched: it is what the training computed, and its digest holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge

from kaggleprice.core.errors import RunFolderError
from kaggleprice.core.files import replacing
from kaggleprice.runs.run import Run
from kaggleprice.settings.declaration import STRICT

if TYPE_CHECKING:
    from pydantic import TypeAdapter

FILE = "leaderboard.json"


@dataclass(frozen=True)
class Leaderboard:
    """A submission that was sent.

    Attributes:
        kaggle: the competition's name at Kaggle.
        ref: the number by which Kaggle knows the submission.
        message: what was sent with it.
        sha256: hash of the file that was sent.
        sent: when, ISO 8601 with its zone.
        status: `pending` while it is scored, `error` where it was rejected.
        public_score: on the public part of the test rows; None where none is known.
    """

    kaggle: str
    ref: Annotated[int, Ge(0)]
    message: str
    sha256: str
    sent: str
    status: Literal["pending", "complete", "error"] = "pending"
    public_score: float | None = None

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        """Check the time.

        Raises:
            ValueError: where it is none.
        """
        datetime.fromisoformat(self.sent)


@cache
def _adapter() -> TypeAdapter[Leaderboard]:
    from pydantic import TypeAdapter

    return TypeAdapter(Leaderboard)


def write_leaderboard(run: Run, leaderboard: Leaderboard) -> Path:
    """Write what is known of a submission into the run's folder, as a whole; return the file.

    Raises:
        OutputError: where it cannot be written, or would be through a link.
    """
    file = run.output(FILE)
    with replacing(file) as beside:
        beside.write_bytes(_adapter().dump_json(leaderboard, indent=1) + b"\n")
    return file


def read_leaderboard(run: Run) -> Leaderboard | None:
    """Return what is known of a run's submission; None where none was sent.

    Raises:
        RunFolderError: where the file is damaged, or a link.
    """
    file = run.path / FILE
    if file.is_symlink():
        raise RunFolderError(f"{file} is a link; a run's files must lie in its folder.")
    try:
        return _adapter().validate_json(file.read_bytes(), strict=True)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise RunFolderError(
            f"{file} is damaged: {' '.join(str(error).split())}; remove it."
        ) from None


def public_score(run: Run) -> float | None:
    """Return a run's score on the public leaderboard; None where none is known."""
    try:
        found = read_leaderboard(run)
    except RunFolderError:
        # A list is not the place to refuse; `runs show` says what is damaged.
        return None
    return None if found is None else found.public_score


def gap(run: Run, score: float | None) -> float | None:
    """Return by how much a leaderboard score is above the pooled out-of-fold one."""
    return None if score is None else score - run.oof
