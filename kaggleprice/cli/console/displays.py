"""Displays: one stage at a time as a bar, as plain lines, as JSON Lines, or not at all."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from functools import partial
from textwrap import TextWrapper
from typing import IO, Literal

from rich.console import Console, Group, RenderableType
from rich.constrain import Constrain
from rich.filesize import pick_unit_and_suffix
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from kaggleprice.cli.console.text import printable
from kaggleprice.cli.documents import Document, NoticeEvent, ProgressEvent, StageEvent
from kaggleprice.core.progress import BYTES

Level = Literal["notice", "detail"]

# Seconds after which an observed speed has lost most of its weight.
_MEMORY = 15.0
# No estimate from less than this many seconds: the first units are slower than the rest.
_SOONEST = 1.0


class Pace:
    """The speed of a stage, smoothed: an exponentially weighted mean of the observed speeds.

    A speed counts by how long it was observed, and the weights are corrected for having begun
    at nothing (as Adam corrects its moments), so that the first estimate is the first speed and
    not a part of it.
    """

    def __init__(self, now: float, done: int) -> None:
        self._began = self._seen = now
        self._done = done
        self._speed = self._weight = 0.0

    def observe(self, now: float, done: int) -> None:
        """Take note that `done` units are done at the time `now`, in seconds."""
        passed, more = now - self._seen, done - self._done
        if passed <= 0 or more <= 0:
            return
        kept = math.exp(-passed / _MEMORY)
        self._speed = kept * self._speed + (1 - kept) * more / passed
        self._weight = kept * self._weight + (1 - kept)
        self._seen, self._done = now, done

    def left(self, now: float, total: int | None) -> float | None:
        """Return the seconds until `total` units are done; None where nothing is known yet."""
        if total is None or self._weight == 0 or self._seen - self._began < _SOONEST:
            return None
        expected = (total - self._done) * self._weight / self._speed
        return max(expected - (now - self._seen), 0.0)


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


def amount_text(done: int, total: int | None, unit: str, between: str = " of ") -> str:
    """Return how much is done, such as `9 of 60 epochs` or `1.2 of 3.4 MB`; "" for nothing."""
    if total is None and not done:
        return ""
    counts = [done] if total is None else [done, total]
    if unit != BYTES:
        return f"{between.join(str(count) for count in counts)} {unit}".rstrip()
    size, suffix = pick_unit_and_suffix(counts[-1], ["bytes", "kB", "MB", "GB", "TB"], 1000)
    digits = 0 if size == 1 else 1
    return f"{between.join(f'{count / size:.{digits}f}' for count in counts)} {suffix}"


FIRST_LINE, NEXT_LINE = 5.0, 10.0
NEXT_EVENT = 0.5
SHORTEST_DRAWN = 0.2
SECONDS_BETWEEN_TURNS = 0.25
_TURNS = "|/-\\"
_UNBROKEN = partial(
    TextWrapper,
    break_long_words=False,
    break_on_hyphens=False,
    replace_whitespace=False,
    expand_tabs=False,
    drop_whitespace=True,
)
# How many bars would fill a line, at least; below how many columns there is no room for one.
_BARS, _NARROW = 8, 60


@dataclass
class Stage:
    """A part of the work, and how far it is.

    Attributes:
        name, done, total, detail, unit: as `Progress.advance` was told.
        began: when, in seconds of some clock.
        pace: its speed.
        stopped: whether it was left by an error or an interruption.
    """

    name: str
    began: float
    pace: Pace
    done: int = 0
    total: int | None = None
    detail: str = ""
    unit: str = ""
    stopped: bool = False

    @property
    def finished(self) -> bool:
        """Whether all of it is done."""
        return self.total is not None and self.done >= self.total


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

    def begin(self, stage: Stage, now: float) -> None:
        """A stage begins; `now` is in seconds, as everywhere here."""

    def update(self, stage: Stage, now: float) -> None:
        """The stage went on."""

    def end(self, stage: Stage, now: float) -> None:
        """The stage is over."""

    def close(self) -> None:
        """All is over."""


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

    def begin(self, stage: Stage, now: float) -> None:
        """Wait a while."""
        self._due = now + FIRST_LINE

    def update(self, stage: Stage, now: float) -> None:
        """Print a line where it is time."""
        if now >= self._due and not stage.finished:
            self._due = now + NEXT_LINE
            so_far = f"{duration_text(now - stage.began)} so far"
            self._print(stage, left_text(stage, now) or so_far)

    def end(self, stage: Stage, now: float) -> None:
        """Print how it ended."""
        took = now - stage.began
        if took >= FIRST_LINE:
            time = duration_text(took)
            self._print(stage, f"stopped after {time}" if stage.stopped else f"{time} in all")

    def _print(self, stage: Stage, rest: str) -> None:
        amount = amount_text(stage.done, stage.total, stage.unit)
        words = ", ".join(part for part in (amount, stage.detail, rest) if part)
        print_sentence(self._console, f"{stage.name}: {words}")


class Bars(Notices):
    """A bar that moves while its stage lasts, and leaves nothing behind."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._line = _Line(console)
        self._live: Live | None = None

    def begin(self, stage: Stage, now: float) -> None:
        """Draw this stage from now on; a thread draws it again eight times per second."""
        self._line.stage = stage
        if self._live is None:
            self._live = Live(
                self._line,
                console=self._console,
                transient=True,
                refresh_per_second=8,
                redirect_stdout=False,
            )
            self._live.start()

    def update(self, stage: Stage, now: float) -> None:
        """Leave it to the next drawing."""

    def end(self, stage: Stage, now: float) -> None:
        """Draw nothing until the next stage."""
        self._line.stage = None

    def close(self) -> None:
        """Take the bar away, and give the cursor back."""
        if self._live is not None:
            self._live.stop()
            self._live = None


