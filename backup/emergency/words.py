"""The WAL emergency in words: the alarm that stands while it lasts, and what ends it. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from backup.emergency.gap import Gap
from backup.emergency.lever import Lever
from backup.watch.readings import Standing
from contract import events

KEY: Final = "wal-emergency"
RESUME: Final = "make the repository reachable again, then `make wal-resume`"
BACKUP_HINT: Final = "the supervisor takes it by itself; `make wal-resume` takes it now"
NO_LONGER_WAITS: Final = "no WAL waits any more: it was given up, see the alarm about the WAL emergency"


def standing(lever: Lever) -> Standing:
    """Return the alarm while the lever is pulled."""
    valve = "the free space fell below BACKUP_WAL_EMERGENCY_FREE_PERCENT"
    whose = valve if lever.by == "valve" else "an operator's decision"
    last = f" (the last archived WAL segment is {lever.archived})" if lever.archived else ""
    message = (
        f"WAL EMERGENCY since {utc(lever.since)}, {whose}: nothing is archived or backed up, and no moment after "
        f"{utc(lever.recoverable_until)} can be restored{last}"
    )
    facts = {"since": lever.since.isoformat(), "recoverable_until": lever.recoverable_until.isoformat(), "by": lever.by}
    return Standing(KEY, events.WAL_EMERGENCY, "critical", message, RESUME, facts)


def missing_backup(gap: Gap) -> Standing:
    """Return the alarm when archiving works again and the backup that ends the gap is still missing."""
    message = f"the WAL emergency is over, but no moment after {utc(gap.since)} can be restored before the next backup"
    facts = {"since": gap.began.isoformat(), "recoverable_until": gap.since.isoformat()}
    return Standing(KEY, events.WAL_EMERGENCY, "critical", message, BACKUP_HINT, facts)


def ended(gap: Gap) -> str:
    """Return what is told when it is over."""
    until = f" to {utc(gap.until)} (the end of backup {gap.label})" if gap.until else ""
    return f"the WAL emergency is over: only moments from {utc(gap.since)}{until} cannot be restored"


def utc(moment: datetime) -> str:
    """Return a moment to the second, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
