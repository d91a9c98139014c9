"""The last moment that the archive really reaches: the time of the last commit in the last WAL segment that is in it.

When that segment was archived says too much: after a catch-up it may hold what was written hours before. A restore to a
moment needs a commit after it in the archive, and fails with the database down when there is none.
"""

from __future__ import annotations

import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from backup import process
from backup.deployment import Deployment
from backup.ledger import wal

MOST_SEGMENTS: Final = 8
"""So far it looks back for a commit."""

GET_SECONDS: Final = 60.0
_COMMIT: Final = re.compile(rb"desc: COMMIT(?:_PREPARED)? (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+) UTC")


def last_commit(deployment: Deployment, segment: str, segment_bytes: int) -> datetime | None:
    """Return the time of the last commit in the archive up to a segment; None when that cannot be told."""
    for _ in range(MOST_SEGMENTS):
        found = _commits(deployment, segment)
        if found is None:
            return None
        if found:
            return max(found)
        segment = wal.before(segment, segment_bytes)
    return None


def commits(dumped: bytes) -> tuple[datetime, ...]:
    """Return the times of the commits that `pg_waldump` prints, in UTC."""
    stamps = (match.group(1).decode() for match in _COMMIT.finditer(dumped))
    return tuple(datetime.fromisoformat(stamp).replace(tzinfo=UTC) for stamp in stamps)


def _commits(deployment: Deployment, segment: str) -> tuple[datetime, ...] | None:
    with tempfile.TemporaryDirectory(prefix="wal-") as directory:
        file = Path(directory) / segment
        get = ("pgbackrest", f"--stanza={deployment.config.stanza}", "archive-get", segment, str(file))
        if process.capture(get, GET_SECONDS).exit_code != 0 or not file.exists():
            return None
        # it ends with an error where the next segment would be needed, and has said what it knows before that
        dumped = process.capture(("env", "TZ=UTC", "pg_waldump", "--rmgr=Transaction", str(file)), GET_SECONDS)
        return commits(dumped.stdout)
