"""The lever of the WAL emergency: an `archive_command` that archives nothing and says so itself. Pure.

It can be reloaded, unlike `archive_mode`. All that is known of the emergency stands in its text, as a comment of the
shell, so that neither a restart of the database nor a lost volume of ours makes anybody forget it: the server itself has
it in `postgresql.auto.conf`, and whoever asks `SHOW archive_command` reads what to do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

MARKER: Final = "salespider wal-emergency"
_NONE: Final = "-"
_TEXT: Final = re.compile(rf"^true # {MARKER} since=(\S+) archived=(\S+) archived_at=(\S+) by=(operator|valve);")

By = Literal["operator", "valve"]


@dataclass(frozen=True)
class Lever:
    """Since when it is pulled, the WAL segment that was archived last and when, and who has pulled it."""

    since: datetime
    archived: str | None
    archived_at: datetime | None
    by: By = "operator"

    @property
    def recoverable_until(self) -> datetime:
        """The last moment that the archive is known to reach; without one, nothing before the emergency is told apart."""
        return self.archived_at or self.since

    def command(self) -> str:
        """Return the `archive_command`. It holds no percent sign, which PostgreSQL would replace."""
        said = f"since={_written(self.since)} archived={self.archived or _NONE} archived_at={_written(self.archived_at)}"
        return f"true # {MARKER} {said} by={self.by}; nothing is archived: end it with make wal-resume"


def read(archive_command: str) -> Lever | None:
    """Return the lever that an `archive_command` is, or None when it is another command."""
    found = _TEXT.match(archive_command)
    if found is None:
        return None
    since, archived, archived_at, by = found.groups()
    try:
        moment = _moment(since)
        at = None if archived_at == _NONE else _moment(archived_at)
    except ValueError:  # somebody has edited it
        return None
    return Lever(moment, None if archived == _NONE else archived, at, "valve" if by == "valve" else "operator")


def _written(moment: datetime | None) -> str:
    return _NONE if moment is None else moment.astimezone(UTC).isoformat()


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
