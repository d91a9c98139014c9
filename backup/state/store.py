"""The only door to SQLite: one file on a volume of its own, which several processes write to.

The supervisor, `docker exec` commands and the restore container share it, so every statement is a transaction of its own
and waits for the others. Each module of this package declares its tables and has them made when it is first used.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

BUSY_SECONDS: Final = 30

Row = sqlite3.Row
StoreError = sqlite3.Error


class Store:
    """The file. Safe to use from several threads and processes."""

    def __init__(self, path: Path) -> None:
        """Open the file, creating it if needed. Raises StoreError."""
        self._connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.row_factory = Row
        self._turn = threading.RLock()

    def prepare(self, schema: str, columns: Mapping[str, Mapping[str, str]] | None = None) -> None:
        """Make the tables of a `schema` of CREATE … IF NOT EXISTS, and the `columns` that older files lack, by table."""
        with self._turn:
            self._connection.executescript(schema)
            for table, wanted in (columns or {}).items():
                present = {row["name"] for row in self._connection.execute(f"PRAGMA table_info({table})")}
                for name, declaration in wanted.items():
                    if name not in present:
                        self._connection.execute(f"ALTER TABLE {table} ADD COLUMN {name} {declaration}")

    def write(self, statement: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> sqlite3.Cursor:
        """Carry out one statement; a loss of power may undo the last ones."""
        with self._turn:
            return self._connection.execute(statement, values)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Carry out several statements, all or none; once the block has ended, no loss of power undoes them."""
        with self._turn:
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            else:
                self._connection.execute("COMMIT")
            finally:
                self._connection.execute("PRAGMA synchronous = NORMAL")

    def rows(self, query: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[Row]:
        """Return all rows of a query."""
        with self._turn:
            return self._connection.execute(query, values).fetchall()

    def row(self, query: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> Row | None:
        """Return the first row of a query, or None."""
        return next(iter(self.rows(query, values)), None)

    def close(self) -> None:
        """Close the file."""
        with self._turn:
            self._connection.close()
