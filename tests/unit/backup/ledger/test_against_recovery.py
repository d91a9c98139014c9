"""The ledger against a naive model of recovery: archives over random timelines, damaged in known ways.

The model knows nothing of intervals. It holds, for each quarter of each segment file, which timeline wrote it; it replays
from each backup as PostgreSQL does, a segment at a time, choosing files by the rule of `XLogFileReadAnyTLI`; and a position
can be recovered when every quarter up to it was written by the timeline that the branch says.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import event, given
from hypothesis import strategies as st

from backup.ledger import archive as archives
from backup.ledger import wal
from backup.ledger.archive import Archive
from backup.ledger.intervals import survey
from backup.ledger.timelines import Branch
from backup.pgbackrest import Backup
from tests.unit.backup.fakes import make_backup

QUARTERS = 4
Place = tuple[int, int]


@dataclass
class World:
    """Timelines with their parents and forks (in quarters), the files of the archive by their quarters, the backups."""

    size: int
    forks: dict[int, tuple[int, int]] = field(default_factory=dict)
    written: dict[int, int] = field(default_factory=dict)
    files: dict[Place, list[int]] = field(default_factory=dict)
    broken: dict[Place, str] = field(default_factory=dict)
    backups: list[tuple[Backup, int, int, int]] = field(default_factory=list)

    def owner(self, timeline: int, quarter: int) -> int:
        """The timeline that wrote a quarter of a branch."""
        while timeline in self.forks and quarter < self.forks[timeline][1]:
            timeline = self.forks[timeline][0]
        return timeline

    def ancestors(self, timeline: int) -> list[int]:
        return [timeline, *(self.ancestors(self.forks[timeline][0]) if timeline in self.forks else [])]

    def history(self, timeline: int) -> Branch:
        left_at, unit, walked = {}, self.size // QUARTERS, timeline
        while walked in self.forks:
            parent, at = self.forks[walked]
            left_at[parent] = at * unit
            walked = parent
        return Branch(timeline, left_at)

    def recovers(self, backup: tuple[Backup, int, int, int], timeline: int, upto: int) -> bool:
        """Replay from a backup along the branch of a timeline up to a quarter; tell whether all of it was right."""
        _, taken_on, begin, end = backup
        if self.owner(timeline, end - 1) != taken_on or upto < end:
            return False
        current = 0
        for number in range(begin // QUARTERS, -(-upto // QUARTERS)):
            read = self.reads(timeline, number, current)
            if read is None:
                return False
            current, content = read
            needed = range(max(begin, number * QUARTERS), min(upto, (number + 1) * QUARTERS))
            if any(content[quarter % QUARTERS] != self.owner(timeline, quarter) for quarter in needed):
                return False
        return True

    def reads(self, timeline: int, number: int, current: int) -> tuple[int, list[int]] | None:
        """The file that recovery gets for a segment: the timeline in its name, and what is in it."""
        for candidate in self.ancestors(timeline):
            began = self.forks[candidate][1] if candidate in self.forks else 0
            if candidate < current or (candidate, number) in self.broken:
                return None
            if number >= began // QUARTERS and (candidate, number) in self.files:
                return candidate, self.files[candidate, number]
        return None

    def listing(self) -> dict[str, int]:
        files = {}
        for timeline, number in self.files:
            name = wal.segment_name(timeline, number, self.size)
            files[f"{name[:16]}/{name}-{'a' * 40}.lz4"] = 100
        for (timeline, number), kind in self.broken.items():
            name = wal.segment_name(timeline, number, self.size)
            if kind == "duplicate":
                files[f"{name[:16]}/{name}-{'b' * 40}.lz4"] = 100
            files[f"{name[:16]}/{name}-{'c' * 40}.lz4"] = 0 if kind == "empty" else 100
        return files


@st.composite
def worlds(draw: st.DrawFn) -> World:
    world = World(draw(st.sampled_from(wal.SEGMENT_SIZES)))
    start = draw(st.sampled_from((0, (1 << 32) // world.size - 3))) * QUARTERS  # also over the border of a log
    world.written[1] = start + draw(st.integers(1, 32))
    for timeline in range(2, draw(st.integers(1, 4)) + 1):
        parent = draw(st.integers(1, timeline - 1))
        fork = draw(st.integers(start + 1, world.written[parent]))  # also before the parent itself began
        world.forks[timeline] = (parent, fork)
        world.written[timeline] = fork + draw(st.integers(0, 16))
    for timeline, end in world.written.items():
        begun = world.forks[timeline][1] if timeline in world.forks else start
        for number in range(begun // QUARTERS, end // QUARTERS):
            world.files[timeline, number] = [world.owner(timeline, number * QUARTERS + q) for q in range(QUARTERS)]
        if end > begun and end % QUARTERS and draw(st.booleans()):  # ended by a switch
            number = end // QUARTERS
            world.files[timeline, number] = [world.owner(timeline, number * QUARTERS + q) for q in range(QUARTERS)]
    _take_backups(draw, world, start)
    at_forks = [(t, at // QUARTERS) for t, (_, at) in world.forks.items() if (t, at // QUARTERS) in world.files]
    places = st.one_of(*(st.sampled_from(sorted(some)) for some in (world.files, at_forks) if some))
    for place in draw(st.lists(places, max_size=4, unique=True)) if world.files else []:
        kind = draw(st.sampled_from(("removed", "partial", "empty", "duplicate")))
        event(kind)
        del world.files[place]
        if kind in ("empty", "duplicate"):
            world.broken[place] = kind
    return world


def _take_backups(draw: st.DrawFn, world: World, start: int) -> None:
    unit = world.size // QUARTERS
    for day in range(1, draw(st.integers(1, 4)) + 1):
        timeline = draw(st.sampled_from(sorted(world.written)))
        begun = world.forks[timeline][1] if timeline in world.forks else start
        if world.written[timeline] <= begun:
            continue
        begin = draw(st.integers(begun, world.written[timeline] - 1))
        end = draw(st.integers(begin + 1, min(begin + 8, world.written[timeline])))
        backup = make_backup(
            f"202603{day:02d}-020000F",
            wal_start=wal.segment_name(timeline, begin // QUARTERS, world.size),
            wal_stop=wal.segment_name(timeline, (end - 1) // QUARTERS, world.size),
            lsn_start=wal.format_lsn(begin * unit),
            lsn_stop=wal.format_lsn(end * unit),
        )
        world.backups.append((backup, timeline, begin, end))


@given(worlds())
def test_what_the_ledger_says_is_what_recovery_does(world: World) -> None:
    known, unit = archives.read(world.listing(), world.size), world.size // QUARTERS
    first = min((begin for _, _, begin, _ in world.backups), default=0)
    for timeline in world.written:
        found = survey(known, world.history(timeline), [backup for backup, *_ in world.backups])
        for quarter in range(first, max(world.written.values()) + 2 * QUARTERS):
            truth = {b[0].label for b in world.backups if world.recovers(b, timeline, quarter)}
            said = {
                backup.label
                for interval in found.intervals
                for backup in interval.backups
                if wal.parse_lsn(backup.lsn_stop or "") <= quarter * unit <= interval.end
            }
            assert said == truth, (timeline, quarter / QUARTERS)


@given(worlds())
def test_a_hole_is_where_nothing_of_the_branch_lies_and_something_comes_after(world: World) -> None:
    known: Archive = archives.read(world.listing(), world.size)
    unit = world.size // QUARTERS
    for timeline in world.written:
        branch = world.history(timeline)
        found = survey(known, branch, [backup for backup, *_ in world.backups])
        for hole in found.holes:
            assert hole.begin < hole.end
            for quarter in range(hole.begin // unit, hole.end // unit):
                owner = world.owner(timeline, quarter)
                assert world.files.get((owner, quarter // QUARTERS)) is None or (
                    any((t, quarter // QUARTERS) in world.broken for t in world.ancestors(timeline))
                )
            assert not any(i.begin < hole.end and hole.begin < i.end for i in found.intervals)
        for interval in found.intervals:
            assert all(wal.parse_lsn(backup.lsn_stop or "") <= interval.end for backup in interval.backups)
        for backup in found.unusable:
            assert any(backup in hole.cuts for hole in found.holes)
        assert list(found.intervals) == sorted(found.intervals, key=lambda each: each.begin)
