"""`salespider-backup notify-test`: a test notice to every receiver, now and past the outbox, and what each answers."""

from __future__ import annotations

import functools
import hashlib
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import click

from backup.deployment import Deployment
from backup.notice import Notice
from backup.notify.answer import Answer
from backup.notify.delivery import ANSWER_SECONDS, together, within
from backup.notify.heartbeat import ANSWER_SECONDS as HEARTBEAT_SECONDS
from backup.notify.sender import Sender
from backup.state.outbox import Message
from contract import events
from contract.errors import ProductError
from contract.exits import Exit
from contract.receivers import Receivers

TESTED: Final = "notify-tested"
"""The mark that holds which receivers took the last test notice."""

_SUMMARY: Final = "this is a test: messages about the database's backups arrive here"


@dataclass(frozen=True)
class Result:
    """What somebody answered, and after how long."""

    name: str
    answer: Answer
    seconds: float

    def __str__(self) -> str:
        """Return a line for the operator."""
        what = "delivered in" if self.answer.taken else "refused after" if self.answer.said[:4] == "HTTP" else "failed after"
        return f"{self.name}: {what} {self.seconds:.1f} s: {self.answer.said}"


@click.command("notify-test")
@click.option("--if-changed", is_flag=True, help="Do nothing when the receivers are those that took the last test notice.")
def notify_test(*, if_changed: bool) -> None:
    """Send a test notice to every receiver now, and show what each answers."""
    deployment = Deployment.open()
    receivers, digest = deployment.receivers, _digest(deployment.receivers)
    if if_changed and (receivers == Receivers() or deployment.marks.get(TESTED) == digest):
        return
    if receivers == Receivers():
        hint = "set BACKUP_WEBHOOK_URL or BACKUP_NOTIFY_URLS in .env, then `make deploy`; see docs/guide/notifications.md"
        raise ProductError("nobody is told: there is no receiver", hint=hint, exit_code=Exit.NOTIFICATION)
    results = ask_all(receivers, Sender(deployment.config.stanza, deployment.zone, deployment.now))
    for result in results:
        click.echo(str(result))
    refused = sum(not result.answer.taken for result in results)
    if refused:
        message = f"notify-test: {refused} of {len(results)} did not take it"
        hint = "correct the address, token or network named above in .env, then `make deploy`"
        raise ProductError(message, hint=hint, exit_code=Exit.NOTIFICATION)
    deployment.marks.put(TESTED, digest)


def ask_all(receivers: Receivers, sender: Sender) -> list[Result]:
    """Send the test notice to everybody at once, and ask for the heartbeat address's log; return the answers in order."""
    message = Message(str(uuid.uuid4()), sender.now(), Notice(events.NOTIFICATION_TEST, "info", _SUMMARY))
    asking: list[tuple[str, float, Callable[[], Answer]]] = [
        (each.shown, ANSWER_SECONDS[each.kind], functools.partial(sender.send, each, message))
        for each in receivers.receivers
    ]
    if receivers.heartbeat_url is not None:
        asking.append(
            ("the heartbeat address", HEARTBEAT_SECONDS, functools.partial(sender.ping, receivers.heartbeat_url, None))
        )
    results: dict[int, Result] = {}

    def ask(number: int, name: str, seconds: float, question: Callable[[], Answer]) -> None:
        began = time.monotonic()
        answer = within(seconds, question)
        results[number] = Result(name, answer, time.monotonic() - began)

    together([functools.partial(ask, number, *each) for number, each in enumerate(asking)])
    return [results[number] for number in sorted(results)]


def _digest(receivers: Receivers) -> str:
    return hashlib.sha256(receivers.model_dump_json().encode()).hexdigest()
