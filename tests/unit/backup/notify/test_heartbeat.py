"""The heartbeat: never in the way, never out of order, never late, and its failure said once."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from backup.notify.answer import Answer, http
from backup.notify.delivery import Shift
from backup.notify.heartbeat import FAILURE, MOST_ATTEMPTS, heartbeat, send_pings
from backup.notify.sender import heartbeat_address
from backup.state.marks import Marks
from backup.state.pings import Phase, Pings
from backup.taking import jobs
from contract import events
from contract.receivers import Receivers
from tests.unit.backup.fakes import NOON, FakePgbackrest, Reply, World, make_backup

URL = "https://hc.example/ping/secret"


class Monitor:
    """Notes the pings; `answers` is what it says to the next ones, 200 afterwards."""

    def __init__(self, *answers: int) -> None:
        self.answers = list(answers)
        self.heard: list[Phase] = []

    def __call__(self, phase: Phase) -> Answer:
        self.heard.append(phase)
        return http(self.answers.pop(0) if self.answers else 200)


@pytest.fixture
def watched(world: World) -> World:
    return replace(world, deployment=replace(world.deployment, receivers=Receivers(heartbeat_url=URL)))


def send(world: World, monitor: Monitor) -> None:
    store = world.deployment.store
    shift = Shift(threading.Event(), NOON + timedelta(days=1), world.clock)
    send_pings(Pings(store), Marks(store), monitor, shift)


def test_pings_arrive_in_order(watched: World) -> None:
    for phase in ("start", "success", "start", "fail"):
        heartbeat(watched.deployment, phase)
    monitor = Monitor()
    send(watched, monitor)
    assert monitor.heard == ["start", "success", "start", "fail"]
    assert not Pings(watched.deployment.store).is_due(NOON)


@pytest.mark.parametrize(("exit_code", "pings"), [(0, ["start", "success"]), (57, ["start", "fail"])])
def test_a_backup_has_one_at_its_start_and_one_at_its_end(
    watched: World, engine: FakePgbackrest, exit_code: int, pings: list[Phase]
) -> None:
    engine.script(Reply(exit_code, does=engine.lists(make_backup()) if exit_code == 0 else lambda: None))
    jobs.take_backup(watched.deployment, jobs.BackupRequest("full", 1, "schedule", "due"), 0.0)
    monitor = Monitor()
    send(watched, monitor)
    assert monitor.heard == pings


def test_without_an_address_nothing_is_written(world: World) -> None:
    heartbeat(world.deployment, "start")
    assert not Pings(world.deployment.store).is_due(NOON)


def test_one_that_fails_is_tried_again_for_some_minutes_and_then_given_up(watched: World) -> None:
    heartbeat(watched.deployment, "success")
    monitor = Monitor(*[500] * 100)
    for _ in range(1000):
        send(watched, monitor)
        watched.clock.advance(seconds=1)
    assert len(monitor.heard) == MOST_ATTEMPTS
    assert watched.deployment.marks.get(FAILURE) == "HTTP 500 Internal Server Error"


def test_a_start_that_failed_does_not_come_after_the_end(watched: World) -> None:
    """A monitor that hears "start" last waits for an end that never comes."""
    heartbeat(watched.deployment, "start")
    heartbeat(watched.deployment, "success")
    monitor = Monitor(500)
    send(watched, monitor)
    assert monitor.heard == ["start", "success"]
    watched.clock.advance(minutes=1)
    send(watched, monitor)
    assert monitor.heard == ["start", "success"]
    assert watched.deployment.marks.get(FAILURE) is None


def test_a_success_forgets_the_failure(watched: World) -> None:
    watched.deployment.marks.put(FAILURE, "HTTP 500")
    heartbeat(watched.deployment, "success")
    send(watched, Monitor())
    assert watched.deployment.marks.get(FAILURE) is None


def test_a_state_that_cannot_be_written_stops_no_run(watched: World) -> None:
    watched.deployment.store.close()
    with capture_logs() as logged:
        heartbeat(watched.deployment, "start")
    assert [entry["event"] for entry in logged] == [events.OUTBOX_UNWRITABLE]


@pytest.mark.parametrize(
    ("url", "phase", "address"),
    [
        (URL, "success", URL),
        (URL, "start", f"{URL}/start"),
        (f"{URL}/", "fail", f"{URL}/fail"),
        (f"{URL}?create=1", "start", f"{URL}/start?create=1"),
        (URL, None, f"{URL}/log"),
    ],
)
def test_the_addresses_are_those_of_healthchecks(url: str, phase: Phase | None, address: str) -> None:
    assert heartbeat_address(url, phase) == address
