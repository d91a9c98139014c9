"""Without a repository there are no backups, and everything says so instead of failing."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Stack, wait_until


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    stack = stacks.new(PGBACKREST_REPO1_TYPE="none")
    result = stack.make("deploy")
    assert result.code == 0, result.output
    return stack


def test_database_runs_and_keeps_nothing_for_an_archive(stack: Stack) -> None:
    """A database without an archive must not collect WAL for one."""
    assert stack.state("postgres")["Health"]["Status"] == "healthy"
    assert stack.sql("SHOW archive_mode") == "off"
    stack.sql("CREATE TABLE sale AS SELECT 1 AS id")


def test_supervisor_ends_well_and_stays_away(stack: Stack) -> None:
    """The backup container ends with 0, is not started again, and says how backups are turned on."""
    state = wait_until(lambda: s if (s := stack.state("backup"))["Status"] == "exited" else {}, 30, "its end")
    assert state["ExitCode"] == 0
    assert stack.inspect("backup")["RestartCount"] == 0
    said = stack.logs("backup")
    assert "backups.off" in said
    assert "PGBACKREST_REPO1_TYPE=posix" in said


@pytest.mark.parametrize("target", ["backup", "backup-info", "backup-check", "backup-history", "restore-latest"])
def test_commands_that_need_backups_end_with_11(stack: Stack, target: str) -> None:
    """Code 11 means that backups are off, whatever was asked for."""
    result = stack.make(target, CONFIRM="yes")
    assert result.code == 11, result.output
    assert "PGBACKREST_REPO1_TYPE=posix" in result.output
    assert stack.is_open()


def test_status_is_good(stack: Stack) -> None:
    """Backups that nobody asked for are no problem; the screen says that there are none."""
    result = stack.make("status")
    assert result.code == 0, result.output
    assert stack.container("postgres") in result.output
    assert "PGBACKREST_REPO1_TYPE=posix" in result.output
