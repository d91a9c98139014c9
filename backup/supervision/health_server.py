"""`/healthz` and `/readyz`: the same verdict as `healthcheck`, for monitoring that asks over HTTP.

A thread of the supervisor that reads the local state and nothing else, so that an answer takes milliseconds and costs
nothing. It takes GET and HEAD, a few at a time, from clients that are quick about it; what it says holds no secret.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from backup import health, logs
from backup.deployment import Deployment
from backup.health import Health
from backup.state.store import Store
from contract import events, paths

CLIENT_SECONDS: Final = 5.0
MOST_AT_ONCE: Final = 8
POLL_SECONDS: Final = 0.25
"""How long an ordered stop waits for it."""


class HealthServer:
    """A thread that answers. Dies loudly: `is_alive` turns false, with `failure` set."""

    def __init__(self, deployment: Deployment, address: tuple[str, int] = ("0.0.0.0", paths.HEALTH_PORT)) -> None:  # noqa: S104 Compose decides who reaches the container
        """Take the place of the state and the clock; `start` begins to listen."""
        self._path, self._now, self._address = deployment.volumes.history, deployment.now, address
        self._server: _Server | None = None
        self._thread = threading.Thread(target=self._serve, name="health", daemon=True)
        self.failure: BaseException | None = None

    @property
    def port(self) -> int | None:
        """The port it listens on, None when that was taken."""
        return self._server.server_port if self._server else None

    def start(self) -> None:
        """Listen and answer. A port that is taken is logged and no reason to go without backups. Raises StoreError."""
        try:
            self._server = _Server(self._address, Store(self._path), self._now)
        except OSError as error:
            hint = "something else listens in the container's network: with host networking, free the port"
            logs.logger().error(events.HEALTH_PORT_UNAVAILABLE, message=f"port {self._address[1]}: {error}", hint=hint)
            return
        self._thread.start()

    def is_alive(self) -> bool:
        """Tell whether it goes on answering; true as well when it never could, for that has been told."""
        return self._server is None or self._thread.is_alive()

    def finish(self, timeout_seconds: float = CLIENT_SECONDS) -> None:
        """Stop listening, and wait for the thread to end."""
        if self._server is None:
            return
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(timeout_seconds)
        self._server.close()

    def _serve(self) -> None:
        try:
            if self._server is not None:
                self._server.serve_forever(POLL_SECONDS)
        except Exception as error:  # noqa: BLE001 the thread boundary: whatever it was, the process must learn of it
            self.failure = error
            logs.logger().exception(events.SUPERVISOR_THREAD_DIED, thread="health")


class _Server(ThreadingHTTPServer):
    """Answers each client in a thread of its own, so many at once and no more: further ones are hung up on."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], store: Store, now: Callable[[], datetime]) -> None:
        self.store, self.now = store, now
        self._places = threading.BoundedSemaphore(MOST_AT_ONCE)
        try:
            super().__init__(address, _Handler)
        except OSError:
            store.close()
            raise

    def close(self) -> None:
        """Close the socket and the state."""
        self.server_close()
        self.store.close()

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any) -> None:
        """Say nothing: a client that hangs up half-way is no event."""


class _Handler(BaseHTTPRequestHandler):
    """One client: one request, one answer."""

    server: _Server
    timeout = CLIENT_SECONDS
    server_version = "salespider-backup"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer with a body."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer with the head of what GET would say."""
        self._answer(with_body=False)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the library's name
        """Keep no access log."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002 the library's names
        """Refuse in plain text what is no GET and no HEAD."""
        status = HTTPStatus.METHOD_NOT_ALLOWED if code == HTTPStatus.NOT_IMPLEMENTED else HTTPStatus(code)
        self._send(status, "text/plain; charset=utf-8", f"{status.phrase}\n".encode(), with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        verdicts: dict[str, Callable[[Health], bool]] = {
            "/healthz": lambda found: found.is_kept,
            "/readyz": lambda found: found.is_ready,
        }
        verdict = verdicts.get(self.path.split("?", 1)[0])
        if verdict is None:
            self._send(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"ask for /healthz or /readyz\n", with_body)
            return
        found = health.examine(self.server.store, self.server.now())
        status = HTTPStatus.OK if verdict(found) else HTTPStatus.SERVICE_UNAVAILABLE
        self._send(status, *_body(found, self.headers.get("Accept", "")), with_body)

    def _send(self, status: HTTPStatus, kind: str, body: bytes, with_body: bool) -> None:  # noqa: FBT001 private, beside its callers
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.end_headers()
        if with_body:
            self.wfile.write(body)


def _body(found: Health, accept: str) -> tuple[str, bytes]:
    """Return content type and content: JSON for who asks for it, else a line a cause."""
    if "application/json" in accept.lower():
        return "application/json", json.dumps(found.as_json(), indent=2).encode() + b"\n"
    return "text/plain; charset=utf-8", ("\n".join(found.as_lines()) + "\n").encode("utf-8", "replace")
