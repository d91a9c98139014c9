"""Messages that do not arrive: from when on that is an alarm, how grave, and in which words."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backup.notify import trouble
from backup.state.outbox import Waiting
from tests.unit.backup.fakes import NOON

SHOWN = {"a": "hooks.example.com", "b": "slack"}


def waiting(receiver: str = "a", *, minutes: float, critical: float | None = None, count: int = 1) -> Waiting:
    since = None if critical is None else NOON - timedelta(minutes=critical)
    return Waiting(receiver, count, NOON - timedelta(minutes=minutes), since, 3, "HTTP 500")


def test_nothing_waits() -> None:
    assert trouble.find((), SHOWN, NOON) is None


@pytest.mark.parametrize(
    ("minutes", "critical", "severity"),
    [
        (14, 14, None),
        (15, None, "warning"),
        (15, 15, "warning"),
        (600, None, "warning"),
        (600, 59, "warning"),
        (60, 60, "critical"),
        (600, 60, "critical"),
    ],
)
def test_how_grave_it_is(minutes: float, critical: float | None, severity: str | None) -> None:
    found = trouble.find((waiting(minutes=minutes, critical=critical),), SHOWN, NOON)
    assert (found.alarm.severity if found else None) == severity


def test_only_those_are_named_that_are_stuck() -> None:
    found = trouble.find((waiting(minutes=185, count=4), waiting("b", minutes=3)), SHOWN, NOON)
    assert found is not None
    assert found.stuck == {"a"}
    assert found.messages == 4
    assert found.alarm.key == "outbox"
    assert found.alarm.message == "hooks.example.com: 4 messages have not been delivered, the oldest for 3 hours (HTTP 500)"
    assert "make notify-test" in found.alarm.hint


def test_after_a_week_it_says_that_nothing_is_thrown_away() -> None:
    found = trouble.find((waiting(minutes=8 * 24 * 60),), SHOWN, NOON)
    assert found is not None
    assert found.alarm.message.endswith("the oldest for 8 days (HTTP 500); nothing is thrown away")


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(seconds=900), "15 minutes"),
        (timedelta(minutes=119), "119 minutes"),
        (timedelta(minutes=120), "2 hours"),
        (timedelta(hours=47, minutes=59), "47 hours"),
        (timedelta(hours=48), "2 days"),
    ],
)
def test_spans_of_time(span: timedelta, words: str) -> None:
    assert trouble.duration(span) == words
