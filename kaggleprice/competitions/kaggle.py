"""Kaggle, through its own command `kaggle`: fetch a competition's files, send a submission.

The command finds its credentials by itself (`KAGGLE_API_TOKEN`, `~/.kaggle/access_token`,
`kaggle.json`); they are never read, printed or stored here. It says what went wrong in words
only: it ends with 1 whatever that was, and with 0 where it was interrupted. So each fault is
known by what Kaggle or the command says (versions 2.2 and later), and what is said is text from
elsewhere: messages show it through `repr`, without what may be secret in addresses.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kaggleprice.competitions.catalog import check_slug
from kaggleprice.core.errors import AccessError, KagglePriceError, NetworkError, OutputError

SITE = "https://www.kaggle.com"
Status = Literal["pending", "complete", "error"]
# With these the command prints the headers of its requests, and so the credentials in them.
_TALKATIVE = ("VERBOSE", "VERBOSE_OUTPUT")
_INTERRUPTED = "User cancelled operation"
_LONGEST_REASON = 300


@dataclass(frozen=True)
class Submission:
    """How Kaggle takes a submission.

    Attributes:
        status: `pending` while it is scored, `error` where it was rejected.
        public_score: on the public part of the test rows; None where none is told.
    """

    status: Status
    public_score: float | None


def rules_page(slug: str) -> str:
    """Return the address at which a competition's rules are accepted."""
    return f"{SITE}/competitions/{slug}/rules"


def download_archive(slug: str, folder: Path) -> Path:
    """Fetch all files of a competition as one zip; one that is there already is kept if it is new.

    An interrupted download goes on where it ended.

    Args:
        slug: the competition's name at Kaggle.
        folder: where the zip goes; made where it is not there.

    Returns:
        The zip.

    Raises:
        UsageError: for a name that cannot be.
        AccessError: where the command is not installed, or Kaggle refuses.
        NetworkError: where Kaggle cannot be reached.
        OutputError: where the folder cannot be made.
    """
    check_slug(slug)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror or error}.") from None
    said = _ask(slug, "download", slug, f"--path={folder}", "--quiet")
    archive = folder / f"{slug}.zip"
    if not archive.is_file():
        raise AccessError(f"Kaggle's files of {slug} are not a zip. {_told(said)}")
    return archive


def send(slug: str, file: Path, message: str) -> int:
    """Send a submission; return the number by which Kaggle knows it.

    Raises:
        AccessError: where the command is not installed, or Kaggle refuses.
        NetworkError: where Kaggle cannot be reached.
    """
    # With `=`, since a message may begin with a dash.
    asked = ("submit", slug, f"--file={file}", f"--message={message}", "--quiet")
    said = _ask(slug, *asked, refused=f"Kaggle rejects {file} for {slug}")
    found = re.search(r"^Submission ref: (\d{1,18})\s*$", said, flags=re.MULTILINE)
    if found is None:
        raise AccessError(
            f"Kaggle does not say that it took {file}; look at "
            f"{SITE}/competitions/{slug}/submissions. {_told(said)}"
        )
    return int(found[1])


def look_up_submission(slug: str, ref: int) -> Submission:
    """Return how a submission fares; one that is not listed yet is pending.

    Raises:
        AccessError, NetworkError: as `send`.
    """
    said = _ask(slug, "submissions", slug, "--format=json", "--page-size=100", "--quiet")
    # What else it says, such as a warning, stands before.
    start = re.search(r"^\[", said, flags=re.MULTILINE)
    try:
        listed = json.loads(said[start.start() :]) if start else []
        found = next((entry for entry in listed if entry["ref"] == ref), None)
        if found is None:
            return Submission("pending", None)
        status = str(found["status"]).rpartition(".")[2].lower()
        score = found["publicScore"]
        number = float(score) if score else math.nan
        return Submission(_STATUSES[status], number if math.isfinite(number) else None)
    except (ValueError, KeyError, TypeError):
        raise AccessError(f"Kaggle's list of submissions cannot be read. {_told(said)}") from None


_STATUSES: dict[str, Status] = {"pending": "pending", "complete": "complete", "error": "error"}


def why_rejected(slug: str, ref: int) -> str:
    """Return in one line why a submission was rejected; empty where Kaggle does not say it.

    Raises:
        AccessError, NetworkError: as `send`.
    """
    said = _ask(slug, "submission", str(ref))
    found = re.search(r"^Error: +(.*(?:\n {2,}.*)*)", said, flags=re.MULTILINE)
    return "" if found is None else _short(found[1])


def _program() -> str:
    # Beside this Python first, which need not be on the path.
    found = shutil.which("kaggle", path=str(Path(sys.executable).parent)) or shutil.which("kaggle")
    if found is None:
        raise AccessError(
            "this needs Kaggle's own command `kaggle`, which is not installed; install it with "
            '`pip install "kaggleprice[kaggle]"`.'
        )
    return found


