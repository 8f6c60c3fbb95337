"""Results of a part: ratios and tables, as JSON and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.speeds.ratios import Ratio

Cell = str | float | int | None


@dataclass(frozen=True)
class Reach:
    """What a ratio is to reach.

    Attributes:
        bound: the ratio.
        at_least: whether that or more, otherwise that or less.
    """

    bound: float
    at_least: bool

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}"

    def is_met(self, value: float) -> bool:
        """Tell whether a ratio is as it should be."""
        return value >= self.bound if self.at_least else value <= self.bound


def at_least(bound: float) -> Reach:
    """Return the demand for this or more."""
    return Reach(bound, at_least=True)


def at_most(bound: float) -> Reach:
    """Return the demand for this or less."""
    return Reach(bound, at_least=False)


@dataclass(frozen=True)
class Line:
    """One ratio.

    Attributes:
        what: is measured.
        against: what it is held against.
        means: what the ratio says, such as `times as fast`.
        ratio: the figures.
        threads: CPU threads of both.
        reach: what it is to reach; None where nobody said.
    """

    what: str
    against: str
    means: str
    ratio: Ratio
    threads: int
    reach: Reach | None = None

    def record(self) -> dict[str, Any]:
        """Return plain data, for JSON."""
        met = None if self.reach is None else self.reach.is_met(self.ratio.median)
        return {
            "what": self.what,
            "against": self.against,
            "means": self.means,
            "threads": self.threads,
            **self.ratio.record(),
            "reach": None if self.reach is None else str(self.reach),
            "met": met,
        }

    def __str__(self) -> str:
        low, high = self.ratio.spread
        return (
            f"{self.what} against {self.against}, {self.threads} thread"
            f"{'s' * (self.threads != 1)}: {shown(self.ratio.median)} {self.means} "
            f"({shown(low)} to {shown(high)})"
        )


@dataclass(frozen=True)
class Table:
    """Figures that are no ratio of two things run in turn.

    Attributes:
        title: what they are.
        columns: their names.
        rows: one cell per column.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    def record(self) -> dict[str, Any]:
        """Return plain data, for JSON."""
        rows = [[_plain(cell) for cell in row] for row in self.rows]
        return {"title": self.title, "columns": list(self.columns), "rows": rows}


@dataclass
class Outcome:
    """What a part found.

    Attributes:
        lines: its ratios.
        tables: its other figures.
        notes: sentences that must stand beside them.
    """

    lines: list[Line] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        """Return plain data, for JSON."""
        return {
            "lines": [line.record() for line in self.lines],
            "tables": [table.record() for table in self.tables],
            "notes": list(self.notes),
        }


def shown(value: float) -> str:
    """Return a number as tables have it: three digits that count."""
    if not math.isfinite(value):
        return "unknown"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def markdown(name: str, record: Mapping[str, Any]) -> str:
    """Return the section of one part.

    Args:
        name: of the part.
        record: of its outcome, with `title`, `meaning`, `machine`, `pairs` and `quick`.
    """
    parts = [f"## {record['title']} (`{name}`)", record["meaning"]]
    if record["quick"]:
        parts.append("**Made with `--quick`: it shows that the benchmark runs, and nothing else.**")
    if record["lines"]:
        parts.append("\n".join(_ratio_table(record["lines"])))
    for table in record["tables"]:
        parts += [f"### {table['title']}", "\n".join(_rows(table["columns"], table["rows"]))]
    parts += [f"- {note}" for note in record["notes"]]
    parts.append(f"Median of {record['pairs']} pairs at most; {_machine(record['machine'])}.")
    return "\n\n".join(parts) + "\n"


def _ratio_table(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    columns = ["what", "against", "threads", "ratio", "", "lowest to highest", "to reach", "s", "s"]
    columns[-2:] = ["seconds", "of the other"]
    rows = []
    for line in lines:
        low, high = line["spread"]
        reach = "" if line["reach"] is None else f"{line['reach']} {'✓' if line['met'] else '✗'}"
        rows.append(
            [
                line["what"],
                line["against"],
                line["threads"],
                f"**{shown(line['median'])}**",
                line["means"],
                f"{shown(low)} to {shown(high)}",
                reach,
                line["seconds"],
                line["base_seconds"],
            ]
        )
    return _rows(columns, rows)


def _rows(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> list[str]:
    lines = [list(columns), ["---"] * len(columns), *([_cell(c) for c in row] for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines]


def _cell(cell: Cell) -> str:
    if cell is None:
        return ""
    return shown(cell) if isinstance(cell, float) else str(cell)


def _plain(cell: Cell) -> Cell:
    """JSON knows no NaN."""
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell


def _machine(machine: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    load = "" if machine["load"] is None else f", load {machine['load']:.1f} at the start"
    return f"{machine['cores']} cores of {machine['processor']}{load}; {versions}"
