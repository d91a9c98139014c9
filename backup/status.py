"""What is known now, gathered once for `status`: the database, the archiver, the repository, the record of runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from backup import health, jobs, policy, protection, repository_key
from backup.deployment import Deployment
from backup.pgbackrest import Info
from backup.postgres import Archiver, DatabaseError, Server
from backup.state.history import Run
from contract.errors import ProductError

# pgbackrest's errors that say nothing about the passphrase, and where to ask again would be to wait again.
_OUT_OF_REACH: Final = ("HostConnectError", "ServiceError", "ProtocolError")


@dataclass(frozen=True)
class RepositoryState:
    """What one repository can give back, and how it keeps the schedule; no window while it holds no good backup."""

    key: int
    window: policy.Window | None
    freshness: tuple[policy.Freshness, ...]

    def problems(self) -> list[str]:
        """Return where it does not keep the schedule."""
        return [
            f"{verdict.kind} in repository {self.key}: {verdict.problem}" for verdict in self.freshness if verdict.problem
        ]


@dataclass(frozen=True)
class Status:
    """A snapshot. `problems` are sentences, each with what to do; empty means that all is as promised.

    `unprotected` says why the loss of this host would be the loss of the backups: true of every deployment until its
    recovery kit is verified, so no problem of this moment.
    """

    at: datetime
    doing: str
    server: Server | None
    archiver: Archiver | None
    waiting_segments: int | None
    repositories: tuple[RepositoryState, ...]
    last_run: Run | None
    problems: tuple[str, ...]
    unprotected: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as values that JSON can hold; times are ISO 8601 in UTC."""
        return {key: _plain(value) for key, value in asdict(self).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value


def gather(deployment: Deployment) -> Status:
    """Ask the database, the repository and the history. What cannot be asked becomes a problem, not an exception."""
    now = deployment.now()
    problems: list[str] = []
    server = archiver = waiting = None
    states: tuple[RepositoryState, ...] = ()
    try:
        server = deployment.postgres.server()
        archiver, waiting = deployment.postgres.archiver(), deployment.postgres.waiting_segments()
        problems += _archiver_problems(archiver)
    except DatabaseError as error:
        problems.append(f"{error.message}; {error.hint}")
    try:
        info = jobs.read_info(deployment)
        states = _repository_states(deployment, info, archiver, now)
        problems += [problem for state in states for problem in state.problems()]
        problems += _repository_problems(deployment, info)
    except ProductError as error:
        problems.append(f"{error.message}; {error.hint}")
    last_run = deployment.history.last("backup")
    problems += health.run_problems(last_run) + health.supervisor_problems(deployment.history, now)
    heartbeat = deployment.history.heartbeat()
    doing = heartbeat.phase if heartbeat else "has not started yet"
    unprotected = protection.unprotected(deployment)
    return Status(now, doing, server, archiver, waiting, states, last_run, tuple(problems), unprotected)


def _repository_states(
    deployment: Deployment, info: Info, archiver: Archiver | None, now: datetime
) -> tuple[RepositoryState, ...]:
    config = deployment.config
    archived = archiver.last_archived_at if archiver else None
    running = deployment.history.last("backup", state="running")
    return tuple(
        RepositoryState(
            repository.key,
            policy.window(info, repository.key, archived),
            policy.freshness(
                config.schedule.expressions(),
                deployment.zone,
                tuple(b for b in info.backups if b.repo == repository.key),
                now,
                policy.leeway(config.thresholds, repository.key, running),
            ),
        )
        for repository in config.repositories
    )


def _repository_problems(deployment: Deployment, info: Info) -> list[str]:
    """Return why repositories cannot be used: in our words where the passphrase may be the reason, else pgbackrest's."""
    unusable = [f"repository {r.key}: {r.message}" for r in info.repositories if not r.is_usable]
    if not unusable or any(name in message for name in _OUT_OF_REACH for message in unusable):
        return unusable
    return [f"{trouble.message}; {trouble.hint}" for trouble in repository_key.trouble(deployment)] or unusable


def _archiver_problems(archiver: Archiver) -> list[str]:
    if not archiver.is_failing:
        return []
    return [f"archiving fails at {archiver.last_failed_wal}; see `docker logs salespider-postgres`"]
