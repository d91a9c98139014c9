"""When cron would run something, found without any cron library: by walking through a time zone's offsets.

It knows plans as sets of numbers, not as text, and it finds clock changes by asking for the offset hour by hour, and minute
by minute where two answers differ. Moments are minutes since the epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

EPOCH = date(1970, 1, 1)
DAY = 24 * 60


@dataclass(frozen=True)
class Plan:
    """What an expression means: these minutes of these hours (None: of every hour that passes) on these days."""

    expression: str
    hours: tuple[int, ...] | None
    minutes: tuple[int, ...]
    on: Callable[[date], bool] = lambda _day: True


@dataclass(frozen=True)
class Stretch:
    """From `start` to `end` (UTC), local time is UTC plus `offset`; all in minutes."""

    start: int
    end: int
    offset: int


def minutes(moment: datetime) -> int:
    return int(moment.timestamp()) // 60


def offset_at(zone: ZoneInfo, minute: int) -> int:
    offset = datetime.fromtimestamp(minute * 60, UTC).astimezone(zone).utcoffset()
    assert offset is not None
    return int(offset.total_seconds()) // 60


@cache
def stretches(zone: ZoneInfo, start: int, end: int) -> tuple[Stretch, ...]:
    """The walk: everything between two changes of the offset."""
    found, begun, offset = [], start, offset_at(zone, start)
    for hour in range(start + 60, end + 60, 60):
        if offset_at(zone, hour) == offset:
            continue
        changed = next(minute for minute in range(hour - 59, hour + 1) if offset_at(zone, minute) != offset)
        found.append(Stretch(begun, changed, offset))
        begun, offset = changed, offset_at(zone, changed)
        assert offset_at(zone, hour) == offset, "two changes within an hour"
    return (*found, Stretch(begun, end + 60, offset))


def moments(plan: Plan, zone: ZoneInfo, start: datetime, end: datetime) -> list[int]:
    """Every moment of the plan in (start, end], in order, each once."""
    first, last = minutes(start), minutes(end)
    # Two days more on both sides: a local day may begin before, and a gap may have done so.
    parts = stretches(zone, first - 2 * DAY, last + 2 * DAY)
    every = _in_every_hour(plan, parts) if plan.hours is None else _at_local_times(plan, parts)
    return sorted({moment for moment in every if first < moment <= last})


def _days(parts: tuple[Stretch, ...], plan: Plan) -> Iterator[int]:
    """The first local minute of every day that the plan is for."""
    for day in range((parts[0].start + parts[0].offset) // DAY, (parts[-1].end + parts[-1].offset) // DAY + 1):
        if plan.on(EPOCH + timedelta(days=day)):
            yield day * DAY


def _at_local_times(plan: Plan, parts: tuple[Stretch, ...]) -> Iterator[int]:
    """Each local time once: at its first coming, or where the gap that swallows it ends."""
    assert plan.hours is not None
    here = 0
    for midnight in _days(parts, plan):
        for local in (midnight + hour * 60 + minute for hour in plan.hours for minute in plan.minutes):
            # The first stretch that has not ended when its clock shows this time.
            while here > 0 and local < parts[here - 1].end + parts[here - 1].offset:
                here -= 1
            while here < len(parts) and local >= parts[here].end + parts[here].offset:
                here += 1
            if here == len(parts):
                return
            yield max(local - parts[here].offset, parts[here].start)


def _in_every_hour(plan: Plan, parts: tuple[Stretch, ...]) -> Iterator[int]:
    """Every real minute whose local time fits."""
    for part in parts:
        for local in range((part.start + part.offset) // 60 * 60, part.end + part.offset, 60):
            if plan.on(EPOCH + timedelta(days=local // DAY)):
                fitting = (local + minute - part.offset for minute in plan.minutes)
                yield from (moment for moment in fitting if part.start <= moment < part.end)
