"""What all views share: one JSON document's head, one look of tables, one way to write numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from kaggleprice.cli.console import SCHEMA_VERSION

if TYPE_CHECKING:  # it reads runs, which needs torch; some views are of lighter things
    from kaggleprice.runs.advice import Step


_ROOM = 80


def document(command: str, **content: Any) -> dict[str, Any]:
    """Return a JSON document of a command."""
    return {"schema_version": SCHEMA_VERSION, "command": command, **content}


def make_table(*columns: str, right: Sequence[str] = ()) -> Table:
    """Return an empty table; the columns in `right` hold numbers."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left")
    return table


def step_lines(steps: Sequence[Step]) -> list[Text]:
    """Return what to do next, a command in each line; with its purpose where there is room."""
    width = max((len(step.command) for step in steps), default=0)
    longest = max((len(step.purpose) for step in steps), default=0)
    told = len("next:   # ") + width + longest <= _ROOM
    return [
        Text.assemble(
            "next: " if number == 0 else "      ",
            (step.command.ljust(width if told else 0), "bold"),
            (f"  # {step.purpose}" if told else "", "dim"),
        )
        for number, step in enumerate(steps)
    ]


def path_text(path: Path | None) -> str | None:
    """Return a path as JSON has it."""
    return None if path is None else str(path)


def threads_text(count: int) -> str:
    """Return `1 thread`, `2 threads`, ...."""
    return f"{count} thread{'s' * (count != 1)}"


def groups_of(record: Mapping[str, Any]) -> list[int]:
    """Return how many members were trained at once, group by group; runs of old do not say."""
    return list(record.get("groups") or [len(record["members"])])


def groups_text(record: Mapping[str, Any]) -> str:
    """Return `, in 2 groups of 32`; nothing where all were trained at once."""
    groups = groups_of(record)
    if len(groups) == 1:
        return ""
    size = f"up to {max(groups)}" if len(set(groups)) > 1 else str(groups[0])
    return f", in {len(groups)} groups of {size}"


def score_text(value: float) -> str:
    """Return a score as tables have it."""
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:,.0f}"
