"""The courier thread: watches the outbox, and starts a process that sends when something is due.

The sending itself, with its libraries and its waiting, happens in that process. Here are a query every few seconds, the
alarm when messages do not arrive, and a quiet log: a line when a receiver stops taking messages, one when it takes them
again.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from backup import logs, process
from backup.deployment import Deployment
from backup.notify import backoff, trouble
from backup.notify.heartbeat import FAILURE
from backup.state.outbox import Outbox
from backup.state.pings import Pings
from contract import events

POLL_SECONDS: Final = 5.0
DEADLINE_SECONDS: Final = 150.0
"""For the process: longer than its shift and the slowest answer after that."""

LONG_TRIP_SECONDS: Final = 30.0
"""A process that took so long may have left something for the next one; after a shorter one there is time to breathe."""

GRACE_SECONDS: Final = 5.0
JUDGE_EVERY: Final = timedelta(seconds=30)
PRUNE_EVERY: Final = timedelta(hours=6)
KEPT_FOR: Final = timedelta(weeks=4)
"""How long a delivered message is kept. One that waits is kept for as long as it waits."""

_NEVER: Final = datetime.min.replace(tzinfo=UTC)


class Courier:
    """A thread. `deployment` is asked for the present one in each round, since the configuration may change."""

    def __init__(self, deployment: Callable[[], Deployment], stop: threading.Event) -> None:
        """Make the thread; `start` starts it. `stop` ends it, together with the process it has started."""
        self._deployment = deployment
        self._stop = stop
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._work, name="courier", daemon=True)
        self._failing: dict[str, str] = {}
        self._heartbeat_fails = False
        self._trips_failed = 0
        self._rests_until = self._judged = self._pruned = _NEVER

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def is_alive(self) -> bool:
        """Tell whether the thread does its work."""
        return self._thread.is_alive()

    def poke(self) -> None:
        """Look at the outbox now: something has just been put there."""
        self._wake.set()

    def finish(self, timeout_seconds: float) -> None:
        """Wait for the end of the thread, once `stop` is set. What was not sent is sent after the next start."""
        self._wake.set()
        self._thread.join(timeout_seconds)

    def _work(self) -> None:
        try:
            while not self._stop.is_set():
                self._wake.clear()
                if not self._safe_round():
                    self._wake.wait(POLL_SECONDS)
        except Exception:  # noqa: BLE001 the thread boundary: the process sees that it is dead
            logs.logger().exception(events.SUPERVISOR_THREAD_DIED, thread="courier")

    def _safe_round(self) -> bool:
        try:
            return self.round()
        except Exception as error:  # noqa: BLE001 the tick boundary: a full disk or a locked file must not end the telling
            self._trip_failed(self._deployment().now(), f"{type(error).__name__}: {error}")
            return False

    def round(self) -> bool:
        """Look once and do what is to be done; return whether there may be more to do at once."""
        deployment = self._deployment()
        now, outbox, trip = deployment.now(), deployment.teller.outbox, None
        is_resting = now < self._rests_until <= now + backoff.LONGEST
        if not is_resting and self._is_something_due(deployment, now):
            trip = self._send(deployment)
        if trip is not None or abs(now - self._judged) >= JUDGE_EVERY:
            self._judged = now
            self._judge(deployment, outbox)
        if abs(now - self._pruned) >= PRUNE_EVERY:
            self._pruned = now
            outbox.prune(now - KEPT_FOR)
        return trip is not None and trip.ok and trip.seconds >= LONG_TRIP_SECONDS

    def _is_something_due(self, deployment: Deployment, now: datetime) -> bool:
        told = deployment.receivers
        if deployment.teller.outbox.due((receiver.id for receiver in told.receivers), now):
            return True
        return told.heartbeat_url is not None and self._pings.is_due(now)

    @functools.cached_property
    def _pings(self) -> Pings:
        return Pings(self._deployment().store)

    def _send(self, deployment: Deployment) -> process.Finished:
        """Let a process send what is due; return how it ended."""
        volumes = deployment.volumes
        argv = ("python3", "-m", "backup.notify", "--state", str(volumes.history), "--config", str(volumes.config))
        finished = process.run(argv, lambda _line: None, process.Limits(self._stop, DEADLINE_SECONDS, GRACE_SECONDS))
        if finished.ok:
            self._trip_succeeded()
        elif finished.stopped_by != "stop":
            said = next((line for line in finished.tail if line.startswith("notify: ")), "")  # other lines may hold anything
            how = "it took too long" if finished.stopped_by else f"exit code {finished.exit_code}"
            self._trip_failed(deployment.now(), f"{how} {said}".strip())
        return finished

    def _trip_failed(self, now: datetime, message: str) -> None:
        self._trips_failed += 1
        self._rests_until = now + backoff.delay(self._trips_failed, 0)
        if self._trips_failed == 1:
            logs.logger().error(events.COURIER_FAILED, message=message, next_attempt=self._rests_until.isoformat())

    def _trip_succeeded(self) -> None:
        if self._trips_failed:
            logs.logger().info(events.COURIER_RECOVERED, after_failures=self._trips_failed)
        self._trips_failed = 0

    # --- what has come of it ------------------------------------------------------------------------------------------

    def _judge(self, deployment: Deployment, outbox: Outbox) -> None:
        log, now = logs.logger(), deployment.now()
        shown = {receiver.id: receiver.shown for receiver in deployment.receivers.receivers}
        for receiver, count in outbox.drop_all_but(shown).items():
            log.warning(events.OUTBOX_DROPPED, receiver=receiver, messages=count)
        waiting = outbox.waiting()
        failing = {each.receiver: each.last_error for each in waiting if each.last_error}
        for receiver in failing.keys() - self._failing.keys():
            log.warning(events.NOTIFICATION_FAILED, receiver=shown.get(receiver, receiver), message=failing[receiver])
        for receiver in (self._failing.keys() - failing.keys()) & shown.keys():
            log.info(events.NOTIFICATION_RECOVERED, receiver=shown[receiver])
        self._failing = failing
        self._judge_heartbeat(deployment)
        found = trouble.find(waiting, shown, now)
        if found is not None:
            facts = {"receivers": len(found.stuck), "messages": found.messages}
            deployment.teller.alarm(found.alarm, facts, not_to=found.stuck)
        else:
            deployment.teller.over(trouble.KEY, events.OUTBOX_FLOWING, "every receiver takes its messages again")

    def _judge_heartbeat(self, deployment: Deployment) -> None:
        failure = deployment.marks.get(FAILURE) if deployment.receivers.heartbeat_url else None
        if (failure is not None) != self._heartbeat_fails:
            if failure is not None:
                logs.logger().warning(events.HEARTBEAT_FAILED, message=failure)
            else:
                logs.logger().info(events.HEARTBEAT_RECOVERED)
        self._heartbeat_fails = failure is not None
