"""The outbound heartbeat: a monitor elsewhere hears of every run, and raises its own alarm when it hears nothing."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from backup import logs
from backup.deployment import Deployment
from backup.notify import backoff
from backup.notify.answer import Answer
from backup.notify.delivery import LEASE, Shift, within
from backup.state.marks import Marks
from backup.state.pings import Phase, Pings
from backup.state.store import StoreError
from contract import events

MOST_ATTEMPTS: Final = 5
ANSWER_SECONDS: Final = 15.0
FAILURE: Final = "heartbeat-failure"
"""The mark that holds why the last ping was given up; None since one has arrived."""


def heartbeat(deployment: Deployment, phase: Phase) -> None:
    """Have the heartbeat address pinged, if there is one. Returns at once and never raises; the courier sends it."""
    if deployment.receivers.heartbeat_url is None:
        return
    try:
        Pings(deployment.store).put(phase, deployment.now())
    except StoreError as error:
        logs.logger().error(events.OUTBOX_UNWRITABLE, event_lost=f"heartbeat {phase}", message=str(error))


def send_pings(pings: Pings, marks: Marks, ask: Callable[[Phase], Answer], shift: Shift) -> None:
    """Send the pings that are due, in order. One that fails is tried again only while no newer one waits."""
    while not shift.is_over() and (ping := pings.claim(shift.now(), LEASE)):
        phase = ping.phase
        answer = within(ANSWER_SECONDS, lambda phase=phase: ask(phase))  # type: ignore[misc]
        if answer.taken:
            pings.forget(ping)
            _remember(marks, None)
        elif ping.is_last and ping.attempts < MOST_ATTEMPTS:
            delay: timedelta = backoff.delay(ping.attempts, random.random(), answer.asked_for)  # noqa: S311 no secret
            pings.again(ping, shift.now() + delay)
            return
        else:
            pings.forget(ping)
            _remember(marks, answer.said)


def _remember(marks: Marks, failure: str | None) -> None:
    if (marks.get(FAILURE) is None) != (failure is None):
        marks.put(FAILURE, failure)