class _Line:
    """A stage in one line, as wide as the terminal at the moment of drawing; it never wraps.

    Attributes:
        stage: which one; None for none. A stage that has just begun is not drawn yet: most are
            over before anybody could read them.
    """

    def __init__(self, console: Console) -> None:
        self.stage: Stage | None = None
        self._console = console

    def __rich__(self) -> RenderableType:
        stage, now = self.stage, self._console.get_time()
        if stage is None or now - stage.began < SHORTEST_DRAWN:
            return Group()
        state: RenderableType = ProgressBar(stage.total or 1, stage.done)
        if stage.total is None:
            state = _TURNS[int((now - stage.began) / SECONDS_BETWEEN_TURNS) % len(_TURNS)]
        amount = amount_text(stage.done, stage.total, stage.unit, "/")
        rest = left_text(stage, now) or f"{now - stage.began:.0f} s"
        # What has no room becomes shorter: the bar and the detail first.
        cells = [(stage.name, False), (state, True), (amount, False)]
        cells += [(printable(stage.detail), True), (rest, False)]
        if self._console.width < _NARROW:
            cells = [(stage.name, False), (amount, False), (rest, True)]
        shown = [(cell, shrinks) for cell, shrinks in cells if cell]
        grid = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
        for cell, shrinks in shown:
            widest = self._console.width // _BARS if isinstance(cell, ProgressBar) else None
            grid.add_column(no_wrap=not shrinks, overflow="ellipsis", max_width=widest)
        grid.add_row(
            *(
                Text(cell, no_wrap=True, overflow="ellipsis") if isinstance(cell, str) else cell
                for cell, _ in shown
            )
        )
        return Constrain(grid, self._console.width - 1)


def left_text(stage: Stage, now: float) -> str:
    """Return `about 30 s left`; "" where nobody knows, or nothing is left."""
    left = None if stage.finished else stage.pace.left(now, stage.total)
    return "" if left is None else f"about {duration_text(left)} left"


class Events(Display):
    """One JSON object per line, each an event of `kaggleprice.cli.documents`."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._due = 0.0
        self._told: tuple[int, str] | None = None
        self._finished = False

    def notice(self, message: str, level: Level) -> None:
        """Write a `notice`."""
        self.write(NoticeEvent(message=message, level=level))

    def begin(self, stage: Stage, now: float) -> None:
        """Write a `stage` that has begun."""
        self._due, self._told, self._finished = now, None, False
        self.write(StageEvent(stage=stage.name, state="begun", seconds=0.0))

    def update(self, stage: Stage, now: float) -> None:
        """Write a `progress`: not too often, less often where nothing changed, always the last."""
        told = (stage.done, stage.detail)
        changed, last = told != self._told, stage.finished and not self._finished
        if last or now >= self._due + (0 if changed else NEXT_LINE):
            self._due, self._told, self._finished = now + NEXT_EVENT, told, stage.finished
            left = stage.pace.left(now, stage.total)
            self.write(
                ProgressEvent(
                    stage=stage.name,
                    done=stage.done,
                    total=stage.total,
                    unit=stage.unit,
                    detail=stage.detail,
                    seconds=round(now - stage.began, 3),
                    seconds_left=None if left is None else round(left, 1),
                )
            )

    def end(self, stage: Stage, now: float) -> None:
        """Write a `stage` that has ended."""
        seconds = round(now - stage.began, 3)
        self.write(StageEvent(stage=stage.name, state="ended", seconds=seconds))

    def write(self, event: Document) -> None:
        """Write an event, whole, at once."""
        self._stream.write(json.dumps(asdict(event), allow_nan=False) + "\n")
        self._stream.flush()
