"""What is asked before WAL is given up: database, disk and repositories, in a few seconds."""

from __future__ import annotations

from dataclasses import replace

from backup.deployment import Deployment
from backup.emergency.plan import Situation, Standing
from backup.keeping import survey
from backup.keeping.survey import Answer
from backup.postgres import DatabaseError
from backup.watch import disks
from backup.watch.look import look, volumes
from backup.watch.readings import Sample, Volume, WalReading
from backup.watch.samples import Samples
from backup.watch.verdicts import safe_hours


def gather(deployment: Deployment) -> Situation:
    """Ask. Raises DatabaseError when the database does not answer, StoreError."""
    sample = look(deployment)
    if sample.wal is None:
        raise DatabaseError(f"database: {sample.problem}")
    return Situation(
        _remembered(deployment, sample.wal),
        data_volume(sample.volumes),
        _hours(deployment, sample),
        tuple(_standing(answer) for answer in survey.ask(deployment)),
        deployment.postgres.newest_waiting(),
    )


def _remembered(deployment: Deployment, wal: WalReading) -> WalReading:
    """Return a reading that knows what was archived last although the server has forgotten it in a crash."""
    known = Samples(deployment.store).last_archived(deployment.now()) if wal.last_archived_at is None else None
    return replace(wal, last_archived_wal=known[0], last_archived_at=known[1]) if known else wal


def data_volume(seen: tuple[Volume, ...]) -> Volume:
    """Return the database's volume."""
    return next((volume for volume in seen if volume.name == disks.DATA), Volume(disks.DATA))


def free_bytes(deployment: Deployment) -> int:
    """Return how much is free on the database's volume; 0 when it cannot be looked at."""
    return data_volume(volumes(deployment)).free_bytes or 0


def _hours(deployment: Deployment, sample: Sample) -> float | None:
    last = Samples(deployment.store).last(deployment.now())
    return safe_hours(sample, last.wal_rate_smoothed if last else None, deployment.config.thresholds)


def _standing(answer: Answer) -> Standing:
    if answer.info is None:
        return Standing(answer.repo, answer.problem, None)
    last = [archive.last for archive in answer.info.archive if archive.repo == answer.repo and archive.last]
    return Standing(answer.repo, "", max(last, default=None))
