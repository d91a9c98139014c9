"""Reaching a store: a real TLS server on this machine, with every fault that can be had without waiting."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import trustme

from backup.storage import reach
from backup.storage.place import Place
from backup.storage.published import Endpoint
from backup.storage.step import Step

PLACE = Place(1, "s3", "s3://bucket/path")


class _Store(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.send_response(403)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, str]:
    made, file = trustme.CA(), tmp_path_factory.mktemp("ca") / "ca.pem"
    made.cert_pem.write_to_path(str(file))
    return made, str(file)


@contextmanager
def serving(certificate: trustme.LeafCert | None) -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), _Store)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def tried(endpoint: Endpoint, ahead: timedelta = timedelta()) -> dict[str, Step]:
    steps = reach.reach(endpoint, PLACE, lambda: datetime.now(UTC) + ahead)
    return {step.name: step for step in steps}


def test_a_store_that_is_there(authority: tuple[trustme.CA, str]) -> None:
    made, file = authority
    with serving(made.issue_cert("localhost")) as port:
        steps = tried(Endpoint("localhost", port, file))
    assert tuple(steps) == reach.NAMES
    assert {step.state for step in steps.values()} == {"ok"}
    assert "certificate of trustme" in steps["TLS"].seen
    assert steps["latency"].seen.endswith("the median of 5 requests")


def test_a_certificate_for_another_name_is_told_with_its_names(authority: tuple[trustme.CA, str]) -> None:
    made, file = authority
    with serving(made.issue_cert("store.example.com", "other.example.com")) as port:
        steps = tried(Endpoint("localhost", port, file))
    assert tuple(steps) == ("name", "connection", "TLS")
    assert steps["TLS"].seen == (
        "the store's certificate is not for localhost, but for store.example.com, other.example.com"
    )


def test_an_unknown_authority(authority: tuple[trustme.CA, str]) -> None:
    _, file = authority
    with serving(trustme.CA().issue_cert("localhost")) as port:
        steps = tried(Endpoint("localhost", port, file))
        unverified = tried(Endpoint("localhost", port, None, verified=False))
    assert steps["TLS"].state == "failed"
    assert "an authority that is not known here" in steps["TLS"].seen
    assert "PGBACKREST_REPO1_STORAGE_CA_FILE" in steps["TLS"].hint
    assert unverified["TLS"].state == "warning"
    assert unverified["latency"].state == "ok"


def test_no_tls_at_all(authority: tuple[trustme.CA, str]) -> None:
    with serving(None) as port:
        assert tried(Endpoint("localhost", port, authority[1]))["TLS"].seen == "what answers there speaks no TLS"


def test_the_file_of_the_authority_is_missing(tmp_path: Path) -> None:
    with serving(None) as port:
        step = tried(Endpoint("localhost", port, str(tmp_path / "none.pem")))["TLS"]
    assert step.seen == "the file with the store's certificate authority cannot be read"


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    step = tried(Endpoint("localhost", port))["connection"]
    assert (step.state, step.seen, step.may_pass) == ("failed", f"localhost:{port} refuses the connection", True)


def test_a_name_that_is_none() -> None:
    step = tried(Endpoint("nowhere.invalid", 443))["name"]
    assert (step.state, step.seen, step.may_pass) == ("failed", "the name nowhere.invalid has no address", True)


def test_a_store_that_takes_connections_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "TIMEOUT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        step = tried(Endpoint("localhost", port))["TLS"]
    assert (step.state, step.seen) == ("failed", f"localhost:{port} does not answer in time")


NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("theirs", "state", "seen"),
    [
        (NOW, "ok", "as the store's"),
        (NOW - timedelta(seconds=299), "ok", "299 s ahead of the store's"),
        (NOW + timedelta(seconds=301), "warning", "301 s behind the store's"),
        (NOW - timedelta(minutes=20), "failed", "this host's clock is 20 minutes ahead of the store's, which refuses"),
        (None, "skipped", "the store does not tell its time"),
    ],
)
def test_the_clocks_are_compared(theirs: datetime | None, state: str, seen: str) -> None:
    step = reach.clock(theirs, NOW)
    assert step.state == state
    assert step.seen.startswith(seen)
    assert bool(step.hint) == (state in ("warning", "failed"))
