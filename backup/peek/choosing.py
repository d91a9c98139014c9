"""Which moment a peek shows, from which backup: the plan of a restore, asked for another purpose."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from backup.deployment import Deployment
from backup.emergency import lever
from backup.peek.moment import Chosen
from backup.postgres import DatabaseError
from backup.restore.planning import choosing
from backup.restore.planning.plan import Wanted
from backup.taking import jobs
from contract.errors import ProductError
from contract.exits import Exit

RECENT: Final = timedelta(hours=1)
"""A younger target may lie behind the end of the archive: the live server archives a segment when it is full, or in time."""

ARCHIVED_SECONDS: Final = 90.0
POLL_SECONDS: Final = 0.5


def wanted(deployment: Deployment, target: str, backup_set: str) -> Wanted:
    """Turn what was typed, either of them or neither, into what is wanted. Raises RefusedError."""
    if target and backup_set:
        message, hint = "peek: TARGET and BACKUP_SET exclude each other", "give a moment, or a backup whose end is shown"
        raise ProductError(message, hint=hint, exit_code=Exit.USAGE)
    if target:
        return choosing.targeted(deployment, target, "time", exclusive=False)
    return Wanted("backup", label=backup_set) if backup_set else Wanted("latest")


def choose(deployment: Deployment, wish: Wanted) -> Chosen:
    """Decide. Raises RefusedError, which names the nearest possible target, and RepositoryError."""
    info = jobs.read_info(deployment)
    made, _ = choosing.planned(deployment, wish, info)
    choosing.require_archived(made)
    cluster = info.cluster_of(made.backup)
    return Chosen(made, cluster.system_id if cluster else None)


def complete_archive(deployment: Deployment, chosen: Chosen) -> str:
    """Have the live server archive what it has written, when the target is recent; return what came of it, in words.

    Recovery finds its target by the first commit after it, which must be in the archive. The live server is asked for what
    it does by itself within minutes: to end its WAL segment.
    """
    at = chosen.plan.wanted.at
    if at is None or deployment.now() - at > RECENT:
        return ""
    try:
        server = deployment.postgres.server()
        if server.in_recovery or (chosen.system_id is not None and server.system_id != chosen.system_id):
            return ""
        if lever.read(deployment.postgres.archive_command()) is not None:
            return "a WAL emergency is on: the last WAL is not archived"
        segment = deployment.postgres.switch_wal()
        is_there = _wait_until_archived(deployment, segment)
    except DatabaseError as error:
        return f"the live database cannot be asked to archive its last WAL ({error.message})"
    return f"the last WAL segment {segment} is {'archived' if is_there else 'not archived yet; it goes without'}"


def _wait_until_archived(deployment: Deployment, segment: str) -> bool:
    for _ in range(round(ARCHIVED_SECONDS / POLL_SECONDS)):
        last = deployment.postgres.archiver().last_archived_wal
        if last and last[:24] >= segment:
            return True
        if deployment.stop.wait(POLL_SECONDS):
            break
    return False
