"""What a segment in the archive holds: the last moment that the archive really reaches, and single records.

When a segment was archived says too much: after a catch-up it may hold what was written hours before. A restore to a
moment needs a commit after it in the archive, and fails with the database down when there is none.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from backup import process
from backup.deployment import Deployment
from backup.ledger import wal

MOST_SEGMENTS: Final = 8
"""So far it looks back for a commit."""

GET_SECONDS: Final = 60.0
_COMMIT: Final = re.compile(rb"desc: COMMIT(?:_PREPARED \d+:|_PREPARED)? (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+) UTC")
_ENDED: Final = re.compile(
    rb"tx: +(?P<xid>\d+), lsn: (?P<lsn>[0-9A-F]+/[0-9A-F]+), .*?desc: (?P<how>COMMIT|ABORT)(?:_PREPARED)?"
    rb"(?: (?P<prepared>\d+):)? (?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+) UTC"
)
_POINT: Final = re.compile(rb"lsn: (?P<lsn>[0-9A-F]+/[0-9A-F]+), .*?desc: RESTORE_POINT (?P<name>.*)$", re.MULTILINE)
_LSN: Final = re.compile(rb"lsn: ([0-9A-F]+/[0-9A-F]+),")


@dataclass(frozen=True)
class Ended:
    """The end of a transaction: where its record begins, when, and whether it was committed."""

    lsn: int
    at: datetime
    is_commit: bool


def last_commit(deployment: Deployment, segment: str, segment_bytes: int) -> datetime | None:
    """Return the time of the last commit in the archive up to a segment; None when that cannot be told."""
    for _ in range(MOST_SEGMENTS):
        with tempfile.TemporaryDirectory(prefix="wal-") as directory:
            file = fetch(deployment, segment, (), Path(directory))
            if file is None:
                return None
            if found := commits(printed("--rmgr=Transaction", str(file))):
                return max(found)
        segment = wal.before(segment, segment_bytes)
    return None


def fetch(
    deployment: Deployment, segment: str, repos: Sequence[int], directory: Path, pgdata: Path | None = None
) -> Path | None:
    """Fetch a segment from the archive into a directory; None when nobody can.

    The repositories are asked in turn; all at once when none is named, and then one that is lost costs minutes. `pgdata`
    stands in for the data directory, by which pgbackrest knows the cluster.
    """
    file = directory / segment
    for repo in repos or (None,):
        only = (*(() if repo is None else (f"--repo={repo}",)), *(() if pgdata is None else (f"--pg1-path={pgdata}",)))
        get = ("pgbackrest", f"--stanza={deployment.config.stanza}", *only, "archive-get", segment, str(file))
        if process.capture(get, GET_SECONDS).exit_code == 0 and file.exists():
            return file
    return None


def printed(*words: str) -> bytes:
    """Return what `pg_waldump` prints, with times in UTC.

    It ends with an error where the next segment would be needed, and has said what it knows before that.
    """
    return process.capture(("env", "TZ=UTC", "pg_waldump", *words), GET_SECONDS).stdout


def commits(dumped: bytes) -> tuple[datetime, ...]:
    """Return the times of the commits that `pg_waldump` prints, in UTC."""
    return tuple(_moment(match.group(1)) for match in _COMMIT.finditer(dumped))


def last_commit_record(dumped: bytes) -> Ended | None:
    """Return the last commit that `pg_waldump --rmgr=Transaction` prints, with its position."""
    every = (_ended(match) for match in _ENDED.finditer(dumped) if match["how"] == b"COMMIT")
    return max(every, key=lambda ended: ended.at, default=None)


def last_record(dumped: bytes) -> int | None:
    """Return where the last record that `pg_waldump` prints begins."""
    return max((wal.parse_lsn(match.group(1).decode()) for match in _LSN.finditer(dumped)), default=None)


def end_of_transaction(dumped: bytes, xid: int) -> Ended | None:
    """Return how a transaction ended, when that is in what `pg_waldump --rmgr=Transaction` prints.

    WAL holds the lower 32 bits of its number. One that was prepared is named in the description.
    """
    wanted = xid & 0xFFFFFFFF
    found = (m for m in _ENDED.finditer(dumped) if int(m["prepared"] or m["xid"]) == wanted)
    return next((_ended(match) for match in found), None)


def restore_point(dumped: bytes, name: str) -> int | None:
    """Return where the last restore point of this name lies that `pg_waldump --rmgr=XLOG` prints."""
    found = [match for match in _POINT.finditer(dumped) if match["name"].decode("utf-8", "replace") == name]
    return wal.parse_lsn(found[-1]["lsn"].decode()) if found else None


def _ended(match: re.Match[bytes]) -> Ended:
    return Ended(wal.parse_lsn(match["lsn"].decode()), _moment(match["at"]), match["how"] == b"COMMIT")


def _moment(stamp: bytes) -> datetime:
    return datetime.fromisoformat(stamp.decode()).replace(tzinfo=UTC)
