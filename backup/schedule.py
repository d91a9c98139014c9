"""When a backup is due. Pure: cron expressions, a time zone and moments in, moments out.

The cron arithmetic is cronsim's, which follows Debian's cron at both daylight-saving changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim

from contract.supervisor import BackupType

_MOST_THOROUGH_FIRST: tuple[BackupType, ...] = ("full", "diff", "incr")


@dataclass(frozen=True)
class Due:
    """A backup of type `kind` whose time `at` (UTC) has come."""

    kind: BackupType
    at: datetime


def next_run(expression: str, zone: ZoneInfo, after: datetime) -> datetime:
    """Return the first moment of a cron expression after `after`, in UTC."""
    return next(m for m in _moments(CronSim(expression, after.astimezone(zone))) if m > after)


def previous_run(expression: str, zone: ZoneInfo, before: datetime) -> datetime:
    """Return the last moment of a cron expression before `before`, in UTC."""
    return next(m for m in _moments(CronSim(expression, before.astimezone(zone), reverse=True)) if m < before)


def _moments(local: Iterator[datetime]) -> Iterator[datetime]:
    """Turn cronsim's local moments into UTC.

    In the hour that a clock change repeats, cronsim goes on from the first pass through it even when it was started in
    the second, and so may begin with a moment on the wrong side of the start: the callers leave those out.
    """
    return (moment.astimezone(UTC) for moment in local)


def due(expressions: Mapping[BackupType, str], zone: ZoneInfo, since: datetime, now: datetime) -> Due | None:
    """Return the one backup to take for the moments in (since, now], or None.

    A due full backup absorbs a due differential or incremental one: what these would save is in it.
    """
    for kind in _MOST_THOROUGH_FIRST:
        if kind in expressions:
            moment = next_run(expressions[kind], zone, since)
            if moment <= now:
                return Due(kind, moment)
    return None


def upcoming(expressions: Mapping[BackupType, str], zone: ZoneInfo, now: datetime) -> tuple[Due, ...]:
    """Return the next run of each scheduled type, the earliest first."""
    runs = (Due(kind, next_run(expression, zone, now)) for kind, expression in expressions.items())
    return tuple(sorted(runs, key=lambda run: (run.at, _MOST_THOROUGH_FIRST.index(run.kind))))
