"""The door to a service's own interface, beside pgbackrest: short timeouts, verified as pgbackrest does, no redirects."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import httpx

from backup.storage.published import Endpoint

TIMEOUT_SECONDS: Final = 5.0


@dataclass(frozen=True)
class Answer:
    """A status, 0 when there was no answer; headers with names in lower case; the body."""

    status: int
    headers: Mapping[str, str]
    text: str


def get(url: str, headers: Mapping[str, str], endpoint: Endpoint) -> Answer:
    """Ask a store; return what it answers."""
    context = ssl.create_default_context(cafile=endpoint.authorities)
    if not endpoint.verified:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=False, follow_redirects=False, verify=context) as client:
            answer = client.get(url, headers=dict(headers))
    except httpx.HTTPError:
        return Answer(0, {}, "")
    return Answer(answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, answer.text)
