"""Our judgement over backups: is a first one needed, is the last one recent enough, how far back does the window reach.

Pure: values in, verdicts out; time is a parameter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from backup import schedule
from backup.pgbackrest import Backup, Info
from contract.supervisor import BackupType

# What may stand in for a due backup of a type: a full one saves all that a differential would.
_COUNTS_AS: Mapping[BackupType, tuple[str, ...]] = {
    "full": ("full",),
    "diff": ("full", "diff"),
    "incr": ("full", "diff", "incr"),
}

TOLERANCE = timedelta(hours=2)
"""How long after its due time a backup may still be under way or waiting before it counts as missing."""


def needs_first_full(info: Info, repo: int) -> bool:
    """Tell whether a repository has no full backup at all. Only then is one taken outside the schedule."""
    return not any(b.kind == "full" and b.repo == repo for b in info.backups)


@dataclass(frozen=True)
class Freshness:
    """The verdict on one scheduled type: `problem` is None when the schedule is kept; `latest` may be of a stronger type."""

    kind: BackupType
    latest: Backup | None
    next_at: datetime
    problem: str | None


def freshness(
    expressions: Mapping[BackupType, str], zone: ZoneInfo, backups: tuple[Backup, ...], now: datetime
) -> tuple[Freshness, ...]:
    """Judge every scheduled type by the backups of one repository.

    A type is late when its last due time is more than the tolerance ago, lies after the first backup (before that
    there was nobody to keep the schedule), and no sufficient backup has been taken since.
    """
    verdicts = []
    for kind, expression in expressions.items():
        sufficient = [b for b in backups if b.kind in _COUNTS_AS[kind] and not b.has_errors]
        latest = max(sufficient, key=lambda b: b.stopped, default=None)
        due_at = schedule.previous_run(expression, zone, now - TOLERANCE)
        verdicts.append(
            Freshness(kind, latest, schedule.next_run(expression, zone, now), _lateness(kind, latest, due_at, backups))
        )
    return tuple(verdicts)


def _lateness(kind: str, latest: Backup | None, due_at: datetime, backups: tuple[Backup, ...]) -> str | None:
    started_at = min((b.stopped for b in backups), default=None)
    if latest is None:
        damaged = any(b.kind == kind and b.has_errors for b in backups)
        if kind == "full":
            return "every full backup has page checksum errors" if damaged else "there is no full backup"
        return None if started_at is None or due_at <= started_at else f"no {kind} backup since {due_at:%F %H:%M} UTC"
    if latest.stopped < due_at and (started_at is None or due_at > started_at):
        return f"the last one is from {latest.stopped:%F %H:%M} UTC, but one was due at {due_at:%F %H:%M} UTC"
    return None


@dataclass(frozen=True)
class Window:
    """The moments a repository claims to reach: from the end of its earliest good backup to the last archived commit.

    Whether the archive between them is complete is not checked here.
    """

    repo: int
    earliest: datetime
    latest: datetime | None


def window(info: Info, repo: int, last_archived_at: datetime | None) -> Window | None:
    """Return the window of a repository, or None when it holds no good backup."""
    good = info.good(repo)
    if not good:
        return None
    latest = max((moment for moment in (last_archived_at, good[-1].stopped) if moment), default=None)
    return Window(repo, good[0].stopped, latest)
