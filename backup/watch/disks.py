"""Whether the disks last: the verdict on each volume, by how full it is and by the hours that are left. Pure.

A threshold counts as crossed until its opposite is clearly true: a volume that breathes around 70 % is one alarm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from backup.units import human_bytes, human_duration
from backup.watch.memory import Rungs
from backup.watch.rates import LONGEST_HOURS
from backup.watch.readings import Over, Standing, Volume
from contract import events
from contract.severity import Severity
from contract.supervisor import Thresholds

CRITICAL_PERCENT: Final = 90
MARGIN_PERCENT: Final = 3.0
MARGIN_HOURS: Final = 1.25
DATA: Final = "data"


@dataclass(frozen=True)
class DisksVerdict:
    """The rungs of each volume, what stands, what is all right, and which alarms got worse without a greater severity."""

    rungs: Mapping[str, Rungs]
    standing: tuple[Standing, ...]
    over: tuple[Over, ...]
    worse: frozenset[str]


def judge(
    before: Mapping[str, Rungs], volumes: Sequence[Volume], full_in_hours: float | None, *, behind: bool, allowed: Thresholds
) -> DisksVerdict:
    """Judge every volume. The hours concern the database's, and while archiving is `behind` only its end clears them."""
    rungs: dict[str, Rungs] = {}
    standing: list[Standing] = []
    over: list[Over] = []
    worse: set[str] = set()
    for volume in volumes:
        old = before.get(volume.name, Rungs())
        hours = full_in_hours if volume.name == DATA else None
        new = _climbed(old, volume, hours, allowed)
        if volume.name == DATA and hours is None and behind:
            new = replace(new, hours=old.hours)
        rungs[volume.name] = new
        if new == Rungs():
            over.append(
                Over(f"disk:{volume.name}", events.DISK_RECOVERED, f"{_place(volume)} has room again: {_fill(volume)}")
            )
            continue
        standing.append(_alarm(volume, new, hours, allowed))
        if old != Rungs() and new.hours > old.hours and _severity(new, allowed) == _severity(old, allowed):
            worse.add(standing[-1].key)
    gone = (name for name in before if name not in rungs)
    over += [Over(f"disk:{name}", events.DISK_RECOVERED, f"the volume {name} is no longer watched") for name in gone]
    return DisksVerdict(rungs, tuple(standing), tuple(over), frozenset(worse))


def _climbed(old: Rungs, volume: Volume, hours: float | None, allowed: Thresholds) -> Rungs:
    percent, used = old.percent, volume.used_percent
    if used is not None:
        limits = (allowed.disk_percent, max(CRITICAL_PERCENT, allowed.disk_percent))
        percent = sum(
            used >= (limit - min(MARGIN_PERCENT, limit / 10) if number < old.percent else limit)
            for number, limit in enumerate(limits)
        )
    crossed = 0
    if hours is not None:
        steps = sorted(allowed.disk_hours, reverse=True)
        crossed = sum(hours <= (step * MARGIN_HOURS if number < old.hours else step) for number, step in enumerate(steps))
    return Rungs(percent, crossed)


def _severity(rungs: Rungs, allowed: Thresholds) -> Severity:
    last_hours = bool(allowed.disk_hours) and rungs.hours >= len(allowed.disk_hours)
    return "critical" if rungs.percent > 1 or last_hours else "warning"


def _alarm(volume: Volume, rungs: Rungs, hours: float | None, allowed: Thresholds) -> Standing:
    said = f"{_place(volume)} is filling: {_fill(volume)}"
    if hours is not None and rungs.hours:
        said += f"; full in {left(hours)} at the present rate of WAL, because archiving is behind"
    facts = {
        "free_bytes": volume.free_bytes,
        "used_percent": _rounded(volume.used_percent),
        "full_in_hours": _rounded(hours),
    }
    hint = _hint(volume, behind=bool(rungs.hours))
    return Standing(f"disk:{volume.name}", events.DISK_FILLING, _severity(rungs, allowed), said, hint, facts)


def _hint(volume: Volume, *, behind: bool) -> str:
    if behind:
        return (
            "make archiving work again, see `make wal-status`; never delete files in pg_wal: they are not in the archive yet"
        )
    if volume.name == DATA:
        return "make room or enlarge the disk; `make wal-status` shows how much of it is WAL that waits"
    if volume.name.startswith("repository"):
        return "make room, enlarge the disk, or keep fewer backups (BACKUP_RETENTION_FULL); delete no file in it by hand"
    return "make room on the disk that holds this Docker volume"


def left(hours: float) -> str:
    """Return a number of hours in words."""
    if hours >= LONGEST_HOURS / 10:
        return "more than a year"
    return human_duration(timedelta(seconds=round(hours * 3600)))


def _place(volume: Volume) -> str:
    return f"the volume {volume.title}"


def _fill(volume: Volume) -> str:
    if volume.used_percent is None or volume.free_bytes is None:
        return "not readable"
    return f"{volume.used_percent:.0f} % used, {human_bytes(volume.free_bytes)} free"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
