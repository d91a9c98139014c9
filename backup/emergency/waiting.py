"""What the supervisor waits for in a WAL emergency: no backup could be completed, and none is tried."""

from __future__ import annotations

from backup import oplock
from backup.deployment import Deployment
from backup.emergency import words
from backup.state.gaps import Gaps


def for_resume(deployment: Deployment) -> str:
    """Return what is waited for, or nothing: `wal-resume`, or its end, for it takes the backups itself.

    Raises StoreError.
    """
    gap = Gaps(deployment.store).current()
    if gap is None:
        return ""
    if not gap.is_released:
        return f"waiting: WAL emergency since {words.utc(gap.began)}; all backups are taken after `make wal-resume`"
    return "waiting for `make wal-resume` to take its backups" if _is_under_way(deployment) else ""


def _is_under_way(deployment: Deployment) -> bool:
    try:
        with oplock.hold_now(deployment.volumes.emergency_lock, "a look"):
            return False
    except oplock.BusyError:
        return True
