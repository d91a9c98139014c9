"""What a restore takes: space, WAL to replay, time. Pure; sizes in bytes.

Time is judged by the restores that were done here, the longest of the last few, and more of it for a larger database. When
there was none, nobody knows: the speed of backups says little about that of the database's disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from backup.ledger import wal
from backup.pgbackrest import Backup, Info
from backup.restore.planning.plan import Plan
from backup.restore.planning.window import Known
from backup.state.history import Run
from backup.units import human_bytes, human_duration

MOST_RESTORES: Final = 5


@dataclass(frozen=True)
class Cost:
    """`replay_bytes` is the most WAL that has to be replayed; None is unknown. `restores`: so many the time is judged by."""

    database_bytes: int
    free_bytes: int | None
    replay_bytes: int | None
    seconds: float | None
    restores: int

    def in_words(self) -> tuple[tuple[str, str], ...]:
        """Return the rows of the plan, as (name, text) pairs."""
        replay = "unknown" if self.replay_bytes is None else f"at most {human_bytes(self.replay_bytes)} of WAL"
        if self.seconds is None:
            lasting = "unknown: no restore of a known size has been done here yet"
        else:
            by = "the last restore" if self.restores == 1 else f"the last {self.restores} restores"
            lasting = f"about {human_duration(timedelta(seconds=self.seconds))}, by {by} here"
        return (
            ("replay", replay),
            ("time", lasting),
        )


def estimate(plan: Plan, known: Known, restores: Iterable[Run], free_bytes: int | None) -> Cost:
    """Judge a plan. `restores` are the runs that succeeded, the newest first."""
    seconds, count = _seconds(plan.backup.database_bytes, known.info, restores)
    return Cost(plan.backup.database_bytes, free_bytes, _replay(plan, known), seconds, count)


def _seconds(size: int, info: Info, restores: Iterable[Run]) -> tuple[float | None, int]:
    found = []
    for run in restores:
        backup = info.find(run.label or "", run.repo) or info.find(run.label or "")
        if run.finished is not None and backup is not None and backup.database_bytes > 0:
            lasted = (run.finished - run.started).total_seconds()
            found.append(lasted * max(1.0, size / backup.database_bytes))
        if len(found) == MOST_RESTORES:
            break
    return max(found, default=None), len(found)


def _replay(plan: Plan, known: Known) -> int | None:
    begin = plan.backup.lsn_start or plan.backup.lsn_stop
    end = _replayed_to(plan, known)
    return None if begin is None or end is None else max(0, end - wal.parse_lsn(begin))


def _replayed_to(plan: Plan, known: Known) -> int | None:
    if plan.wanted.verb == "backup":
        return wal.parse_lsn(plan.backup.lsn_stop) if plan.backup.lsn_stop else None
    if plan.wanted.kind == "lsn" and plan.wanted.value:
        return wal.parse_lsn(plan.wanted.value)
    if plan.wanted.verb == "pitr" and known.point is not None:
        return known.point.lsn
    if plan.window is None:
        return None
    later = [b for b in plan.window.backups if plan.wanted.at is not None and b.stopped > plan.wanted.at]
    return _stop(later[0]) if later else plan.window.interval.end


def _stop(backup: Backup) -> int | None:
    return wal.parse_lsn(backup.lsn_stop) if backup.lsn_stop else None
