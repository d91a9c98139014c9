"""Sending what is due: each receiver in a thread of its own, so that a slow one delays nobody else, and in strict order.

An attempt is counted before it is made and its result is written down at once. So a kill at any moment costs an attempt,
never a message; the message is sent again with the same id.
"""

from __future__ import annotations

import functools
import queue
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from backup.notify import backoff
from backup.notify.answer import Answer
from backup.state.outbox import Message, Outbox
from contract.receivers import Receiver, ReceiverKind, Receivers

ANSWER_SECONDS: Final[dict[ReceiverKind, float]] = {"webhook": 15.0, "service": 45.0}
"""How long an attempt may take, all in all. A service may have several addressees, and the library a rate to keep to."""

LEASE: Final = timedelta(seconds=60)
"""For how long an attempt is nobody else's: longer than the longest one."""

Send = Callable[[Receiver, Message], Answer]


@dataclass(frozen=True)
class Shift:
    """When to begin no other attempt: `stop` is set, or `ends` has come."""

    stop: threading.Event
    ends: datetime
    now: Callable[[], datetime]

    def is_over(self) -> bool:
        """Tell whether it is time to end."""
        return self.stop.is_set() or self.now() >= self.ends


def deliver(outbox: Outbox, receivers: Receivers, send: Send, shift: Shift) -> None:
    """Send what is due to everybody. Raises what went wrong with the outbox itself, once all have ended."""
    by_id = {receiver.id: receiver for receiver in receivers.receivers}
    due = outbox.due(by_id, shift.now())
    together([functools.partial(_serve, outbox, by_id[each], send, shift) for each in due])


def together(jobs: Sequence[Callable[[], None]]) -> None:
    """Do these things at the same time, each to its end; raise the first exception among them."""
    troubles: list[Exception] = []

    def do(job: Callable[[], None]) -> None:
        try:
            job()
        except Exception as error:  # noqa: BLE001 the thread boundary: the process must learn of it
            troubles.append(error)

    threads = [threading.Thread(target=do, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if troubles:
        raise troubles[0]


def _serve(outbox: Outbox, receiver: Receiver, send: Send, shift: Shift) -> None:
    while not shift.is_over() and (claim := outbox.claim(receiver.id, shift.now(), LEASE)):
        message = claim.message
        answer = within(ANSWER_SECONDS[receiver.kind], lambda message=message: send(receiver, message))  # type: ignore[misc]
        if not answer.taken:
            delay = backoff.delay(claim.attempt, random.random(), answer.asked_for)  # noqa: S311 no secret
            outbox.failed(claim, answer.said, shift.now() + delay)
            return
        outbox.delivered(claim, shift.now())


def within(seconds: float, ask: Callable[[], Answer]) -> Answer:
    """Return the answer, or say that there was none in time; whatever goes wrong in asking is an answer as well."""
    answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()

    def wait_for_it() -> None:
        try:
            answers.put(ask())
        except Exception as error:  # noqa: BLE001 the thread boundary; its message may hold an address, so only its name
            answers.put(Answer(False, f"it could not be sent ({type(error).__name__})"))

    threading.Thread(target=wait_for_it, daemon=True).start()
    try:
        return answers.get(timeout=seconds)
    except queue.Empty:
        return Answer(False, f"no answer within {seconds:.0f} s")
