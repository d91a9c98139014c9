"""Intervals without point-in-time recovery: the WAL of these moments was given up, so no restore can end in them. Pure.

A gap begins with the last moment that the archive reaches, and ends with the end of the first backup after it. The second
half is written into the repository itself, as an annotation of that backup, so that a host that knows nothing knows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from backup.pgbackrest import Annotations, Backup, Info

GAP_SINCE: Final = "wal-gap-since"
GAP_BEGAN: Final = "wal-gap-began"
"""The annotations of the first backup after a gap: its two moments, ISO 8601 in UTC."""

SAME: Final = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Gap:
    """The last recoverable moment `since`; `began` is when WAL was given up, and tells one gap from another.

    `until` is the end of the first backup after it, `label` and `repo` are that backup's; None while there is none.
    `is_released`: archiving works again, and only that backup is missing.
    """

    since: datetime
    began: datetime
    until: datetime | None = None
    label: str | None = None
    repo: int | None = None
    is_released: bool = False
    segment: str | None = None

    def holds(self, moment: datetime) -> bool:
        """Tell whether no restore can end at a moment: recovery needs a commit after it in the archive."""
        return self.since <= moment and (self.until is None or moment < self.until + timedelta(seconds=1))

    def annotations(self) -> Annotations:
        """Return what is written beside the first backup after it, as (name, value) pairs."""
        return ((GAP_SINCE, self.since.isoformat()), (GAP_BEGAN, self.began.isoformat()))


def of_backup(backup: Backup) -> Gap | None:
    """Return the gap that ended with a backup, by its annotations; those that somebody else has made up are none."""
    written = dict(backup.annotations)
    try:
        since, began = (datetime.fromisoformat(written[name]).astimezone(UTC) for name in (GAP_SINCE, GAP_BEGAN))
    except (KeyError, ValueError):
        return None
    return Gap(since, began, backup.stopped, backup.label, backup.repo, is_released=True)


def of_info(info: Info) -> tuple[Gap, ...]:
    """Return the gaps that the good backups tell of, one for each of those backups."""
    found = (of_backup(backup) for backup in info.good())
    return tuple(gap for gap in found if gap is not None)


def merged(*sources: Iterable[Gap]) -> tuple[Gap, ...]:
    """Return every gap once, the oldest first: it ends with the earliest backup that any source knows of."""
    found: list[Gap] = []
    for gap in (gap for source in sources for gap in source):
        same = next((each for each in found if abs(each.began - gap.began) < SAME), None)
        if same is None:
            found.append(gap)
        elif gap.until is not None and (same.until is None or gap.until < same.until):
            found[found.index(same)] = gap
    return tuple(sorted(found, key=lambda gap: gap.began))


def holding(gaps: Iterable[Gap], moment: datetime) -> Gap | None:
    """Return the gap that a moment lies in, or None."""
    return next((gap for gap in gaps if gap.holds(moment)), None)


def sentence(gap: Gap, local: Callable[[datetime], str]) -> str:
    """Return a gap in words; `local` writes a moment down."""
    since = f"no moment after {local(gap.since)} can be restored"
    if gap.until is None:
        return f"{since}, until the first backup after the WAL emergency"
    return f"{since} before {local(gap.until)}, the end of backup {gap.label}"
