"""The deployment as its jobs see it: the published configuration and the doors to everything outside.

Made once in `__main__` and handed on, so that no other module looks for a file, a clock or an environment variable.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from backup.postgres import Postgres
from backup.state.alarms import Alarms
from backup.state.history import History
from backup.state.marks import Marks
from backup.state.outbox import Outbox
from backup.state.store import Store
from backup.telling import Teller
from contract import paths
from contract.errors import ProductError
from contract.exits import Exit
from contract.receivers import Receivers
from contract.supervisor import Repository, SupervisorConfig


class ConfigurationError(ProductError):
    """The published configuration is missing or cannot be understood; the message names the file."""

    hint = "run setup again: `docker compose up setup`; then see `docker logs salespider-setup`"
    exit_code = Exit.CONFIGURATION


class BackupsOffError(ProductError):
    """A command that needs backups was used while they are off."""

    hint = "set PGBACKREST_REPO1_TYPE=posix (and the rest of that group) in .env, then `make deploy`"
    exit_code = Exit.BACKUPS_OFF

    def __init__(self, reason: str) -> None:
        """Take the reason that setup published."""
        self.reason = reason
        super().__init__(f"backups are off: {reason}")


class HostedDatabaseError(BackupsOffError):
    """The database is not ours, so neither are its backups."""

    hint = "its provider backs it up: see the provider's dashboard for backups and how to restore them"


def require_backups(config: SupervisorConfig) -> None:
    """Do nothing when there are repositories. Raises BackupsOffError or HostedDatabaseError otherwise."""
    if config.mode == "hosted":
        raise HostedDatabaseError(config.reason)
    if config.mode == "off":
        raise BackupsOffError(config.reason)


def utc_now() -> datetime:
    """Return the time, with its zone."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Volumes:
    """The directories a job uses; tests use others."""

    config: Path = paths.CONFIG
    log: Path = paths.LOG
    history: Path = paths.HISTORY
    operation_lock: Path = paths.OPERATION_LOCK
    database: Path = paths.DATABASE_VOLUME
    pgdata: Path = paths.PGDATA
    archive_spool: Path = paths.SPOOL_OF_POSTGRES

    @property
    def supervisor_lock(self) -> Path:
        """Held by the one supervisor that works."""
        return self.operation_lock.with_name("supervisor.lock")

    @property
    def emergency_lock(self) -> Path:
        """Held by whoever begins or ends a WAL emergency: not by a backup, which may hang because of what it is about."""
        return self.operation_lock.with_name("emergency.lock")

    @property
    def used_passphrases(self) -> Path:
        """The record that setup reads; it lies beside the history."""
        return self.history.with_name(paths.USED_PASSPHRASES.name)


def load_config(directory: Path) -> tuple[SupervisorConfig, str]:
    """Read `supervisor.json`; return it and the digest of what is published.

    The digest is taken first: setup writes the manifest last, so a configuration that changes in between is newer than
    its digest, and the next look finds another one. Raises ConfigurationError.
    """
    digest = published_digest(directory)
    file = directory / paths.SUPERVISOR_JSON
    try:
        return SupervisorConfig.model_validate_json(file.read_bytes()), digest
    except OSError as error:
        raise ConfigurationError(f"{error.filename}: {error.strerror}") from error
    except ValidationError as error:
        raise ConfigurationError(f"{file}: not understood ({error.error_count()} problems)") from error


def load_receivers(directory: Path) -> Receivers:
    """Read who is told; nobody, when setup has published no such file. Raises ConfigurationError."""
    file = directory / paths.RECEIVERS_JSON
    try:
        return Receivers.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return Receivers()
    except OSError as error:
        raise ConfigurationError(f"{error.filename}: {error.strerror}") from error
    except ValidationError as error:
        raise ConfigurationError(f"{file}: not understood ({error.error_count()} problems)") from None  # it holds secrets


def published_digest(directory: Path) -> str:
    """Return a digest of the manifest, which changes when anything published changes. Raises ConfigurationError."""
    try:
        return hashlib.sha256((directory / paths.MANIFEST_JSON).read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigurationError(f"{error.filename}: {error.strerror}") from error


@dataclass(frozen=True)
class Deployment:
    """Configuration, doors and the stop flag. Frozen: a changed configuration makes a new one."""

    config: SupervisorConfig
    digest: str
    postgres: Postgres
    store: Store
    receivers: Receivers = field(default_factory=Receivers)
    stop: threading.Event = field(default_factory=threading.Event)
    now: Callable[[], datetime] = utc_now
    volumes: Volumes = Volumes()

    @classmethod
    def open(cls, volumes: Volumes | None = None) -> Deployment:
        """Read the configuration and open the history. Raises ConfigurationError, BackupsOffError, HostedDatabaseError."""
        where = volumes or Volumes()
        config, digest = load_config(where.config)
        require_backups(config)
        store, receivers = Store(where.history), load_receivers(where.config)
        return cls(config, digest, Postgres(config.database), store, receivers, volumes=where)

    def reloaded(self) -> Deployment:
        """Return this deployment with the configuration that is published now, or itself when nothing changed."""
        if published_digest(self.volumes.config) == self.digest:
            return self
        config, digest = load_config(self.volumes.config)
        receivers = load_receivers(self.volumes.config)
        return replace(self, config=config, digest=digest, postgres=Postgres(config.database), receivers=receivers)

    @cached_property
    def history(self) -> History:
        """What was run."""
        return History(self.store)

    @cached_property
    def marks(self) -> Marks:
        """Single values that outlive a restart."""
        return Marks(self.store)

    @cached_property
    def teller(self) -> Teller:
        """The way to tell people."""
        return Teller(Outbox(self.store), Alarms(self.store), self.receivers, self.now)

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of the schedule."""
        return ZoneInfo(self.config.time_zone)

    def local(self, moment: datetime) -> str:
        """Return a moment in the zone of the schedule, to the second, for people to read."""
        return f"{moment.astimezone(self.zone):%Y-%m-%d %H:%M:%S %Z}"

    @property
    def first_repository(self) -> Repository:
        """The repository with the lowest number."""
        return self.config.repositories[0]
