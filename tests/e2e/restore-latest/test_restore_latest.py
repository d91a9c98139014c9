"""The latest state: whatever was acknowledged is there again, even what the archive never saw."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Stack, wait_until

WAITING = "SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'"


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    return stacks.running()


def set_archive_mode(stack: Stack, mode: str) -> None:
    """Let nobody write into the archive (0550), or let them again (0750)."""
    stack.in_repository(f"find archive/salespider -type d -exec chmod {mode} '{{}}' +")


def acknowledged_until_killed(stack: Stack) -> list[int]:
    """Insert one row after the other, kill the database in the middle of it, and return what it had acknowledged."""
    script, answers = stack.directory / "inserts.sql", stack.directory / "acknowledged"
    script.write_text("".join(f"INSERT INTO sale VALUES ({n}) RETURNING id;\n" for n in range(1, 1_000_001)))
    psql = ("docker", "exec", "-i", stack.container("postgres"), "psql", "-XAtq", "-U", "postgres", "salespider")
    with script.open() as stdin, answers.open("w") as stdout, stack.in_background(*psql, stdin=stdin, stdout=stdout):
        wait_until(lambda: answers.read_text().count("\n") > 2000, 60, "2000 rows")
        assert int(stack.sql(WAITING)) > 0, "the archive is cut off"
        stack.docker("kill", "postgres")
    return [int(line) for line in answers.read_text().split("\n")[:-1]]


def test_rows_after_the_last_backup_are_back(stack: Stack) -> None:
    """The archive holds what the last backup does not."""
    stack.sql("CREATE TABLE visit AS SELECT id FROM generate_series(1, 1000) id")
    result = stack.make("restore-latest", CONFIRM="yes")
    assert result.code == 0, result.output
    assert stack.sql("SELECT count(*) FROM visit") == "1000"
    stack.sql("INSERT INTO visit VALUES (1001)")
    stack.wait_for_backups_after_restore()
    assert [backup["type"] for backup in stack.backups()] == ["full", "diff"], "the full one is of today"


def test_acknowledged_rows_survive_a_kill_with_the_archive_cut_off(stack: Stack) -> None:
    """The newest WAL is only in pg_wal, and the server is killed: every acknowledged row is back all the same."""
    stack.sql("CREATE TABLE sale (id bigint PRIMARY KEY)")
    stack.sql("SELECT pg_switch_wal()")
    set_archive_mode(stack, "0550")
    try:
        stack.sql("CREATE TABLE cut_off AS SELECT id, repeat(md5(id::text), 20) FROM generate_series(1, 60000) id")
        acknowledged = acknowledged_until_killed(stack)
    finally:
        set_archive_mode(stack, "0750")
    assert not stack.state("postgres")["Running"]
    result = stack.make("restore-latest", CONFIRM="yes")
    assert result.code == 0, result.output
    assert stack.sql("SELECT count(*) FROM cut_off") == "60000"
    restored = {int(line) for line in stack.sql("SELECT id FROM sale").split()}
    assert len(acknowledged) > 2000
    assert not set(acknowledged) - restored
    stack.sql("INSERT INTO sale VALUES (-1)")


def in_volume(stack: Stack) -> list[str]:
    return stack.exec("postgres", "ls", "/var/lib/postgresql").stdout.split()


def test_the_old_database_runs_on_when_the_backup_turns_out_unreadable(stack: Stack) -> None:
    """The list of backups is fine, the backup is not: it fails beside, and the old rows are served all the time."""
    stack.sql("CREATE TABLE kept AS SELECT 1 AS id")
    stack.wait_for_backups_after_restore()
    life, before = stack.state("postgres")["StartedAt"], in_volume(stack)
    stack.in_repository("chmod 0000 backup/salespider/*F*/backup.manifest*")
    try:
        result = stack.make("restore-latest", CONFIRM="yes")
    finally:
        stack.in_repository("chmod 0640 backup/salespider/*F*/backup.manifest*")
    assert result.code == 17, result.output
    assert stack.state("postgres")["StartedAt"] == life, "it was not even stopped"
    assert stack.is_open()
    assert stack.sql("SELECT count(*) FROM kept") == "1"
    assert [run["state"] for run in stack.runs() if run["kind"] == "restore"][-1] == "failed"
    assert in_volume(stack) == before, "nothing of it is left"


def test_an_unreadable_repository_is_refused_before_the_database_stops(stack: Stack) -> None:
    """What cannot be planned is not begun."""
    life = stack.state("postgres")["StartedAt"]
    stack.in_repository("chmod 0000 backup archive")
    try:
        result = stack.make("restore-latest", CONFIRM="yes")
    finally:
        stack.in_repository("chmod 0750 backup archive")
    assert result.code == 16, result.output
    assert "HINT:" in result.output
    assert stack.state("postgres")["StartedAt"] == life
