"""How far back each repository reaches, which of them gives the window, and what would remain without one. Pure.

A restore takes its backup from whichever repository has the one it needs, so the window is that of the one that reaches
furthest back; when it is lost, the next one takes over.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from backup.keeping import policy
from backup.keeping.policy import Window
from backup.pgbackrest import Backup, Info
from backup.units import human_duration


def windows(info: Info, last_archived_at: datetime | None) -> tuple[Window, ...]:
    """Return the window of each repository that can be read and holds a good backup, the one that reaches furthest first."""
    found = (policy.window(info, r.key, last_archived_at) for r in info.repositories if r.is_usable)
    return tuple(sorted((window for window in found if window), key=lambda window: (window.earliest, window.repo)))


def source(windows: Iterable[Window]) -> Window | None:
    """Return the window that can be restored to: that of the repository that reaches furthest back, or None."""
    return min(windows, key=lambda window: (window.earliest, window.repo), default=None)


def without(info: Info, repos: Collection[int]) -> Info:
    """Return what would be known if these repositories were not there."""
    return Info(
        stanza=info.stanza,
        repositories=tuple(r for r in info.repositories if r.key not in repos),
        backups=tuple(b for b in info.backups if b.repo not in repos),
        archive=tuple(a for a in info.archive if a.repo not in repos),
        system_ids=info.system_ids,
        clusters=tuple(c for c in info.clusters if c.repo not in repos),
    )


def gives_window_from(backups: Iterable[Backup], promised_seconds: int | None) -> datetime | None:
    """Return when these backups of one repository alone give the promised window, past or to come.

    None when they never will: there is no good full backup, or nothing is promised.
    """
    first = min((backup.stopped for backup in backups if backup.kind == "full" and not backup.has_errors), default=None)
    if first is None or not promised_seconds:
        return None
    try:
        return first + timedelta(seconds=promised_seconds)
    except OverflowError:  # years by the hundred
        return None


def in_words(window: Window, now: datetime) -> str:
    """Return how far back a window reaches: "2026-03-01 02:00 UTC, 3 d 10 h back"."""
    return f"{window.earliest:%F %H:%M} UTC, {human_duration(now - window.earliest)} back"
