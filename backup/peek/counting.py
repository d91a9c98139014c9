"""How many rows the biggest tables have, in a peek and in the live database. A table that takes long is estimated."""

from __future__ import annotations

import time
from typing import Final

from backup.peek.tables import COUNTED_BYTES, MOST, NO_TABLE, Pair, Rows, Table, side_by_side
from backup.postgres import DatabaseError, Postgres

PATIENCE_SECONDS: Final = 30.0
"""After so much time nothing more is counted."""


def compared(peek: Postgres, live: Postgres) -> list[str]:
    """Return the comparison as lines. A side that cannot be asked is said, and is no error."""
    until = time.monotonic() + PATIENCE_SECONDS
    try:
        tables = peek.biggest_tables(MOST)
    except DatabaseError as error:
        return [f"  its tables could not be counted ({error.message})"]
    if not _answers(live):
        alone = [Pair(table, _rows(peek, table, until)) for table in tables]
        return [*side_by_side(alone), "  the live database does not answer, so there is nothing to compare with"]
    return side_by_side([Pair(table, _rows(peek, table, until), _of_live(live, table, until)) for table in tables])


def _answers(server: Postgres) -> bool:
    try:
        server.server()
    except DatabaseError:
        return False
    return True


def _of_live(live: Postgres, table: Table, until: float) -> Rows:
    try:
        found = live.table(table.name)
    except DatabaseError:
        return Rows(None, note="?")
    return NO_TABLE if found is None else _rows(live, found, until)


def _rows(server: Postgres, table: Table, until: float) -> Rows:
    if table.size_bytes <= COUNTED_BYTES and time.monotonic() < until:
        try:
            return Rows(server.count_rows(table), is_exact=True)
        except DatabaseError:  # it took too long, or is locked
            pass
    return Rows(table.estimated_rows)
