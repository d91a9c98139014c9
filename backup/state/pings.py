"""Pings of the heartbeat address that are still to be sent, in the order they were asked for.

They are best effort: a monitor that hears nothing raises its alarm by itself, which is what it is there for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from backup.state.store import Row, Store

Phase = Literal["start", "success", "fail"]

WORTH_SENDING: Final = timedelta(minutes=15)
"""An older ping would tell the monitor something that is no longer so."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS ping (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    phase TEXT NOT NULL,         -- start, success, fail
    at REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    not_before REAL NOT NULL
);
"""


@dataclass(frozen=True)
class Ping:
    """One ping; `attempts` counts this one. `is_last`: nothing newer waits behind it."""

    row: int
    phase: Phase
    attempts: int
    is_last: bool


class Pings:
    """The pings that wait."""

    def __init__(self, store: Store) -> None:
        """Use this file."""
        self._store = store
        store.prepare(_SCHEMA)

    def put(self, phase: Phase, now: datetime) -> None:
        """Ask for a ping."""
        self._store.write("INSERT INTO ping (phase, at, not_before) VALUES (?, ?, ?)", (phase, *[now.timestamp()] * 2))

    def is_due(self, now: datetime) -> bool:
        """Tell whether one is to be sent now."""
        rows = self._store.rows("SELECT * FROM ping ORDER BY id LIMIT 2")
        return bool(rows) and (len(rows) > 1 or _may_be_tried(rows[0], now))

    def claim(self, now: datetime, lease: timedelta) -> Ping | None:
        """Return the oldest ping that is still worth sending, if its time has come, and count the attempt.

        One that has failed is not worth it any more when there is a newer one, and holds nothing back.
        """
        with self._store.transaction() as connection:
            connection.execute(
                "DELETE FROM ping WHERE at < ? OR (attempts > 0 AND id < (SELECT max(id) FROM ping))",
                ((now - WORTH_SENDING).timestamp(),),
            )
            rows = connection.execute("SELECT * FROM ping ORDER BY id LIMIT 2").fetchall()
            if not rows or not _may_be_tried(rows[0], now):
                return None
            connection.execute(
                "UPDATE ping SET attempts = attempts + 1, not_before = ? WHERE id = ?",
                ((now + lease).timestamp(), rows[0]["id"]),
            )
        return Ping(rows[0]["id"], rows[0]["phase"], rows[0]["attempts"] + 1, len(rows) == 1)

    def again(self, ping: Ping, not_before: datetime) -> None:
        """Try it again later."""
        self._store.write("UPDATE ping SET not_before = ? WHERE id = ?", (not_before.timestamp(), ping.row))

    def forget(self, ping: Ping) -> None:
        """Have done with it, sent or given up."""
        self._store.write("DELETE FROM ping WHERE id = ?", (ping.row,))


def _may_be_tried(row: Row, now: datetime) -> bool:
    """Tell whether its time has come; one that is further off than it can be means that the clock was set back."""
    not_before: float = row["not_before"]
    return not now.timestamp() < not_before <= (now + WORTH_SENDING).timestamp()
