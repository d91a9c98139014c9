"""The only door to the notification library, which knows Slack, Discord, Teams, Telegram, e-mail and a hundred others."""

from __future__ import annotations

import logging
import re
import threading
from functools import cache
from typing import Final

import apprise

from backup.notify import answer
from backup.notify.answer import Answer
from contract.receivers import Receiver
from contract.severity import Severity

_STATUS: Final = re.compile(r"\berror=([1-5]\d\d)\b")
_TYPES: Final[dict[Severity, str]] = {"debug": "info", "info": "info", "warning": "warning", "critical": "failure"}


class _Heard(logging.Handler):
    """Keeps what the library says of a failure, in this thread. What it says below that level holds addresses."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._thread = threading.get_ident()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.lines.append(record.getMessage())


def send(receiver: Receiver, title: str, text: str, kind: str) -> Answer:
    """Hand a message to the library; `kind` is a word of the library's own. Only its own True counts as taken.

    What is said of a failure may hold parts of the address: it is to be masked.
    """
    heard = _Heard()
    log = logging.getLogger("apprise")
    log.propagate = False
    log.addHandler(heard)
    try:
        service = _service(receiver)
        if service is None:
            return Answer(False, "the notification library does not understand this address")
        taken = service.notify(body=text, title=title, notify_type=kind, body_format="text") is True
    finally:
        log.removeHandler(heard)
    return Answer(True, "taken") if taken else _refusal(heard.lines)


def kind_of(severity: Severity, *, resolved: bool) -> str:
    """Return the library's word for how much a message weighs."""
    return "success" if resolved else _TYPES[severity]


@cache
def _service(receiver: Receiver) -> apprise.Apprise | None:
    """Return the receiver's object, always the same: it keeps to the service's rate by itself."""
    service = apprise.Apprise(asset=apprise.AppriseAsset(app_id="SaleSpider backup", app_desc="SaleSpider backup"))
    if not service.add(receiver.url):
        return None
    if "overflow=" not in receiver.url:  # a text that is too long would be refused for ever, and hold back all others
        for server in service:
            server.overflow_mode = "truncate"
    return service


def _refusal(lines: list[str]) -> Answer:
    said = " ".join(lines[-1:])
    if status := _STATUS.search(said):
        return Answer(False, answer.http(int(status[1])).said)
    return Answer(False, said or "not taken, without a reason")
