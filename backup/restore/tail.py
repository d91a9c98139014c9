"""The unarchived tail: what the old cluster committed and the archive never saw lives in its `pg_wal` alone.

Before anything is overwritten, the whole old `pg_wal` is kept beside the data directory, as hard links: that takes no
space and no time, and the restore, which unlinks the old names, cannot harm the kept ones. After the restore, the
segments that never reached the archive are copied into the new `pg_wal`, where recovery reads them once the archive has
no more.

A kept directory stays until a restore has succeeded, so that a second attempt after a failed one still has it.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from backup.restore.timeline import Branch

_SEGMENT = re.compile(r"[0-9A-F]{24}")
_KEPT_PREFIX = "salvage-"
_CLEAN_MARK = "stopped-cleanly"

# The start of every WAL page (XLogPageHeaderData in PostgreSQL's access/xlog_internal.h): magic, flags, timeline,
# and the page's own address. A segment that was only preallocated or recycled has another address there, or none.
_PAGE_HEADER = struct.Struct("=HHIQ")

# The first page of a segment says more (XLogLongPageHeaderData): behind the 24 bytes of the page's own header, whose
# cluster it is. Its system identifier is that of `pg_controldata`.
_SYSTEM_ID = struct.Struct("=Q")
_SYSTEM_ID_AT = 24


@dataclass(frozen=True)
class Fingerprint:
    """What can be told of a directory tree without reading its files: any write to it changes this."""

    entries: frozenset[tuple[str, int, int, int]]


def fingerprint(pgdata: Path) -> Fingerprint:
    """Return the fingerprint of a data directory: path, inode, size and change time of each file."""
    entries = set()
    for directory, _names, files in os.walk(pgdata):
        for name in files:
            path = os.path.join(directory, name)  # noqa: PTH118 a thousand files; pathlib doubles the time
            found = os.lstat(path)
            entries.add((path, found.st_ino, found.st_size, found.st_mtime_ns))
    return Fingerprint(frozenset(entries))


def keep(database_volume: Path, pgdata: Path, restore_id: str, *, stopped_cleanly: bool) -> Path:
    """Keep the old `pg_wal` under `salvage-<id>`; return that directory. Missing or empty: an empty directory."""
    kept = database_volume / f"{_KEPT_PREFIX}{restore_id}"
    kept.mkdir(mode=0o700)
    source = pgdata / "pg_wal"
    for directory in (source, source / "archive_status"):
        target = kept / directory.relative_to(source)
        target.mkdir(mode=0o700, exist_ok=True)
        for entry in directory.iterdir() if directory.is_dir() else ():
            if entry.is_file():
                os.link(entry, target / entry.name)
    if stopped_cleanly:
        (kept / _CLEAN_MARK).touch()
    return kept


def forget(database_volume: Path, restore_id: str) -> None:
    """Remove what the present restore kept: the old cluster goes on. What earlier attempts kept stays."""
    shutil.rmtree(database_volume / f"{_KEPT_PREFIX}{restore_id}", ignore_errors=True)


def kept_directories(database_volume: Path) -> tuple[Path, ...]:
    """Return what was kept by this restore and by failed ones before it, oldest first."""
    return tuple(sorted(database_volume.glob(f"{_KEPT_PREFIX}*")))


def unarchived(kept: Path, *, stopped_cleanly: bool = False) -> tuple[Path, ...]:
    """Return the segments of a kept `pg_wal` that hold what the archive never saw, in order.

    How its server ended is told by a mark in a directory that `keep` has made, by `stopped_cleanly` for any other.

    After an orderly stop that is only what waits with a `.ready` mark: PostgreSQL ends and archives the last segment
    before its final checkpoint, and nothing but that checkpoint lies behind it. After a crash it is every segment with
    WAL of its own and without a `.done` mark, the unfinished last one included.
    """
    marks = kept / "archive_status"
    segments = (entry for entry in sorted(kept.iterdir()) if _SEGMENT.fullmatch(entry.name))
    if stopped_cleanly or (kept / _CLEAN_MARK).exists():
        return tuple(segment for segment in segments if (marks / f"{segment.name}.ready").exists())
    return tuple(
        segment for segment in segments if not (marks / f"{segment.name}.done").exists() and _holds_own_wal(segment)
    )


def _holds_own_wal(segment: Path) -> bool:
    with segment.open("rb") as file:
        head = file.read(_PAGE_HEADER.size)
        size = os.fstat(file.fileno()).st_size
    if len(head) < _PAGE_HEADER.size or size == 0:
        return False
    _magic, _flags, timeline, address = _PAGE_HEADER.unpack(head)
    log, number = int(segment.name[8:16], 16), int(segment.name[16:], 16)
    return bool(timeline == int(segment.name[:8], 16) and address == (log << 32) + number * size)


def is_of(segment: Path, system_id: int) -> bool:
    """Tell whether a segment was written by this cluster: what another one wrote holds nothing of its history.

    PostgreSQL refuses such a segment by the same number; it must not be counted as saved, nor lie where it is looked for.
    """
    with segment.open("rb") as file:
        file.seek(_SYSTEM_ID_AT)
        found = file.read(_SYSTEM_ID.size)
    return len(found) == _SYSTEM_ID.size and _SYSTEM_ID.unpack(found) == (system_id,)


def feed(kept: tuple[Path, ...], pgdata: Path, system_id: int | None, *, stopped_cleanly: bool = False) -> int:
    """Copy the unarchived segments of this cluster, or of any when it is None, into the new `pg_wal`; return how many.

    Copies, because PostgreSQL will write into them.
    """
    fed = 0
    for directory in kept:
        for segment in unarchived(directory, stopped_cleanly=stopped_cleanly):
            if system_id is not None and not is_of(segment, system_id):
                continue
            target = pgdata / "pg_wal" / segment.name
            shutil.copyfile(segment, target)
            target.chmod(0o600)
            with target.open("rb") as file:
                os.fsync(file.fileno())
            fed += 1
    return fed


def hand_over(segments: Iterable[Path], pgdata: Path, branch: Branch, system_id: int | None) -> int:
    """Let the open database archive those of the replayed segments that lie before its fork; return how many.

    Without them the new timeline could never be reached from a backup of the old one: recovery would find a hole before the
    fork, take it for the end of the archive and open without all that came later. The server forgets them by itself at
    the end of recovery. The segment of the fork itself it has copied into the new timeline. Raises OSError.
    """
    count = 0
    for segment in segments:
        if system_id is not None and not is_of(segment, system_id):
            continue
        left_at = branch.left_at.get(int(segment.name[:8], 16), 0)
        log, number = int(segment.name[8:16], 16), int(segment.name[16:], 16)
        size = segment.stat().st_size
        if (log << 32) + (number + 1) * size > left_at:
            continue
        target = pgdata / "pg_wal" / segment.name
        unfinished = target.with_name(f"{segment.name}.copy")
        shutil.copyfile(segment, unfinished)
        unfinished.chmod(0o600)
        unfinished.rename(target)
        (target.parent / "archive_status" / f"{segment.name}.ready").touch(mode=0o600)
        count += 1
    return count


def drop(kept: tuple[Path, ...], *, replayed: bool) -> tuple[Path, ...]:
    """Remove what is no longer needed after a successful restore; return what is kept, under its new name.

    Replayed WAL is in the database again. When it was not wanted (a restore to an earlier moment), a directory that
    holds segments the archive never saw is renamed to `old-wal-<id>`: nobody else has them.
    """
    left = []
    for directory in kept:
        if replayed or not unarchived(directory):
            shutil.rmtree(directory)
        else:
            left.append(directory.rename(directory.with_name(directory.name.replace(_KEPT_PREFIX, "old-wal-", 1))))
    return tuple(left)
