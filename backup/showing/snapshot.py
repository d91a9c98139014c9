"""What `status` knows, as values: the shape of its JSON, which `docs/reference/status.schema.json` describes. Pure.

A change here is a change for every program that reads it: add fields, and count `schema_version` up for anything else.
Sizes are bytes, durations seconds, rates bytes a second; times are ISO 8601 in UTC. None: not known, or there is none.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from backup.health import Cause
from backup.pgbackrest import Backup
from backup.watch.archiver import ArchiverState
from backup.watch.summary import DatabaseState
from contract.supervisor import BackupType, RepositoryType

StatusWord = Literal["ok", "warning", "critical", "unknown"]


@dataclass(frozen=True)
class Supervisor:
    """What it does or waits for, and when it last gave a sign of life."""

    doing: str
    last_sign_of_life: datetime | None


@dataclass(frozen=True)
class Database:
    """`problem` says why nothing more is known of it; empty when all is."""

    state: DatabaseState
    version: str | None
    system_id: str | None
    timeline: int | None
    problem: str


@dataclass(frozen=True)
class Archiver:
    """What waits to be archived, and how fast WAL is written (smoothed over a quarter of an hour)."""

    state: ArchiverState
    waiting_segments: int | None
    waiting_bytes: int | None
    oldest_waiting_seconds: float | None
    last_archived_wal: str | None
    last_archived_at: datetime | None
    wal_bytes_per_second: float | None
    pg_wal_bytes: int | None


@dataclass(frozen=True)
class Volume:
    """A file system; `also` names the other volumes on it."""

    name: str
    also: tuple[str, ...]
    free_bytes: int | None
    total_bytes: int | None
    used_percent: float | None


@dataclass(frozen=True)
class Disk:
    """`safe_hours`: how long archiving could stop at the present rate; `full_in_hours`: the same while it is behind."""

    volumes: tuple[Volume, ...]
    safe_hours: float | None
    full_in_hours: float | None


@dataclass(frozen=True)
class LastBackup:
    """A backup. `ratio` is copied to stored bytes, `bytes_per_second` what was copied in the time it took."""

    label: str
    type: str
    stopped: datetime
    seconds: float
    database_bytes: int
    copied_bytes: int
    stored_bytes: int
    ratio: float | None
    bytes_per_second: float | None

    @classmethod
    def of(cls, backup: Backup) -> LastBackup:
        """Take what matters of a backup."""
        seconds = (backup.stopped - backup.started).total_seconds()
        return cls(
            backup.label,
            backup.kind,
            backup.stopped,
            seconds,
            backup.database_bytes,
            backup.copied_bytes,
            backup.repository_bytes,
            round(backup.copied_bytes / backup.repository_bytes, 2) if backup.repository_bytes else None,
            round(backup.copied_bytes / max(seconds, 1.0), 1),  # pgbackrest counts whole seconds
        )


@dataclass(frozen=True)
class Kind:
    """A type of backup. `last` may be of a stronger type, which saves the same; `next_at` is None if not scheduled."""

    type: BackupType
    last: LastBackup | None
    next_at: datetime | None
    problem: str | None


@dataclass(frozen=True)
class Window:
    """The moments that backups and archive claim to reach. Whether the archive between them is whole is not checked."""

    earliest: datetime
    latest: datetime | None
    continuity_checked: Literal[False] = False


@dataclass(frozen=True)
class Source:
    """What can be restored, and the repository that gives it: the readable one that reaches furthest back."""

    repository: int
    earliest: datetime
    latest: datetime | None
    continuity_checked: Literal[False] = False


@dataclass(frozen=True)
class Repository:
    """`problem` says why it could not be asked just now; then the rest is what was known at `as_of`, which may be nothing.

    `backups` counts the good ones, `damaged` those with page checksum errors.
    """

    key: int
    type: RepositoryType
    location: str
    encrypted: bool
    problem: str
    as_of: datetime | None
    window: Window | None
    backups: int | None
    damaged: int | None
    types: tuple[Kind, ...]


@dataclass(frozen=True)
class RecoveryGap:
    """An interval without point-in-time recovery: `since` is the last moment before it that can be restored.

    `until` is the end of `backup`, the first one after it; both are None as long as it goes on.
    """

    since: datetime
    until: datetime | None
    backup: str | None
    repository: int | None


@dataclass(frozen=True)
class LastRun:
    """The last run of a backup, whatever came of it."""

    type: str
    repository: int | None
    origin: str
    reason: str
    started: datetime
    finished: datetime | None
    state: Literal["running", "succeeded", "failed", "interrupted"]
    message: str


@dataclass(frozen=True)
class Protection:
    """Whether a verified recovery kit could replace this host; if not, `reason` says why."""

    protected: bool
    reason: str


@dataclass(frozen=True)
class Status:
    """A snapshot. `causes` is everything that is not as promised, the worst first; `status` is the worst of them.

    A cause with `since` is an open alarm; one without was seen only now, while asking.
    """

    schema_version: Literal[1]
    at: datetime
    status: StatusWord
    supervisor: Supervisor
    database: Database
    archiver: Archiver
    disk: Disk
    window: Source | None
    repositories: tuple[Repository, ...]
    recovery_gaps: tuple[RecoveryGap, ...]
    last_run: LastRun | None
    protection: Protection
    causes: tuple[Cause, ...]

    @property
    def is_kept(self) -> bool:
        """Tell whether the promise is kept; a warning does not break it."""
        return self.status in {"ok", "warning"}

    def as_json(self) -> dict[str, Any]:
        """Return it as values that JSON can hold."""
        return {key: _plain(value) for key, value in asdict(self).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value
