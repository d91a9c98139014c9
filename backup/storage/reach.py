"""The only door to a store's address: name, connection, TLS and the store's clock, within seconds.

pgbackrest makes nine attempts before it tells that a store is away; this makes one, with timeouts of its own, and sends
nothing but an anonymous HEAD request.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, TypeVar

from backup.storage import trouble
from backup.storage.place import Place
from backup.storage.published import Endpoint
from backup.storage.step import Step
from backup.storage.trouble import Trouble

TIMEOUT_SECONDS: Final = 5.0
WARNING_SECONDS: Final = 300.0
"""A clock that is off by more is worth a warning; by more than `FAILURE_SECONDS`, Amazon and Azure refuse requests."""

FAILURE_SECONDS: Final = 900.0
REQUESTS: Final = 5

NAMES: Final = ("name", "connection", "TLS", "clock", "latency")
"""The steps, in their order."""

Value = TypeVar("Value")


class _FailedError(Exception):
    """A step failed, so the following ones cannot be tried."""

    def __init__(self, found: Trouble) -> None:
        super().__init__(found.sentence)
        self.found = found


@dataclass
class _Reaching:
    """One attempt to reach a store; `steps` are what was seen until now."""

    endpoint: Endpoint
    place: Place
    steps: list[Step] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"{self.endpoint.host}:{self.endpoint.port}"

    def step(self, name: str, do: Callable[[], tuple[Value, str]]) -> Value:
        """Try something and note what was seen. Raises _FailedError, after noting it."""
        started = time.monotonic()
        try:
            value, seen = do()
        except _FailedError as error:
            found = error.found
            seconds = time.monotonic() - started
            self.steps.append(Step(name, "failed", found.sentence, seconds, found.hint, found.may_pass))
            raise
        self.steps.append(Step(name, "ok", seen, time.monotonic() - started))
        return value

    def resolve(self) -> tuple[str, str]:
        """Return an address of the store, and all of them for people."""
        found: list[str] = []

        def ask() -> None:  # there is no way to give this a timeout
            try:
                answers = socket.getaddrinfo(self.endpoint.host, self.endpoint.port, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError):
                return
            found.extend(dict.fromkeys(str(answer[4][0]) for answer in answers))

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        asking.join(TIMEOUT_SECONDS)
        if not found:
            raise _FailedError(trouble.no_address(self.endpoint.host, self.place))
        return found[0], f"{self.endpoint.host} is {', '.join(found[:3])}"

    def connect(self) -> tuple[socket.socket, str]:
        """Return a connection."""
        return self._connected(), self.address

    def _connected(self) -> socket.socket:
        try:
            return socket.create_connection((self.endpoint.host, self.endpoint.port), TIMEOUT_SECONDS)
        except TimeoutError as error:
            raise _FailedError(trouble.silent(self.address, self.place)) from error
        except ConnectionRefusedError as error:
            raise _FailedError(trouble.refused(self.address, self.place)) from error
        except OSError as error:
            raise _FailedError(trouble.unreachable(self.address, self.place)) from error

    def secure(self, connection: socket.socket) -> tuple[ssl.SSLSocket, str]:
        """Return the connection in TLS, its certificate verified as pgbackrest would do it."""
        try:
            context = _context(self.endpoint)
        except (OSError, ssl.SSLError) as error:
            raise _FailedError(trouble.authorities_unreadable(self.place)) from error
        try:
            secured = context.wrap_socket(connection, server_hostname=self.endpoint.host)
        except ssl.SSLCertVerificationError as error:
            raise _FailedError(self._refused(error)) from error
        except TimeoutError as error:
            raise _FailedError(trouble.silent(self.address, self.place)) from error
        except (ssl.SSLEOFError, ConnectionError) as error:  # a proxy before a store that is away
            raise _FailedError(trouble.no_http(self.address, self.place)) from error
        except ssl.SSLError as error:
            raise _FailedError(trouble.no_tls(self.place)) from error
        except OSError as error:
            raise _FailedError(trouble.unreachable(self.address, self.place)) from error
        return secured, _certificate(secured) if self.endpoint.verified else "the certificate is not verified"

    def _refused(self, error: ssl.SSLCertVerificationError) -> Trouble:
        other_name = error.verify_code in (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
        if not other_name:
            return trouble.certificate_refused(str(error.verify_code), error.verify_message, self.place)
        return trouble.certificate_for_another_name(self.endpoint.host, self.place, self._names_in_certificate())

    def _names_in_certificate(self) -> str:
        context = _context(self.endpoint)
        context.check_hostname = False
        try:
            with self._connected() as plain, context.wrap_socket(plain, server_hostname=self.endpoint.host) as secured:
                return ", ".join(value for _, value in _subject_names(secured))
        except (OSError, _FailedError):
            return ""

    def ask(self, connection: ssl.SSLSocket) -> tuple[tuple[datetime | None, list[float]], str]:
        """Return the store's time and how many seconds each of several small requests took."""
        asked = http.client.HTTPConnection(self.endpoint.host, self.endpoint.port)
        asked.sock = connection
        seconds, date = [], None
        try:
            for _ in range(REQUESTS):
                started = time.monotonic()
                asked.request("HEAD", "/", headers={"User-Agent": "salespider-backup/1"})
                answer = asked.getresponse()
                answer.read()
                seconds.append(time.monotonic() - started)
                date = date or answer.headers.get("Date")
                if asked.sock is None:  # the store does not keep connections
                    break
        except TimeoutError as error:
            raise _FailedError(trouble.silent(self.address, self.place)) from error
        except (OSError, http.client.HTTPException) as error:
            if not seconds:
                raise _FailedError(trouble.no_http(self.address, self.place)) from error
        return (_moment(date), seconds), f"{statistics.median(seconds) * 1000:.1f} ms, the median of {len(seconds)} requests"


