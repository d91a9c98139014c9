"""What the watcher does about the WAL emergency once a minute: it keeps the record true, the alarm up, and the valve."""

from __future__ import annotations

import contextlib
from typing import Final

from backup import logs, oplock
from backup.deployment import Deployment
from backup.emergency import begin, valve, words
from backup.emergency.situation import data_volume
from backup.oplock import BusyError
from backup.postgres import DatabaseError
from backup.state.alarms import Alarm
from backup.state.gaps import Gaps
from backup.watch.readings import Sample, Standing
from backup.watch.verdicts import Verdict
from contract import events
from contract.errors import ProductError

VALVE_PATIENCE_SECONDS: Final = 90.0


def look(deployment: Deployment, sample: Sample, verdict: Verdict) -> None:
    """Look at the lever and at the free space. Raises StoreError."""
    if sample.wal is None:
        return
    alone = oplock.hold_now(deployment.volumes.emergency_lock, "a look at the WAL emergency")
    with contextlib.suppress(BusyError), alone:  # a command that is at work does all of it itself
        _settle(deployment, sample)
        _judge(deployment, sample, verdict)


def _judge(deployment: Deployment, sample: Sample, verdict: Verdict) -> None:
    percent = deployment.config.thresholds.emergency_free_percent
    found = valve.judge(data_volume(sample.volumes), verdict.archiver, percent)
    if found.opens:
        _open(deployment, sample)
    elif found.near is not None:
        _raise(deployment, found.near)
    else:
        deployment.teller.over(valve.KEY, events.WAL_VALVE_FAR, "the valve for WAL is not close to opening any more")


def _settle(deployment: Deployment, sample: Sample) -> None:
    """Write down what others have done to the lever: a command that was killed, a restore, somebody by hand."""
    gaps, wal = Gaps(deployment.store), sample.wal
    if wal is None:
        return
    if wal.emergency is not None:
        gaps.begin(wal.emergency)  # the alarm stands by the verdict
        return
    gaps.forget(repository.key for repository in deployment.config.repositories)
    gap = gaps.current()
    if gap is not None and not gap.is_released and wal.is_archiving_configured:
        gaps.release(gap.began, (repository.key for repository in deployment.config.repositories), deployment.now())
        gap = gaps.current()
    if gap is not None:
        _raise(deployment, words.missing_backup(gap))
    else:
        known = gaps.all()
        summary = words.ended(known[-1]) if known else "the WAL emergency is over"
        deployment.teller.over(words.KEY, events.WAL_RESUMED, summary)


def _open(deployment: Deployment, sample: Sample) -> None:
    if sample.wal is None:
        return
    log = logs.logger()
    try:
        lever = begin.pull(deployment, "valve", sample.wal)
        freed = begin.free(deployment, lambda _line: None, VALVE_PATIENCE_SECONDS)
        begin.record(deployment, lever)
    except (DatabaseError, ProductError) as error:
        log.warning(events.WAL_EMERGENCY, message=error.message, hint=error.hint)
        return
    log.warning(events.WAL_EMERGENCY, message="WAL was given up", free_before=freed.before, free_after=freed.after)


def _raise(deployment: Deployment, standing: Standing) -> None:
    alarm = Alarm(standing.key, standing.event, standing.severity, standing.message, standing.hint)
    deployment.teller.alarm(alarm, standing.facts)
