"""The supervisor's process: one at a time, in order to the end, and never half of it."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator

import pytest
from structlog.testing import capture_logs

from backup.deployment import BackupsOffError, ConfigurationError, Deployment
from backup.state.history import Beginning
from backup.state.store import StoreError
from backup.supervision import supervise as module
from backup.supervision.runner import Runner
from backup.supervision.supervisor import Supervisor
from contract import events
from contract.exits import Exit
from tests.unit.backup.fakes import FakePgbackrest, World, make_info
from tests.unit.backup.supervision.test_supervisor import FULL


class FakePart:
    """A thread that lives as long as it is told to."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.alive = True

    def start(self) -> None:
        self.said.append("start")

    def is_alive(self) -> bool:
        return self.alive

    def finish(self, timeout_seconds: float) -> None:
        self.said.append(f"finish within {timeout_seconds:.0f}")


@pytest.fixture
def loop(world: World, engine: FakePgbackrest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Exit]]:
    """`supervise`, for so many ticks; then somebody asks it to stop."""
    engine.info = make_info(FULL)
    runners: list[Runner] = []
    beside: dict[str, FakePart] = {"watcher": FakePart()}

    def make_runner() -> Runner:
        runners.append(Runner())
        return runners[-1]

    def run(ticks: int) -> Exit:
        left = iter(range(ticks))

        def wait(timeout: float | None = None) -> bool:
            if next(left, None) is None:
                world.stop.set()
            return world.stop.is_set()

        monkeypatch.setattr(world.stop, "wait", wait)
        monkeypatch.setattr(module, "Runner", make_runner)
        monkeypatch.setattr(module, "parts_beside", lambda _supervisor: beside)
        return module.supervise(world.deployment)

    yield run
    for runner in runners:
        runner.finish(5)
        assert not runner._thread.is_alive()


def test_a_stop_ends_the_loop_in_order_with_143(loop: Callable[[int], Exit], world: World) -> None:
    world.postgres.down = "connection refused"
    with capture_logs() as logged:
        assert loop(3) is Exit.TERMINATED
    names = [entry["event"] for entry in logged]
    assert (names[0], names[-1]) == (events.SUPERVISOR_STARTED, events.SUPERVISOR_STOPPED)
    assert logged[0]["full"] == "0 2 * * 0"


def test_what_is_going_on_is_logged_when_it_changes_and_left_as_a_sign_of_life(
    loop: Callable[[int], Exit], world: World
) -> None:
    world.postgres.down = "connection refused"
    with capture_logs() as logged:
        loop(1)
    doing = [e["what"] for e in logged if e["event"] == events.SUPERVISOR_DOING]
    assert doing == ["waiting for the database (database: connection refused)"]
    opened = Deployment.open(world.volumes)
    heartbeat = opened.history.heartbeat()
    opened.store.close()
    assert heartbeat is not None
    assert heartbeat.phase == "waiting for the database (database: connection refused)"


def test_an_unforeseen_error_in_a_tick_is_logged_and_the_loop_goes_on(
    loop: Callable[[int], Exit], monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks: Iterator[str | Exception] = iter([ZeroDivisionError(), "idle", "idle"])

    def tick(_self: Supervisor) -> str:
        happens = next(ticks)
        if isinstance(happens, Exception):
            raise happens
        return happens

    monkeypatch.setattr(Supervisor, "tick", tick)
    with capture_logs() as logged:
        assert loop(3) is Exit.TERMINATED
    assert [e["event"] for e in logged][1:-1] == [events.SUPERVISOR_TICK_FAILED, events.SUPERVISOR_DOING]


def test_a_state_that_cannot_be_written_is_said_once_and_waited_for(
    loop: Callable[[int], Exit], monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks: Iterator[str | Exception] = iter([StoreError("disk is full")] * 3 + ["idle"])

    def tick(_self: Supervisor) -> str:
        happens = next(ticks)
        if isinstance(happens, Exception):
            raise happens
        return happens

    monkeypatch.setattr(Supervisor, "tick", tick)
    with capture_logs() as logged:
        assert loop(4) is Exit.TERMINATED
    assert [e["event"] for e in logged][1:-1] == [events.STATE_UNREADABLE, events.SUPERVISOR_DOING]


def test_a_dead_part_ends_the_loop_and_the_others_in_order(
    loop: Callable[[int], Exit], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakePart, "is_alive", lambda _self: False)
    with capture_logs() as logged:
        assert loop(3) is Exit.UNEXPECTED
    assert logged[-1]["dead"] == "watcher"
    assert world.stop.is_set()


def test_a_second_supervisor_waits_and_ends_in_order_when_it_is_asked_to(loop: Callable[[int], Exit], world: World) -> None:
    with world.volumes.supervisor_lock.open("w") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        with capture_logs() as logged:
            assert loop(2) is Exit.TERMINATED
    assert [e["event"] for e in logged] == [events.SUPERVISOR_WAITING]


def test_runs_that_a_killed_process_left_are_closed_at_the_start(loop: Callable[[int], Exit], world: World) -> None:
    world.deployment.history.begin(Beginning("backup", "full", 1, "schedule", "it was due"), world.clock.now)
    world.postgres.down = "connection refused"
    loop(1)
    opened = Deployment.open(world.volumes)
    run = opened.history.last("backup")
    opened.store.close()
    assert run is not None
    assert (run.state, run.retryable) == ("interrupted", True)


def test_a_dead_runner_ends_the_loop_with_a_failure(loop: Callable[[int], Exit], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Runner, "is_alive", lambda _self: False)
    assert loop(3) is Exit.UNEXPECTED


@pytest.mark.parametrize("error", [BackupsOffError("it is none"), ConfigurationError("supervisor.json: gone")])
def test_an_error_of_the_configuration_goes_through_to_the_command(
    loop: Callable[[int], Exit], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def tick(_self: Supervisor) -> str:
        raise error

    monkeypatch.setattr(Supervisor, "tick", tick)
    with pytest.raises(type(error)):
        loop(3)
