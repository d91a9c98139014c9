"""Removing the clusters that restores have replaced, when their time has come: the supervisor's housekeeping, and a verb."""

from __future__ import annotations

from backup import logs, oplock
from backup.deployment import Deployment
from backup.notice import Notice
from backup.restore import aftercare
from backup.restore.aftercare import Verdict
from backup.restore.swap import journal_file
from backup.state.store import StoreError
from backup.taking.outcome import Outcome
from contract import events
from contract.exits import Exit


def is_due(deployment: Deployment) -> bool:
    """Tell whether something may be removed; no, when that cannot be told now."""
    try:
        return any(not verdict.reason for verdict in aftercare.verdicts(deployment))
    except (journal_file.JournalError, OSError, StoreError):
        return False


def tidy(deployment: Deployment) -> Outcome:
    """Remove what is due, unless a backup or restore is under way; never raises for what can be tried again in an hour."""
    try:
        with oplock.hold_now(deployment.volumes.operation_lock, "the removal of replaced databases"):
            removed = remove_due(deployment, before_their_time=False)
        return Outcome("succeeded", Exit.OK, f"{len(removed)} removed")
    except oplock.BusyError as error:
        return Outcome("interrupted", error.exit_code, error.message, error.hint)
    except (journal_file.JournalError, OSError, StoreError) as error:
        logs.logger().error(events.RESTORE_CLEANED, message=f"a replaced database cannot be removed: {error}")
        return Outcome("failed", Exit.UNEXPECTED, str(error))


def remove_due(deployment: Deployment, *, before_their_time: bool) -> tuple[Verdict, ...]:
    """Remove what may go; return it. The caller holds the operation lock. Raises JournalError, OSError, StoreError."""
    due = tuple(v for v in aftercare.verdicts(deployment, before_their_time=before_their_time) if not v.reason)
    for verdict in due:
        aftercare.remove(deployment, verdict.kept)
        summary = f"{verdict.kept.name}, which was replaced by {verdict.kept.replaced_by}, is removed"
        deployment.teller.tell(Notice(events.RESTORE_CLEANED, "info", summary, facts={"name": verdict.kept.name}))
    return due
