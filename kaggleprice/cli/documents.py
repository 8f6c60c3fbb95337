"""What all JSON documents share: those of commands with `--json`, the lines of `--progress json`.

Each document is a dataclass, from which `kaggleprice.cli.schemas` derives its JSON Schema. A
command's document stands in `kaggleprice.cli.views` beside its tables; those of an error and of
progress stand here. The `Doc` of a field is its description in the schema; what a document takes
over from the library is described by the `Attributes` of the class that is taken over. To import
this module takes neither numpy nor pydantic.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

from annotated_doc import Doc
from annotated_types import Ge

SCHEMA_VERSION: Final = 1

Count = Annotated[int, Ge(0)]
Positive = Annotated[int, Ge(1)]
NotNegative = Annotated[float, Ge(0)]

# Fields that several documents share.
Competition = Annotated[str, Doc("Name of the competition.")]
RunName = Annotated[str, Doc("Name of the run.")]
RunPath = Annotated[str, Doc("The run's folder.")]
MetricName = Annotated[str, Doc("Name of the competition's metric.")]
Outside = Annotated[
    int | None,
    Doc(
        "How many of the predictions left the range of the training target, before they were "
        "bounded by it. Null in runs of earlier versions."
    ),
]
Notes = Annotated[
    list[str],
    Doc("To be shown with the score, such as that it is optimistic."),
]
Seconds = Annotated[NotNegative, Doc("Seconds that the cross-validation took.")]
NearestPreset = Annotated[str, Doc("The preset that is nearest to its settings.")]
Changed = Annotated[dict[str, Any], Doc("Options that lead from the preset to its settings.")]
Finished = Annotated[str, Doc("When it was finished, ISO 8601, UTC.")]
State = Annotated[
    Literal["finished", "unreadable", "unfinished"],
    Doc("`unreadable` is damaged or of another version; `unfinished` was interrupted."),
]
Value = Annotated[Any, Doc("A number, a text, true or false, null, or a list of them.")]
StageName = Annotated[
    str,
    Doc(
        "What is being done, in one word: `starting`, `downloading`, `reading`, `preparing`, "
        "`training`, `base models`, `scoring`, `predicting`, `writing` and the like. More may come."
    ),
]

COMMAND = Doc("What the document describes.")
_EVENT = Doc("Which kind of line it is.")


@dataclass(frozen=True, kw_only=True)
class Document:
    """What all documents begin with."""

    # Fields below which a number may be undefined, NaN, for which JSON has null.
    undefined: ClassVar[tuple[str, ...]] = ()

    schema_version: Annotated[
        Literal[1],
        Doc("Version of the schema: another where a field changes its meaning or goes."),
    ] = SCHEMA_VERSION


def plain(document: Document) -> dict[str, Any]:
    """Return a document as JSON has it: paths are texts, undefined numbers null."""
    fields = asdict(document).items()
    return {name: _plain(value, name in document.undefined) for name, value in fields}


def _plain(value: Any, undefined: bool) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part, undefined) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part, undefined) for part in value]
    if undefined and isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


@dataclass(frozen=True)
class ErrorDetails:
    """What went wrong."""

    type: Annotated[str, Doc("The error's class, such as UsageError or DataError.")]
    message: Annotated[str, Doc("One sentence that a person can act on.")]
    exit_code: Annotated[Positive, Doc("The command's exit code.")]


@dataclass(frozen=True, kw_only=True)
class ErrorDocument(Document):
    """An error: the one document on stdout where a command fails.

    The sentence stands on stderr as well.
    """

    error: Annotated[ErrorDetails, Doc("What went wrong.")]


@dataclass(frozen=True, kw_only=True)
class StageEvent(Document):
    """A stage begins or ends. One ends before the next begins."""

    event: Annotated[Literal["stage"], _EVENT] = "stage"
    stage: StageName
    state: Annotated[Literal["begun", "ended"], Doc("Which of the two.")]
    seconds: Annotated[NotNegative, Doc("Seconds since it began.")]


@dataclass(frozen=True, kw_only=True)
class ProgressEvent(Document):
    """How far the stage is.

    At most two lines a second, at least one every eleven seconds, and one when all is done.
    """

    event: Annotated[Literal["progress"], _EVENT] = "progress"
    stage: StageName
    done: Annotated[Count, Doc("Units that are done.")]
    total: Annotated[Count | None, Doc("Units that there are; null where nobody knows.")]
    unit: Annotated[str, Doc("What is counted, such as `epochs` or `bytes`; may be empty.")]
    detail: Annotated[str, Doc("A few words, such as the validation RMSE so far; may be empty.")]
    seconds: Annotated[NotNegative, Doc("Seconds since the stage began.")]
    seconds_left: Annotated[
        NotNegative | None, Doc("Estimated until it ends; null where it is too early.")
    ]


@dataclass(frozen=True, kw_only=True)
class NoticeEvent(Document):
    """Something worth saying once."""

    event: Annotated[Literal["notice"], _EVENT] = "notice"
    message: Annotated[str, Doc("One sentence.")]
    level: Annotated[Literal["notice", "detail"], Doc("`detail` is said with `--verbose` only.")]


@dataclass(frozen=True)
class TracedError(ErrorDetails):
    """What went wrong, and where in the program."""

    traceback: Annotated[str | None, Doc("For an error that nobody expected; null for all others.")]


@dataclass(frozen=True, kw_only=True)
class ErrorEvent(Document):
    """The command failed; the last line."""

    event: Annotated[Literal["error"], _EVENT] = "error"
    error: Annotated[TracedError, Doc("As with `--json`, and where in the program.")]
