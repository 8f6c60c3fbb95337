"""Streams: the three standard ones, whatever became of them (closed, full, nobody reads)."""

from __future__ import annotations

import os
import sys
from typing import Any, TextIO


def reopen_closed() -> None:
    """Give a stream that is closed (`>&-`) to the null device.

    Python has None in its place then; and the next file that is opened would get its number,
    so that a library that writes to stdout would write into that file.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is not None:
            continue
        opened = os.open(os.devnull, os.O_RDWR)
        try:
            os.fstat(number)
        except OSError:
            os.dup2(opened, number)
            os.close(opened)
            opened = number
        mode = "r" if number == 0 else "w"
        setattr(sys, name, open(opened, mode, encoding="utf-8"))  # noqa: PTH123, SIM115


def drop(stream: TextIO) -> None:
    """Send to nowhere what is still to be written: Python tries again while it exits."""
    try:
        number = stream.fileno()
    except (OSError, ValueError):  # closed, or no file at all
        return
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, number)
    os.close(null)


class Forgiving:
    """A stream that takes what it can: once its reader has gone or its disk is full, nothing.

    What goes wrong with telling must not end the work that is told of.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._broken = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, and say that it was done."""
        if not self._broken:
            try:
                self._stream.write(text)
            except (OSError, ValueError):
                self._give_up()
        return len(text)

    def flush(self) -> None:
        """Flush what there is."""
        if not self._broken:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._give_up()

    def _give_up(self) -> None:
        self._broken = True
        drop(self._stream)
