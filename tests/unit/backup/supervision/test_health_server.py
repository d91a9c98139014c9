"""What is answered over HTTP, by a real server on a port of its own."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs

from backup.state.alarms import Alarm, Alarms
from backup.state.history import Beginning, Ending
from backup.supervision import health_server
from backup.supervision.health_server import HealthServer
from contract import events
from tests.unit.backup.fakes import NOON, World

LOCALLY = ("127.0.0.1", 0)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    kind: str
    body: str
    headers: dict[str, str]


@pytest.fixture
def server(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[HealthServer]:
    monkeypatch.setattr(health_server, "POLL_SECONDS", 0.01)
    made = HealthServer(world.deployment, LOCALLY)
    made.start()
    yield made
    made.finish()
    assert not made.is_alive()


def ask(server: HealthServer, path: str, method: str = "GET", **headers: str) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    answer = Answer(
        response.status, response.getheader("Content-Type", ""), response.read().decode(), dict(response.getheaders())
    )
    connection.close()
    return answer


def take_a_backup(world: World) -> None:
    history = world.deployment.history
    history.end(history.begin(Beginning("backup", "full", 1, "first", ""), NOON), Ending("succeeded", 0, "F", ""), NOON)


def test_before_the_first_backup_it_is_neither_healthy_nor_ready(world: World, server: HealthServer) -> None:
    world.deployment.history.beat("taking the first full backup", NOON)
    for path in ("/healthz", "/readyz"):
        answer = ask(server, path)
        assert (answer.status, answer.kind) == (503, "text/plain; charset=utf-8")
        assert answer.body.startswith("CRITICAL: no backup yet, nothing can be restored (taking the first full backup)")


def test_with_a_backup_and_without_a_cause_both_are_200(world: World, server: HealthServer) -> None:
    world.deployment.history.beat("idle", NOON)
    take_a_backup(world)
    for path in ("/healthz", "/readyz", "/healthz?verbose"):
        answer = ask(server, path)
        assert (answer.status, answer.body) == (200, "OK: backups are as promised; idle\n")
        assert answer.headers["Cache-Control"] == "no-store"


def test_a_broken_promise_is_503_for_health_and_still_ready(world: World, server: HealthServer) -> None:
    world.deployment.history.beat("idle", NOON)
    take_a_backup(world)
    alarms = Alarms(world.deployment.store)
    alarms.put(Alarm("archiver", events.BACKUP_FAILED, "critical", "archiving fails", "look"), NOON)
    answer = ask(server, "/healthz", Accept="application/json")
    assert (answer.status, answer.kind) == (503, "application/json")
    told = json.loads(answer.body)
    assert told["status"] == "critical"
    assert [cause["message"] for cause in told["causes"]] == ["archiving fails"]
    assert ask(server, "/readyz").status == 200
    alarms.clear("archiver")
    assert ask(server, "/healthz").status == 200


def test_a_warning_is_told_and_breaks_nothing(world: World, server: HealthServer) -> None:
    world.deployment.history.beat("idle", NOON)
    take_a_backup(world)
    Alarms(world.deployment.store).put(Alarm("protection", events.PROTECTION_MISSING, "warning", "no kit"), NOON)
    answer = ask(server, "/healthz")
    assert answer.status == 200
    assert answer.body.startswith("WARNING: no kit")


def test_head_says_the_same_without_a_body(server: HealthServer) -> None:
    whole, head = ask(server, "/healthz"), ask(server, "/healthz", "HEAD")
    assert (head.status, head.body) == (503, "")
    assert head.headers["Content-Length"] == str(len(whole.body.encode()))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/../etc/passwd", 404),
        ("POST", "/healthz", 405),
        ("DELETE", "/", 405),
        ("GET", "/" + "x" * 70000, 414),
    ],
)
def test_anything_else_is_refused_in_a_few_words(server: HealthServer, method: str, path: str, status: int) -> None:
    answer = ask(server, path, method)
    assert (answer.status, answer.kind) == (status, "text/plain; charset=utf-8")
    assert len(answer.body) < 80
    assert "Python" not in answer.headers["Server"]


def test_clients_that_say_nothing_do_not_pile_up(
    world: World, server: HealthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the limit they are hung up on, and those who ask are served again as soon as one has left."""
    world.deployment.history.beat("idle", NOON)
    take_a_backup(world)
    assert server.port
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(health_server.MOST_AT_ONCE)]
    late = socket.create_connection(("127.0.0.1", server.port), timeout=5)
    assert late.recv(1) == b"", "hung up on"
    for connection in (*idle, late):
        connection.close()
    for _ in range(100):
        try:
            answer = ask(server, "/healthz")
        except (ConnectionError, http.client.HTTPException):
            continue
        assert answer.status == 200
        return
    pytest.fail("nobody is served any more")


def test_a_port_that_is_taken_is_told_and_stops_nothing(world: World, server: HealthServer) -> None:
    assert server.port
    second = HealthServer(world.deployment, ("127.0.0.1", server.port))
    with capture_logs() as logged:
        second.start()
    assert [entry["event"] for entry in logged] == [events.HEALTH_PORT_UNAVAILABLE]
    assert (second.is_alive(), second.port) == (True, None)
    second.finish()


def test_a_thread_that_dies_is_not_alive_any_more_and_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(_self: object, _poll: float) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(health_server._Server, "serve_forever", die)
    server = HealthServer(world.deployment, LOCALLY)
    with capture_logs() as logged:
        server.start()
        server._thread.join(5)
    assert not server.is_alive()
    assert isinstance(server.failure, ZeroDivisionError)
    assert [(entry["event"], entry["thread"]) for entry in logged] == [(events.SUPERVISOR_THREAD_DIED, "health")]
    server.finish()


def test_a_state_that_is_gone_is_answered_all_the_same(world: World, server: HealthServer) -> None:
    assert server._server is not None
    server._server.store.close()
    answer = ask(server, "/healthz")
    assert answer.status == 503
    assert "the supervisor's state cannot be read" in answer.body
