"""The watcher thread: looks once a minute, keeps what it saw, judges it, and raises and ends alarms."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from backup import logs
from backup.deployment import Deployment
from backup.emergency import watch as emergency
from backup.notice import Notice
from backup.peek import leftover
from backup.postgres import DatabaseError
from backup.restore.swap import orphan
from backup.state.alarms import Alarm
from backup.state.store import StoreError
from backup.watch import pulse, rates, spool
from backup.watch.archiver import ArchiverState
from backup.watch.look import look
from backup.watch.memory import MARK, Elapsed, Memory
from backup.watch.outage import WORKS_AGAIN
from backup.watch.readings import Sample, WalReading
from backup.watch.refusals import Refusals
from backup.watch.samples import Samples
from backup.watch.verdicts import Verdict, judge
from contract import events

INTERVAL_SECONDS: Final = 60.0
GLANCE_SECONDS: Final = 1.0
RECENT_LOOKS: Final = 15
JUMP_SECONDS: Final = 30.0
"""A wall clock that goes so much another way than the time itself has been set, or the host has slept."""

_TROUBLED: Final = frozenset[ArchiverState]({"failing", "stalled"})
_ARCHIVING: Final = frozenset[ArchiverState]({"working", "behind", "catching up"})


class Watcher:
    """A thread that looks and tells. Dies loudly: `is_alive` turns false, with `failure` set."""

    def __init__(
        self, deployment: Callable[[], Deployment], stop: threading.Event, interval_seconds: float = INTERVAL_SECONDS
    ) -> None:
        """Make the thread; `start` starts it. `deployment` returns the one that is in force at each look."""
        self._deployment = deployment
        self._stop = stop
        self._interval_seconds = interval_seconds
        self._thread = threading.Thread(target=self._work, name="watcher", daemon=True)
        self.failure: BaseException | None = None

    def start(self) -> None:
        """Start the thread; the first look is at once."""
        self._thread.start()

    def is_alive(self) -> bool:
        """Tell whether the thread still looks."""
        return self._thread.is_alive()

    def finish(self, timeout_seconds: float) -> None:
        """Wait until the thread has ended; the stop event is what ends it."""
        self._thread.join(timeout_seconds)

    def _work(self) -> None:
        watch = Watch()
        try:
            while not self._stop.is_set():
                watch.once(self._deployment())
                self._wait(watch)
        except Exception as error:  # noqa: BLE001 the thread boundary: whatever it was, the process must learn of it
            self.failure = error
            logs.logger().exception(events.SUPERVISOR_THREAD_DIED, thread="watcher")

    def _wait(self, watch: Watch) -> None:
        """Wait for the next look. While WAL waits, glance at the spool: what it says is there for a second only."""
        until = time.monotonic() + self._until_next(time.time())
        while (rest := until - time.monotonic()) > 0 and not self._stop.is_set():
            if watch.is_behind:
                watch.glance(self._deployment())
                rest = min(rest, GLANCE_SECONDS)
            self._stop.wait(rest)

    def _until_next(self, now: float) -> float:
        """Return the seconds to the next full interval of the clock, but not to one that is nearly here."""
        rest = self._interval_seconds - now % self._interval_seconds
        return rest if rest >= self._interval_seconds / 4 else rest + self._interval_seconds


@dataclass(frozen=True)
class _Before:
    """The look before, on both clocks; `monotonic` is None when that was in another process."""

    at: datetime
    monotonic: float | None = None

    def seconds_until(self, at: datetime, monotonic: float) -> float:
        """Return the time between the two, by the clock that is never set if possible."""
        return (at - self.at).total_seconds() if self.monotonic is None else monotonic - self.monotonic

    def has_jumped(self, at: datetime, monotonic: float) -> bool:
        """Tell whether the wall clock was set meanwhile."""
        if self.monotonic is None:
            return False
        return abs((at - self.at).total_seconds() - (monotonic - self.monotonic)) > JUMP_SECONDS


class Watch:
    """One look after the other, and what is remembered between them. The store has it all, for the next process."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Start with nothing remembered; `monotonic` counts seconds and is never set."""
        self._monotonic = monotonic
        self._loaded = False
        self._memory = Memory()
        self._recent: deque[Sample] = deque(maxlen=RECENT_LOOKS)
        self._before: _Before | None = None
        self._baseline: tuple[_Before, WalReading] | None = None
        self._smoothed: float | None = None
        self._glanced: Refusals | None = None
        self._pulsed_at: datetime | None = None
        self.is_troubled = False
        self.is_behind = False

    def glance(self, deployment: Deployment) -> None:
        """See which repositories do not take WAL, for the next look: costs the listing of one directory."""
        seen = spool.look(deployment)
        if seen is not None:
            self._glanced = seen.after(self._glanced)

    def once(self, deployment: Deployment) -> Verdict:
        """Look, judge, tell, keep. A database or a store that does not answer is no reason to end."""
        if not self._loaded:
            self._loaded = _tried(lambda: self._load(deployment))
        sample, monotonic = look(deployment), self._monotonic()
        sample = self._with_rates(self._with_glances(sample), monotonic)
        verdict = judge(
            self._memory, sample, self._recent, self._elapsed(sample.at, monotonic), deployment.config.thresholds
        )
        tell(deployment, verdict)
        _tried(lambda: emergency.look(deployment, sample, verdict))
        _tried(lambda: orphan.look(deployment))
        _tried(lambda: leftover.look(deployment))
        if self.is_troubled and verdict.archiver in _ARCHIVING:
            _tried(lambda: deployment.marks.put_moment(WORKS_AGAIN, sample.at))
        if verdict.archiver != "unknown":
            self.is_troubled = verdict.archiver in _TROUBLED
        if sample.wal:
            self.is_behind = sample.wal.oldest_ready_seconds is not None
        self._pulse(deployment, sample, verdict)
        changed = verdict.memory != self._memory
        self._memory = verdict.memory
        self._recent.append(sample)
        self._before = _Before(sample.at, monotonic)
        _tried(lambda: _keep(deployment, sample, verdict.memory if changed else None))
        return verdict

    def _pulse(self, deployment: Deployment, sample: Sample, verdict: Verdict) -> None:
        """Have an idle server archive something, so that a dead repository is noticed; when it refuses, it is looked at."""
        if sample.wal is None or not pulse.is_due(sample.wal, verdict.archiver, sample.at, self._pulsed_at):
            return
        self._pulsed_at = sample.at
        with contextlib.suppress(DatabaseError):  # the next look tells
            deployment.postgres.switch_wal()

    def _with_glances(self, sample: Sample) -> Sample:
        """Return the look with what was seen of the spool since the one before."""
        glanced, self._glanced = self._glanced, None
        return replace(sample, refusals=sample.refusals.after(glanced) if sample.refusals else glanced)

    def _load(self, deployment: Deployment) -> None:
        samples, now = Samples(deployment.store), deployment.now()
        self._memory = Memory.from_json(deployment.marks.get(MARK))
        self._recent.extend(samples.recent(now, timedelta(seconds=RECENT_LOOKS * INTERVAL_SECONDS)))
        if (last := samples.last(now)) is not None:
            self._before, self._smoothed = _Before(last.at), last.wal_rate_smoothed
            self.is_troubled = bool(last.wal and last.wal.is_failing)
            if last.wal:
                self._baseline = self._before, last.wal

    def _with_rates(self, sample: Sample, monotonic: float) -> Sample:
        if sample.wal is None:
            return replace(sample, wal_rate_smoothed=self._smoothed)
        before, wal = self._baseline or (None, None)
        seconds = before.seconds_until(sample.at, monotonic) if before else 0.0
        rate = rates.measured(wal, sample.wal, seconds, self._smoothed)
        if before is None or not 0 <= seconds < rates.SHORTEST_SECONDS:
            self._baseline = _Before(sample.at, monotonic), sample.wal
        self._smoothed = rate.smoothed
        return replace(sample, wal_rate=rate.latest, wal_rate_smoothed=rate.smoothed)

    def _elapsed(self, at: datetime, monotonic: float) -> Elapsed:
        if self._before is None:
            return Elapsed()
        return Elapsed.between_looks(self._before.seconds_until(at, monotonic), self._before.has_jumped(at, monotonic))


def _tried(act: Callable[[], None]) -> bool:
    """Do something with the store; tell whether it worked. When it does not, alarms are told all the same."""
    try:
        act()
    except StoreError as error:
        logs.logger().warning(events.SAMPLE_LOST, message=str(error), hint="see the free space of the volume backup-state")
        return False
    return True


def _keep(deployment: Deployment, sample: Sample, memory: Memory | None) -> None:
    if memory is not None:
        deployment.marks.put(MARK, memory.as_json())
    samples = Samples(deployment.store)
    samples.put(sample)
    samples.thin(sample.at)


def tell(deployment: Deployment, verdict: Verdict) -> None:
    """Raise the alarms that stand, again those that got worse, and end the others."""
    for standing in verdict.standing:
        if standing.key in verdict.worse:
            facts = dict(standing.facts)
            deployment.teller.tell(Notice(standing.event, standing.severity, standing.message, standing.hint, facts=facts))
        alarm = Alarm(standing.key, standing.event, standing.severity, standing.message, standing.hint)
        deployment.teller.alarm(alarm, standing.facts)
    for over in verdict.over:
        deployment.teller.over(over.key, over.event, over.summary, over.facts)
