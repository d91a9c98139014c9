"""What ends a peek, and that the first reason stays."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from backup.peek.ending import LOOK_SECONDS, Ending

VOLUME = Path("/somewhere")


class Outside:
    """A clock, a volume and a flag."""

    def __init__(self) -> None:
        self.seconds = 100.0
        self.free_bytes = 1000
        self.stop = threading.Event()
        self.ending = Ending(self.stop, VOLUME, 500, clock=lambda: self.seconds, free=lambda _volume: self.free_bytes)

    def pass_by(self, seconds: float) -> bool:
        self.seconds += seconds
        return self.ending.wait(0)


@pytest.fixture
def outside() -> Outside:
    return Outside()


def test_nothing_ends_it(outside: Outside) -> None:
    assert not outside.pass_by(1e6)
    assert outside.ending.reason == ""


def test_its_hours_count_from_when_it_is_open(outside: Outside) -> None:
    outside.pass_by(5 * 3600)
    outside.ending.in_hours(4)
    assert not outside.pass_by(4 * 3600 - 1)
    assert outside.pass_by(1)
    assert outside.ending.reason == "hours"


def test_the_volume_ends_it_before_the_reserve_is_touched(outside: Outside) -> None:
    outside.free_bytes = 500
    assert not outside.pass_by(1)
    outside.free_bytes = 499
    assert outside.pass_by(LOOK_SECONDS)
    assert outside.ending.reason == "space"


def test_the_volume_is_not_looked_at_all_the_time(outside: Outside) -> None:
    outside.pass_by(1)
    outside.free_bytes = 0
    assert not outside.pass_by(LOOK_SECONDS / 2)
    assert outside.pass_by(LOOK_SECONDS / 2)


def test_a_request_ends_it_also_for_those_who_only_look(outside: Outside) -> None:
    outside.stop.set()
    assert outside.ending.is_set()
    assert outside.ending.reason == "request"


def test_the_first_reason_stays(outside: Outside) -> None:
    outside.free_bytes = 0
    assert outside.pass_by(1)
    outside.stop.set()
    assert outside.ending.wait(0)
    assert outside.ending.reason == "space"
