"""The environment becomes one frozen, fully checked `Settings`, or a list of all that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import cast

from pydantic import SecretStr

from contract.errors import InvalidConfigurationError, Problem
from contract.supervisor import Database, LogFormat, Mode, Schedule, Thresholds
from setup import environment, extra_config, limits, notification
from setup.assemble import Assembled, assemble, check_unused
from setup.compose import GCS_KEY
from setup.given import own_name
from setup.mode import Decision, decide
from setup.notification import Notification
from setup.places import Mounts
from setup.repositories import Repository
from setup.values import Rejected
from setup.variables import Variables, known_variables, misplaced
from setup.window import Window, window

__all__ = ["Compression", "Server", "Settings", "effective_environment", "known_variables", "read_settings"]

_DEFAULT_PROCESS_MAX = 4
# pgBackRest's own defaults, except for lz4, where the best-practices document asks for 1 (which is also its default).
_DEFAULT_LEVELS = {"none": 0, "bz2": 9, "gz": 6, "lz4": 1, "zst": 3}


@dataclass(frozen=True)
class Compression:
    """pgBackRest's compression: its type and a level that the type accepts."""

    type: str
    level: int


@dataclass(frozen=True)
class Server:
    """PostgreSQL's own settings that an operator may choose; amounts and times in PostgreSQL's notation.

    `extra` is the text of the operator's own settings, which are read last.
    """

    max_connections: int
    shared_buffers: str
    effective_cache_size: str
    work_mem: str
    maintenance_work_mem: str
    max_wal_size: str = "1GB"
    wal_keep_size: str = "0MB"
    archive_timeout_seconds: int = 60
    log_min_duration_statement: str = "-1"
    statistics: bool = False
    extra: str | None = None


@dataclass(frozen=True)
class Settings:
    """What the operator asked for, checked. `reason` says why backups are on or off.

    `warnings` is what is allowed and still worth a second thought.
    """

    mode: Mode
    reason: str
    repositories: tuple[Repository, ...]
    schedule: Schedule
    time_zone: str
    database: Database
    superuser_password: SecretStr | None
    process_max: int
    compression: Compression
    archive_timeout_seconds: int
    log_level_console: str
    server: Server
    full_after: int
    catch_up_jitter_seconds: int
    restore_keep_previous_days: int
    log_format: LogFormat
    thresholds: Thresholds
    notification: Notification
    given_up: str | None
    warnings: tuple[Problem, ...]
    repository_variables: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """The names of the variables that were set for each repository, by its number."""

    @property
    def passphrases(self) -> dict[int, SecretStr]:
        """Return those that the operator has given, by the number of the repository."""
        given = {repository.key: repository.policy.passphrase for repository in self.repositories}
        return {key: passphrase for key, passphrase in given.items() if passphrase}

    def window(self, repository: Repository) -> Window:
        """Return how far back a repository reaches."""
        policy = repository.policy
        return window(self.schedule, policy.retention_full, policy.retention_full_type, self.full_after)


def read_settings(
    cpu_count: int, mounts: Mounts | None = None, known: Iterable[Problem] = (), now: datetime | None = None
) -> Settings:
    """Read the environment; `cpu_count` is the number of processor cores of this machine.

    `known` are problems that were found before, to be told with all others. Without `now` a credential of any age is taken:
    what a recovery kit holds may be put right after it has been put back. Raises InvalidConfigurationError with every
    problem there is.
    """
    where = mounts or Mounts()
    reading = environment.read(Variables)
    variables = reading.variables
    problems = [*known, *reading.problems]
    decision = decide(variables, problems)
    found = Assembled((), (), ())
    if decision.mode == "backups":
        found = assemble(decision.kinds, variables, where, now)
    elif variables.setup_backup is not False:
        problems += check_unused()
    problems += found.problems
    extra = _extra(variables, where, problems)
    problems += limits.contradictions(variables, reading.refused, cpu_count)
    problems += notification.contradictions(variables, reading.refused)
    problems += misplaced()
    if problems:
        raise InvalidConfigurationError(problems)
    settings = _settings(variables, decision, found.repositories, extra, cpu_count)
    unwise = (*limits.unwise(variables, cpu_count), *notification.unwise(variables))
    warnings = (*unwise, *found.warnings, *_short_windows(settings))
    return replace(settings, warnings=warnings, repository_variables=found.variables)


