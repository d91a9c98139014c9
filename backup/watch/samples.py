"""The looks of the past, one row a minute: in full for some days, then as one row an hour for a year.

The time, in whole seconds since the epoch, is the key of each row, so that the latest looks are found at once however many
there are. A clock that was wrong for a while leaves rows in the future behind: nothing later than the present is read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from backup.state.store import Row, Store
from backup.watch.readings import Sample, Volume, WalReading

KEPT_IN_FULL: Final = timedelta(days=8)
KEPT_BY_THE_HOUR: Final = timedelta(days=400)
THINNED_AT_ONCE: Final = timedelta(days=2)
"""So much at most is thinned in one transaction: others wait for it."""

_HOUR: Final = 3600

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sample (
    at INTEGER PRIMARY KEY,
    problem TEXT NOT NULL,        -- why the database was not reached; then what it says is NULL
    volumes TEXT NOT NULL,        -- JSON: name, other names, free and total bytes of each
    wal_rate REAL,                -- bytes a second since the look before
    wal_rate_smoothed REAL,
    in_recovery INTEGER,
    system_id INTEGER,
    timeline INTEGER,
    wal_position INTEGER,         -- bytes since 0/0
    segment_bytes INTEGER,
    archive_mode TEXT,
    archive_library TEXT,
    archive_command TEXT,
    archived_count INTEGER,
    last_archived_wal TEXT,
    last_archived_at REAL,
    failed_count INTEGER,
    last_failed_wal TEXT,
    last_failed_at REAL,
    ready_segments INTEGER,
    oldest_ready_seconds REAL,
    pg_wal_bytes INTEGER
);
CREATE TABLE IF NOT EXISTS sample_hour (
    at INTEGER PRIMARY KEY,       -- when the hour began
    looks INTEGER NOT NULL,
    unreachable INTEGER NOT NULL, -- looks that did not reach the database
    wal_rate REAL,                -- mean
    wal_rate_peak REAL,
    ready_segments INTEGER,       -- most
    oldest_ready_seconds REAL,    -- most
    pg_wal_bytes INTEGER,         -- most
    volumes TEXT NOT NULL         -- of the last look
);
"""

_BY_THE_HOUR = """
    SELECT hour.at, looks, unreachable, hour.wal_rate, wal_rate_peak, ready, oldest, pg_wal, sample.volumes
    FROM (
        SELECT at / 3600 * 3600 AS at, max(at) AS latest, count(*) AS looks, sum(problem <> '') AS unreachable,
               avg(wal_rate) AS wal_rate, max(wal_rate) AS wal_rate_peak, max(ready_segments) AS ready,
               max(oldest_ready_seconds) AS oldest, max(pg_wal_bytes) AS pg_wal
        FROM sample WHERE at >= ? AND at < ? GROUP BY at / 3600
    ) AS hour JOIN sample ON sample.at = hour.latest
"""

_WAL_COLUMNS: Final = tuple(field.name for field in fields(WalReading))
_MOMENTS: Final = ("last_archived_at", "last_failed_at")


@dataclass(frozen=True)
class Hour:
    """What an hour was like. The rate is the mean, in bytes of WAL a second; what waited and pg_wal are the most seen."""

    at: datetime
    looks: int
    unreachable: int
    wal_rate: float | None
    wal_rate_peak: float | None
    ready_segments: int | None
    oldest_ready_seconds: float | None
    pg_wal_bytes: int | None
    volumes: tuple[Volume, ...]


