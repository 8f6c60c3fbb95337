"""Features: the columns of the encoded table, and how they are called."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, order=True)
class Feature:
    """One column of the encoded table.

    Attributes:
        kind: "learned" (a number that several values or rows were needed for), "numeric",
            "bit" (a column of two values, as 0 and 1), "missing" (a 0/1 indicator of a numeric
            column), "level" (one-hot) or "vector" (a level that has a learned vector).
        column: the column of the CSV that it comes from.
        level: the category; None for the missing level. Of a learned feature what it is, such as
            "target" or "distance 3"; None for the other kinds.
        log: whether a numeric feature is the log(1 + x) of its column.
        rare: whether this level stands for all rare categories of its column.
        label: its name, where column and level do not say it.
    """

    kind: str
    column: str
    level: str | None = None
    log: bool = False
    rare: bool = False
    label: str | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """The name it has in files and tables, in the manner of `pandas.get_dummies`."""
        if self.label is not None:
            return self.label
        if self.kind in ("numeric", "bit"):
            return f"log1p({self.column})" if self.log else self.column
        if self.kind == "missing":
            return f"{self.column}_missing"
        return (
            f"{self.column}_{'rare' if self.rare else 'nan' if self.level is None else self.level}"
        )
