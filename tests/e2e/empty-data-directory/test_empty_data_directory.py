"""The data volume is gone while the backups are there: no new database takes their place, and a restore fills it."""

from __future__ import annotations

import time

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Stack, wait_until

REFUSAL = "no new database is created"


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    """A shop with sales after its only backup."""
    stack = stacks.running()
    stack.sql("CREATE TABLE sale AS SELECT id FROM generate_series(1, 100) id")
    return stack


def lose(stack: Stack, *volumes: str) -> None:
    """Remove volumes while the stack is down, and bring it up again."""
    stack.compose("down")
    stack.run("docker", "volume", "rm", *(stack.volume(name) for name in volumes))
    stack.up()


def refusal(stack: Stack) -> str:
    """Wait until the database container says why it does not start; return what it says."""
    return wait_until(lambda: stack.logs("postgres") if REFUSAL in stack.logs("postgres") else "", 60, "the refusal")


def repository(stack: Stack) -> str:
    """Return every file of the backups with its checksum."""
    return stack.in_repository("find backup archive -type f -exec sha256sum '{}' + | sort -k 2")


def data_directory(stack: Stack) -> str:
    return stack.exec("postgres", "sh", "-c", "ls -A /var/lib/postgresql /var/lib/postgresql/data 2>/dev/null | cat").stdout


def test_backups_outlive_the_loss_of_the_data(stack: Stack) -> None:
    """Nothing is created, nothing in the repository is touched, and all comes back."""
    stack.compose("down")
    before = repository(stack)

    lose(stack, "postgres-data")
    assert "make restore-latest" in refusal(stack), "the backups forbid a new database"
    wait_until(lambda: stack.state("postgres")["Health"]["Status"] == "unhealthy", 90, "an unhealthy container")
    assert stack.state("postgres")["Running"], "it stays, and says why, instead of starting over and over"
    wait_for_ticks(stack)
    assert "PG_VERSION" not in data_directory(stack)
    assert repository(stack) == before
    assert len(stack.backups()) == 1

    result = stack.make("restore-latest", CONFIRM="yes")
    assert result.code == 0, result.output
    assert stack.sql("SELECT count(*) FROM sale") == "100"
    wait_until(lambda: stack.state("postgres")["Health"]["Status"] == "healthy", 30, "a healthy database")
    assert stack.make("backup").code == 0, "the restored database is backed up like the old one"


@pytest.mark.parametrize("kind", ["xid", "name", "lsn"])
def test_a_place_is_reached_on_a_blank_host(stack: Stack, kind: str) -> None:
    """Data and state are gone, the recorded points with them: what the archive holds is found there, and reached."""
    stack.sql("DROP TABLE IF EXISTS mark; CREATE TABLE mark AS SELECT 1 AS n")
    name = f"before-{kind}"
    assert stack.make("restore-point", NAME=name).code == 0
    xid, lsn = (
        stack.sql("INSERT INTO mark VALUES (2) RETURNING pg_current_xact_id()"),
        stack.sql("SELECT pg_current_wal_lsn()"),
    )
    segment = stack.sql("INSERT INTO mark VALUES (3) RETURNING pg_walfile_name(pg_current_wal_insert_lsn())")
    stack.sql("SELECT pg_switch_wal()")  # a backup may have done it just before, and then there is nothing to switch
    wait_until(lambda: stack.sql("SELECT last_archived_wal FROM pg_stat_archiver")[:24] >= segment, 60, segment)
    lose(stack, "postgres-data", "backup-state")
    refusal(stack)

    wrong = {"xid": "4000000", "name": "never-made", "lsn": "F0/0"}[kind]
    refused = stack.make("restore-pitr", TARGET=wrong, TARGET_TYPE=kind, CONFIRM="yes")
    assert refused.code == 16, refused.output
    assert "HINT: " in refused.output
    target, left = {"xid": (xid, "1,2"), "name": (name, "1"), "lsn": (lsn, "1,2")}[kind]
    planned = stack.make("restore-plan", TARGET=target, TARGET_TYPE=kind)
    assert planned.code == 0, planned.output
    result = stack.make("restore-pitr", TARGET=target, TARGET_TYPE=kind, CONFIRM="yes")
    assert result.code == 0, result.output
    assert stack.sql("SELECT string_agg(n::text, ',' ORDER BY n) FROM mark") == left
    stack.wait_for_backups_after_restore()


def wait_for_ticks(stack: Stack) -> None:
    """Let the supervisor look at the situation several times."""
    for _ in range(3):
        since = time.time()
        wait_until(lambda since=since: stack.doing(since), 30, "a sign of the supervisor's life")  # type: ignore[misc]
