"""What was run, when, why and with what result: one SQLite file on its own volume.

Several processes write to it (the supervisor, `docker exec` commands, the restore container), so every statement is a
transaction of its own and waits for the others. Times are seconds since the epoch.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

State = Literal["running", "succeeded", "failed", "interrupted"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS run (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,           -- backup, restore
    what TEXT NOT NULL,           -- full, diff, incr; latest, backup, pitr
    repo INTEGER,
    origin TEXT NOT NULL,         -- schedule, first, manual
    reason TEXT NOT NULL,
    started_at REAL NOT NULL,
    finished_at REAL,
    state TEXT NOT NULL,
    exit_code INTEGER,
    label TEXT,                   -- of the new backup, or of the restored one
    message TEXT NOT NULL DEFAULT '',
    tail TEXT NOT NULL DEFAULT '' -- the last lines of the program's output
);
CREATE INDEX IF NOT EXISTS run_by_kind ON run (kind, what, started_at);
CREATE TABLE IF NOT EXISTS heartbeat (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    at REAL NOT NULL,
    phase TEXT NOT NULL
);
"""


@dataclass(frozen=True)
class Run:
    """One row. `finished` is None while it runs."""

    id: int
    kind: str
    what: str
    repo: int | None
    origin: str
    reason: str
    started: datetime
    finished: datetime | None
    state: State
    exit_code: int | None
    label: str | None
    message: str
    tail: str


@dataclass(frozen=True)
class Beginning:
    """What is known of a run when it starts."""

    kind: Literal["backup", "restore"]
    what: str
    repo: int | None
    origin: str
    reason: str


@dataclass(frozen=True)
class Ending:
    """What is known of a run when it has ended."""

    state: State
    exit_code: int
    label: str | None
    message: str
    tail: tuple[str, ...] = ()


@dataclass(frozen=True)
class Heartbeat:
    """The supervisor's last sign of life and what it was doing."""

    at: datetime
    phase: str


class History:
    """The file. Safe to use from several threads and processes."""

    def __init__(self, path: Path) -> None:
        """Open the file, creating it and its tables if needed."""
        self._connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(_SCHEMA)
        self._turn = threading.Lock()

    @contextmanager
    def _statement(self) -> Iterator[sqlite3.Connection]:
        with self._turn:
            yield self._connection

    def begin(self, beginning: Beginning, now: datetime) -> int:
        """Write a run down before it starts and return its number."""
        with self._statement() as connection:
            cursor = connection.execute(
                "INSERT INTO run (kind, what, repo, origin, reason, started_at, state) VALUES (?, ?, ?, ?, ?, ?, 'running')",
                (beginning.kind, beginning.what, beginning.repo, beginning.origin, beginning.reason, now.timestamp()),
            )
        return int(cursor.lastrowid or 0)

    def end(self, run: int, ending: Ending, now: datetime) -> None:
        """Write down how a run ended."""
        with self._statement() as connection:
            connection.execute(
                "UPDATE run SET finished_at = ?, state = ?, exit_code = ?, label = ?, message = ?, tail = ? WHERE id = ?",
                (
                    now.timestamp(),
                    ending.state,
                    ending.exit_code,
                    ending.label,
                    ending.message,
                    "\n".join(ending.tail),
                    run,
                ),
            )

    def mark_interrupted(self, kind: str, now: datetime) -> int:
        """Close the runs of a kind that claim to be running; only the holder of the operation lock may call this."""
        with self._statement() as connection:
            cursor = connection.execute(
                "UPDATE run SET finished_at = ?, state = 'interrupted', message = 'its process was killed' "
                "WHERE kind = ? AND state = 'running'",
                (now.timestamp(), kind),
            )
        return cursor.rowcount

    def last(self, kind: str, what: str | None = None, state: State | None = None) -> Run | None:
        """Return the newest run of a kind, of one type and state if given."""
        return next(iter(self.recent(kind, what=what, state=state, limit=1)), None)

    def recent(
        self, kind: str | None = None, *, what: str | None = None, state: State | None = None, limit: int = 20
    ) -> tuple[Run, ...]:
        """Return the newest runs, newest first."""
        wanted = {"kind": kind, "what": what, "state": state}
        given = {column: value for column, value in wanted.items() if value is not None}
        where = " AND ".join(f"{column} = :{column}" for column in given) or "1"
        query = f"SELECT * FROM run WHERE {where} ORDER BY started_at DESC, id DESC LIMIT :limit"  # noqa: S608 the columns are the three names above
        with self._statement() as connection:
            rows = connection.execute(query, {**given, "limit": limit}).fetchall()
        return tuple(_run(row) for row in rows)

    def beat(self, phase: str, now: datetime) -> None:
        """Leave a sign of life."""
        with self._statement() as connection:
            connection.execute(
                "INSERT INTO heartbeat VALUES (1, ?, ?) "
                "ON CONFLICT (only_row) DO UPDATE SET at = excluded.at, phase = excluded.phase",
                (now.timestamp(), phase),
            )

    def heartbeat(self) -> Heartbeat | None:
        """Return the last sign of life."""
        with self._statement() as connection:
            row = connection.execute("SELECT at, phase FROM heartbeat").fetchone()
        return Heartbeat(datetime.fromtimestamp(row[0], UTC), row[1]) if row else None

    def close(self) -> None:
        """Close the file."""
        with self._turn:
            self._connection.close()


def _run(row: tuple[Any, ...]) -> Run:
    number, kind, what, repo, origin, reason, started, finished, state, exit_code, label, message, tail = row
    return Run(
        number, kind, what, repo, origin, reason,
        datetime.fromtimestamp(started, UTC), datetime.fromtimestamp(finished, UTC) if finished else None,
        state, exit_code, label, message, tail,
    )  # fmt: skip
