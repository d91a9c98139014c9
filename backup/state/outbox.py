"""Messages that must arrive: written down before they are sent, kept until each receiver has taken them.

One row for the message, one for each receiver that must have it. A receiver takes messages in the order they were put, so
only its oldest one is ever due; the others wait behind it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from backup.notice import Notice
from backup.state.store import Row, Store

LONGEST_DELAY: Final = timedelta(days=1)
"""Nothing waits longer for its next attempt; a moment further off than this means that the clock was set back."""

URGENT_WITHIN: Final = timedelta(minutes=1)
"""How soon a receiver that has refused so far is tried again when there is something critical for it."""

CUT_OFF: Final = "the attempt was cut off"

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

_HEAD = (
    "SELECT * FROM delivery JOIN message ON message.id = delivery.message "
    "WHERE receiver = ? AND delivered_at IS NULL ORDER BY delivery.message LIMIT 1"
)


@dataclass(frozen=True)
class Message:
    """What is to be told, since when it is so, and the id that a repeated message keeps."""

    id: str
    at: datetime
    notice: Notice


@dataclass(frozen=True)
class Claim:
    """A message that is being sent to one receiver; `attempt` is 1 for the first one."""

    row: int
    receiver: str
    attempt: int
    message: Message


@dataclass(frozen=True)
class Waiting:
    """What one receiver has not taken yet. `attempts` and `last_error` are those of the message whose turn it is."""

    receiver: str
    count: int
    oldest: datetime
    oldest_critical: datetime | None
    attempts: int
    last_error: str


class Outbox:
    """The messages and who has had them."""

    def __init__(self, store: Store) -> None:
        """Use this file."""
        self._store = store
        store.prepare(_SCHEMA)

    def put(self, notice: Notice, receivers: Iterable[str], now: datetime) -> None:
        """Write a message down for these receivers; when this returns, it will be sent, whatever happens to this host.

        Something critical does not wait out the long delay of a receiver that has refused earlier messages.
        """
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
            if notice.severity == "critical" and not notice.resolved:
                connection.executemany(
                    "UPDATE delivery SET not_before = min(not_before, ?) WHERE receiver = ? AND delivered_at IS NULL",
                    [((now + URGENT_WITHIN).timestamp(), receiver) for receiver in to],
                )
            connection.executemany(
                "INSERT INTO delivery (message, receiver, not_before) VALUES (?, ?, ?)",
                [(cursor.lastrowid, receiver, now.timestamp()) for receiver in to],
            )

    def due(self, receivers: Iterable[str], now: datetime) -> tuple[str, ...]:
        """Return those of the receivers whose oldest waiting message may be tried now."""
        heads = ((receiver, self._store.row(_HEAD, (receiver,))) for receiver in receivers)
        return tuple(receiver for receiver, head in heads if head is not None and _is_due(head, now))

    def claim(self, receiver: str, now: datetime, lease: timedelta) -> Claim | None:
        """Return the message whose turn it is, if it may be tried now, and count the attempt.

        Nobody else gets it for the time of the `lease`, and whoever is killed meanwhile has made an attempt that failed.
        """
        with self._store.transaction() as connection:
            head = connection.execute(_HEAD, (receiver,)).fetchone()
            if head is None or not _is_due(head, now):
                return None
            connection.execute(
                "UPDATE delivery SET attempts = attempts + 1, not_before = ?, last_error = ? "
                "WHERE message = ? AND receiver = ?",
                ((now + lease).timestamp(), CUT_OFF, head["message"], receiver),
            )
        return Claim(head["message"], receiver, head["attempts"] + 1, _message(head))

    def delivered(self, claim: Claim, now: datetime) -> None:
        """Write down that the receiver has taken it."""
        with self._store.transaction() as connection:
            connection.execute(
                "UPDATE delivery SET delivered_at = ?, last_error = '' WHERE message = ? AND receiver = ?",
                (now.timestamp(), claim.row, claim.receiver),
            )

    def failed(self, claim: Claim, error: str, not_before: datetime) -> None:
        """Write down that the receiver has not taken it, why, and when it is tried again."""
        with self._store.transaction() as connection:
            connection.execute(
                "UPDATE delivery SET not_before = ?, last_error = ? WHERE message = ? AND receiver = ?",
                (not_before.timestamp(), error, claim.row, claim.receiver),
            )

    def waiting(self) -> tuple[Waiting, ...]:
        """Return what waits, per receiver."""
        return tuple(
            Waiting(
                row["receiver"],
                row["count"],
                _moment(row["oldest"]),
                None if row["critical"] is None else _moment(row["critical"]),
                row["attempts"],
                row["last_error"],
            )
            for row in self._store.rows(
                "SELECT head.receiver, head.count, head.oldest, head.critical, delivery.attempts, delivery.last_error FROM ("
                "  SELECT receiver, count(*) AS count, min(message) AS first, min(at) AS oldest,"
                "  min(CASE WHEN severity = 'critical' AND NOT resolved THEN at END) AS critical"
                "  FROM delivery JOIN message ON message.id = delivery.message WHERE delivered_at IS NULL GROUP BY receiver"
                ") AS head JOIN delivery ON delivery.message = head.first AND delivery.receiver = head.receiver "
                "ORDER BY head.receiver"
            )
        )

    def drop_all_but(self, receivers: Collection[str]) -> dict[str, int]:
        """Forget what waits for anybody else; return how many messages that were, by receiver."""
        gone = [w for w in self.waiting() if w.receiver not in receivers]
        if not gone:
            return {}
        with self._store.transaction() as connection:
            for each in gone:
                connection.execute("DELETE FROM delivery WHERE receiver = ? AND delivered_at IS NULL", (each.receiver,))
        return {each.receiver: each.count for each in gone}

    def prune(self, before: datetime) -> int:
        """Forget messages from before this moment that nobody waits for; return how many they were."""
        with self._store.transaction() as connection:
            gone = connection.execute(
                "DELETE FROM message WHERE at < ? AND NOT EXISTS "
                "(SELECT 1 FROM delivery WHERE delivery.message = message.id AND delivered_at IS NULL)",
                (before.timestamp(),),
            ).rowcount
            connection.execute("DELETE FROM delivery WHERE message NOT IN (SELECT id FROM message)")
        return gone


def _is_due(head: Row, now: datetime) -> bool:
    not_before: float = head["not_before"]
    return not now.timestamp() < not_before <= (now + LONGEST_DELAY).timestamp()


def _message(row: Row) -> Message:
    facts = json.loads(row["facts"])
    notice = Notice(row["event"], row["severity"], row["summary"], row["hint"], bool(row["resolved"]), facts)
    return Message(row["uuid"], _moment(row["at"]), notice)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
