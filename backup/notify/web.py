"""The only door to HTTP. Verified TLS, short timeouts, no redirects, no proxy and no .netrc; every failure is an answer."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

from backup.notify import answer
from backup.notify.answer import Answer

CONNECT_SECONDS: Final = 5.0
SILENCE_SECONDS: Final = 10.0
USER_AGENT: Final = "salespider-backup/1"
_ERROR_NUMBER: Final = re.compile(r"^\[Errno -?\d+\] ")


def post(url: str, body: bytes, headers: Mapping[str, str], trusted: ssl.SSLContext | None = None) -> Answer:
    """Send a body; return what the status says. `trusted` are other certificates than the system's, for tests."""
    return _ask("POST", url, body, headers, trusted)


def get(url: str, trusted: ssl.SSLContext | None = None) -> Answer:
    """Ask for a page; return what the status says."""
    return _ask("GET", url, None, {}, trusted)


def _ask(method: str, url: str, body: bytes | None, headers: Mapping[str, str], trusted: ssl.SSLContext | None) -> Answer:
    timeout = httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
    sent = {"user-agent": USER_AGENT, **headers}
    try:
        with (
            httpx.Client(timeout=timeout, trust_env=False, follow_redirects=False, verify=trusted or True) as client,
            client.stream(method, url, content=body, headers=sent) as response,  # the body of the answer is not read
        ):
            return answer.http(response.status_code, _asked_for(response.headers.get("retry-after")))
    except httpx.TimeoutException as error:
        what = "no connection" if isinstance(error, httpx.ConnectTimeout) else "no answer"
        return Answer(False, f"{what} in time")
    except httpx.HTTPError as error:
        return Answer(False, _ERROR_NUMBER.sub("", str(error)) or type(error).__name__)
    except (httpx.InvalidURL, ValueError) as error:  # the message would repeat the address
        return Answer(False, f"the address or the token cannot be used ({type(error).__name__})")


def _asked_for(header: str | None) -> timedelta | None:
    """Read Retry-After: a number of seconds, or a date."""
    if header is None:
        return None
    with suppress(ValueError, OverflowError):
        if header.strip().isdigit():
            return timedelta(seconds=int(header))
        return max(parsedate_to_datetime(header) - datetime.now(UTC), timedelta(0))
    return None
