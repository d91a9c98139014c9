"""Nobody looked in time: the disk is full and the database has died of it. It comes back, and so do the backups."""

from __future__ import annotations

from datetime import datetime

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
    noted,
    small,
    start,
    status,
    switched,
    wal_status,
)
from tests.e2e.stack import CommandFailedError, Stack, wait_until


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    """A stack whose database is down, because WAL has filled its disk; row 1 is in the archive, row 2 is not."""
    stack = small(stacks)
    start(stack, PGBACKREST_REPO1_TYPE="posix")
    note(stack, 1)
    switched(stack)
    look_now(stack)
    stack.in_repository("chmod 0 archive backup")
    note(stack, 2)
    with pytest.raises(CommandFailedError):
        fill(stack, 2 * MEGABYTES // SEGMENT_MEGABYTES)
    return stack


def test_the_database_comes_back_with_all_it_had(stack: Stack) -> None:
    result = stack.make("wal-emergency", CONFIRM="yes", DIR=str(stack.directory / "dumps"))
    assert result.code == 0, result.output
    wait_until(stack.is_open, 60, "the database")
    assert noted(stack) == [1, 2]
    assert free_megabytes(stack) > 4 * SEGMENT_MEGABYTES, result.output
    assert wal_status(stack)["archiver"] == "emergency"
    assert "wal-emergency" in alarms(stack)


def test_what_was_given_up_is_told_from_what_the_supervisor_saw(stack: Stack) -> None:
    """The server itself has forgotten in its crash what it had archived."""
    (gap,) = status(stack)["recovery_gaps"]
    noted_at = float(stack.sql("SELECT extract(epoch FROM at) FROM ledger WHERE id = 2"))
    assert gap["until"] is None
    assert datetime.fromisoformat(gap["since"]).timestamp() < noted_at


def test_a_restore_brings_back_what_was_archived_and_says_so(stack: Stack) -> None:
    stack.in_repository("chmod 750 archive backup")
    result = stack.make("restore-latest", CONFIRM="yes")
    assert result.code == 0, result.output
    assert "EVERYTHING committed after that: a WAL emergency is on" in result.output
    assert noted(stack) == [1]


def test_the_supervisor_takes_the_backup_that_ends_it(stack: Stack) -> None:
    fulls = len(stack.backups("full"))
    look_now(stack)
    wait_until(lambda: len(stack.backups("full")) > fulls, 90, "a full backup")
    wait_until(lambda: "wal-emergency" not in alarms(stack), 90, "the end of the alarm")
    assert status(stack)["recovery_gaps"][0]["backup"] == stack.backups("full")[-1]["label"]
