"""What was run, when, why and with what result. Times are seconds since the epoch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from backup.state.store import Row, Store

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
CREATE INDEX IF NOT EXISTS run_by_repo ON run (kind, repo, started_at);
CREATE INDEX IF NOT EXISTS run_by_start ON run (started_at, id);
CREATE INDEX IF NOT EXISTS run_of_kind ON run (kind, started_at);
CREATE INDEX IF NOT EXISTS run_in_state ON run (kind, state, started_at);
CREATE INDEX IF NOT EXISTS run_of_repository ON run (kind, what, repo, state, started_at);
CREATE TABLE IF NOT EXISTS heartbeat (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    at REAL NOT NULL,
    phase TEXT NOT NULL
);
"""


_LATER_COLUMNS: Final = {
    "run": {
        "requested": "TEXT NOT NULL DEFAULT ''",  # the type that was asked for; `what` is the one that was taken
        "attempts": "INTEGER NOT NULL DEFAULT 1",
        "retryable": "INTEGER NOT NULL DEFAULT 0",  # whether trying again can help
        "database_bytes": "INTEGER",
        "copied_bytes": "INTEGER",
        "stored_bytes": "INTEGER",
        "restored_to": "TEXT",  # of a restore: the moment or state that it brought back, in words
        "downtime_seconds": "REAL",  # of a restore: how long there was no database
    }
}


@dataclass(frozen=True)
class Run:
    """One row. `finished` is None while it runs; sizes are bytes, None unless a backup is proven."""

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
    requested: str = ""
    attempts: int = 1
    retryable: bool = False
    database_bytes: int | None = None
    copied_bytes: int | None = None
    stored_bytes: int | None = None
    restored_to: str | None = None
    downtime_seconds: float | None = None


@dataclass(frozen=True)
class Beginning:
    """What is known of a run when it starts. `requested` is the type that was asked for, if another one is taken."""

    kind: Literal["backup", "restore"]
    what: str
    repo: int | None
    origin: str
    reason: str
    requested: str = ""


@dataclass(frozen=True)
class Sizes:
    """Of a backup, in bytes: the database, what was copied of it, and what that took in the repository."""

    database: int
    copied: int
    stored: int


@dataclass(frozen=True)
class Ending:
    """What is known of a run when it has ended. `retryable`: whether trying again can help."""

    state: State
    exit_code: int
    label: str | None
    message: str
    tail: tuple[str, ...] = ()
    attempts: int = 1
    retryable: bool = False
    sizes: Sizes | None = None
    restored_to: str | None = None
    downtime_seconds: float | None = None


@dataclass(frozen=True)
class Heartbeat:
    """The supervisor's last sign of life and what it was doing."""

    at: datetime
    phase: str


class History:
    """The runs, and the supervisor's sign of life."""

    def __init__(self, store: Store) -> None:
        """Use this file."""
        self._store = store
        store.prepare(_SCHEMA, _LATER_COLUMNS)

    def begin(self, beginning: Beginning, now: datetime) -> int:
        """Write a run down before it starts and return its number."""
        with self._store.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO run (kind, what, repo, origin, reason, requested, started_at, state) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, 'running')",
                (
                    beginning.kind,
                    beginning.what,
                    beginning.repo,
                    beginning.origin,
                    beginning.reason,
                    beginning.requested or beginning.what,
                    now.timestamp(),
                ),
            )
        return int(cursor.lastrowid or 0)

    def decide(self, run: int, what: str, reason: str) -> None:
        """Write down that another type is taken than the one asked for, and why."""
        self._store.write("UPDATE run SET what = ?, reason = ? WHERE id = ?", (what, reason, run))

    def end(self, run: int, ending: Ending, now: datetime) -> None:
        """Write down how a run ended."""
        sizes = ending.sizes
        with self._store.transaction() as connection:
            connection.execute(
                "UPDATE run SET finished_at = ?, state = ?, exit_code = ?, label = ?, message = ?, tail = ?, attempts = ?, "
                "retryable = ?, database_bytes = ?, copied_bytes = ?, stored_bytes = ?, restored_to = ?, "
                "downtime_seconds = ? WHERE id = ?",
                (
                    now.timestamp(),
                    ending.state,
                    ending.exit_code,
                    ending.label,
                    ending.message,
                    "\n".join(ending.tail),
                    ending.attempts,
                    ending.retryable,
                    sizes.database if sizes else None,
                    sizes.copied if sizes else None,
                    sizes.stored if sizes else None,
                    ending.restored_to,
                    ending.downtime_seconds,
                    run,
                ),
            )

    def mark_interrupted(self, kind: str, now: datetime) -> int:
        """Close the runs of a kind that claim to be running; only the holder of the operation lock may call this."""
        return self._store.write(
            "UPDATE run SET finished_at = ?, state = 'interrupted', retryable = 1, message = 'its process was killed' "
            "WHERE kind = ? AND state = 'running'",
            (now.timestamp(), kind),
        ).rowcount

    def last(self, kind: str, what: str | None = None, state: State | None = None) -> Run | None:
        """Return the newest run of a kind, of one type and state if given."""
        return next(iter(self.recent(kind, what=what, state=state, limit=1)), None)

    def recent(
        self,
        kind: str | None = None,
        *,
        what: str | None = None,
        repo: int | None = None,
        state: State | None = None,
        limit: int = 20,
    ) -> tuple[Run, ...]:
        """Return the newest runs, newest first."""
        wanted = {"kind": kind, "what": what, "repo": repo, "state": state}
        given = {column: value for column, value in wanted.items() if value is not None}
        where = " AND ".join(f"{column} = :{column}" for column in given) or "1"
        query = f"SELECT * FROM run WHERE {where} ORDER BY started_at DESC, id DESC LIMIT :limit"  # noqa: S608 the columns are the names above
        return tuple(_run(row) for row in self._store.rows(query, {**given, "limit": limit}))

    def backups_of(self, repo: int, limit: int) -> tuple[Run, ...]:
        """Return the newest backup runs for one repository, newest first."""
        query = "SELECT * FROM run WHERE kind = 'backup' AND repo = ? ORDER BY started_at DESC, id DESC LIMIT ?"
        return tuple(_run(row) for row in self._store.rows(query, (repo, limit)))

    def beat(self, phase: str, now: datetime) -> None:
        """Leave a sign of life."""
        self._store.write(
            "INSERT INTO heartbeat VALUES (1, ?, ?) "
            "ON CONFLICT (only_row) DO UPDATE SET at = excluded.at, phase = excluded.phase",
            (now.timestamp(), phase),
        )

    def heartbeat(self) -> Heartbeat | None:
        """Return the last sign of life."""
        row = self._store.row("SELECT at, phase FROM heartbeat")
        return Heartbeat(datetime.fromtimestamp(row["at"], UTC), row["phase"]) if row else None


def _run(row: Row) -> Run:
    values = dict(zip(row.keys(), row, strict=True))
    started, finished = values.pop("started_at"), values.pop("finished_at")
    values["retryable"] = bool(values["retryable"])
    ended = datetime.fromtimestamp(finished, UTC) if finished else None
    return Run(started=datetime.fromtimestamp(started, UTC), finished=ended, **values)
