"""A receiver of notifications on this host, with the bad habits of real ones."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Habit = Callable[["Request"], None]


@dataclass
class Request:
    """One request as it came, and the way to answer it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: socket.socket
    answer: Callable[..., None]

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


def takes(request: Request) -> None:
    request.answer(200)


def says(status: int, **headers: str) -> Habit:
    return lambda request: request.answer(status, {name.replace("_", "-"): value for name, value in headers.items()})


@dataclass
class LocalReceiver:
    """A server; `habit` decides what each request gets, `requests` are those that came."""

    habit: Habit = takes
    trusted_by: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)
    url: str = ""
    released: threading.Event = field(default_factory=threading.Event)

    def hangs(self, _request: Request) -> None:
        """Never answer."""
        self.released.wait(60)

    def drips(self, request: Request) -> None:
        """Answer a byte now and then, so that no single silence is long."""
        with suppress(OSError):
            for byte in b"HTTP/1.1 200 OK\r\nx-slow: " + b"x" * 60:
                request.connection.sendall(bytes([byte]))
                if self.released.wait(0.7):
                    return

    def dies(self, request: Request) -> None:
        """Break off in the middle of the answer."""
        with suppress(OSError):
            request.connection.sendall(b"HTTP/1.1 2")
            request.connection.shutdown(socket.SHUT_RDWR)

    @property
    def summaries(self) -> list[str]:
        return [request.json["summary"] for request in self.requests]


@contextmanager
def receiver(habit: Habit | str = takes, certificate: Path | None = None) -> Iterator[LocalReceiver]:
    """Run a receiver; `habit` may be the name of one of its methods."""
    made = LocalReceiver()
    made.habit = getattr(made, habit) if isinstance(habit, str) else habit

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length)
            if len(body) < length:  # whoever sent it was killed in the middle: no receiver takes half a message
                self.close_connection = True
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers, body, self.connection, self._answer)
            made.requests.append(request)
            made.habit(request)

        do_POST = do_GET = _any  # noqa: N815 the names are the library's

        def _answer(self, status: int, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"content-length": "0", **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Clients that go away are what some tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        made.trusted_by = ssl.create_default_context(cafile=certificate)
    made.url = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def make_certificate(file: Path) -> Path:
    """Write a key and a certificate of its own for this host into one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    text = key.private_bytes(pem, private, serialization.NoEncryption()) + certificate.public_bytes(pem)
    file.write_bytes(text)
    return file