class Samples:
    """The looks that were kept."""

    def __init__(self, store: Store) -> None:
        """Use this file."""
        self._store = store
        store.prepare(_SCHEMA)

    def last_archived(self, now: datetime) -> tuple[str, datetime] | None:
        """Return the name of what was archived last, and when: the server itself forgets it in a crash."""
        query = (
            "SELECT last_archived_wal, last_archived_at FROM sample "
            "WHERE last_archived_at IS NOT NULL AND archived_count > 0 AND at <= ? ORDER BY at DESC LIMIT 1"
        )
        row = self._store.row(query, (int(now.timestamp()),))
        return (row[0], datetime.fromtimestamp(row[1], UTC)) if row else None

    def put(self, sample: Sample) -> None:
        """Keep a look. Raises StoreError."""
        values: dict[str, Any] = {
            "at": int(sample.at.timestamp()),
            "problem": sample.problem,
            "volumes": json.dumps([[v.name, v.also, v.free_bytes, v.total_bytes] for v in sample.volumes]),
            "wal_rate": sample.wal_rate,
            "wal_rate_smoothed": sample.wal_rate_smoothed,
            **{name: _stored(getattr(sample.wal, name, None)) for name in _WAL_COLUMNS},
        }
        names, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
        self._store.write(f"INSERT OR REPLACE INTO sample ({names}) VALUES ({marks})", values)  # noqa: S608 names of ours

    def last(self, now: datetime) -> Sample | None:
        """Return the latest look."""
        query = "SELECT * FROM sample WHERE at <= ? ORDER BY at DESC LIMIT 1"
        row = self._store.row(query, (now.timestamp(),))
        return _sample(row) if row else None

    def recent(self, now: datetime, over: timedelta) -> tuple[Sample, ...]:
        """Return the looks of the latest time, the oldest first."""
        query = "SELECT * FROM sample WHERE at > ? AND at <= ? ORDER BY at"
        return tuple(_sample(row) for row in self._store.rows(query, ((now - over).timestamp(), now.timestamp())))

    def peak(self, now: datetime, over: timedelta = timedelta(hours=1)) -> float | None:
        """Return the highest rate between two looks in the latest time, in bytes of WAL a second."""
        query = "SELECT max(wal_rate) AS peak FROM sample WHERE at > ? AND at <= ?"
        row = self._store.row(query, ((now - over).timestamp(), now.timestamp()))
        return row["peak"] if row else None

    def hours(self, since: datetime, until: datetime) -> tuple[Hour, ...]:
        """Return the hours that began in a span of time, the oldest first; the latest are made from the minutes."""
        first, last = int(since.timestamp()), int(until.timestamp())
        kept = self._store.rows("SELECT * FROM sample_hour WHERE at >= ? AND at < ? ORDER BY at", (first, last))
        return tuple(_hour(row) for row in (*kept, *self._store.rows(f"{_BY_THE_HOUR} ORDER BY hour.at", (first, last))))

    def thin(self, now: datetime) -> bool:
        """Turn looks that are old into hours, and forget hours that are very old; return whether there is more to do."""
        boundary = int((now - KEPT_IN_FULL).timestamp()) // _HOUR * _HOUR
        row = self._store.row("SELECT at FROM sample WHERE at < ? ORDER BY at LIMIT 1", (boundary,))
        if row is None:
            return False
        oldest = int(row["at"])
        until = min(boundary, oldest // _HOUR * _HOUR + int(THINNED_AT_ONCE.total_seconds()))
        with self._store.transaction() as connection:
            connection.execute(f"INSERT OR REPLACE INTO sample_hour {_BY_THE_HOUR}", (oldest, until))
            connection.execute("DELETE FROM sample WHERE at < ?", (until,))
            connection.execute("DELETE FROM sample_hour WHERE at < ?", ((now - KEPT_BY_THE_HOUR).timestamp(),))
        return until < boundary


def _stored(value: Any) -> Any:
    return value.timestamp() if isinstance(value, datetime) else value


def _sample(row: Row) -> Sample:
    wal = None
    if row["wal_position"] is not None:
        values = {name: row[name] for name in _WAL_COLUMNS}
        values |= {name: _moment(values[name]) for name in _MOMENTS}
        wal = WalReading(**{**values, "in_recovery": bool(values["in_recovery"])})
    at = datetime.fromtimestamp(row["at"], UTC)
    return Sample(at, wal, _volumes(row["volumes"]), row["problem"], row["wal_rate"], row["wal_rate_smoothed"])


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _volumes(text: str) -> tuple[Volume, ...]:
    entries: Sequence[Any] = json.loads(text)
    return tuple(Volume(name, tuple(also), free, total) for name, also, free, total in entries)


def _hour(row: Row) -> Hour:
    at, looks, unreachable, rate, peak, ready, oldest, pg_wal, volumes = row
    began = datetime.fromtimestamp(at, UTC)
    return Hour(began, looks, unreachable, rate, peak, ready, oldest, pg_wal, _volumes(volumes))
