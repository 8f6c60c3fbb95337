"""Displays: one stage at a time as a bar, as plain lines, as JSON Lines, or not at all.

A stage is a task of rich's: `description` is its name, `fields` its `detail` and `unit`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import partial
from textwrap import TextWrapper
from typing import IO, Literal

from rich.console import Console
from rich.filesize import pick_unit_and_suffix
from rich.progress import BarColumn, Progress, ProgressColumn, Task
from rich.table import Column, Table
from rich.text import Text

from kaggleprice.cli.console.text import printable
from kaggleprice.cli.documents import Document, NoticeEvent, ProgressEvent, StageEvent
from kaggleprice.core.progress import BYTES

Level = Literal["notice", "detail"]

# Seconds from the beginning of a stage to its first line, and from line to line; between events;
# until a stage is drawn: most are over before anybody could read them.
FIRST_LINE, NEXT_LINE = 5.0, 10.0
NEXT_EVENT = 0.5
SHORTEST_DRAWN = 0.2
# Below how many columns there is no room for a bar and for details.
_NARROW = 60
_UNBROKEN = partial(
    TextWrapper,
    break_long_words=False,
    break_on_hyphens=False,
    replace_whitespace=False,
    expand_tabs=False,
)


def duration_text(seconds: float) -> str:
    """Return a time to go by, such as `8 s`, `35 s`, `2 min 10 s`, `1 h 20 min`.

    It is as coarse as an estimate of it: steps of 1, 5, 10 seconds, then of minutes.
    """
    step = 1 if seconds < 10 else 5 if seconds < 60 else 10 if seconds < 300 else 60
    whole = round(seconds / step) * step
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    parts = [(hours, "h"), (minutes, "min"), (rest, "s")]
    words = [f"{count} {unit}" for count, unit in parts if count]
    return " ".join(words) or "0 s"


def amount_text(done: float, total: float | None, unit: str, between: str = " of ") -> str:
    """Return how much is done, such as `9 of 60 epochs` or `1.2 of 3.4 MB`; "" for nothing."""
    if total is None and not done:
        return ""
    counts = [done] if total is None else [done, total]
    if unit != BYTES:
        return f"{between.join(f'{count:.0f}' for count in counts)} {unit}".rstrip()
    size, suffix = pick_unit_and_suffix(int(counts[-1]), ["bytes", "kB", "MB", "GB", "TB"], 1000)
    digits = 0 if size == 1 else 1
    return f"{between.join(f'{count / size:.{digits}f}' for count in counts)} {suffix}"


def _time_text(stage: Task) -> str:
    """Return `about 30 s left`, or `10 s so far` where nobody knows."""
    if stage.finished or stage.time_remaining is None:
        return f"{duration_text(stage.elapsed or 0)} so far"
    return f"about {duration_text(stage.time_remaining)} left"


def print_sentence(console: Console, sentence: str, style: str = "", head: str = "") -> None:
    """Print a sentence: on a terminal broken between words, in one line everywhere else.

    A path longer than a line stays whole, for whoever copies it; rich would break it.

    Args:
        console: where.
        sentence: may hold text from data.
        style: its style.
        head: what it begins with, in red.
    """
    shown = Text.assemble((head, "bold red"), (printable(sentence), style))
    plain, end = shown.plain, 0
    width = console.width if console.file.isatty() else len(plain) + 1
    for line in _UNBROKEN(width=width).wrap(plain) or [""]:
        begin = plain.index(line, end)
        end = begin + len(line)
        console.print(shown[begin:end], soft_wrap=True)


class Display:
    """What becomes of notices and stages: nothing, until a form of telling says otherwise."""

    def notice(self, message: str, level: Level) -> None:
        """Show one sentence; its level is `notice` or `detail`."""

    def begin(self, stage: Task) -> None:
        """A stage begins."""

    def update(self, stage: Task) -> None:
        """The stage went on."""

    def end(self, stage: Task, stopped: bool) -> None:
        """The stage is over; `stopped` says whether by an error or an interruption."""


class Notices(Display):
    """Shows what is said once, each a line, however long."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def notice(self, message: str, level: Level) -> None:
        """Print the sentence."""
        print_sentence(self._console, message, style="dim")


