"""How fast WAL is written, from one look to the next, and what follows for the disk. Pure.

A difference counts only between two looks at the same server on the same timeline, with the position gone forward: a
restore, a new cluster or a clock that jumps would otherwise show as a rate that never was. Such a pair leaves the mean
as it was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from backup.watch.readings import Volume, WalReading

SHORTEST_SECONDS: Final = 10.0
"""Between two looks. In less, the end of one segment (16 MB at once) would look like a flood."""

MEAN_OVER_SECONDS: Final = 900.0
"""After so long without change, two thirds of the mean are what is measured now."""

OVERHEAD: Final = 1.2
"""The factor of the guide's formula, for what is written beside the WAL itself."""

LONGEST_HOURS: Final = 87600.0
"""Ten years stand for "as good as never"."""


@dataclass(frozen=True)
class Rate:
    """In bytes a second: since the look before, and smoothed. None while not known."""

    latest: float | None
    smoothed: float | None


def measured(before: WalReading | None, now: WalReading | None, seconds: float, smoothed: float | None) -> Rate:
    """Return the rate between two looks that lie `seconds` apart, and the new mean; `smoothed` is the one so far."""
    latest = _between(before, now, seconds)
    if latest is None:
        return Rate(None, smoothed)
    if smoothed is None:
        return Rate(latest, latest)
    kept = math.exp(-seconds / MEAN_OVER_SECONDS)
    return Rate(latest, smoothed * kept + latest * (1 - kept))


def _between(before: WalReading | None, now: WalReading | None, seconds: float) -> float | None:
    if before is None or now is None or before.in_recovery or now.in_recovery or not seconds >= SHORTEST_SECONDS:
        return None
    same = (before.system_id, before.timeline) == (now.system_id, now.timeline)
    written = now.wal_position - before.wal_position
    return written / seconds if same and written >= 0 else None


def hours_until_full(volume: Volume, rate: float | None, reserve_percent: float) -> float | None:
    """Return the guide's formula on a measured rate: free / (rate x 1.2), a reserve of the volume not counted as free.

    None when the rate or the volume is not known; never more than LONGEST_HOURS, and 0 when only the reserve is left.
    """
    if rate is None or volume.free_bytes is None or volume.total_bytes is None:
        return None
    usable = volume.free_bytes - volume.total_bytes * reserve_percent / 100
    if usable <= 0:
        return 0.0
    an_hour = rate * OVERHEAD * 3600
    return min(LONGEST_HOURS, usable / an_hour) if an_hour * LONGEST_HOURS > usable else LONGEST_HOURS
