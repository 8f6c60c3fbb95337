"""What a CI server is given: limits to keep, JUnit XML, a Markdown summary, annotations."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from kaggleprice.cli.console.text import printable
from kaggleprice.cli.help import CI, option
from kaggleprice.core.errors import KagglePriceError, OutputError, UsageError
from kaggleprice.core.files import check_writable, replacing

if TYPE_CHECKING:
    from kaggleprice.core.progress import Progress
    from kaggleprice.runs.gates import Gate, Limits
    from kaggleprice.runs.run import Run

_ON_GITHUB, _STEP_SUMMARY = "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"

FailAboveOption = Annotated[
    float | None,
    option(
        CI,
        "Exit with 6 where the pooled score is above this.",
        "--fail-above",
        value="SCORE",
        default="none",
    ),
]
FailBelowOption = Annotated[
    float | None,
    option(
        CI,
        "The same for a metric of which more is better, such as r2: where it is below this.",
        "--fail-below",
        value="SCORE",
        default="none",
    ),
]
BaselineOption = Annotated[
    str | None,
    option(
        CI,
        "Exit with 6 where the pooled score is worse than this run's by more than "
        "--tolerance and noise: the 95 % bound of the paired difference, by rows for a run, by "
        "folds for a copied run.json or a saved `cv --json` document. Needs the same folds.",
        "--baseline",
        value="RUN|FILE",
        default="none",
    ),
]
ToleranceOption = Annotated[
    float | None,
    option(
        CI,
        "How much worse than --baseline may be, beyond noise, in the score's unit.",
        "--tolerance",
        value="X",
        default="0",
    ),
]
JunitOption = Annotated[
    Path | None,
    option(
        CI,
        "Write folds and gates as JUnit XML; an earlier file is replaced.",
        "--junit",
        value="FILE.xml",
        default="none",
    ),
]
SummaryOption = Annotated[
    Path | None,
    option(
        CI,
        "Write a Markdown summary; an earlier file is replaced. In any case it is appended "
        f"to ${_STEP_SUMMARY} where that is set.",
        "--summary",
        value="FILE.md",
        default="none",
    ),
]


def read_limits(
    fail_above: float | None,
    fail_below: float | None,
    baseline: str | None,
    tolerance: float | None,
    runs_dir: Path,
    competition: str,
) -> Limits:
    """Read what is demanded of the score, before long work.

    Raises:
        UsageError, DataError: for a number that cannot be, or a baseline that is not one.
    """
    from kaggleprice.runs.gates import Limits, read_scored

    if tolerance is not None and baseline is None:
        raise UsageError("--tolerance says how far a baseline may be missed; give --baseline.")
    score = None if baseline is None else read_scored(baseline, runs_dir, competition)
    return Limits(fail_above, score, tolerance or 0.0, fail_below)


@dataclass(frozen=True)
class Delivery:
    """The files of one `cv` command for a CI server, and what is said to it.

    Attributes:
        competition: its name.
        junit, summary: where they are written; None for nowhere.
    """

    competition: str
    junit: Path | None = None
    summary: Path | None = None

    def __post_init__(self) -> None:
        """Check, before long work, that the files can be written.

        Raises:
            OutputError: where one cannot.
            UsageError: where they are the same.
        """
        paths = [path for path in (self.junit, self.summary) if path is not None]
        for path in paths:
            check_writable(path)
        if len({path.resolve() for path in paths}) < len(paths):
            raise UsageError(f"--junit and --summary are both {self.junit}; name two files.")

    @contextmanager
    def of_failure(self, progress: Progress) -> Iterator[None]:
        """Write the files where the block fails, as those of a failure, and go on failing."""
        from kaggleprice.cli.ci_files import render_failure

        try:
            yield
        except Exception as error:
            kind = type(error).__name__ if isinstance(error, KagglePriceError) else "RunError"
            failure = (self.competition, kind, str(error))
            annotate("error", "kaggleprice", str(error))
            try:
                self._write(lambda form: render_failure(form, *failure), progress)
            except OutputError as second:
                # The first error is the one to end with.
                progress.notice(str(second))
            raise

    def deliver(self, run: Run, gates: Sequence[Gate], progress: Progress) -> None:
        """Write the files of a run, and annotate what is to be seen.

        Raises:
            OutputError: where one cannot be written.
        """
        from kaggleprice.cli.ci_files import render

        self._write(lambda form: render(form, run, gates), progress)
        for note in run.record["notes"]:
            annotate("warning", f"run {run.name}", note)
        for gate in gates:
            if not gate.passed:
                annotate("error", f"gate {gate.name} missed", gate.reason)

    def _write(self, rendered: Callable[[str], str], progress: Progress) -> None:
        from kaggleprice.cli.ci_files import JUNIT, SUMMARY

        step = os.environ.get(_STEP_SUMMARY)
        for path, form in [(self.junit, JUNIT), (self.summary, SUMMARY)]:
            # Where the summary is appended anyway, nothing is replaced.
            if path is not None and not (step and path.resolve() == Path(step).resolve()):
                with replacing(path) as beside:
                    beside.write_bytes(rendered(form).encode())
        if step:
            try:
                with Path(step).open("a", encoding="utf-8", newline="\n") as file:
                    file.write(f"{rendered(SUMMARY)}\n")
            except OSError as error:
                # Nobody asked for it by an option: a server's fault must not cost a score.
                reason = error.strerror or error
                progress.notice(f"cannot append the summary to ${_STEP_SUMMARY}: {reason}")


def annotate(kind: str, title: str, message: str) -> None:
    """Say something in GitHub's form, on stderr, where this runs on GitHub Actions.

    Args:
        kind: `error`, `warning` or `notice`.
        title: a few words.
        message: one sentence.
    """
    if os.environ.get(_ON_GITHUB) == "true":
        print(annotation(kind, title, message), file=sys.stderr, flush=True)


def annotation(kind: str, title: str, message: str) -> str:
    """Return GitHub's workflow command, escaped as its toolkit does (packages/core, command.ts).

    Nothing that is printed by `printable` breaks the line.
    """
    escaped = _escaped(title).replace(":", "%3A").replace(",", "%2C")
    return f"::{kind} title={escaped}::{_escaped(message)}"


def _escaped(text: str) -> str:
    return printable(text).replace("%", "%25")
