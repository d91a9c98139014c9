"""When nothing is written, nothing is archived, and a dead repository would be noticed by nobody. Pure.

So an idle server is made to finish a WAL segment now and then: the whole way into every repository is tried, by archiving
itself, and what is wrong with it is told by the alarm that is there for it. A segment with next to nothing in it is a few
kilobytes in the repository; four an hour cost less than asking a store once a minute.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from backup.watch.archiver import ArchiverState
from backup.watch.readings import WalReading

IDLE_SECONDS: Final = 900.0
"""After so long without anything archived."""


def is_due(wal: WalReading, state: ArchiverState, now: datetime, last_pulse: datetime | None) -> bool:
    """Tell whether to finish a segment now: nothing waits or fails, and neither archiving nor a pulse was lately."""
    if wal.in_recovery or state != "working" or wal.ready_segments:
        return False
    lately = [moment for moment in (wal.last_archived_at, last_pulse) if moment is not None]
    return all(abs((now - moment).total_seconds()) >= IDLE_SECONDS for moment in lately)
