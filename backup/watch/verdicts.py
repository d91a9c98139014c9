"""What a look means, given the looks before it: which alarms stand, which are over, and how long the disk lasts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from backup.watch import archiver, disks
from backup.watch.archiver import ArchiverState, ArchiverVerdict, Backlog
from backup.watch.memory import Elapsed, Memory
from backup.watch.rates import LONGEST_HOURS, hours_until_full
from backup.watch.readings import Over, Sample, Standing
from contract import events
from contract.supervisor import Thresholds

DOWN_SECONDS: Final = 300.0
"""How long the database may be away: a restart with crash recovery takes a while and is nobody's night."""

DATABASE_KEY: Final = "database"


@dataclass(frozen=True)
class Verdict:
    """All that one look says. `worse` are the keys of alarms to be told again although their severity has not grown.

    `safe_hours`: until the database's volume is full if archiving stopped now. `full_in_hours`: the same while archiving
    really is behind. Both at the present rate, None when unknown or, for the second, not so.
    """

    memory: Memory
    standing: tuple[Standing, ...]
    over: tuple[Over, ...]
    worse: frozenset[str]
    archiver: ArchiverState
    safe_hours: float | None
    full_in_hours: float | None
    catch_up_seconds: float | None


def judge(memory: Memory, sample: Sample, recent: Sequence[Sample], elapsed: Elapsed, allowed: Thresholds) -> Verdict:
    """Judge one look. `recent` are the looks of the last minutes, the oldest first, this one not among them."""
    late_seconds = max(1, allowed.archive_late_minutes) * 60  # with 0, what was finished this moment would be late
    found = archiver.judge(memory, sample, recent, elapsed, late_seconds)
    safe = safe_hours(sample, sample.wal_rate_smoothed, allowed)
    full_in = _full_in_hours(sample, found, allowed)
    behind = found.memory.stall is not None and found.state != "off"  # a single failed attempt is no reason to wake anybody
    on_disk = disks.judge(memory.rungs, sample.volumes, full_in if behind else None, behind=behind, allowed=allowed)
    down_seconds, down, up = _database(memory.down_seconds, sample, elapsed)
    stalled = [_with_hours(found.standing, full_in)] if found.standing else []
    standing = (*([down] if down else []), *stalled, *on_disk.standing)
    over = (*([up] if up else []), *([found.over] if found.over else []), *on_disk.over)
    catching_up = found.backlog.catch_up_seconds if found.backlog and found.state == "catching up" else None
    return Verdict(
        replace(found.memory, down_seconds=down_seconds, rungs=on_disk.rungs),
        standing,
        over,
        on_disk.worse,
        found.state,
        safe,
        full_in,
        catching_up,
    )


def _with_hours(stalled: Standing, full_in_hours: float | None) -> Standing:
    """Return the alarm of the archiver with the time that is left until the disk is full, where that is an end in sight."""
    if full_in_hours is None or full_in_hours >= LONGEST_HOURS / 10:
        return stalled
    message = f"{stalled.message}; the disk lasts {disks.left(full_in_hours)} at the present rate of WAL"
    return replace(stalled, message=message, facts={**stalled.facts, "full_in_hours": round(full_in_hours, 1)})


def safe_hours(sample: Sample, rate: float | None, allowed: Thresholds) -> float | None:
    """Return how long archiving could stop until the database's volume is full, at a rate in bytes of WAL a second."""
    volume = next((volume for volume in sample.volumes if volume.name == disks.DATA), None)
    return hours_until_full(volume, rate, allowed.disk_reserve_percent) if volume else None


def _full_in_hours(sample: Sample, found: ArchiverVerdict, allowed: Thresholds) -> float | None:
    """WAL stays on the disk only while archiving is behind: all of it while nothing is archived, else what is too much."""
    if found.state in {"stalled", "failing"}:
        return safe_hours(sample, sample.wal_rate_smoothed, allowed)
    if found.state == "behind" and sample.wal:
        return safe_hours(sample, _growth(found.backlog, sample.wal.segment_bytes), allowed)
    return None


def _growth(backlog: Backlog | None, segment_bytes: int) -> float | None:
    return max(0.0, backlog.growth * segment_bytes) if backlog and backlog.growth is not None else None


def _database(down_seconds: float, sample: Sample, elapsed: Elapsed) -> tuple[float, Standing | None, Over | None]:
    if sample.wal and not sample.wal.in_recovery:
        return 0.0, None, Over(DATABASE_KEY, events.DATABASE_UP, "the database is open")
    down_seconds += elapsed.seconds
    if down_seconds < DOWN_SECONDS:
        return down_seconds, None, None
    if sample.wal:
        message = "the database is in recovery, and has not been open for minutes"
        hint = "a restore takes its time: `docker logs salespider-postgres` shows how far it is"
        return down_seconds, Standing(DATABASE_KEY, events.DATABASE_DOWN, "warning", message, hint), None
    message = f"the database cannot be reached ({sample.problem})"
    hint = "see `make status` and `docker logs salespider-postgres`; nothing is archived or backed up meanwhile"
    return down_seconds, Standing(DATABASE_KEY, events.DATABASE_DOWN, "critical", message, hint), None
