"""The way back from the WAL emergency: the lever, proof that archiving works, and a full backup into every repository.

Where it was killed is read from what there is: the lever says whether archiving is still given up, the record which
repositories still need their backup. The supervisor takes those by itself, should nobody come back to it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from backup.deployment import Deployment
from backup.emergency import archive_end, begin, lever
from backup.emergency.gap import Gap
from backup.emergency.lever import Lever
from backup.keeping import inventory
from backup.ownership import repository_key
from backup.state.gaps import Gaps
from backup.taking import jobs
from backup.taking.jobs import BackupRequest
from backup.taking.outcome import Outcome
from backup.taking.preflight import ANSWER_SECONDS, IO_SECONDS
from contract.errors import ProductError
from contract.exits import Exit

ARCHIVE_PATIENCE_SECONDS: Final = 180.0
SETTLE_SECONDS: Final = 2.0
POLL_SECONDS: Final = 0.5
BACKUP_PATIENCE_SECONDS: Final = 3600.0
REASON: Final = "the WAL emergency has ended"

Say = Callable[[str], None]


class StaysError(ProductError):
    """The emergency goes on; nothing was changed, or it was changed back."""

    exit_code = Exit.EMERGENCY


def resume(deployment: Deployment, say: Say) -> Gap | None:
    """End the emergency; return its gap, or None when there was nothing to end.

    Raises DatabaseError, StaysError, StoreError, and ProductError when a backup could not be taken.
    """
    gaps = Gaps(deployment.store)
    pulled = lever.read(deployment.postgres.archive_command())
    if pulled is not None:
        begin.record(deployment, pulled)
        _require_repositories(deployment)
        since = _beginning(deployment, pulled.archived)  # before anything newer is in the archive
        _put_back(deployment, pulled, say)
        _release(deployment, pulled.since, since)
    elif (gap := gaps.current()) is not None and not gap.is_released:  # somebody else has reset the command
        say("archive_command is pgBackRest's again already")
        _release(deployment, gap.began, _beginning(deployment, gap.segment) if gap.segment else None)
    if (gap := gaps.current()) is None:
        return None
    _take_backups(deployment, gaps, say)
    return next(each for each in gaps.all() if each.began == gap.began)


def _beginning(deployment: Deployment, segment: str | None) -> datetime | None:
    """Return the beginning of the gap as exactly as the archive can tell it; `segment` is the last one known to be in it."""
    last = segment or max((a.last for a in inventory.read_info(deployment).archive if a.last), default=None)
    segment_bytes = deployment.postgres.wal_reading().segment_bytes
    return archive_end.last_commit(deployment, last, segment_bytes) if last else None


def _release(deployment: Deployment, began: datetime, since: datetime | None) -> None:
    repos = [repository.key for repository in deployment.config.repositories]
    Gaps(deployment.store).release(began, repos, deployment.now(), since)


def _require_repositories(deployment: Deployment) -> None:
    """Do nothing when every repository can be read. A dead one would hold WAL back again at once."""
    for repository in deployment.config.repositories:
        trouble = repository_key.trouble_of(deployment.config.stanza, repository, ANSWER_SECONDS, IO_SECONDS)
        if trouble is not None:
            hint = f"{trouble.hint}; or take it out of .env, `make deploy`, and run `make wal-resume` again"
            raise StaysError(f"the WAL emergency goes on: {trouble.sentence}", hint=hint)


def _put_back(deployment: Deployment, pulled: Lever, say: Say) -> None:
    postgres = deployment.postgres
    postgres.reset_archive_command()
    try:
        deployment.stop.wait(SETTLE_SECONDS)  # the archiver must have read it, or its last word would be another `true`
        segment = postgres.switch_wal()
        say(f"archive_command is pgBackRest's again; waiting for WAL segment {segment} in the archive")
        arrived = _arrives(deployment, segment)
    except BaseException:
        postgres.set_archive_command(pulled.command())
        raise
    if not arrived:
        postgres.set_archive_command(pulled.command())
        message = f"the WAL emergency goes on: the repositories answer, but WAL segment {segment} does not arrive"
        raise StaysError(message, hint="`docker logs salespider-postgres` has pgBackRest's own words")
    say("archiving works")


def _arrives(deployment: Deployment, segment: str) -> bool:
    waited = 0.0
    while waited < ARCHIVE_PATIENCE_SECONDS:
        last = deployment.postgres.archiver().last_archived_wal
        if last is not None and last[:24] >= segment:
            return True
        if deployment.stop.wait(POLL_SECONDS):
            return False
        waited += POLL_SECONDS
    return False


def _take_backups(deployment: Deployment, gaps: Gaps, say: Say) -> None:
    failed: Outcome | None = None
    for repository in deployment.config.repositories:
        if gaps.pending(repository.key) is None:
            continue
        say(f"full backup into repository {repository.key}")
        request = BackupRequest("full", repository.key, "manual", REASON, expires=False)
        outcome = jobs.take_backup(deployment, request, BACKUP_PATIENCE_SECONDS)
        if outcome.state != "succeeded":
            failed = failed or outcome
    if failed is not None:
        hint = f"{failed.hint}; the supervisor tries again by itself, or run `make wal-resume` again"
        raise ProductError(failed.message, hint=hint, exit_code=Exit.BACKUP_FAILED)
