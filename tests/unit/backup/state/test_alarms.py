"""An alarm is told once, again when it gets worse or lasts, and once when it is over."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backup.state.alarms import REPEAT_EVERY, Alarm, Alarms
from backup.state.store import Store

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
DISK = Alarm("disk:data", "disk.filling", "warning", "the data volume is 71 % full", "make room")
WORSE = Alarm("disk:data", "disk.filling", "critical", "the data volume is full in 50 minutes", "make room")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "state.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def alarms(store: Store) -> Alarms:
    return Alarms(store)


def test_it_is_told_when_it_begins_and_not_while_it_stays_the_same(alarms: Alarms) -> None:
    assert [alarms.put(DISK, NOW), alarms.put(DISK, LATER)] == [True, False]
    assert [(each.alarm, each.since) for each in alarms.raised()] == [(DISK, NOW)]


def test_it_is_told_again_when_it_gets_worse_but_not_when_it_gets_better(alarms: Alarms) -> None:
    assert [alarms.put(DISK, NOW), alarms.put(WORSE, NOW), alarms.put(DISK, LATER)] == [True, True, False]
    assert alarms.raised()[0].alarm == DISK


def test_it_is_told_again_every_day_it_lasts(alarms: Alarms) -> None:
    alarms.put(DISK, NOW)
    assert not alarms.put(DISK, NOW + REPEAT_EVERY - timedelta(seconds=1))
    assert alarms.put(DISK, NOW + REPEAT_EVERY)
    assert not alarms.put(DISK, NOW + REPEAT_EVERY + timedelta(hours=1))
    assert alarms.raised()[0].since == NOW


def test_it_is_over_once(alarms: Alarms) -> None:
    alarms.put(DISK, NOW)
    cleared = alarms.clear(DISK.key)
    assert cleared is not None
    assert (cleared.alarm, cleared.since) == (DISK, NOW)
    assert alarms.clear(DISK.key) is None
    assert alarms.put(DISK, LATER)


def test_another_process_sees_it(alarms: Alarms, tmp_path: Path) -> None:
    alarms.put(DISK, NOW)
    other = Store(tmp_path / "state.sqlite")
    assert [each.alarm.key for each in Alarms(other).raised()] == ["disk:data"]
    other.close()
