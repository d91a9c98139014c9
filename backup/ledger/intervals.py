"""The intervals of one branch that can be recovered, and the holes between them. Pure.

What counts is what PostgreSQL reads. For a segment it asks for the file of the newest timeline of the branch that has
begun by then, and falls back to older ones when there is none (`XLogFileReadAnyTLI`). At a fork the new timeline's segment
begins as a copy of the old one's, so it serves both; the old one's serves up to the fork, and what it holds after that
belongs to another branch. A file that cannot be fetched ends recovery: there is no falling back past it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from backup.ledger import wal
from backup.ledger.archive import Archive, Fault
from backup.ledger.timelines import Branch, Stretch
from backup.pgbackrest import Backup

_FOREVER: Final = 1 << 64


@dataclass(frozen=True)
class Placed:
    """A backup with its place in the log: what recovery must replay before it is consistent, `begin` up to `end`."""

    backup: Backup
    timeline: int
    begin: int
    end: int


@dataclass(frozen=True)
class Interval:
    """Any position from `begin`, where the earliest of its `backups` ended, up to `end` can be recovered.

    `end` is where the unbroken archive ends: behind the last segment, or the fork after which the branch's own is missing.
    """

    begin: int
    end: int
    backups: tuple[Backup, ...]

    def holds(self, lsn: int) -> bool:
        """Tell whether a position lies in it."""
        return self.begin <= lsn <= self.end


@dataclass(frozen=True)
class Hole:
    """Segments that a branch needs and the archive lacks, on one timeline: names of the first and the last one.

    `begin` up to `end` are the positions that are lost. `faults` are files that lie there and are no segments, `cuts` the
    backups that cannot become consistent because of it.
    """

    timeline: int
    first: str
    last: str
    count: int
    begin: int
    end: int
    faults: tuple[Fault, ...] = ()
    cuts: tuple[Backup, ...] = ()


@dataclass(frozen=True)
class Survey:
    """One branch in one archive. Intervals and holes in the order of the log; `unusable` are the backups that holes cut."""

    branch: Branch
    intervals: tuple[Interval, ...]
    holes: tuple[Hole, ...]
    unusable: tuple[Backup, ...]

    def of_backup(self, backup: Backup) -> Interval | None:
        """Return the interval that a backup lies in, or None when it cannot be used on this branch."""
        return next((interval for interval in self.intervals if backup in interval.backups), None)

    def before(self, hole: Hole) -> Interval | None:
        """Return the interval that ends at a hole, or None: its WAL belongs to no backup."""
        return next((interval for interval in self.intervals if interval.end == hole.begin), None)

    def after(self, hole: Hole) -> Interval | None:
        """Return the first interval behind a hole."""
        return next((interval for interval in self.intervals if interval.begin >= hole.end), None)

    @property
    def latest(self) -> Interval | None:
        """The interval that reaches furthest."""
        return max(self.intervals, key=lambda interval: interval.end, default=None)


def place(backup: Backup, segment_bytes: int) -> Placed | None:
    """Return where a backup lies, or None when it does not say so (pgbackrest lists both for every backup of ours)."""
    if backup.wal_stop is None or backup.lsn_stop is None:
        return None
    end = wal.parse_lsn(backup.lsn_stop)
    begin = wal.parse_lsn(backup.lsn_start) if backup.lsn_start else wal.begin_of(backup.wal_start or "", segment_bytes)
    return Placed(backup, wal.timeline_of(backup.wal_stop), min(begin, end), end)


def is_on(branch: Branch, backup: Backup) -> bool:
    """Tell whether a backup lies in the past of a branch."""
    placed = place(backup, wal.DEFAULT_SEGMENT_BYTES)
    return placed is not None and branch.holds(placed.timeline, placed.end)


def survey(archive: Archive, branch: Branch, backups: Iterable[Backup]) -> Survey:
    """Return what can be recovered along a branch from these backups, which are of the archive's cluster."""
    every = (place(backup, archive.segment_bytes) for backup in backups)
    placed = sorted(
        (each for each in every if each is not None and branch.holds(each.timeline, each.end)), key=lambda each: each.end
    )
    if not placed:
        return Survey(branch, (), (), ())
    reader = Reader(archive, branch)
    size = archive.segment_bytes
    last = max(reader.last_number(), *(max(each.end - 1, 0) // size for each in placed))
    runs, missing = _walk(reader, min(each.begin for each in placed) // size, last)
    if missing and _is_only_the_end(missing[-1], reader, last) and placed[-1].end <= missing[-1].begin:
        missing.pop()
    intervals = tuple(interval for run in runs if (interval := _interval(run, placed, size)) is not None)
    used = {id(backup) for interval in intervals for backup in interval.backups}
    unusable = [each for each in placed if id(each.backup) not in used]
    return Survey(
        branch,
        intervals,
        tuple(_hole(reader, run, unusable) for run in missing),
        tuple(each.backup for each in unusable),
    )


class Reader:
    """What recovery along a branch reads for each segment."""

    def __init__(self, archive: Archive, branch: Branch) -> None:
        """Take both."""
        self.archive = archive
        self._path = branch.path()
        self._begins = [stretch.begin for stretch in self._path]
        self._ends = [_FOREVER if stretch.end is None else stretch.end for stretch in self._path]

    def owners(self, number: int) -> tuple[Stretch, ...]:
        """Return the stretches of the branch that a segment holds something of, the newest last. At least one."""
        begin = number * self.archive.segment_bytes
        return self._path[bisect_right(self._ends, begin) : bisect_left(self._begins, begin + self.archive.segment_bytes)]

    def source(self, number: int) -> Stretch | None:
        """Return the stretch whose file recovery reads for a segment, or None: it finds none, or one it cannot read."""
        for stretch in reversed(self.owners(number)):
            if (stretch.timeline, number) in self.archive.blocked:
                return None
            if self.archive.has(stretch.timeline, number):
                return stretch
        return None

    def reach(self, number: int) -> int:
        """Return up to where a segment's WAL on this branch can be read: its beginning when it cannot at all."""
        size = self.archive.segment_bytes
        found = self.source(number)
        if found is None:
            return number * size
        return min((number + 1) * size, _FOREVER if found.end is None else found.end)

    def last_number(self) -> int:
        """Return the number of the last segment on the branch that was archived, whole or damaged, or -1."""
        size, last = self.archive.segment_bytes, -1
        for stretch in self._path:
            damaged = (number for timeline, number in self.archive.blocked if timeline == stretch.timeline)
            numbers = (*self.archive.whole.get(stretch.timeline, ()), *damaged)
            past = _FOREVER if stretch.end is None else -(-stretch.end // size)
            last = max(last, max((number for number in numbers if stretch.begin // size <= number < past), default=-1))
        return last

    def names_back(self, end: int, count: int) -> tuple[str, ...]:
        """Return the names of the last segments before a position that recovery reads, the last first; `count` at most."""
        size, names = self.archive.segment_bytes, list[str]()
        number = (end - 1) // size
        while number >= 0 and len(names) < count and (found := self.source(number)) is not None:
            names.append(wal.segment_name(found.timeline, number, size))
            number -= 1
        return tuple(names)


@dataclass(frozen=True)
class _Run:
    begin: int
    end: int
    timeline: int = 0


def _walk(reader: Reader, first: int, last: int) -> tuple[list[_Run], list[_Run]]:
    """Return the unbroken runs of WAL, and what is missing between them, from one segment to another."""
    size = reader.archive.segment_bytes
    runs, missing = list[_Run](), list[_Run]()
    for number in range(first, last + 1):
        begin, end, reached = number * size, (number + 1) * size, reader.reach(number)
        if reached > begin:
            _extend(runs, _Run(begin, reached))
        if reached < end:
            _extend(missing, _Run(reached, end, reader.owners(number)[-1].timeline))
    return runs, missing


def _is_only_the_end(run: _Run, reader: Reader, last: int) -> bool:
    """Tell whether nothing lies behind what is missing: the last segment is that of a fork, and ends on another branch."""
    return run.begin // reader.archive.segment_bytes == last and reader.source(last) is not None


def _extend(runs: list[_Run], run: _Run) -> None:
    if runs and (runs[-1].end, runs[-1].timeline) == (run.begin, run.timeline):
        runs[-1] = _Run(runs[-1].begin, run.end, run.timeline)
    else:
        runs.append(run)


def _interval(run: _Run, placed: list[Placed], segment_bytes: int) -> Interval | None:
    inside = [each for each in placed if run.begin <= each.begin // segment_bytes * segment_bytes and each.end <= run.end]
    return Interval(inside[0].end, run.end, tuple(each.backup for each in inside)) if inside else None


def _hole(reader: Reader, run: _Run, unusable: list[Placed]) -> Hole:
    size = reader.archive.segment_bytes
    first, last = run.begin // size, (run.end - 1) // size
    timelines = {stretch.timeline for number in (first, last) for stretch in reader.owners(number)}
    return Hole(
        run.timeline,
        wal.segment_name(run.timeline, first, size),
        wal.segment_name(run.timeline, last, size),
        last - first + 1,
        run.begin,
        run.end,
        tuple(f for f in reader.archive.faults if f.timeline in timelines and first <= f.number <= last),
        tuple(each.backup for each in unusable if each.begin // size * size < run.end and run.begin < each.end),
    )
