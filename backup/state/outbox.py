"""Messages that must arrive: written down before they are sent, kept until each receiver has taken them.

One row for the message, one for each receiver that must have it. Receivers take messages in the order they were put.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from datetime import datetime

from backup.notice import Notice
from backup.state.store import Store

_SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid TEXT NOT NULL UNIQUE,    -- what a receiver knows a repeated message by
    at REAL NOT NULL,
    event TEXT NOT NULL,
    severity TEXT NOT NULL,
    resolved INTEGER NOT NULL,
    summary TEXT NOT NULL,
    hint TEXT NOT NULL,
    facts TEXT NOT NULL           -- a JSON object
);
CREATE TABLE IF NOT EXISTS delivery (
    message INTEGER NOT NULL REFERENCES message (id),
    receiver TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    not_before REAL NOT NULL,
    delivered_at REAL,
    last_error TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (message, receiver)
);
CREATE INDEX IF NOT EXISTS waiting_delivery ON delivery (receiver, message) WHERE delivered_at IS NULL;
"""


class Outbox:
    """The messages and who has had them."""

    def __init__(self, store: Store) -> None:
        """Use this file."""
        self._store = store
        store.prepare(_SCHEMA)

    def put(self, notice: Notice, receivers: Iterable[str], now: datetime) -> None:
        """Write a message down for these receivers; when this returns, it will be sent, whatever happens to this host."""
        to = tuple(receivers)
        if not to:
            return
        with self._store.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO message (uuid, at, event, severity, resolved, summary, hint, facts) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    str(uuid.uuid4()),
                    now.timestamp(),
                    notice.event,
                    notice.severity,
                    notice.resolved,
                    notice.summary,
                    notice.hint,
                    json.dumps(dict(notice.facts)),
                ),
            )
            connection.executemany(
                "INSERT INTO delivery (message, receiver, not_before) VALUES (?, ?, ?)",
                [(cursor.lastrowid, receiver, now.timestamp()) for receiver in to],
            )
