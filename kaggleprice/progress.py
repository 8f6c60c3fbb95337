"""How long work tells what it is doing: one small protocol, known to library and console."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """What the library calls; a console draws it, a test records it."""

    def notice(self, message: str) -> None:
        """Say one thing once."""

    def advance(self, stage: str, done: int, total: int, detail: str = "") -> None:
        """Say how far a stage is; `detail` is a few words on its state."""


class Silent:
    """Says nothing."""

    def notice(self, message: str) -> None:
        """Ignore."""

    def advance(self, stage: str, done: int, total: int, detail: str = "") -> None:
        """Ignore."""


SILENT = Silent()
