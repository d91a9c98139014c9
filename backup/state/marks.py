"""Single values that must outlive a restart, by name: how far the schedule was considered, which cluster was adopted."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from backup.state.store import Store

_SCHEMA = """
CREATE TABLE IF NOT EXISTS mark (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL -- JSON
);
"""


class Marks:
    """The values. A name that was never put is None."""

    def __init__(self, store: Store) -> None:
        """Use this file."""
        self._store = store
        store.prepare(_SCHEMA)

    def put(self, name: str, value: Any) -> None:
        """Keep a value that JSON can hold, through a loss of power, too; None removes it."""
        with self._store.transaction() as connection:
            if value is None:
                connection.execute("DELETE FROM mark WHERE name = ?", (name,))
            else:
                connection.execute(
                    "INSERT INTO mark VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                    (name, json.dumps(value)),
                )

    def get(self, name: str) -> Any:
        """Return a value as JSON gives it back, or None."""
        row = self._store.row("SELECT value FROM mark WHERE name = ?", (name,))
        return json.loads(row["value"]) if row else None

    def put_moment(self, name: str, moment: datetime) -> None:
        """Keep a moment."""
        self.put(name, moment.timestamp())

    def moment(self, name: str) -> datetime | None:
        """Return a moment in UTC, or None."""
        value = self.get(name)
        return None if value is None else datetime.fromtimestamp(value, UTC)
