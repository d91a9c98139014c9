"""BACKUP_WAL_EMERGENCY_FREE_PERCENT: a warning, then WAL is given up by itself, until an operator ends it."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.small_disk import (
    MEGABYTES,
    SEGMENT_MEGABYTES,
    alarms,
    fill,
    free_megabytes,
    look_now,
    note,
    small,
    start,
    wal_status,
)
from tests.e2e.stack import Stack, wait_until


@pytest.fixture(scope="module")
def valve(stacks: Stacks) -> Stack:
    """A stack that gives up by itself when less than half of the disk is free, and whose repository nobody can enter."""
    valve = small(stacks)
    start(valve, PGBACKREST_REPO1_TYPE="posix", BACKUP_WAL_EMERGENCY_FREE_PERCENT="50")
    note(valve, 1)
    valve.in_repository("chmod 0 archive backup")
    fill(valve, 2)
    wait_until(lambda: wal_status(valve)["archiver"] in {"failing", "stalled"}, 90, "a failed attempt")
    return valve


def test_the_valve_warns_before_it_opens(valve: Stack) -> None:
    while free_megabytes(valve) > MEGABYTES * 0.7:
        fill(valve, 1)
    look_now(valve)
    wait_until(lambda: "wal-valve" in alarms(valve), 30, "the warning")
    assert wal_status(valve)["archiver"] != "emergency"


def test_the_valve_opens_by_itself_and_stays_open(valve: Stack) -> None:
    while free_megabytes(valve) > MEGABYTES * 0.4:
        fill(valve, 1)
    before = free_megabytes(valve)
    look_now(valve)
    wait_until(lambda: wal_status(valve)["archiver"] == "emergency", 60, "the valve")
    wait_until(lambda: free_megabytes(valve) > before + 2 * SEGMENT_MEGABYTES, 60, "room")
    wait_until(lambda: "wal-emergency" in alarms(valve), 30, "the alarm")
    valve.in_repository("chmod 750 archive backup")
    look_now(valve)
    assert wal_status(valve)["archiver"] == "emergency"


def test_the_valve_is_closed_by_an_operator(valve: Stack) -> None:
    result = valve.make("wal-resume")
    assert result.code == 0, result.output
    assert wal_status(valve)["archiver"] == "working"
    assert "wal-emergency" not in alarms(valve)