def reach(endpoint: Endpoint, place: Place, now: Callable[[], datetime]) -> list[Step]:
    """Try to reach a store; return the steps, the last one failed unless all is well. Takes 20 seconds at most."""
    trying = _Reaching(endpoint, place)
    try:
        trying.step("name", trying.resolve)
        plain = trying.step("connection", trying.connect)
        with plain, trying.step("TLS", lambda: trying.secure(plain)) as secured:
            if not endpoint.verified:
                hint = f"name the authority in {place.variable('storage_ca_file')} instead of switching verification off"
                trying.steps[-1] = Step("TLS", "warning", trying.steps[-1].seen, trying.steps[-1].seconds, hint)
            date, _ = trying.step("latency", lambda: trying.ask(secured))
            trying.steps.insert(-1, clock(date, now()))
    except _FailedError:
        pass
    return trying.steps


def clock(theirs: datetime | None, ours: datetime) -> Step:
    """Return what comparing the store's clock with ours shows."""
    if theirs is None:
        return Step("clock", "skipped", "the store does not tell its time")
    seconds = (ours - theirs).total_seconds()
    if abs(seconds) > FAILURE_SECONDS:
        found = trouble.clock_off(seconds)
        return Step("clock", "failed", found.sentence, None, found.hint)
    side = "ahead of" if seconds > 0 else "behind"
    seen = f"{abs(seconds):.0f} s {side} the store's" if abs(seconds) >= 2 else "as the store's"  # noqa: PLR2004 a header's precision
    if abs(seconds) > WARNING_SECONDS:
        return Step("clock", "warning", seen, None, trouble.clock_off(seconds).hint)
    return Step("clock", "ok", seen)


def _context(endpoint: Endpoint) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=endpoint.authorities)
    if not endpoint.verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _certificate(secured: ssl.SSLSocket) -> str:
    found = secured.getpeercert() or {}
    issuer = dict(pair for parts in found.get("issuer", ()) for pair in parts)  # type: ignore[misc]
    who = issuer.get("organizationName") or issuer.get("commonName") or "?"
    until = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(found["notAfter"])), UTC)
    return f"{secured.version()}; certificate of {who}, valid until {until:%Y-%m-%d}"


def _subject_names(secured: ssl.SSLSocket) -> tuple[tuple[str, str], ...]:
    return (secured.getpeercert() or {}).get("subjectAltName", ())  # type: ignore[return-value]


def _moment(date: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(date).astimezone(UTC) if date else None
    except ValueError:
        return None
