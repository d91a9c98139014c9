"""How the archiver, the write-ahead log and the disks stand, for the status screen and `wal-status`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from backup.deployment import Deployment
from backup.watch.readings import Standing, Volume

DatabaseState = Literal["open", "in recovery", "unreachable"]
ArchiverState = Literal["working", "behind", "catching up", "failing", "stalled", "off", "unknown"]


@dataclass(frozen=True)
class WalStatus:
    """A snapshot. None means: not known now. Sizes in bytes, rates in bytes of WAL in a second.

    `safe_hours`: how long archiving could stop from now on until the database's volume is full, at the present rate;
    `safe_hours_at_peak` at the highest rate of the last hour. `full_in_hours`: the same while archiving really is behind,
    None while it is not. `catch_up_seconds`: until the backlog is gone, while it shrinks. `last_sample_at`: when the
    supervisor looked last. `alarms`: what stands, the words included; empty means that all is well.
    """

    at: datetime
    last_sample_at: datetime | None
    database: DatabaseState
    database_problem: str
    archiver: ArchiverState
    waiting_segments: int | None
    waiting_bytes: int | None
    oldest_waiting_seconds: float | None
    archived_count: int | None
    last_archived_wal: str | None
    last_archived_at: datetime | None
    failed_count: int | None
    last_failed_wal: str | None
    last_failed_at: datetime | None
    pg_wal_bytes: int | None
    wal_rate: float | None
    wal_rate_peak: float | None
    safe_hours: float | None
    safe_hours_at_peak: float | None
    full_in_hours: float | None
    catch_up_seconds: float | None
    volumes: tuple[Volume, ...]
    alarms: tuple[Standing, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as values that JSON can hold, with `used_percent` of each volume; times are ISO 8601 in UTC."""
        found = asdict(self)
        for entry, volume in zip(found["volumes"], self.volumes, strict=True):
            entry["used_percent"] = None if volume.used_percent is None else round(volume.used_percent, 1)
        return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in found.items()}


def summarize(deployment: Deployment) -> WalStatus:
    """Look once at database and disks, without keeping it, and judge that with what the watcher has kept.

    Never raises because of the database: what cannot be known is None.
    """
    raise NotImplementedError
