"""Tables and their rows, in a peek and in the live database, side by side. Pure; sizes are bytes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from backup.units import human_bytes

MOST: Final = 10
"""How many tables are compared, the biggest ones."""

COUNTED_BYTES: Final = 2_000_000_000
"""A bigger table is not counted: reading it would keep the disk of the live database busy."""


@dataclass(frozen=True)
class Table:
    """A table. `name` is quoted as SQL wants it, `parts` names its partitions, `kind` is pg_class's relkind."""

    schema: str
    relation: str
    name: str
    kind: str
    size_bytes: int
    estimated_rows: int | None
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rows:
    """How many rows: counted, or estimated by what the server's statistics say. None: nobody knows, or there is no table."""

    count: int | None
    is_exact: bool = False
    note: str = ""

    def __str__(self) -> str:
        """Return it for people: "1 000", "~1 000", "no table"."""
        if self.count is None:
            return self.note or "?"
        return f"{'' if self.is_exact else '~'}{self.count:,}".replace(",", " ")


NO_TABLE: Final = Rows(None, note="no table")


@dataclass(frozen=True)
class Pair:
    """One table on both sides; `now` is None where the live one cannot be asked."""

    table: Table
    then: Rows
    now: Rows | None = None

    @property
    def change(self) -> str:
        """Return how many more or fewer the live one has, when both were counted."""
        if self.now is None or self.then.count is None or self.now.count is None:
            return ""
        if not (self.then.is_exact and self.now.is_exact):
            return ""
        difference = self.now.count - self.then.count
        return f"{difference:+,}".replace(",", " ") if difference else "same"


def _row(pair: Pair) -> tuple[str, ...]:
    alone = (pair.table.name, human_bytes(pair.table.size_bytes), str(pair.then))
    return alone if pair.now is None else (*alone, str(pair.now), pair.change)


def side_by_side(pairs: Iterable[Pair]) -> list[str]:
    """Return the comparison as lines of a table, with a last line on what the marks mean."""
    body = [_row(pair) for pair in pairs]
    if not body:
        return ["  it holds no tables"]
    rows = [("table", "size", "peek", "live", "since then")[: len(body[0])], *body]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        f"  {row[0]:<{widths[0]}}  " + "  ".join(f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]
    if any("~" in cell for row in body for cell in row[2:4]):
        lines.append("  ~ is an estimate of the server's statistics: counting would have taken too long")
    return [line.rstrip() for line in lines]
