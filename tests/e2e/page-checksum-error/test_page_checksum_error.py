"""The database's files are damaged on disk: backups fail and name the file, and no good backup is lost over it."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Stack, wait_until

PAGE = 8192


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    """A stack that keeps one full backup, and has one."""
    stack = stacks.running(BACKUP_RETENTION_FULL="1", BACKUP_RETENTION_DIFF="1")
    stack.sql("CREATE TABLE sale AS SELECT id, repeat('x', 100) AS text FROM generate_series(1, 300000) AS id")
    stack.sql("CREATE TABLE victim AS SELECT * FROM sale WHERE id <= 1000")
    assert stack.make("backup").code == 0
    return stack


@pytest.fixture(scope="module")
def file(stack: Stack) -> str:
    """The file of a table, several pages of which are damaged behind the server's back."""
    name = stack.sql("SELECT pg_relation_filepath('victim')")
    stack.docker("stop", "postgres")
    spots = " ".join(str(page * PAGE + 4000) for page in (2, 4, 5))
    stack.in_helper(
        f"for at in {spots}; do printf damage | dd of=/v/data/{name} bs=1 seek=$at conv=notrunc status=none; done",
        {"/v": stack.volume("postgres-data")},
    )
    stack.docker("start", "postgres")
    wait_until(stack.is_open, 60, "an open database")
    return name


def test_the_backup_fails_and_names_the_file(stack: Stack, file: str) -> None:
    result = stack.make("backup")
    assert result.code == 15, result.output
    assert f"page checksum errors in 1 file: {file}; the database's own files are damaged" in result.stderr
    assert "HINT: earlier backups are kept; check the disk and see the guide, 'damaged pages'" in result.stderr
    run = stack.runs()[-1]
    assert (run["state"], run["label"], run["retryable"]) == ("failed", stack.backups()[-1]["label"], 0)
    assert [alarm["key"] for alarm in stack.alarms()] == ["backup:1"]


def test_however_many_of_them_are_taken_the_good_backup_stays(stack: Stack, file: str) -> None:
    good = next(backup for backup in reversed(stack.backups()) if not backup["error"])
    for target in ("backup", "backup-diff"):
        assert stack.make(target).code == 15
    assert good in stack.backups()


def test_the_guide_leads_to_the_table_and_without_it_backups_succeed(stack: Stack, file: str) -> None:
    assert stack.sql(f"SELECT pg_filenode_relation(0, {file.rsplit('/', 1)[1]})") == "victim"
    stack.sql("DROP TABLE victim")
    result = stack.make("backup")
    assert result.code == 0, result.output
    assert stack.alarms() == []
    assert stack.sql("SELECT count(*) FROM sale") == "300000"
