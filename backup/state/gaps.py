"""The intervals without point-in-time recovery as they are known here; `backup.emergency.gap` says what one is.

Repositories tell of the gaps that have ended; one that goes on is known here, and to the server, whose `archive_command`
is the lever. So each is learned from the others, and losing this file loses nothing that matters.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from backup.emergency import gap as gaps
from backup.emergency.gap import Gap
from backup.emergency.lever import Lever
from backup.pgbackrest import Info
from backup.state.store import Row, Store

_SCHEMA = """
CREATE TABLE IF NOT EXISTS gap (
    began INTEGER PRIMARY KEY,    -- when WAL was given up, in microseconds since the epoch
    since REAL NOT NULL,          -- the last recoverable moment before it
    segment TEXT,                 -- the WAL segment that was archived last
    released_at REAL              -- when archiving worked again; NULL: it goes on
);
CREATE TABLE IF NOT EXISTS gap_end (
    began INTEGER NOT NULL,
    repo INTEGER NOT NULL,
    label TEXT,                   -- the first backup after it; NULL: still to be taken
    until REAL,
    PRIMARY KEY (began, repo)
);
"""

_ALL = """
    SELECT gap.*, gap_end.repo, gap_end.label, min(gap_end.until) AS until
    FROM gap LEFT JOIN gap_end ON gap_end.began = gap.began AND gap_end.until IS NOT NULL
    GROUP BY gap.began ORDER BY gap.began
"""


class Gaps:
    """What was given up, and what has made up for it."""

    def __init__(self, store: Store) -> None:
        """Use this file."""
        self._store = store
        store.prepare(_SCHEMA)

    def begin(self, lever: Lever) -> None:
        """Write down that WAL is given up, or still is: archiving that was tried did not work after all."""
        values = (_key(lever.since), lever.recoverable_until.timestamp(), lever.archived)
        with self._store.transaction() as connection:
            connection.execute(
                "INSERT INTO gap (began, since, segment) VALUES (?, ?, ?) "
                "ON CONFLICT (began) DO UPDATE SET released_at = NULL",
                values,
            )
            connection.execute("DELETE FROM gap_end WHERE began = ? AND until IS NULL", (_key(lever.since),))

    def release(self, began: datetime, repos: Iterable[int], at: datetime, since: datetime | None = None) -> None:
        """Write down that archiving works again and which repositories need a backup; `since` if it is known better."""
        with self._store.transaction() as connection:
            connection.execute(
                "UPDATE gap SET released_at = ?, since = coalesce(?, since) WHERE began = ?",
                (at.timestamp(), since and since.timestamp(), _key(began)),
            )
            connection.executemany(
                "INSERT OR IGNORE INTO gap_end (began, repo) VALUES (?, ?)", [(_key(began), repo) for repo in repos]
            )

    def learn(self, info: Info) -> tuple[Gap, ...]:
        """Write down what the backups tell; return the gaps that were open until now and have an end."""
        before = self.current()
        with self._store.transaction() as connection:
            for gap in gaps.of_info(info):
                connection.execute(
                    "INSERT OR IGNORE INTO gap (began, since, released_at) VALUES (?, ?, ?)",
                    (_key(gap.began), gap.since.timestamp(), gap.began.timestamp()),
                )
                connection.execute(
                    "INSERT INTO gap_end VALUES (:began, :repo, :label, :until) ON CONFLICT (began, repo) "
                    "DO UPDATE SET label = :label, until = :until WHERE until IS NULL OR until > :until",
                    {
                        "began": _key(gap.began),
                        "repo": gap.repo,
                        "label": gap.label,
                        "until": gap.until and gap.until.timestamp(),
                    },
                )
        if before is None or self.current() is not None:
            return ()
        return tuple(gap for gap in self.all() if gap.began == before.began)

    def forget(self, repos: Iterable[int]) -> None:
        """Wait for no backup into a repository that is not among these any more."""
        kept = set(repos)
        for row in self._store.rows("SELECT DISTINCT repo FROM gap_end WHERE until IS NULL"):
            if row["repo"] not in kept:
                self._store.write("DELETE FROM gap_end WHERE until IS NULL AND repo = ?", (row["repo"],))

    def all(self) -> tuple[Gap, ...]:
        """Return every gap, the oldest first."""
        return tuple(_gap(row) for row in self._store.rows(_ALL))

    def current(self) -> Gap | None:
        """Return the gap that has not ended everywhere: WAL is given up now, or a repository still needs its backup."""
        waiting = {row["began"] for row in self._store.rows("SELECT began FROM gap_end WHERE until IS NULL")}
        return next((g for g in reversed(self.all()) if not g.is_released or _key(g.began) in waiting), None)

    def pending(self, repo: int) -> Gap | None:
        """Return the gap that the next backup into a repository will end, or None; none while WAL is still given up."""
        query = (
            "SELECT began FROM gap JOIN gap_end USING (began) "
            "WHERE released_at IS NOT NULL AND until IS NULL AND repo = ? ORDER BY began DESC"
        )
        row = self._store.row(query, (repo,))
        return None if row is None else next(gap for gap in self.all() if _key(gap.began) == row["began"])


def _key(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)


def _gap(row: Row) -> Gap:
    return Gap(
        _moment(row["since"]),
        datetime.fromtimestamp(row["began"] / 1_000_000, UTC),
        None if row["until"] is None else _moment(row["until"]),
        row["label"],
        row["repo"],
        row["released_at"] is not None,
        row["segment"],
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
