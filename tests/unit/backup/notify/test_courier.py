"""The courier: sends what is due, stays quiet, and raises the alarm without talking to the deaf."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from backup import process
from backup.deployment import Deployment
from backup.notice import Notice
from backup.notify.answer import Answer, http
from backup.notify.courier import KEPT_FOR, Courier
from backup.notify.delivery import Shift, deliver
from backup.notify.heartbeat import FAILURE, heartbeat
from backup.state.outbox import Message, Outbox
from contract import events
from contract.receivers import Receiver, Receivers
from tests.unit.backup.fakes import World

DEAF = Receiver(id="deaf", kind="webhook", url="https://a.example/secret", shown="a.example")
GOOD = Receiver(id="good", kind="service", url="slack://secret", shown="slack")
FAILED = Notice(events.BACKUP_FAILED, "critical", "failed", "look")


@dataclass
class Fixture:
    """A courier whose process is played here: it delivers for real, to receivers that say what `answers` has for them."""

    world: World
    deployment: Deployment
    answers: dict[str, Answer] = field(default_factory=dict)
    had: dict[str, list[str]] = field(default_factory=lambda: {"deaf": [], "good": []})
    started: list[tuple[str, ...]] = field(default_factory=list)
    ends: Callable[[], process.Finished] = lambda: process.Finished(0, (), 0.5)

    def __post_init__(self) -> None:
        self.courier = Courier(lambda: self.deployment, threading.Event())

    @property
    def outbox(self) -> Outbox:
        return Outbox(self.deployment.store)

    def run(self, argv: tuple[str, ...], on_line: Callable[[str], None], limits: process.Limits) -> process.Finished:
        self.started.append(argv)
        finished = self.ends()
        if finished.ok:
            now = self.world.clock
            deliver(self.outbox, self.deployment.receivers, self.send, Shift(threading.Event(), now() + timedelta(1), now))
        return finished

    def send(self, receiver: Receiver, message: Message) -> Answer:
        answer = self.answers.get(receiver.id, http(200))
        if answer.taken:
            self.had[receiver.id].append(message.notice.event)
        return answer

    def rounds(self, count: int, **apart: float) -> list[dict[str, Any]]:
        """Let some time pass between rounds; return what was logged."""
        with capture_logs() as logged:
            for _ in range(count):
                self.courier.round()
                self.world.clock.advance(**apart)
        return [dict(entry) for entry in logged]


@pytest.fixture
def fixture(world: World, monkeypatch: pytest.MonkeyPatch) -> Fixture:
    deployment = replace(world.deployment, receivers=Receivers(receivers=(DEAF, GOOD)))
    made = Fixture(world, deployment)
    monkeypatch.setattr(process, "run", made.run)
    return made


def names(logged: list[dict[str, Any]]) -> list[str]:
    return [entry["event"] for entry in logged]


def test_nothing_due_starts_nothing(fixture: Fixture) -> None:
    assert fixture.rounds(50, seconds=5) == []
    assert fixture.started == []


def test_a_message_is_sent_by_a_process_that_is_told_files_and_no_secret(fixture: Fixture) -> None:
    fixture.outbox.put(FAILED, ["deaf", "good"], fixture.world.clock())
    fixture.rounds(3, seconds=5)
    volumes = fixture.world.volumes
    argv = ("python3", "-m", "backup.notify", "--state", str(volumes.history), "--config", str(volumes.config))
    assert fixture.started == [argv]
    assert fixture.had == {"deaf": [events.BACKUP_FAILED], "good": [events.BACKUP_FAILED]}


def test_a_receiver_that_fails_is_said_once_and_its_recovery_once(fixture: Fixture) -> None:
    fixture.answers["deaf"] = http(500)
    fixture.outbox.put(FAILED, ["deaf"], fixture.world.clock())
    logged = fixture.rounds(100, seconds=5)
    assert names(logged) == [events.NOTIFICATION_FAILED]
    assert logged[0]["receiver"] == "a.example"
    assert logged[0]["message"] == "HTTP 500 Internal Server Error"
    assert 3 < len(fixture.started) < 10
    del fixture.answers["deaf"]
    assert names(fixture.rounds(100, seconds=5)) == [events.NOTIFICATION_RECOVERED]


def test_the_alarm_is_told_to_the_others_and_does_not_pile_up_for_the_dead_one(fixture: Fixture) -> None:
    fixture.answers["deaf"] = http(500)
    fixture.outbox.put(FAILED, ["deaf"], fixture.world.clock())
    logged = fixture.rounds(30 * 24, hours=1)
    told = names(logged).count(events.OUTBOX_UNDELIVERABLE)
    assert 29 <= told <= 32
    assert fixture.had["good"] == [events.OUTBOX_UNDELIVERABLE] * told
    (waiting,) = fixture.outbox.waiting()
    assert (waiting.receiver, waiting.count) == ("deaf", 1)
    (alarm,) = fixture.deployment.teller.alarms.raised()
    assert (alarm.alarm.key, alarm.alarm.severity) == ("outbox", "critical")
    assert "29 days" in alarm.alarm.message
    assert "nothing is thrown away" in alarm.alarm.message


def test_the_alarm_ends_once_when_everything_has_arrived(fixture: Fixture) -> None:
    fixture.answers["deaf"] = http(500)
    fixture.outbox.put(FAILED, ["deaf"], fixture.world.clock())
    fixture.rounds(60, minutes=5)
    fixture.answers.clear()
    fixture.rounds(24 * 12, minutes=5)
    assert fixture.had["deaf"] == [events.BACKUP_FAILED, events.OUTBOX_FLOWING]
    assert fixture.had["good"][-1] == events.OUTBOX_FLOWING
    assert fixture.had["good"].count(events.OUTBOX_FLOWING) == 1
    assert fixture.deployment.teller.alarms.raised() == ()


def test_with_a_single_receiver_that_is_dead_the_alarm_is_there_for_the_health(fixture: Fixture) -> None:
    fixture.deployment = replace(fixture.deployment, receivers=Receivers(receivers=(DEAF,)))
    fixture.answers["deaf"] = Answer(False, "connection refused")
    fixture.outbox.put(Notice("backup.succeeded", "info", "done"), ["deaf"], fixture.world.clock())
    fixture.rounds(40, minutes=1)
    assert [raised.alarm.severity for raised in fixture.deployment.teller.alarms.raised()] == ["warning"]
    assert [each.count for each in fixture.outbox.waiting()] == [1]


def test_what_waits_for_a_removed_receiver_is_dropped_and_said_once(fixture: Fixture) -> None:
    fixture.answers["deaf"] = http(500)
    for _ in range(3):
        fixture.outbox.put(FAILED, ["deaf"], fixture.world.clock())
    fixture.rounds(10, minutes=10)
    fixture.deployment = replace(fixture.deployment, receivers=Receivers(receivers=(GOOD,)))
    logged = fixture.rounds(10, minutes=10)
    assert names(logged) == [events.OUTBOX_DROPPED, events.OUTBOX_FLOWING]
    assert (logged[0]["receiver"], logged[0]["messages"]) == ("deaf", 3)
    assert fixture.outbox.waiting() == ()


def test_a_process_that_fails_is_said_once_and_started_less_and_less_often(fixture: Fixture) -> None:
    fixture.ends = lambda: process.Finished(1, ("Traceback", "notify: ImportError at web.py:12"), 0.1)
    fixture.outbox.put(FAILED, ["good"], fixture.world.clock())
    logged = fixture.rounds(12 * 60, seconds=5)
    assert names(logged).count(events.COURIER_FAILED) == 1
    assert logged[0]["message"] == "exit code 1 notify: ImportError at web.py:12"
    assert 5 < len(fixture.started) < 15
    assert [raised.alarm.key for raised in fixture.deployment.teller.alarms.raised()] == ["outbox"]
    fixture.ends = lambda: process.Finished(0, (), 0.5)
    logged = fixture.rounds(12 * 60, seconds=5)
    assert fixture.had["good"][0] == events.BACKUP_FAILED
    assert [name for name in names(logged) if name.startswith("courier")] == [events.COURIER_RECOVERED]


def test_a_process_that_hangs_is_an_attempt_that_failed(fixture: Fixture) -> None:
    fixture.ends = lambda: process.Finished(-9, ("https://a.example/secret",), 150.0, "deadline")
    fixture.outbox.put(FAILED, ["good"], fixture.world.clock())
    (entry,) = fixture.rounds(1, seconds=5)
    assert (entry["event"], entry["message"]) == (events.COURIER_FAILED, "it took too long")


def test_a_process_that_was_stopped_has_not_failed(fixture: Fixture) -> None:
    fixture.ends = lambda: process.Finished(-15, (), 1.0, "stop")
    fixture.outbox.put(FAILED, ["good"], fixture.world.clock())
    assert fixture.rounds(1, seconds=5) == []


def test_a_long_trip_is_followed_at_once_by_the_next(fixture: Fixture) -> None:
    fixture.outbox.put(FAILED, ["good"], fixture.world.clock())
    fixture.ends = lambda: process.Finished(0, (), 60.0)
    assert fixture.courier.round()
    assert not fixture.courier.round()


def test_delivered_messages_are_forgotten_after_some_weeks(fixture: Fixture) -> None:
    fixture.outbox.put(FAILED, ["good"], fixture.world.clock())
    fixture.rounds(2, seconds=5)
    assert fixture.deployment.store.rows("SELECT 1 FROM message")
    fixture.world.clock.advance(seconds=KEPT_FOR.total_seconds())
    fixture.rounds(1, seconds=5)
    assert not fixture.deployment.store.rows("SELECT 1 FROM message")


def test_a_clock_that_is_set_back_stops_nothing(fixture: Fixture) -> None:
    fixture.ends = lambda: process.Finished(1, (), 0.1)
    fixture.outbox.put(FAILED, ["good"], fixture.world.clock())
    fixture.rounds(20, minutes=10)
    fixture.world.clock.advance(days=-3)
    fixture.ends = lambda: process.Finished(0, (), 0.1)
    fixture.rounds(5, minutes=1)
    assert fixture.had["good"][0] == events.BACKUP_FAILED


def test_the_heartbeat_starts_a_process_too_and_its_failure_is_said_once(fixture: Fixture) -> None:
    fixture.deployment = replace(fixture.deployment, receivers=Receivers(heartbeat_url="https://hc.example/x"))
    heartbeat(fixture.deployment, "start")
    fixture.rounds(1, seconds=5)
    assert len(fixture.started) == 1
    fixture.deployment.marks.put(FAILURE, "HTTP 404 Not Found")
    assert names(fixture.rounds(30, seconds=60)) == [events.HEARTBEAT_FAILED]
    fixture.deployment.marks.put(FAILURE, None)
    assert names(fixture.rounds(30, seconds=60)) == [events.HEARTBEAT_RECOVERED]


def test_the_thread_works_when_poked_outlives_a_broken_state_and_ends_when_asked(fixture: Fixture) -> None:
    stop, ran = threading.Event(), threading.Event()
    fixture.courier = Courier(lambda: fixture.deployment, stop)

    def ends() -> process.Finished:
        ran.set()
        return process.Finished(0, (), 0.1)

    fixture.ends = ends
    with capture_logs() as logged:
        fixture.courier.start()
        fixture.outbox.put(FAILED, ["good"], fixture.world.clock())
        fixture.courier.poke()
        assert ran.wait(4)
        fixture.deployment.store.close()
        fixture.courier.poke()
        assert fixture.courier.is_alive()
        stop.set()
        fixture.courier.finish(5)
    assert not fixture.courier.is_alive()
    assert events.SUPERVISOR_THREAD_DIED not in [entry["event"] for entry in logged]
