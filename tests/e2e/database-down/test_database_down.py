"""The database is down when a backup is asked for: said at once, recorded, and over with the next backup."""

from __future__ import annotations

import time

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Stack, wait_until


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    return stacks.running()


def test_a_backup_without_a_database_fails_within_seconds_and_says_why(stack: Stack) -> None:
    stack.docker("stop", "postgres")
    began = time.monotonic()
    result = stack.make("backup")
    assert result.code == 13, result.output
    assert time.monotonic() - began < 20
    assert "database: " in result.stderr
    assert "HINT: see whether it runs and what it says: `make status`, `docker logs salespider-postgres`" in result.stderr
    run = stack.runs()[-1]
    assert (run["state"], run["exit_code"], run["retryable"]) == ("failed", 13, 1)
    assert [alarm["key"] for alarm in stack.alarms() if alarm["key"].startswith("backup")] == ["backup:1"]


def test_with_the_database_the_next_backup_succeeds(stack: Stack) -> None:
    stack.docker("start", "postgres")
    wait_until(stack.is_open, 60, "an open database")
    result = stack.make("backup-diff")
    assert result.code == 0, result.output
    assert stack.backups()[-1]["type"] == "diff"
    assert [alarm for alarm in stack.alarms() if alarm["key"].startswith("backup")] == []