class Lines(Notices):
    """A plain line now and then: the first after a while, so that quick stages say nothing.

    The last line of a stage is shown where it was a long one.
    """

    def begin(self, stage: Task) -> None:
        """Wait a while."""
        self._due = FIRST_LINE

    def update(self, stage: Task) -> None:
        """Print a line where it is time."""
        took = stage.elapsed or 0
        if took >= self._due and not stage.finished:
            self._due = took + NEXT_LINE
            self._print(stage, _time_text(stage))

    def end(self, stage: Task, stopped: bool) -> None:
        """Print how it ended."""
        took = stage.elapsed or 0
        if took >= FIRST_LINE:
            time = duration_text(took)
            self._print(stage, f"stopped after {time}" if stopped else f"{time} in all")

    def _print(self, stage: Task, rest: str) -> None:
        amount = amount_text(stage.completed, stage.total, stage.fields["unit"])
        words = ", ".join(part for part in (amount, stage.fields["detail"], rest) if part)
        print_sentence(self._console, f"{stage.description}: {words}")


class Events(Display):
    """One JSON object per line, each an event of `kaggleprice.cli.documents`."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def notice(self, message: str, level: Level) -> None:
        """Write a `notice`."""
        self.write(NoticeEvent(message=message, level=level))

    def begin(self, stage: Task) -> None:
        """Write a `stage` that has begun."""
        self._due = 0.0
        self._told: tuple[float, str, bool] | None = None
        self.write(StageEvent(stage=stage.description, state="begun", seconds=0.0))

    def update(self, stage: Task) -> None:
        """Write a `progress`: not too often, less often where nothing changed, always the last."""
        took = stage.elapsed or 0
        told = (stage.completed, stage.fields["detail"], stage.finished)
        last = stage.finished and not (self._told and self._told[2])
        if last or took >= self._due + (NEXT_LINE if told == self._told else 0):
            self._due, self._told = took + NEXT_EVENT, told
            self.write(
                ProgressEvent(
                    stage=stage.description,
                    done=int(stage.completed),
                    total=None if stage.total is None else int(stage.total),
                    unit=stage.fields["unit"],
                    detail=stage.fields["detail"],
                    seconds=round(took, 3),
                    seconds_left=stage.time_remaining,
                )
            )

    def end(self, stage: Task, stopped: bool) -> None:
        """Write a `stage` that has ended."""
        seconds = round(stage.elapsed or 0, 3)
        self.write(StageEvent(stage=stage.description, state="ended", seconds=seconds))

    def write(self, event: Document) -> None:
        """Write an event, whole, at once."""
        self._stream.write(json.dumps(asdict(event), allow_nan=False) + "\n")
        self._stream.flush()


class _Words(ProgressColumn):
    """A column of text; one that `shrinks` is the first to become shorter."""

    def __init__(self, words: Callable[[Task], str], shrinks: bool = False) -> None:
        super().__init__(Column(no_wrap=not shrinks, overflow="ellipsis"))
        self._words = words

    def render(self, task: Task) -> Text:
        """Return the text."""
        return Text(printable(self._words(task)), no_wrap=True, overflow="ellipsis")


_NAME = _Words(lambda stage: stage.description)
_AMOUNT = _Words(lambda s: amount_text(s.completed, s.total, s.fields["unit"], "/"))
_DETAIL = _Words(lambda stage: str(stage.fields["detail"]), shrinks=True)


class Stages(Progress):
    """The stage that is told of; once started, a bar that moves and leaves nothing behind."""

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        # rich draws once while it is made, before it has a console.
        self._screen = console
        # Speeds are means over this many seconds: an epoch may take minutes.
        super().__init__(
            console=console,
            get_time=clock,
            speed_estimate_period=600,
            refresh_per_second=8,
            transient=True,
            redirect_stdout=False,
        )

    def make_tasks_table(self, tasks: Iterable[Task]) -> Table:
        """Return the line, as wide as the terminal at the moment of drawing."""
        self.columns = (_NAME, BarColumn(10), _AMOUNT, _DETAIL, _Words(_time_text))
        if self._screen.width < _NARROW:
            self.columns = (_NAME, _AMOUNT, _Words(_time_text, shrinks=True))
        return super().make_tasks_table(t for t in tasks if (t.elapsed or 0) >= SHORTEST_DRAWN)