def _ask(slug: str, *arguments: str, refused: str = "") -> str:
    """Run `kaggle competitions ARGUMENTS`; return what it prints.

    Args:
        slug: of the competition that is meant.
        arguments: for the command.
        refused: begins the message where a request is refused for no known cause.

    Raises:
        AccessError, NetworkError: for what it says to have failed.
        KeyboardInterrupt: where it was interrupted.
    """
    environment = {name: text for name, text in os.environ.items() if name not in _TALKATIVE}
    done = subprocess.run(  # noqa: S603 - no shell; what the user named comes after checks
        [_program(), "--no-warn", "competitions", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**environment, "PYTHONIOENCODING": "utf-8"},
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode == 0 and _INTERRUPTED not in done.stdout:
        return done.stdout
    if _INTERRUPTED in done.stdout:
        raise KeyboardInterrupt
    said = f"{done.stdout}\n{done.stderr}"
    reason = _short(done.stderr.strip() or done.stdout)
    for words, sentence in _FAULTS:
        if re.search(words, said, flags=re.IGNORECASE | re.MULTILINE):
            raise sentence(slug, reason)
    raise AccessError(f"{refused or f'Kaggle refuses, for {slug}'}: it says {reason!r}.")


def _told(said: str) -> str:
    return f"It says {_short(said)!r}."


def _short(said: str) -> str:
    """Return what was said, up to its first blank line, on one line and without secrets."""
    if "Traceback (most recent call last)" in said:
        said = said.strip().rpartition("\n")[2]
    first = said.strip().split("\n\n")[0]
    # Addresses are signed after the "?".
    plain = re.sub(r"(https?://[^\s?]+)\?\S+", r"\1", first)
    plain = re.sub(r"(?i)(bearer|basic) \S+", r"\1 ...", plain)
    return " ".join(plain.split())[:_LONGEST_REASON]


Sentence = Callable[[str, str], KagglePriceError]


def _no_credentials(slug: str, reason: str) -> KagglePriceError:
    return AccessError(
        "Kaggle asks who you are (401): there are no credentials, or they are no longer valid; "
        f"run `kaggle auth login`, or make a token at {SITE}/settings/api and put it into "
        "KAGGLE_API_TOKEN or ~/.kaggle/access_token."
    )


def _limit(slug: str, reason: str) -> KagglePriceError:
    return AccessError(
        f"{slug} takes no more submissions of yours today: its limit is reached; Kaggle counts "
        f"anew at midnight UTC. It says {reason!r}."
    )


def _closed(slug: str, reason: str) -> KagglePriceError:
    return AccessError(f"{slug} is closed: it takes no submissions. It says {reason!r}.")


def _absent(slug: str, reason: str) -> KagglePriceError:
    return AccessError(
        f"Kaggle has no competition {slug!r}, or none that takes submissions still (404); its name "
        f"is the one in its address, {SITE}/competitions/NAME."
    )


def _too_often(slug: str, reason: str) -> KagglePriceError:
    return AccessError("Kaggle was asked too often (429); wait a few minutes, then try again.")


def _rules(slug: str, reason: str) -> KagglePriceError:
    return AccessError(
        f"Kaggle refuses (403): accept the rules of {slug} at {rules_page(slug)}, then try again. "
        f"It says {reason!r}."
    )


def _broken(slug: str, reason: str) -> KagglePriceError:
    return AccessError(
        f"Kaggle's own command `kaggle` does not start: {reason!r}; install it anew with "
        '`pip install "kaggleprice[kaggle]"`.'
    )


def _unreachable(slug: str, reason: str) -> KagglePriceError:
    return NetworkError(f"Kaggle cannot be reached, or fails; try again later. Said: {reason!r}.")


# By what stands in the output, the first that fits: first what only Kaggle says, then what the
# command adds for each status. The last is for what was uploaded and not taken.
_FAULTS: tuple[tuple[str, Sentence], ...] = (
    ("^(ModuleNotFound|Import)Error: ", _broken),
    ("Authentication required to call|^401 ", _no_credentials),
    (
        "submission (allowance|limit|quota)|daily limit|submissions? (per|for the|this|to)"
        "[a-z ]* day|resets at|maximum number of submissions",
        _limit,
    ),
    ("You have been rate limited|^429 |429 Client Error", _too_often),
    ("Could not find competition|^404 |The resource was not found", _absent),
    (
        "deadline (has )?passed|past (its|the) deadline|(is|are|was) closed|has (ended|closed)"
        "|(not|no longer) (currently )?(accept|allow|open)",
        _closed,
    ),
    ("You don't have access to this resource|^403 |accept .{0,40}rules", _rules),
    (
        r"This is a problem on Kaggle's side|^5\d\d |ConnectionError|Max retries exceeded"
        "|Connection (aborted|broken|refused|reset)|timed out|ProxyError|SSLError|IncompleteRead"
        "|does not match expected size|Could not submit to competition",
        _unreachable,
    ),
)
