"""One backup by its name: the database is as it was when that backup ended."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Stack


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    """Three sales with a backup after each of the first two."""
    stack = stacks.running()
    stack.sql("CREATE TABLE sale AS SELECT 1 AS id")
    assert stack.make("backup-diff").code == 0
    stack.sql("INSERT INTO sale VALUES (2)")
    assert stack.make("backup").code == 0
    stack.sql("INSERT INTO sale VALUES (3)")
    return stack


def sales(stack: Stack) -> str:
    return stack.sql("SELECT string_agg(id::text, ' ' ORDER BY id) FROM sale")


def test_an_unknown_backup_is_refused(stack: Stack) -> None:
    """The answer names the nearest one there is, and the database runs on."""
    life, before = stack.state("postgres")["StartedAt"], sales(stack)
    result = stack.make("restore-backup", BACKUP_SET="20240101-120000F", CONFIRM="yes")
    assert result.code == 16, result.output
    assert stack.backups()[-1]["label"] in result.output
    assert stack.state("postgres")["StartedAt"] == life
    assert sales(stack) == before


def test_no_backup_named(stack: Stack) -> None:
    """Without BACKUP_SET the command line is wrong, and an example is given."""
    result = stack.make("restore-backup", CONFIRM="yes")
    assert result.code == 2
    assert "BACKUP_SET=" in result.output


def test_state_at_the_end_of_a_backup(stack: Stack) -> None:
    """What was committed after the backup is gone, and a differential backup can be named like a full one."""
    _first, differential, full = (backup["label"] for backup in stack.backups())
    for label, expected in ((full, "1 2"), (differential, "1")):
        result = stack.make("restore-backup", BACKUP_SET=label, CONFIRM="yes")
        assert result.code == 0, result.output
        assert sales(stack) == expected
        assert stack.is_open()
    stack.sql("INSERT INTO sale VALUES (4)")
    assert stack.make("backup").code == 0
    assert sales(stack) == "1 4"
