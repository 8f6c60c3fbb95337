"""How long work tells what it is doing: one small protocol, known to library and console."""

from __future__ import annotations

from typing import Protocol

BYTES = "bytes"

FORMS: dict[str, str] = {
    "auto": "bars on a terminal, plain lines elsewhere",
    "plain": "a plain line now and then",
    "json": "one JSON object per line",
    "none": "no progress; notices and errors only",
}


class Progress(Protocol):
    """What the library calls; a console draws it, a test records it."""

    def notice(self, message: str) -> None:
        """Say one thing once."""

    def aside(self, message: str) -> None:
        """Say one thing once, to those who asked for more (`--verbose`)."""

    def advance(
        self, stage: str, done: int, total: int | None, detail: str = "", unit: str = ""
    ) -> None:
        """Say how far a stage is; another stage, or the end, ends it.

        Args:
            stage: what is being done, in one word such as `training`.
            done: how many of its units are done.
            total: how many there are; None where nobody knows.
            detail: a few words on its state.
            unit: what is counted, in the plural; `BYTES` is shown as kB, MB, ....
        """


class Silent:
    """Says nothing."""

    def notice(self, message: str) -> None:
        """Ignore."""

    def aside(self, message: str) -> None:
        """Ignore."""

    def advance(
        self, stage: str, done: int, total: int | None, detail: str = "", unit: str = ""
    ) -> None:
        """Ignore."""


SILENT = Silent()
