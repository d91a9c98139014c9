"""Making the running cluster the one that is backed up: on the operator's word only, after a replacement or an upgrade.

The stanza is changed and a full backup taken into each repository. Nothing is removed by that: the backups up to now
stay listed and can be restored, until retention, which counts them with the new ones, lets them go.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from backup import oplock, pgbackrest, process
from backup.deployment import Deployment
from backup.keeping import expiry, subset
from backup.ownership import cluster, identity
from backup.ownership.cluster import Identity, Objection
from backup.pgbackrest import Backup, Info
from backup.postgres import DatabaseError, Server
from backup.taking import jobs
from backup.taking.jobs import BackupRequest, Outcome
from contract.errors import ProductError
from contract.exits import Exit
from contract.supervisor import Repository

PATIENCE_SECONDS: Final = 3600.0


class AdoptionError(ProductError):
    """The stanza was not changed, or not everywhere; the message names the repository."""

    exit_code = Exit.ANOTHER_CLUSTER


@dataclass(frozen=True)
class Standing:
    """Who runs, who is expected, and what the repositories hold; `objection` is None when both are the same."""

    server: Server
    seen: Identity
    expected: Identity | None
    objection: Objection | None
    info: Info


def look(deployment: Deployment) -> Standing:
    """Ask database and repositories. Raises DatabaseError, RepositoryError, AdoptionError when one cannot be read."""
    server = deployment.postgres.server()
    if server.in_recovery:
        raise DatabaseError("database: it is in recovery, and cannot be judged before that has ended")
    info = jobs.read_info(deployment)
    if unusable := [r for r in info.repositories if not r.is_usable]:
        message = f"repository {unusable[0].key} cannot be read: {unusable[0].message}"
        raise AdoptionError(message, hint="run `make backup-check`; all repositories are changed together or none")
    seen = identity.seen(deployment, server)
    expected = cluster.expectations(identity.remembered(deployment), info)
    objection = cluster.judge_all(seen, expected)
    known = objection.expected if objection else next(iter(expected), None)
    return Standing(server, seen, known, objection, info)


def describe(standing: Standing, deployment: Deployment) -> tuple[tuple[str, str], ...]:
    """Return both identities and what adopting does to the backups, as (name, text) pairs."""
    rows = [("running", str(standing.seen)), ("backed up", str(standing.expected or "nobody yet"))]
    for repository in deployment.config.repositories:
        backups = [b for b in standing.info.backups if b.repo == repository.key]
        rows.append((f"repository {repository.key}", _what_happens_to(backups, repository)))
    return tuple(rows)


def _what_happens_to(backups: list[Backup], repository: Repository) -> str:
    if not backups:
        return "holds no backups"
    held = f"{len(backups)} backup{'s' if len(backups) > 1 else ''} up to {backups[-1].label}"
    then = "with every new full one the oldest goes" if repository.retention_full_type == "count" else "then the oldest go"
    return f"holds {held}: all stay, and can be restored. It {expiry.in_words(repository)}; {then}"


def require_upgrade(standing: Standing) -> None:
    """Do nothing when the running cluster is an upgrade of the one that is backed up. Raises AdoptionError otherwise."""
    found = standing.objection
    if found is None:
        message = f"stanza-upgrade: the backups are already of the running database ({standing.seen})"
        raise AdoptionError(message, hint="there is nothing to do")
    if found.reason != "upgraded":
        raise AdoptionError(f"stanza-upgrade refused: {found.message}", hint=found.hint)
    if cluster.is_emptied(found.seen, found.expected):
        message = (
            f"stanza-upgrade refused: the new cluster is all but empty (running: {found.seen}; before: {found.expected})"
        )
        raise AdoptionError(message, hint=f"run pg_upgrade first; or, {cluster.ADOPT}")


def adopt(deployment: Deployment, on_line: Callable[[str], None]) -> Identity:
    """Make the running cluster the expected one in memory and repositories, and end the alarm; return it.

    Waits while a backup or restore runs. Raises BusyError, DatabaseError, RepositoryError, AdoptionError.
    """
    with oplock.hold(
        deployment.volumes.operation_lock,
        "adoption of the running database",
        patience_seconds=PATIENCE_SECONDS,
        stop=deployment.stop,
        on_wait=lambda holder: on_line(f"waiting for the {holder} to end"),
    ):
        standing = look(deployment)
        _upgrade_stanza(deployment, standing, on_line)
        return identity.adopted(deployment, standing.server, standing.expected)


def _upgrade_stanza(deployment: Deployment, standing: Standing, on_line: Callable[[str], None]) -> None:
    if not _others(standing.info, standing.server):
        return
    limits = process.Limits(deployment.stop, jobs.SHORTEST_DEADLINE_SECONDS, jobs.GRACE_SECONDS)
    readable = {repository.key for repository in standing.info.repositories if repository.is_usable}
    with subset.included(deployment, readable) as include:  # one that is lost must not keep the others back
        finished = jobs.run_patiently(pgbackrest.stanza_upgrade(deployment.config.stanza, include), on_line, limits)
    # What pgbackrest says of it is no proof: a repository without a stanza makes it fail after the others are changed.
    left = _others(jobs.read_info(deployment), standing.server)
    if left:
        meaning = pgbackrest.meaning(finished.exit_code)
        message = (
            f"stanza-upgrade: repository {left[0]} is still of the other cluster, pgbackrest exit code "
            f"{finished.exit_code} ({meaning.name}){jobs.error_line(finished.tail)}"
        )
        raise AdoptionError(message, hint=meaning.hint)


def _others(info: Info, server: Server) -> list[int]:
    """Return the repositories whose stanza is of another cluster than the running one."""
    running = (server.system_id, cluster.major_version(server.version))
    present = ((r.key, info.present_cluster(r.key)) for r in info.repositories)
    return [key for key, known in present if known is not None and (known.system_id, known.version) != running]


def first_backups(deployment: Deployment, on_line: Callable[[str], None]) -> tuple[Outcome, ...]:
    """Take a full backup into each repository, one outcome each; old backups are not removed after them.

    Raises BusyError. A repository that has no stanza yet gets one.
    """
    created = jobs.create_stanza(deployment, on_line)
    if created.state != "succeeded":
        return (created,)
    reason = "the running database was adopted"
    requests = (BackupRequest("full", r.key, "manual", reason, expires=False) for r in deployment.config.repositories)
    return tuple(jobs.take_backup(deployment, request, PATIENCE_SECONDS) for request in requests)
