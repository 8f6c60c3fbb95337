"""What all views share: one look of tables, and one way to write numbers and text from data."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from kaggleprice.cli.console.text import printable

if TYPE_CHECKING:  # it reads runs, which needs torch; some views are of lighter things
    from kaggleprice.runs.advice import Step

_ROOM = 80


def texts(*shown: str) -> list[Text]:
    """Return texts for a terminal, each a line or a cell, whatever data put into them."""
    return [Text(printable(text)) for text in shown]


def make_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]] = (), right: Collection[str] = ()
) -> Table:
    """Return a table; the columns in `right` hold numbers."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column, head in zip(columns, texts(*columns), strict=True):
        table.add_column(head, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*texts(*row))
    return table


def step_lines(steps: Sequence[Step]) -> list[Text]:
    """Return what to do next, a command in each line; with its purpose where there is room."""
    width = max((len(step.command) for step in steps), default=0)
    longest = max((len(step.purpose) for step in steps), default=0)
    told = len("next:   # ") + width + longest <= _ROOM
    return [
        Text.assemble(
            "next: " if number == 0 else "      ",
            (printable(step.command).ljust(width if told else 0), "bold"),
            (f"  # {step.purpose}" if told else "", "dim"),
        )
        for number, step in enumerate(steps)
    ]


def threads_text(count: int) -> str:
    """Return `1 thread`, `2 threads`, ...."""
    return f"{count} thread{'s' * (count != 1)}"
