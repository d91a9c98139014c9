"""The schema of `supervisor.json`: all that the backup image knows about what the operator asked for.

Setup writes it, the supervisor reads it and nothing else. It holds no secret.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = 1

BackupType = Literal["full", "diff", "incr"]
Mode = Literal["backups", "off"]


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
    """One pgBackRest repository. `key` is its number (repo1 … repo4); `location` is for people to read."""

    key: int
    type: Literal["posix"]
    location: str
    encrypted: bool
    passphrase_fingerprint: str | None = None
    """Of the passphrase it is configured with, none for a plain repository. Not a secret, and nobody can go back from it."""
    retention_full: int
    retention_diff: int


class SupervisorConfig(_Frozen):
    """What the supervisor does and why. In mode `off` there are no repositories and `reason` says why not."""

    schema_version: Literal[1] = 1
    mode: Mode
    reason: str
    stanza: str
    time_zone: str
    database: Database
    schedule: Schedule
    repositories: tuple[Repository, ...]
