"""The schema of `supervisor.json`: all that the backup image knows about what the operator asked for.

Setup writes it, the supervisor reads it and nothing else. It holds no secret.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = 1

FULL_AFTER: Final = 7
"""After so many differential and incremental backups in a row the next one is a full one, unless the operator says more."""

RESTORE_KEEP_PREVIOUS_DAYS: Final = 7
"""How long the database that a restore has replaced is kept beside the new one, unless the operator says otherwise."""

FORCED_FULL_AT_MOST_EVERY: Final = timedelta(days=1)
"""The least time between two full backups outside their schedule: otherwise keeping a number of them keeps no time."""

BackupType = Literal["full", "diff", "incr"]
Mode = Literal["backups", "off", "hosted"]
"""`off`: no repository. `hosted`: no repository and no database of ours, the provider of the database backs it up."""

RepositoryType = Literal["posix", "s3", "azure", "gcs"]
RetentionType = Literal["count", "time"]
LogFormat = Literal["auto", "text", "json"]
"""`auto`: text on a terminal, JSON otherwise."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Database(_Frozen):
    """How to reach the database over the shared socket."""

    user: str
    name: str
    port: int = 5432


class Schedule(_Frozen):
    """Five-field cron expressions in the configuration's time zone; None means that this type is never scheduled."""

    full: str | None
    diff: str | None
    incr: str | None = None

    def expressions(self) -> dict[BackupType, str]:
        """Return the types that are scheduled, the most thorough first."""
        every: dict[BackupType, str | None] = {"full": self.full, "diff": self.diff, "incr": self.incr}
        return {kind: cron for kind, cron in every.items() if cron}


class Repository(_Frozen):
    """One pgBackRest repository. `key` is its number (repo1 … repo4); `location` and `window` are for people to read.

    `retention_full` counts backups, or days with the retention type `time`. `directory` is where a posix repository is
    mounted, in every container; `window_seconds` is how far back one can surely go once retention has begun to expire.
    """

    key: int
    type: RepositoryType
    location: str
    encrypted: bool
    passphrase_fingerprint: str | None = None
    """Of the passphrase it is configured with, none for a plain repository. Not a secret, and nobody can go back from it."""
    retention_full: int
    retention_diff: int
    retention_full_type: RetentionType = "count"
    directory: str | None = None
    window: str | None = None
    window_seconds: int | None = None
    variables: tuple[str, ...] = ()
    """The names of the variables of .env by which it was configured: what to take out to retire it. No values."""


class Thresholds(_Frozen):
    """When something is worth an alarm.

    `late_minutes`: how long after its due time a backup may still be missing. `archive_late_minutes`: how long a finished
    WAL segment may wait to be archived. `disk_percent`: how full a volume may be; `disk_hours`: at how many hours before
    the database's volume is full, at the present rate; `disk_reserve_percent` of it is not counted as free.
    `emergency_free_percent`: below so much free space WAL that cannot be archived is given up; None for never.
    """

    late_minutes: int = 120
    archive_late_minutes: int = 10
    disk_percent: int = 70
    disk_hours: tuple[int, ...] = (24, 6, 1)
    disk_reserve_percent: int = 5
    emergency_free_percent: int | None = None


class SupervisorConfig(_Frozen):
    """What the supervisor does and why. In the modes `off` and `hosted` there are no repositories; `reason` says why."""

    schema_version: Literal[1] = 1
    mode: Mode
    reason: str
    stanza: str
    time_zone: str
    database: Database
    schedule: Schedule
    repositories: tuple[Repository, ...]
    full_after: int = FULL_AFTER
    catch_up_jitter_seconds: int = 30
    """A run that was missed is caught up after a random part of this, so that many hosts do not begin at once."""
    restore_keep_previous_days: int = RESTORE_KEEP_PREVIOUS_DAYS
    log_format: LogFormat = "auto"
    thresholds: Thresholds = Thresholds()
