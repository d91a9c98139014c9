"""The valve: when it opens by itself, and when it warns of that."""

from __future__ import annotations

import pytest

from backup.emergency import valve
from backup.emergency.valve import Valve
from backup.watch.archiver import ArchiverState
from backup.watch.readings import Volume

GIGABYTE = 1_000_000_000


def disk(free_percent: float) -> Volume:
    return Volume("data", (), round(free_percent * GIGABYTE), 100 * GIGABYTE)


@pytest.mark.parametrize(
    ("free", "opens", "warns"),
    [(9.9, True, False), (10.1, False, True), (14.9, False, True), (15.1, False, False), (90.0, False, False)],
)
def test_it_warns_and_then_opens(free: float, opens: bool, warns: bool) -> None:
    found = valve.judge(disk(free), "stalled", 10)
    assert (found.opens, found.near is not None) == (opens, warns)


def test_a_small_limit_warns_five_percent_before() -> None:
    assert valve.judge(disk(5.9), "failing", 1).near is not None
    assert valve.judge(disk(6.1), "failing", 1).near is None


@pytest.mark.parametrize("archiver", ["working", "behind", "catching up", "off", "emergency", "unknown"])
def test_only_wal_that_cannot_be_archived_is_given_up(archiver: ArchiverState) -> None:
    assert valve.judge(disk(1.0), archiver, 10) == Valve()


def test_without_a_limit_there_is_no_valve() -> None:
    assert valve.judge(disk(0.1), "stalled", None) == Valve()


def test_a_disk_that_cannot_be_read_opens_nothing() -> None:
    assert valve.judge(Volume("data"), "stalled", 10) == Valve()
