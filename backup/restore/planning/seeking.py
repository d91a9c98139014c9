"""Looking into the archive's segments: where a window really ends, and where a transaction or a name lies."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Final

from backup.deployment import Deployment
from backup.emergency import archive_end
from backup.ledger import wal
from backup.restore.beside.proof import control
from backup.restore.planning import stand_in
from backup.restore.planning.plan import Wanted
from backup.restore.planning.window import End, Known, Point, Window
from backup.state.points import Points

MOST_LOOKED_AT: Final = 64
"""So many segments are looked into for the last commit of a window."""

_BEHIND: Final = 64 << 10
"""So much of the next segment is read along: a record may begin at the end of one and end in the next."""

Find = Callable[[bytes], tuple[str, int, datetime | None] | None]
"""Finds something in what pg_waldump prints: what to say of it, its position, its time."""


Fetch = Callable[[Window, str, Path], Path | None]
"""Brings a segment of a window into a directory."""


def seen(deployment: Deployment, wanted: Wanted, known: Known, system_id: int | None) -> Known:
    """Return what is known with what only a look into segments tells, as far as this restore needs it."""
    fetch = _fetching(deployment, system_id, known.segment_bytes)
    if wanted.verb == "pitr" and wanted.kind in ("xid", "name"):
        known = _located(deployment, wanted, known, system_id, fetch)
    if wanted.verb == "backup":
        return known
    ends: dict[int, End | None] = {}

    def with_end(window: Window) -> Window:
        if window.interval.end not in ends:
            ends[window.interval.end] = _end(fetch, window, known.segment_bytes)
        return replace(window, end=ends[window.interval.end])

    if wanted.verb == "latest":
        return replace(known, latest=tuple(with_end(w) for w in known.latest) if known.holes else known.latest)
    return replace(known, windows=tuple(w if known.is_open(w) else with_end(w) for w in known.windows))


def _fetching(deployment: Deployment, system_id: int | None, segment_bytes: int) -> Fetch:
    """Return what fetches segments. Where the disk has no cluster of that identity, a control file stands in for it."""

    @cache
    def is_there() -> bool:
        told = control(deployment.volumes.pgdata).get("Database system identifier")
        return system_id is None or told == str(system_id)

    def fetch(window: Window, segment: str, directory: Path) -> Path | None:
        if is_there():
            return archive_end.fetch(deployment, segment, window.repositories, directory)
        with tempfile.TemporaryDirectory(prefix="identity-") as pgdata:
            file = Path(pgdata) / "global" / "pg_control"
            file.parent.mkdir()
            file.write_bytes(stand_in.control_file(system_id or 0, segment_bytes))
            return archive_end.fetch(deployment, segment, window.repositories, directory, Path(pgdata))

    return fetch


def _end(fetch: Fetch, window: Window, segment_bytes: int) -> End | None:
    """Look back from a window's end for the last commit; None when nobody can look."""
    record, needed = None, wal.parse_lsn(window.backups[-1].lsn_stop or "0/0")
    for place, segment in enumerate(window.last_segments[:MOST_LOOKED_AT]):
        with tempfile.TemporaryDirectory(prefix="wal-") as directory:
            file = fetch(window, segment, Path(directory))
            if file is None:
                return End(None, record) if place else None
            bound = (f"--end={wal.format_lsn(window.interval.end)}",) if place == 0 else ()
            ended = archive_end.last_commit_record(archive_end.printed("--rmgr=Transaction", *bound, str(file)))
            if place == 0:
                start = (f"--start={wal.format_lsn(ended.lsn)}",) if ended else ()
                record = archive_end.last_record(archive_end.printed(*start, *bound, str(file)))
            if ended is not None:
                return End(ended.at, record)
            if wal.begin_of(segment, segment_bytes) <= needed:
                return End(None, record, was_all=True)
    return End(None, record)


# --- transactions and names -------------------------------------------------------------------------------------------


def _located(deployment: Deployment, wanted: Wanted, known: Known, system_id: int | None, fetch: Fetch) -> Known:
    written = wanted.value or ""
    if wanted.kind == "name" and system_id is not None:
        recorded = Points(deployment.store).find(written, system_id)
        if recorded is not None:
            what = f"restore point {written!r}, made at {deployment.local(recorded.at)}"
            return replace(known, point=Point(what, recorded.timeline, recorded.lsn, recorded.at))
    find = _transaction(deployment, int(written)) if wanted.kind == "xid" else _name(written)
    rmgr = "--rmgr=Transaction" if wanted.kind == "xid" else "--rmgr=XLOG"
    searched = 0
    for window in reversed(known.windows):
        point, count = _search(fetch, window, find, (rmgr, known.segment_bytes))
        searched += count
        if point is not None:
            return replace(known, point=point)
    return replace(known, searched=f"the last {searched} segments were searched")


def _search(fetch: Fetch, window: Window, find: Find, where_to: tuple[str, int]) -> tuple[Point | None, int]:
    """Look through a window's segments, the last first; return what was found and how many were looked at."""
    rmgr, size = where_to
    with tempfile.TemporaryDirectory(prefix="wal-") as directory:
        behind: Path | None = None
        for count, segment in enumerate(window.last_segments, 1):
            file = fetch(window, segment, Path(directory))
            if file is None:
                return None, count - 1
            begin, end = wal.begin_of(segment, size), min(wal.end_of(segment, size), window.interval.end)
            if behind is not None:  # pg_waldump reads on in files of the same timeline only
                number = wal.segment_number(segment, size) or 0
                behind = behind.rename(file.with_name(wal.segment_name(wal.timeline_of(segment), number + 1, size)))
                end += min(_BEHIND, size)
            where = (f"--path={directory}", f"--timeline={wal.timeline_of(segment)}")
            reach = (f"--start={wal.format_lsn(begin)}", f"--end={wal.format_lsn(end)}")
            found = find(archive_end.printed(rmgr, *where, *reach))
            if found is not None and found[1] >= window.interval.begin:
                what, lsn, at = found
                return Point(what, wal.timeline_of(segment), lsn, at), count
            if begin <= window.interval.begin:
                return None, count
            if behind is not None:
                behind.unlink()
            behind = file
        return None, len(window.last_segments)


def _transaction(deployment: Deployment, xid: int) -> Find:
    def find(dumped: bytes) -> tuple[str, int, datetime | None] | None:
        ended = archive_end.end_of_transaction(dumped, xid)
        if ended is None:
            return None
        how = "was committed" if ended.is_commit else "was ROLLED BACK"
        return f"transaction {xid} {how} at {deployment.local(ended.at)}", ended.lsn, ended.at

    return find


def _name(name: str) -> Find:
    def find(dumped: bytes) -> tuple[str, int, datetime | None] | None:
        lsn = archive_end.restore_point(dumped, name)
        return None if lsn is None else (f"restore point {name!r} at position {wal.format_lsn(lsn)}", lsn, None)

    return find
