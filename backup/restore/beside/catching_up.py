"""The last WAL of the live database, replayed before the swap: what is not replayed beside is replayed while it is away.

Recovery begins at the last restartpoint, and a standby makes one only where the live database has written a checkpoint. So
the live one writes a checkpoint, its segment is archived, and the standby replays it, until little has been written
meanwhile. Nothing depends on it but the length of the downtime: whatever is in its way ends it without a word of alarm.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from backup.deployment import Deployment
from backup.ledger import wal
from backup.postgres import DatabaseError, Postgres
from backup.restore.beside.proof import Proven
from backup.units import human_bytes

WORTH_BYTES: Final = 64 << 20
"""So much WAL is replayed in about a second."""

MOST_ROUNDS: Final = 3
ROUND_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.2


class CatchUp:
    """What is done with the standby while it stands at the end of the archive; a `Visit`."""

    def __init__(self, deployment: Deployment, standby: Postgres, say: Callable[[str], None]) -> None:
        """Take the doors to the live database (in `deployment`) and to the standby; `say` is for the operator's lines."""
        self._deployment = deployment
        self._standby = standby
        self._say = say

    def __call__(self, _proven: Proven, runs: Callable[[], bool]) -> None:
        """Catch up, in at most a few rounds."""
        try:
            for _ in range(MOST_ROUNDS):
                left = self._left()
                if left < WORTH_BYTES or not self._round(left, runs):
                    return
        except DatabaseError as error:
            self._say(f"what was written meanwhile is replayed after the swap ({error.message})")

    def _left(self) -> int:
        """Return how many bytes of WAL would be replayed in the downtime: those since the last checkpoint beside."""
        live = self._deployment.postgres
        return live.wal_reading().wal_position - min(live.redo_lsn(), self._standby.replay().lsn)

    def _round(self, left: int, runs: Callable[[], bool]) -> bool:
        """Let the standby replay all that there is now; tell whether it has."""
        live = self._deployment.postgres
        self._say(f"{human_bytes(left)} of WAL were written meanwhile; they are replayed before the swap, too")
        live.checkpoint()
        segment = live.switch_wal()
        end = wal.end_of(segment, live.wal_reading().segment_bytes)
        deadline = time.monotonic() + ROUND_SECONDS
        while runs() and time.monotonic() < deadline and not self._deployment.stop.wait(POLL_SECONDS):
            archived = live.archiver().last_archived_wal
            if not archived or archived[:24] < segment:
                continue
            standby = self._standby.replay()
            if standby.lsn >= end:
                return True
            if standby.has_all:
                self._standby.reload()  # it would look for more in ten seconds; a signal makes it look now
        return False
