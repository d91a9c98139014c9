"""Our judgement over backups: is a first one needed, is the last one recent enough, how far back does the window reach.

Pure: values in, verdicts out; time is a parameter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from backup.due import schedule
from backup.pgbackrest import Backup, Info
from backup.state.history import Run
from contract.supervisor import BackupType, Thresholds

# What may stand in for a due backup of a type: a full one saves all that a differential would.
_COUNTS_AS: Mapping[BackupType, tuple[str, ...]] = {
    "full": ("full",),
    "diff": ("full", "diff"),
    "incr": ("full", "diff", "incr"),
}


@dataclass(frozen=True)
class Leeway:
    """What excuses a missing backup: `late_minutes` since its due time, and a run of at least its type under way.

    `running` is the type of the run that is under way for the repository, None for none.
    """

    late_minutes: int = Thresholds().late_minutes
    running: str | None = None


NO_RUN: Final = Leeway()
"""The usual minutes, and nothing under way."""


def leeway(thresholds: Thresholds, repo: int, running: Run | None) -> Leeway:
    """Return what excuses a missing backup in a repository; `running` is the run that the record says is under way."""
    return Leeway(thresholds.late_minutes, running.what if running and running.repo == repo else None)


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
    expressions: Mapping[BackupType, str],
    zone: ZoneInfo,
    backups: tuple[Backup, ...],
    now: datetime,
    excuse: Leeway = NO_RUN,
) -> tuple[Freshness, ...]:
    """Judge every scheduled type by the backups of one repository.

    A type is late when its last due time is longer ago than the leeway allows, lies after the first backup (before that
    there was nobody to keep the schedule), no sufficient backup has been taken since, and none is under way.
    """
    verdicts = []
    for kind, expression in expressions.items():
        sufficient = [b for b in backups if b.kind in _COUNTS_AS[kind] and not b.has_errors]
        latest = max(sufficient, key=lambda b: b.stopped, default=None)
        due_at = schedule.previous_run(expression, zone, now - timedelta(minutes=excuse.late_minutes))
        problem = _lateness(kind, latest, due_at, backups)
        if latest is not None and excuse.running in _COUNTS_AS[kind]:
            problem = None
        verdicts.append(Freshness(kind, latest, schedule.next_run(expression, zone, now), problem))
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
