"""One message to one receiver. The library that a kind of receiver needs is loaded when there is such a receiver."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from backup.notify import payload, signing, teams
from backup.notify.answer import Answer, masked
from backup.state.outbox import Message
from backup.state.pings import Phase
from contract.receivers import Receiver


@dataclass(frozen=True)
class Sender:
    """Knows what to say of itself (`stanza`), and the time in the operator's `zone`."""

    stanza: str
    zone: ZoneInfo
    now: Callable[[], datetime]

    def send(self, receiver: Receiver, message: Message) -> Answer:
        """Make one attempt; return what the receiver said, in words that may be printed."""
        answer = self._to_webhook(receiver, message) if receiver.kind == "webhook" else self._to_service(receiver, message)
        secrets = (receiver.url, receiver.signing_secret, receiver.bearer_token)
        return replace(answer, said=masked(answer.said, secrets, receiver.shown))

    def ping(self, url: str, phase: Phase | None) -> Answer:
        """Ping a heartbeat address; without a phase only its log, which changes nothing there."""
        answer: Answer = _load("web").get(heartbeat_address(url, phase))
        return replace(answer, said=masked(answer.said, (url,), ""))

    def _to_webhook(self, receiver: Receiver, message: Message) -> Answer:
        body = payload.as_json(message, self.stanza)
        headers = {"content-type": "application/json", "webhook-id": message.id}
        if receiver.signing_secret:
            try:
                headers |= signing.headers(message.id, int(self.now().timestamp()), body, receiver.signing_secret)
            except signing.SecretError as error:
                return Answer(False, str(error))
        if receiver.bearer_token:
            headers["authorization"] = f"Bearer {receiver.bearer_token}"
        answer: Answer = _load("web").post(receiver.url, body, headers)
        return answer

    def _to_service(self, receiver: Receiver, message: Message) -> Answer:
        title, text = payload.title(message, self.stanza), payload.text(message, self.now(), self.zone)
        answer: Answer
        if (address := teams.address(receiver.url)) is not None:
            card = teams.card(title, text, urgent=payload.weight(message) == "critical")
            answer = _load("web").post(address, card, {"content-type": "application/json"})
        else:
            services = _load("services")
            kind = services.kind_of(message.notice.severity, resolved=message.notice.resolved)
            answer = services.send(receiver, title, text, kind)
        return answer


def heartbeat_address(url: str, phase: Phase | None) -> str:
    """Return the address for a phase, as healthchecks.io has them: /start, /fail, /log, and the plain one for success."""
    if phase == "success":
        return url
    address, mark, query = url.partition("?")
    return f"{address.rstrip('/')}/{phase or 'log'}{mark}{query}"


def _load(door: str) -> Any:
    return importlib.import_module(f"backup.notify.{door}")
