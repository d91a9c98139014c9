"""What is seen in one look at the archiver, the write-ahead log and the disks: plain values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from backup.emergency import lever
from backup.emergency.lever import Lever
from backup.ledger.wal import segment_number
from backup.notice import Fact
from backup.watch.refusals import Refusals
from contract.severity import Severity


@dataclass(frozen=True)
class WalReading:
    """What the server says. Sizes in bytes, `wal_position` is the distance of its LSN from 0/0.

    In recovery the position is the one that is replayed. `ready_segments` are the WAL segments that wait to be archived;
    the age is that of the oldest `.ready` file, in seconds, None when there is none. Counters and names are those of
    `pg_stat_archiver`: what PostgreSQL believes, since the last reset of its statistics.
    """

    in_recovery: bool
    system_id: int
    timeline: int
    wal_position: int
    segment_bytes: int
    archive_mode: str
    archive_library: str
    archive_command: str
    archived_count: int
    last_archived_wal: str | None
    last_archived_at: datetime | None
    failed_count: int
    last_failed_wal: str | None
    last_failed_at: datetime | None
    ready_segments: int
    oldest_ready_seconds: float | None
    pg_wal_bytes: int

    @property
    def ready_bytes(self) -> int:
        """How much waits to be archived."""
        return self.ready_segments * self.segment_bytes

    @property
    def is_archiving_configured(self) -> bool:
        """Tell whether finished segments go to pgBackRest at all: a command such as `true` "archives" them to nowhere."""
        return self.archive_mode != "off" and not self.archive_library and "pgbackrest" in self.archive_command

    @property
    def emergency(self) -> Lever | None:
        """The lever of the WAL emergency, while it is pulled."""
        return lever.read(self.archive_command)

    @property
    def is_failing(self) -> bool:
        """Tell whether the latest attempt failed and something still waits: a failure that is over is none."""
        if self.last_failed_at is None or self.oldest_ready_seconds is None:
            return False
        return self.last_archived_at is None or self.last_failed_at > self.last_archived_at

    @property
    def archived_segment(self) -> int | None:
        """The number of the segment that was archived last, counted from the beginning of the WAL."""
        return segment_number(self.last_archived_wal, self.segment_bytes)


@dataclass(frozen=True)
class Volume:
    """The free space of a file system. `name` is the weightiest volume on it, `also` the others; both for people.

    `total_bytes` is what a user other than root could fill, so that free and used make up the whole, as in `df`. Both
    sizes are None when it could not be looked at.
    """

    name: str
    also: tuple[str, ...] = ()
    free_bytes: int | None = None
    total_bytes: int | None = None

    @property
    def used_percent(self) -> float | None:
        """How full it is."""
        if self.free_bytes is None or not self.total_bytes:
            return None
        return min(100.0, max(0.0, 100.0 * (1 - self.free_bytes / self.total_bytes)))

    @property
    def title(self) -> str:
        """All names: "data", or "data (also repository1, log)"."""
        return f"{self.name} (also {', '.join(self.also)})" if self.also else self.name


@dataclass(frozen=True)
class Sample:
    """One look. `wal` is None when the database could not be reached, and `problem` says why.

    Rates are bytes of WAL in a second, None while unknown: `wal_rate` since the look before, `wal_rate_smoothed` the
    weighted mean of the last quarter of an hour or so. `refusals` is which repositories did not take WAL in the latest
    attempt, as far as that could be seen in this moment.
    """

    at: datetime
    wal: WalReading | None
    volumes: tuple[Volume, ...]
    problem: str = ""
    wal_rate: float | None = None
    wal_rate_smoothed: float | None = None
    refusals: Refusals | None = None


@dataclass(frozen=True)
class Standing:
    """An alarm that stands: its key, the event it is told as, what to say, and the numbers in it for programs."""

    key: str
    event: str
    severity: Severity
    message: str
    hint: str
    facts: Mapping[str, Fact] = field(default_factory=dict)


@dataclass(frozen=True)
class Over:
    """What is all right now: if there was an alarm with this key, it has ended. The numbers are for programs."""

    key: str
    event: str
    summary: str
    facts: Mapping[str, Fact] = field(default_factory=dict)
