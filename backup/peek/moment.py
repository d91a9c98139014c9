"""The moment that a peek shows, and how it is written. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from backup.restore.planning import phrases
from backup.restore.planning.plan import Plan


@dataclass(frozen=True)
class Chosen:
    """What is shown: the plan, and the system identifier of the cluster that the backup is of, if it is known."""

    plan: Plan
    system_id: int | None

    @property
    def has_target(self) -> bool:
        """Tell whether recovery ends before the end of the archive."""
        return self.plan.target.kind != "default"


def both(moment: datetime, zone: ZoneInfo) -> str:
    """Return a moment to the second, in UTC and, where that is another time, in local time."""
    return phrases.both(moment.replace(microsecond=0), zone)


def shown(chosen: Chosen, moment: datetime | None, zone: ZoneInfo) -> str:
    """Return the moment that a peek shows, in UTC and in local time; `moment` is the last transaction that it has."""
    if chosen.plan.wanted.at is not None:
        return both(chosen.plan.wanted.at, zone)
    if chosen.plan.wanted.verb == "backup":
        return f"the end of backup {chosen.plan.backup.label}, {both(chosen.plan.backup.stopped, zone)}"
    return f"the end of the archive, {both(moment or chosen.plan.backup.stopped, zone)}"
