"""What is wrong now. An alarm is raised once, told again while it lasts, and cleared once: facts decide, not counters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from backup.notice import is_worse
from backup.state.store import Row, Store
from contract.severity import Severity

REPEAT_EVERY: Final = timedelta(days=1)
"""How often an alarm that lasts is told again."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS alarm (
    key TEXT PRIMARY KEY,
    event TEXT NOT NULL,
    severity TEXT NOT NULL,
    message TEXT NOT NULL,
    hint TEXT NOT NULL,
    since REAL NOT NULL,
    told_at REAL NOT NULL
);
"""


@dataclass(frozen=True)
class Alarm:
    """`key` names the thing that is wrong, such as "backup:1" or "archiver"; `event` is a name from `contract.events`."""

    key: str
    event: str
    severity: Severity
    message: str
    hint: str = ""


@dataclass(frozen=True)
class Raised:
    """An open alarm, when it began and when it was last told."""

    alarm: Alarm
    since: datetime
    told_at: datetime


class Alarms:
    """The open alarms."""

    def __init__(self, store: Store) -> None:
        """Use this file."""
        self._store = store
        store.prepare(_SCHEMA)

    def put(self, alarm: Alarm, now: datetime) -> bool:
        """Keep an alarm open with its latest words; return whether it is to be told: new, worse, or lasting for a day."""
        with self._store.transaction() as connection:
            row = connection.execute("SELECT * FROM alarm WHERE key = ?", (alarm.key,)).fetchone()
            before = _raised(row) if row else None
            to_tell = (
                before is None or is_worse(alarm.severity, before.alarm.severity) or now - before.told_at >= REPEAT_EVERY
            )
            since = before.since if before else now
            told_at = now if before is None or to_tell else before.told_at
            connection.execute(
                "INSERT OR REPLACE INTO alarm VALUES (?, ?, ?, ?, ?, ?, ?)",
                (alarm.key, alarm.event, alarm.severity, alarm.message, alarm.hint, since.timestamp(), told_at.timestamp()),
            )
        return to_tell

    def clear(self, key: str) -> Raised | None:
        """End an alarm; return what it was, or None when there was none."""
        if self._store.row("SELECT 1 FROM alarm WHERE key = ?", (key,)) is None:
            return None
        with self._store.transaction() as connection:
            row = connection.execute("DELETE FROM alarm WHERE key = ? RETURNING *", (key,)).fetchone()
        return _raised(row) if row else None

    def raised(self) -> tuple[Raised, ...]:
        """Return the open alarms, the oldest first."""
        return tuple(_raised(row) for row in self._store.rows("SELECT * FROM alarm ORDER BY since, key"))


def _raised(row: Row) -> Raised:
    alarm = Alarm(row["key"], row["event"], row["severity"], row["message"], row["hint"])
    return Raised(alarm, datetime.fromtimestamp(row["since"], UTC), datetime.fromtimestamp(row["told_at"], UTC))
