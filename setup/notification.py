"""Who is told of what happens to the backups: from the variables to what is published, and to what is wrong. Pure.

Every address may be a password, so all of them are `SecretStr` until they stand in the file they are published in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from pydantic import SecretStr

from contract.errors import Problem
from contract.receivers import Receiver, Receivers
from contract.severity import Severity
from setup import notification_values
from setup.policy import revealed
from setup.variables import Variables

LEVELS: Final[Mapping[str, Severity]] = MappingProxyType(
    {"all": "debug", "info": "info", "warning": "warning", "critical": "critical"}
)
_ID_DIGITS: Final = 8
_STRONG_SECRET: Final = 16
_WEB_ADDRESSES: Final = ("backup_webhook_url", "backup_heartbeat_url")


@dataclass(frozen=True)
class Notification:
    """Where messages go. `level` is the least severity that is told; `services` are in the library's notation."""

    webhook: SecretStr | None = None
    signing_secret: SecretStr | None = None
    bearer_token: SecretStr | None = None
    services: tuple[SecretStr, ...] = ()
    heartbeat: SecretStr | None = None
    level: Severity = "info"

    def receivers(self) -> Receivers | None:
        """Return what is published, None when nobody is told anything. It holds the secrets."""
        told = tuple(self._told())
        if not told and self.heartbeat is None:
            return None
        return Receivers(receivers=told, heartbeat_url=revealed(self.heartbeat))

    def shown(self) -> tuple[str, ...]:
        """Return what may be shown of each receiver, none of their secrets."""
        heartbeat = (f"heartbeat {notification_values.shown(self.heartbeat.get_secret_value())}",) if self.heartbeat else ()
        return (*(receiver.shown for receiver in self._told()), *heartbeat)

    def _told(self) -> Iterator[Receiver]:
        if self.webhook:
            url = self.webhook.get_secret_value()
            yield Receiver(
                id="webhook",
                kind="webhook",
                url=url,
                shown=notification_values.shown(url),
                level=self.level,
                signing_secret=revealed(self.signing_secret),
                bearer_token=revealed(self.bearer_token),
            )
        for service in self.services:
            yield _service(service.get_secret_value(), self.level)


def read(variables: Variables) -> Notification:
    """Return who is told."""
    services = variables.backup_notify_urls
    return Notification(
        webhook=variables.backup_webhook_url,
        signing_secret=variables.backup_webhook_secret,
        bearer_token=variables.backup_webhook_token,
        services=tuple(map(SecretStr, services.get_secret_value().split(" "))) if services else (),
        heartbeat=variables.backup_heartbeat_url,
        level=LEVELS[variables.backup_notify_level],
    )


def contradictions(variables: Variables, refused: frozenset[str]) -> Iterator[Problem]:
    """Return what is wrong with the variables taken together; those already refused are left out."""
    if variables.backup_webhook_url is None and "backup_webhook_url" not in refused:
        for name in ("backup_webhook_secret", "backup_webhook_token"):
            if getattr(variables, name) is not None:
                what = "is set, but BACKUP_WEBHOOK_URL is not: there is nothing to send it with"
                yield Problem(name.upper(), what, "set BACKUP_WEBHOOK_URL, or remove it")


def unwise(variables: Variables) -> Iterator[Problem]:
    """Return what is allowed and still worth a second thought."""
    for name in _WEB_ADDRESSES:
        address = getattr(variables, name)
        if address and notification_values.is_exposed(address.get_secret_value()):
            what = "is plain http: whoever is on the way to that host can read and change what is sent"
            yield Problem(name.upper(), what, "write https://, if the host has it")
    secret = revealed(variables.backup_webhook_secret) or ""
    if 0 < len(secret) < _STRONG_SECRET:
        what = f"has {len(secret)} characters, which can be guessed"
        yield Problem("BACKUP_WEBHOOK_SECRET", what, "make one with: openssl rand -base64 32")


def _service(url: str, level: Severity) -> Receiver:
    digits = hashlib.sha256(url.encode()).hexdigest()[:_ID_DIGITS]
    shown = f"{notification_values.scheme(url)} ({digits})"
    return Receiver(id=f"service-{digits}", kind="service", url=url, shown=shown, level=level)
