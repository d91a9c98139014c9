"""Attempts: only what passes within minutes is waited for, and a crash over damaged pages is got round."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from backup import process
from backup.taking import attempts
from backup.taking.attempts import Attempted
from contract import events
from tests.unit.backup.fakes import FakePgbackrest, ImpatientEvent, Reply

STANZA = "salespider"


@pytest.fixture
def stop() -> ImpatientEvent:
    return ImpatientEvent()


@pytest.fixture
def back_up(engine: FakePgbackrest, stop: ImpatientEvent) -> Callable[..., Attempted]:
    def run(*replies: Reply, deadline: float = 1000.0) -> Attempted:
        engine.script(*replies)
        return attempts.run_backup(attempts.Order(STANZA, 1, "full"), lambda _line: None, process.Limits(stop, deadline))

    return run


@pytest.mark.parametrize("code", [27, 39, 49, 56, 82, 101])
def test_what_passes_is_tried_three_times_with_growing_random_waits(
    back_up: Callable[..., Attempted], engine: FakePgbackrest, stop: ImpatientEvent, code: int
) -> None:
    with capture_logs() as logged:
        ended = back_up(Reply(code), Reply(code), Reply(code))
    assert (ended.finished.exit_code, ended.attempts) == (code, 3)
    assert len(stop.waits) == 2
    assert 0 <= stop.waits[0] <= 5
    assert 0 <= stop.waits[1] <= 10
    assert [(entry["event"], entry["attempt"]) for entry in logged] == [
        (events.BACKUP_RETRIED, 1),
        (events.BACKUP_RETRIED, 2),
    ]


@pytest.mark.parametrize("code", [0, 25, 28, 29, 32, 50 + 7, 55, 63, 64, 95, 125, -9, -15])
def test_nothing_else_is_tried_again(back_up: Callable[..., Attempted], code: int) -> None:
    ended = back_up(Reply(code))
    assert (ended.finished.exit_code, ended.attempts) == (code, 1)


def test_a_store_that_refuses_the_key_is_not_asked_again(back_up: Callable[..., Attempted]) -> None:
    code = "<Error><Code>InvalidAccessKeyId</Code></Error>"
    ended = back_up(Reply(39, ("ERROR: [039]: HTTP request failed with 403 (Forbidden):", code)))
    assert (ended.finished.exit_code, ended.attempts) == (39, 1)


def test_waiting_for_a_lock_is_no_attempt(back_up: Callable[..., Attempted], engine: FakePgbackrest) -> None:
    ended = back_up(Reply(50), Reply(50), Reply(49), Reply(50), Reply(0))
    assert (ended.finished.exit_code, ended.attempts) == (0, 2)
    assert engine.verbs == ["backup"] * 5


def test_all_attempts_share_one_deadline(back_up: Callable[..., Attempted], engine: FakePgbackrest) -> None:
    back_up(Reply(49, seconds=100.0), Reply(49, seconds=250.0), Reply(0), deadline=1000.0)
    assert [limits.deadline_seconds for limits in engine.limits] == [1000.0, 900.0, 650.0]


def test_a_run_that_was_ended_from_outside_is_not_started_over(back_up: Callable[..., Attempted]) -> None:
    assert back_up(Reply(82, stopped_by="deadline")).attempts == 1


def test_nothing_is_started_over_when_everything_stops(back_up: Callable[..., Attempted], stop: ImpatientEvent) -> None:
    assert back_up(Reply(49, does=stop.set)).attempts == 1


def test_the_type_stays_the_same(back_up: Callable[..., Attempted], engine: FakePgbackrest) -> None:
    """A full backup goes on where an aborted one was; one of another type would delete it."""
    back_up(Reply(49), Reply(-11), Reply(0))
    assert all("--type=full" in argv for argv in engine.ran)


def test_after_a_crash_it_is_run_once_more_without_its_warnings(
    back_up: Callable[..., Attempted], engine: FakePgbackrest
) -> None:
    with capture_logs() as logged:
        ended = back_up(Reply(-11), Reply(0))
    assert (ended.finished.exit_code, ended.attempts) == (0, 2)
    assert ["--log-level-console=error" in argv for argv in engine.ran] == [False, True]
    assert [entry["event"] for entry in logged] == [events.BACKUP_RETRIED]


def test_a_second_crash_is_the_result(back_up: Callable[..., Attempted]) -> None:
    ended = back_up(Reply(-11), Reply(-11))
    assert (ended.finished.exit_code, ended.attempts) == (-11, 2)


def test_a_crash_while_everything_stops_is_left_alone(back_up: Callable[..., Attempted]) -> None:
    assert back_up(Reply(-11, stopped_by="stop")).attempts == 1


def test_the_waits_end_when_asked_to_stop() -> None:
    """A stop flag that is set during the wait, not before it."""
    stop = threading.Event()
    calls: list[int] = []

    def fails(*_args: object) -> process.Finished:
        calls.append(1)
        threading.Timer(0.05, stop.set).start()
        return process.Finished(49, (), 0.0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "run", fails)
        patch.setattr(attempts, "FIRST_WAIT_SECONDS", 60.0)
        attempts.run(("pgbackrest",), print, process.Limits(stop, 1000.0))
    assert len(calls) <= 2