def effective_environment(mounts: Mounts | None = None) -> dict[str, str]:
    """Return every variable of ours that is set, by name; one given as NAME_FILE by its value, as GCS_KEY is.

    Call it only after `read_settings` has found nothing wrong. Raises Rejected when a file cannot be read all the same.
    """
    found: dict[str, str] = {}
    for name in known_variables():
        text = environment.text_of(name)
        if isinstance(text, Rejected):
            raise text
        if text is not None:
            found[name] = text
    if path := found.pop(GCS_KEY, None):
        with suppress(Rejected):  # the application may use it for something else
            found["GCS_KEY_JSON"] = environment.content(str((mounts or Mounts()).gcs_key), f"the file {path}")
    return found


def _extra(variables: Variables, mounts: Mounts, problems: list[Problem]) -> str | None:
    if variables.postgres_extra_config is None:
        return None
    try:
        return extra_config.read(variables.postgres_extra_config, mounts)
    except Rejected as rejected:
        problems.append(Problem("POSTGRES_EXTRA_CONFIG", rejected.what, rejected.hint))
        return None


def _settings(
    variables: Variables, decision: Decision, repositories: tuple[Repository, ...], extra: str | None, cpu_count: int
) -> Settings:
    kind, level = variables.pgbackrest_compress_type, variables.pgbackrest_compress_level
    return Settings(
        mode=decision.mode,
        reason=decision.reason,
        repositories=repositories,
        schedule=Schedule(
            full=variables.backup_schedule_full,
            diff=variables.backup_schedule_diff,
            incr=variables.backup_schedule_incr,
        ),
        time_zone=variables.tz,
        database=Database(user=variables.postgres_user, name=variables.postgres_db),
        superuser_password=variables.postgres_password,
        process_max=variables.pgbackrest_process_max or min(_DEFAULT_PROCESS_MAX, cpu_count),
        compression=Compression(kind, _DEFAULT_LEVELS[kind] if level is None else int(level)),
        archive_timeout_seconds=variables.pgbackrest_archive_timeout,
        log_level_console=variables.pgbackrest_log_level_console,
        server=Server(
            max_connections=variables.postgres_max_connections,
            shared_buffers=variables.postgres_shared_buffers,
            effective_cache_size=variables.postgres_effective_cache_size,
            work_mem=variables.postgres_work_mem,
            maintenance_work_mem=variables.postgres_maintenance_work_mem,
            max_wal_size=variables.postgres_max_wal_size,
            wal_keep_size=variables.postgres_wal_keep_size,
            archive_timeout_seconds=variables.postgres_archive_timeout,
            log_min_duration_statement=variables.postgres_log_min_duration_statement,
            statistics=variables.postgres_statistics,
            extra=extra,
        ),
        full_after=variables.backup_full_after,
        catch_up_jitter_seconds=variables.backup_catch_up_jitter,
        restore_keep_previous_days=variables.restore_keep_previous,
        log_format=cast("LogFormat", variables.backup_log_format),
        thresholds=_thresholds(variables),
        notification=notification.read(variables),
        given_up=variables.backup_give_up,
        warnings=(),
    )


def _thresholds(variables: Variables) -> Thresholds:
    return Thresholds(
        late_minutes=variables.backup_late_after,
        archive_late_minutes=variables.backup_archive_late_after,
        disk_percent=variables.backup_disk_alarm_percent,
        disk_hours=tuple(int(hours) for hours in variables.backup_disk_alarm_hours.split(",")),
        disk_reserve_percent=variables.backup_disk_reserve_percent,
        emergency_free_percent=variables.backup_wal_emergency_free_percent,
    )


def _short_windows(settings: Settings) -> Iterator[Problem]:
    for repository in settings.repositories:
        reach, policy = settings.window(repository), repository.policy
        if not reach.is_short:
            continue
        unit = "day" if policy.retention_full_type == "time" else "full backup"
        kept = f"{policy.retention_full} {unit}{'' if policy.retention_full == 1 else 's'}"
        own = own_name(repository.key, "retention_full")
        why = f"; a full one is taken after every {settings.full_after} others, once a day at most" if reach.forced else ""
        what = f"is {kept}, {reach} back in repository {repository.key}{why}"
        hint = "raise it, or keep full backups for a number of days: BACKUP_RETENTION_FULL_TYPE=time"
        yield Problem("BACKUP_RETENTION_FULL" if environment.text_of(own) is None else own, what, hint)
