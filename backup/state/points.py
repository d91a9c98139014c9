"""The named restore points that were made here: recovery can end at their names, and the plan knows where they lie.

The record is a convenience: the names are in the WAL, too, and a plan looks for an unknown one there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from backup.state.store import Row, Store

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS restore_point (
    name TEXT NOT NULL,
    system_id TEXT NOT NULL,      -- of the cluster; as text, since it may exceed what an integer holds
    timeline INTEGER NOT NULL,
    lsn INTEGER NOT NULL,         -- behind its record
    at REAL NOT NULL,
    PRIMARY KEY (name, system_id)
);
"""


@dataclass(frozen=True)
class RestorePoint:
    """One point: its name, the cluster and timeline it is on, the position behind its record, and when it was made."""

    name: str
    system_id: int
    timeline: int
    lsn: int
    at: datetime


class Points:
    """The points. A name is there once for a cluster: recovery ends at the first it meets."""

    def __init__(self, store: Store) -> None:
        """Use this file."""
        self._store = store
        store.prepare(_SCHEMA)

    def add(self, point: RestorePoint) -> None:
        """Keep a point, through a loss of power, too. Raises StoreError when the name is there already."""
        with self._store.transaction() as connection:
            connection.execute(
                "INSERT INTO restore_point VALUES (?, ?, ?, ?, ?)",
                (point.name, str(point.system_id), point.timeline, point.lsn, point.at.timestamp()),
            )

    def find(self, name: str, system_id: int) -> RestorePoint | None:
        """Return a point by its name, or None."""
        row = self._store.row("SELECT * FROM restore_point WHERE name = ? AND system_id = ?", (name, str(system_id)))
        return None if row is None else _point(row)

    def all(self) -> tuple[RestorePoint, ...]:
        """Return every point, the oldest first."""
        return tuple(_point(row) for row in self._store.rows("SELECT * FROM restore_point ORDER BY at, name"))


def _point(row: Row) -> RestorePoint:
    return RestorePoint(
        row["name"], int(row["system_id"]), row["timeline"], row["lsn"], datetime.fromtimestamp(row["at"], UTC)
    )
