"""The valve (BACKUP_WAL_EMERGENCY_FREE_PERCENT): when it opens by itself, and when it is close to that. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from backup.units import human_bytes
from backup.watch.archiver import ArchiverState
from backup.watch.readings import Standing, Volume
from contract import events

KEY: Final = "wal-valve"
NEAR: Final = 1.5
"""It is close when less than so many times its limit is free, or five percent more than it, whichever comes first."""

NEAR_PERCENT: Final = 5.0
BEHIND: Final = frozenset({"failing", "stalled"})


@dataclass(frozen=True)
class Valve:
    """Whether it opens now, and the warning when it is close."""

    opens: bool = False
    near: Standing | None = None


def judge(volume: Volume, archiver: ArchiverState, percent: int | None) -> Valve:
    """Judge by the database's volume; only WAL that cannot be archived is worth giving up. None: there is no valve."""
    if percent is None or volume.used_percent is None or volume.free_bytes is None or archiver not in BEHIND:
        return Valve()
    free = 100.0 - volume.used_percent
    if free < percent:
        return Valve(opens=True)
    if free >= max(percent * NEAR, percent + NEAR_PERCENT):
        return Valve()
    message = (
        f"archiving is {archiver}, and {human_bytes(volume.free_bytes)} ({free:.0f} %) are free on the database's volume: "
        f"below {percent} % all WAL that waits is given up (BACKUP_WAL_EMERGENCY_FREE_PERCENT)"
    )
    hint = "make archiving work or make room before that: `make wal-status`; afterwards no moment since can be restored"
    facts = {"free_bytes": volume.free_bytes, "free_percent": round(free, 1), "limit_percent": percent}
    return Valve(near=Standing(KEY, events.WAL_VALVE_NEAR, "critical", message, hint, facts))
