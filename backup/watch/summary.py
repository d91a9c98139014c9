"""How the archiver, the write-ahead log and the disks stand, for the status screen and `wal-status`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from backup.deployment import Deployment
from backup.watch.archiver import ArchiverState
from backup.watch.look import look
from backup.watch.memory import MARK, Elapsed, Memory
from backup.watch.readings import Standing, Volume
from backup.watch.refusals import Refusals
from backup.watch.samples import Samples
from backup.watch.verdicts import Verdict, judge, safe_hours
from contract.supervisor import SupervisorConfig

RECENT: Final = timedelta(minutes=15)
DatabaseState = Literal["open", "in recovery", "unreachable"]


@dataclass(frozen=True)
class Taker:
    """A repository. `takes_wal` is what the latest attempts say, None: they do not; `reason` is why it does not."""

    key: int
    location: str
    takes_wal: bool | None
    reason: str = ""


@dataclass(frozen=True)
class WalStatus:
    """A snapshot. None means: not known now. Sizes in bytes, rates in bytes of WAL in a second.

    `safe_hours`: how long archiving could stop from now on until the database's volume is full, at the present rate;
    `safe_hours_at_peak` at the highest rate of the last hour. `full_in_hours`: the same while archiving really is behind,
    None while it is not. `catch_up_seconds`: until the backlog is gone, while it shrinks. `last_sample_at`: when the
    supervisor looked last. `repositories`: which of them take WAL. `alarms`: what stands, the words included; empty means
    that all is well.
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
    repositories: tuple[Taker, ...]
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

    Never raises because of the database: what cannot be known is None. Raises StoreError.
    """
    samples, now, allowed = Samples(deployment.store), deployment.now(), deployment.config.thresholds
    last, recent, peak = samples.last(now), samples.recent(now, RECENT), samples.peak(now)
    sample = replace(look(deployment), wal_rate_smoothed=last.wal_rate_smoothed if last else None)
    elapsed = Elapsed.between_looks((now - last.at).total_seconds()) if last else Elapsed()
    verdict = judge(Memory.from_json(deployment.marks.get(MARK)), sample, recent, elapsed, allowed)
    wal = sample.wal
    return WalStatus(
        at=sample.at,
        last_sample_at=last.at if last else None,
        database="unreachable" if wal is None else "in recovery" if wal.in_recovery else "open",
        database_problem=sample.problem,
        archiver=verdict.archiver,
        waiting_segments=wal.ready_segments if wal else None,
        waiting_bytes=wal.ready_bytes if wal else None,
        oldest_waiting_seconds=wal.oldest_ready_seconds if wal else None,
        archived_count=wal.archived_count if wal else None,
        last_archived_wal=wal.last_archived_wal if wal else None,
        last_archived_at=wal.last_archived_at if wal else None,
        failed_count=wal.failed_count if wal else None,
        last_failed_wal=wal.last_failed_wal if wal else None,
        last_failed_at=wal.last_failed_at if wal else None,
        pg_wal_bytes=wal.pg_wal_bytes if wal else None,
        wal_rate=sample.wal_rate_smoothed,
        wal_rate_peak=peak,
        safe_hours=verdict.safe_hours,
        safe_hours_at_peak=safe_hours(sample, peak, allowed),
        full_in_hours=verdict.full_in_hours,
        catch_up_seconds=verdict.catch_up_seconds,
        repositories=_takers(deployment.config, verdict),
        volumes=sample.volumes,
        alarms=verdict.standing,
    )


def _takers(config: SupervisorConfig, verdict: Verdict) -> tuple[Taker, ...]:
    """Return each repository with what is known of it: an attempt that succeeds has succeeded in all of them."""
    known = verdict.memory.refusals or Refusals()
    reasons = {refusal.repo: refusal.reason for refusal in known.refusals}
    others: bool | None = verdict.archiver in {"working", "catching up"} or None
    taking = dict.fromkeys(known.others if known.through else (), True)
    return tuple(
        Taker(r.key, r.location, False, reasons[r.key])
        if r.key in reasons
        else Taker(r.key, r.location, taking.get(r.key, others))
        for r in config.repositories
    )
