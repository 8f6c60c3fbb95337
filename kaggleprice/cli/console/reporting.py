"""Reporting: what is told on stderr while a command works."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from threading import Event, RLock, Thread
from typing import Any

from rich.console import Console

from kaggleprice.cli.console.displays import Display, Events, Lines, Notices, Stages
from kaggleprice.cli.console.printing import messages
from kaggleprice.core.errors import UsageError
from kaggleprice.core.progress import FORMS
from kaggleprice.core.registry import look_up

# A stage that took less than this many seconds is not reported.
_WORTH_TELLING = 0.1
_SECONDS_BETWEEN_BEATS = 1.0


class Reporter:
    """A `Progress` on stderr: bars on a terminal, a plain line now and then elsewhere."""

    def __init__(
        self,
        form: str = "auto",
        *,
        quiet: bool = False,
        verbose: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Choose how to report.

        Args:
            form: a name in `kaggleprice.core.progress.FORMS`.
            quiet: say nothing but errors.
            verbose: tell details as well.
            clock: tells the time, in seconds.

        Raises:
            UnknownNameError: for another form.
            UsageError: where it is to be both quiet and verbose.
        """
        look_up(FORMS, form, "form of progress")
        if quiet and verbose:
            raise UsageError("--quiet and --verbose contradict each other; choose one of them.")
        console = messages(clock)
        self._verbose, self._stages = verbose, Stages(console, clock)
        # FORCE_COLOR makes rich believe in a terminal; colours may be forced, bars may not.
        terminal = console.is_interactive and console.file.isatty()
        self._animated = form == "auto" and terminal and not quiet
        self._display = _display("none" if self._animated else form, console)
        if quiet:
            self._display = Display()
        self._lock, self._over = RLock(), Event()

    def __enter__(self) -> Reporter:
        if isinstance(self._display, (Lines, Events)):
            Thread(target=self._beat, daemon=True).start()
        self._showwarning, warnings.showwarning = warnings.showwarning, self._warn
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._over.set()
        with self._lock:
            self._end_stage(stopped=kind is not None)
            if self._animated:
                self._stages.stop()
        warnings.showwarning = self._showwarning

    def _warn(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        *_: object,
        **__: object,
    ) -> None:
        """Take a library's warning as a notice: one line, which says nothing but text."""
        self.notice(f"{category.__name__}: {message} ({filename}:{lineno})")

    def _beat(self) -> None:
        while not self._over.wait(_SECONDS_BETWEEN_BEATS):
            self.beat()

    def beat(self) -> None:
        """Say again how far the stage is, where it is time: a long step shall not look dead."""
        with self._lock:
            for stage in self._stages.tasks:
                self._display.update(stage)

    def notice(self, message: str) -> None:
        """Say one thing once."""
        with self._lock:
            self._display.notice(message, "notice")

    def detail(self, message: str) -> None:
        """Tell something once, with `--verbose` only."""
        if self._verbose:
            with self._lock:
                self._display.notice(message, "detail")

    def advance(
        self, stage: str, done: int, total: int | None, detail: str = "", unit: str = ""
    ) -> None:
        """Say how far a stage is."""
        state: dict[str, Any] = {"completed": done, "total": total, "detail": detail, "unit": unit}
        with self._lock:
            current = next(iter(self._stages.tasks), None)
            # Less than before: another file, or another attempt at the same one.
            if current is None or current.description != stage or done < current.completed:
                self._end_stage()
                self._stages.add_task(stage, **state)
                (current,) = self._stages.tasks
                self._display.begin(current)
                if self._animated:
                    self._stages.start()
            else:
                self._stages.update(current.id, **state)
            self._display.update(current)

    def _end_stage(self, stopped: bool = False) -> None:
        for stage in self._stages.tasks:
            self._stages.remove_task(stage.id)
            self._display.end(stage, stopped)
            took = stage.elapsed or 0
            if took >= _WORTH_TELLING:
                self.detail(f"{stage.description} took {took:.1f} s")


def _display(form: str, console: Console) -> Display:
    if form == "json":
        return Events(console.file)
    return Notices(console) if form == "none" else Lines(console)
