"""What is asked before a backup begins: each thing that would make it fail, in the operator's words, within seconds.

The order is that of the causes: without a database nothing else can be judged, an unreachable repository tells nothing
about its stanza. What passes by itself is told apart from what somebody has to repair.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backup.deployment import Deployment
from backup.emergency import lever, words
from backup.keeping import inventory, losses, placement
from backup.keeping.inventory import RepositoryError
from backup.ownership import identity, repository_key
from backup.pgbackrest import Info
from backup.postgres import DatabaseError, Server
from backup.storage import trouble
from backup.taking import space
from contract import paths
from contract.errors import ProductError
from contract.exits import Exit
from contract.supervisor import BackupType, Repository

IO_SECONDS: Final = 2
ANSWER_SECONDS: Final = 25.0
"""How long a repository may take to answer. pgbackrest makes nine attempts of `IO_SECONDS` each before it tells a refused
connection: 19 seconds with 2.55.1. One that swallows what is sent may take longer, and is not waited for."""


class NotReadyError(ProductError):
    """A backup cannot begin; `retryable` tells whether that may pass without anybody doing anything."""

    def __init__(self, message: str, hint: str, exit_code: Exit, *, retryable: bool) -> None:
        """Take what is wrong, what to do, and whether waiting may do."""
        self.retryable = retryable
        super().__init__(message, hint=hint, exit_code=exit_code)


@dataclass(frozen=True)
class Ready:
    """What was seen: who the server is, what the repository of this run holds, and how large the database is."""

    server: Server
    info: Info
    database_bytes: int


def look(deployment: Deployment, repo: int) -> Ready:
    """Look at database, repository, stanza and identity. Raises NotReadyError."""
    try:
        return _look(deployment, _configured(deployment, repo))
    except DatabaseError as error:
        raise NotReadyError(error.message, error.hint, Exit.DATABASE, retryable=True) from error
    except RepositoryError as error:
        raise NotReadyError(error.message, error.hint, Exit.REPOSITORY, retryable=error.retryable) from error


def _look(deployment: Deployment, repository: Repository) -> Ready:
    server = deployment.postgres.server()
    _require_open_server(server)
    _require_archiving(deployment)
    _require_repository(deployment, repository)
    info = inventory.read_info(deployment, repository.key)
    losses.remember(deployment, info)
    _require_stanza(info, repository)
    objection = identity.guard(deployment, server, info)
    if objection is not None:
        raise NotReadyError(objection.message, objection.hint, Exit.ANOTHER_CLUSTER, retryable=False)
    return Ready(server, info, deployment.postgres.database_bytes())


def _configured(deployment: Deployment, repo: int) -> Repository:
    found = next((r for r in deployment.config.repositories if r.key == repo), None)
    if found is None:
        known = ", ".join(str(r.key) for r in deployment.config.repositories)
        hint = f"there is {known}; another one needs PGBACKREST_REPO{repo}_TYPE in .env, then `make deploy`"
        raise NotReadyError(f"repository {repo} is not configured", hint, Exit.CONFIGURATION, retryable=False)
    return found


def _require_open_server(server: Server) -> None:
    if server.in_recovery:
        hint = "it is paused: `SELECT pg_wal_replay_resume()` opens it" if server.recovery_paused else "wait for its end"
        message = "the database is in recovery, so it is no primary to back up"
        raise NotReadyError(message, hint, Exit.DATABASE, retryable=True)
    if server.archive_mode == "off":
        message = "archiving is off in the running database, so no backup would be complete"
        raise NotReadyError(message, "restart the database: `make restart`", Exit.DATABASE, retryable=False)


def _require_archiving(deployment: Deployment) -> None:
    pulled = lever.read(deployment.postgres.archive_command())
    if pulled is not None:
        message = f"WAL emergency since {words.utc(pulled.since)}: nothing is archived, so no backup would be complete"
        raise NotReadyError(message, words.RESUME, Exit.EMERGENCY, retryable=True)


def _require_repository(deployment: Deployment, repository: Repository) -> None:
    found = repository_key.trouble_of(deployment.config.stanza, repository, ANSWER_SECONDS, IO_SECONDS)
    if found is not None:
        raise NotReadyError(found.sentence, found.hint, Exit.REPOSITORY, retryable=found.may_pass)


def _require_stanza(info: Info, repository: Repository) -> None:
    repo = repository.key
    status = next((r for r in info.repositories if r.key == repo), None)
    if status is None or status.lacks_stanza:
        hint = "was it emptied? the supervisor creates the stanza again within minutes; see `make status`"
        raise NotReadyError(f"repository {repo} holds no stanza {info.stanza}", hint, Exit.REPOSITORY, retryable=True)
    if not status.is_usable:  # without a list from before, any backup would look like the new one
        if (
            repository.type != "posix"
            and (known := trouble.explain(status.message, 0, placement.place_of(repository))) is not None
        ):
            raise NotReadyError(known.sentence, known.hint, Exit.REPOSITORY, retryable=known.may_pass)
        message, hint = f"repository {repo}: {status.message}", "run `make backup-check`"
        raise NotReadyError(message, hint, Exit.REPOSITORY, retryable=True)


def require_room(deployment: Deployment, ready: Ready, repo: int, kind: BackupType) -> str | None:
    """Return a warning when a backup of this type may not fit, None when it fits or nobody can say.

    Raises NotReadyError when it surely does not fit. Object stores have no limit that could be asked for.
    """
    repository = _configured(deployment, repo)
    if repository.type != "posix":
        return None
    directory = Path(repository.directory or paths.repository(repo))
    try:
        free = shutil.disk_usage(directory).free
    except OSError:  # pgbackrest has just read it; whatever this is, it is no lack of space
        return None
    room = space.room(kind, ready.info, repo, ready.database_bytes, free)
    if room.fit == "fits":
        return None
    probable = f", and a {kind} backup takes about {_megabytes(room.probable_bytes)}" if room.probable_bytes else ""
    message = f"repository {repo} ({repository.location}): {_megabytes(free)} free{probable}"
    if room.fit == "too small":
        hint = "free or add space, or keep fewer backups: BACKUP_RETENTION_FULL in .env, then `make deploy`"
        raise NotReadyError(message, hint, Exit.REPOSITORY, retryable=True)
    return message


def _megabytes(count: int) -> str:
    return f"{count / 1_000_000:.1f} MB"
