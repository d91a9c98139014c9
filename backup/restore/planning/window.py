"""The windows that a restore can choose from: intervals of the ledger, and the moments they end at.

Pure. A window belongs to the repository that its backups are in: recovery asks that one for WAL first, then the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from backup.emergency.gap import Gap
from backup.ledger import archive as archives
from backup.ledger import wal
from backup.ledger.archive import Archive
from backup.ledger.intervals import Hole, Interval, Reader, survey
from backup.ledger.timelines import Branch
from backup.pgbackrest import Backup, Info

STOP_PRECISION: Final = timedelta(seconds=1)
"""pgBackRest lists whole seconds: a backup may have become consistent at any moment of the second it is said to end in,
and recovery to a target before that moment fails with the files already overwritten."""

JUST_BEFORE: Final = timedelta(microseconds=1)
"""Recovery to a time needs a commit after it: the last possible one is just before the last commit."""

MOST_SEGMENTS: Final = 1000
"""So many of a window's last segments are known by name: 16 GB of WAL in segments of the usual size."""


@dataclass(frozen=True)
class End:
    """What the last segments of a window tell: the last commit's time, and where the last record begins.

    `commit` None: there was none in all that was looked at.
    """

    commit: datetime | None
    record: int | None
    was_all: bool = False
    """Whether everything back to the window's last backup was looked at."""


@dataclass(frozen=True)
class Window:
    """One interval. `repositories` are asked for WAL in this order; the first has the backups.

    `last_segments` are the names of its last segments, the last first. `end` is None when nobody could look into them.
    """

    interval: Interval
    repositories: tuple[int, ...]
    last_segments: tuple[str, ...] = ()
    end: End | None = None

    @property
    def backups(self) -> tuple[Backup, ...]:
        """Its backups, in the order they ended."""
        return self.interval.backups

    @property
    def earliest(self) -> datetime:
        """The earliest moment that is a target for certain."""
        return min(backup.stopped for backup in self.backups) + STOP_PRECISION

    @property
    def until(self) -> datetime | None:
        """The moment that every target must lie before, or None when it cannot be told."""
        if self.end is None or (self.end.commit is None and not self.end.was_all):
            return None
        return self.end.commit or self.backups[-1].stopped

    @property
    def last_moment(self) -> datetime | None:
        """The latest target in it, if there is one and it can be told."""
        if self.until is None or self.until - JUST_BEFORE < self.earliest:
            return None
        return self.until - JUST_BEFORE


@dataclass(frozen=True)
class Point:
    """The place in the log of a named restore point or of a transaction's end.

    `lsn` is a position that recovery has to reach and a backup must have ended before. `what` says what it is, for people.
    """

    what: str
    timeline: int
    lsn: int
    at: datetime | None = None


@dataclass(frozen=True)
class Known:
    """All that a plan is made from. `info` holds the repositories and backups that may be used, of one cluster.

    `windows` are those of the archive; `latest` those with WAL that waits on the database's disk as well. `grows`: the
    running database will archive its last WAL first; `is_down`: none answers, so what it never archived is on its disk only.
    `point` is where a transaction or a name was found; `searched` says how much was looked through for it. `at_hand` are
    missing segments that still lie in the old pg_wal, and `container` is the name of the database's, where it is known.
    """

    info: Info
    branch: Branch
    windows: tuple[Window, ...]
    latest: tuple[Window, ...]
    holes: tuple[Hole, ...] = ()
    grows: bool = False
    is_down: bool = False
    point: Point | None = None
    searched: str = ""
    at_hand: frozenset[str] = frozenset()
    container: str = ""
    gaps: tuple[Gap, ...] = ()
    segment_bytes: int = wal.DEFAULT_SEGMENT_BYTES

    def is_open(self, window: Window) -> bool:
        """Tell whether WAL that is archived from now on belongs to a window."""
        furthest = max(each.interval.end for each in self.windows)
        return self.grows and window.interval.end == furthest and self.hole_after(window) is None

    def goes_on(self, window: Window) -> bool:
        """Tell whether WAL that only a dead database's disk holds goes on where a window of the archive ends."""
        return self.is_down and any(each.interval.begin <= window.interval.end < each.interval.end for each in self.latest)

    def hole_after(self, window: Window) -> Hole | None:
        """Return the hole that ends a window, or None: it reaches to the end of the archive."""
        return next((hole for hole in self.holes if hole.begin >= window.interval.end), None)


def with_waiting(archive: Archive, waiting: Iterable[tuple[int, int]]) -> Archive:
    """Return the archive with segments (timeline, number) that will be given to recovery from the database's disk."""
    whole = {timeline: set(numbers) for timeline, numbers in archive.whole.items()}
    for timeline, number in waiting:
        whole.setdefault(timeline, set()).add(number)
    return replace(archive, whole={timeline: frozenset(numbers) for timeline, numbers in whole.items()})


def windows(
    known: Mapping[int, Archive],
    branch: Branch,
    backups: Sequence[Backup],
    waiting: Sequence[tuple[int, int]] = (),
) -> tuple[tuple[Window, ...], tuple[Hole, ...]]:
    """Return the windows along a branch in the order they end, and the holes.

    `known` are the archives of the backups' cluster by repository, `backups` its good backups.
    """
    found, holes = list[Window](), dict[tuple[str, str], Hole]()
    for key in known:
        order = (key, *(other for other in known if other != key))
        archive = archives.merged([known[each] for each in order])
        reader = Reader(with_waiting(archive, waiting) if waiting else archive, branch)
        surveyed = survey(reader.archive, branch, (b for b in backups if b.repo == key))
        for interval in surveyed.intervals:
            found.append(Window(interval, order, tuple(reader.names_back(interval.end, MOST_SEGMENTS))))
        holes.update({(hole.first, hole.last): hole for hole in surveyed.holes})
    ended = sorted(found, key=lambda w: (w.interval.end, w.backups[-1].stopped))
    return tuple(ended), tuple(sorted(holes.values(), key=lambda hole: hole.begin))


def pairs(known: Iterable[Window]) -> Iterator[tuple[Window, Backup]]:
    """Return every backup with its window, the backup that ended last first."""
    every = [(window, backup) for window in known for backup in window.backups]
    return iter(sorted(every, key=lambda pair: (pair[1].stopped, -pair[0].repositories[0]), reverse=True))
