"""Throttled: 429 is asked again, with an end; nothing else is."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from backup import pgbackrest, process, throttled
from contract import events
from tests.unit.backup.fakes import FakePgbackrest, ImpatientEvent, Reply

REFUSED = (
    "P00   INFO: backup command begin 2.55.1",
    "P00  ERROR: [039]: HTTP request failed with 429 (Too Many Requests):",
    "                   *** Path/Query ***:",
)
EXPIRE = pgbackrest.expire("salespider", 1)
INFO = pgbackrest.info("salespider")
ANSWERED = process.Captured(0, b"[]", "")
IN_THE_ANSWER = process.Captured(0, b'[{"message": "[ProtocolError] HTTP request failed with 429 (Slow Down)"}]', "")
IN_THE_ERROR = process.Captured(39, b"", "ERROR: [039]: HTTP request failed with 429 (Slow Down):\n")


@pytest.fixture
def stop() -> ImpatientEvent:
    return ImpatientEvent()


def run(engine: FakePgbackrest, stop: ImpatientEvent, *replies: Reply) -> process.Finished:
    engine.script(*replies)
    return throttled.run(EXPIRE, lambda _line: None, process.Limits(stop, 1000.0))


def test_a_refused_run_is_run_again_after_a_moment(engine: FakePgbackrest, stop: ImpatientEvent) -> None:
    with capture_logs() as logged:
        assert run(engine, stop, Reply(39, REFUSED), Reply(39, REFUSED), Reply(0)).ok
    assert engine.verbs == ["expire"] * 3
    assert all(1 <= wait <= 4 for wait in stop.waits)
    assert [(entry["event"], entry["command"], entry["attempt"]) for entry in logged] == [
        (events.REPOSITORY_THROTTLED, "expire", 1),
        (events.REPOSITORY_THROTTLED, "expire", 2),
    ]


def test_that_has_an_end(engine: FakePgbackrest, stop: ImpatientEvent) -> None:
    assert run(engine, stop, *[Reply(39, REFUSED)] * 30).exit_code == 39
    assert len(engine.ran) == throttled.MOST_ATTEMPTS


def test_what_has_taken_long_is_not_run_again(engine: FakePgbackrest, stop: ImpatientEvent) -> None:
    run(engine, stop, Reply(39, REFUSED, seconds=60.0), Reply(39, REFUSED, seconds=60.0))
    assert len(engine.ran) == 2


@pytest.mark.parametrize(
    "reply",
    [
        Reply(39, ("P00  ERROR: [039]: HTTP request failed with 403 (Forbidden):",)),
        Reply(0, REFUSED),
        Reply(63, REFUSED, stopped_by="stop"),
        Reply(-9, REFUSED),
    ],
)
def test_nothing_else_is_run_again(engine: FakePgbackrest, stop: ImpatientEvent, reply: Reply) -> None:
    run(engine, stop, reply)
    assert len(engine.ran) == 1


def test_nothing_is_run_again_when_everything_stops(engine: FakePgbackrest, stop: ImpatientEvent) -> None:
    assert run(engine, stop, Reply(39, REFUSED, does=stop.set)).exit_code == 39
    assert len(engine.ran) == 1


@pytest.mark.parametrize("refusal", [IN_THE_ANSWER, IN_THE_ERROR])
def test_a_refused_question_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, stop: ImpatientEvent, refusal: process.Captured
) -> None:
    answers = iter((refusal, refusal, ANSWERED))
    monkeypatch.setattr(process, "capture", lambda _argv, _timeout: next(answers))
    assert throttled.capture(INFO, 10.0, stop) is ANSWERED
    assert len(stop.waits) == 2


def test_asking_has_an_end(monkeypatch: pytest.MonkeyPatch, stop: ImpatientEvent) -> None:
    asked: list[object] = []

    def answer(argv: object, _timeout: float) -> process.Captured:
        asked.append(argv)
        return IN_THE_ERROR

    monkeypatch.setattr(process, "capture", answer)
    assert throttled.capture(INFO, 10.0, stop) is IN_THE_ERROR
    assert len(asked) == throttled.MOST_ATTEMPTS


def test_asking_ends_when_everything_stops(monkeypatch: pytest.MonkeyPatch, stop: ImpatientEvent) -> None:
    stop.set()
    monkeypatch.setattr(process, "capture", lambda _argv, _timeout: IN_THE_ANSWER)
    assert throttled.capture(INFO, 10.0, stop) is IN_THE_ANSWER
    assert len(stop.waits) == 1
