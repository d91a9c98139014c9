"""The repository is dead and the database's disk fills up: alarm, emergency, resume, and what can be restored then."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.small_disk import (
    SEGMENT_MEGABYTES,
    alarms,
    configure,
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
from tests.e2e.stack import Stack, wait_until
from tests.stores.store import ObjectStore

SPOOL = "/var/spool/pgbackrest/archive/salespider/out"


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    return small(stacks)


@pytest.fixture(scope="module")
def store(stacks: Stacks, stack: Stack) -> ObjectStore:
    """The only repository of the first stack, which it is started with."""
    store: ObjectStore = stacks.store("s3", stack)
    start(stack, **store.variables())
    return store


def test_while_archiving_works_nothing_is_given_up(stack: Stack, store: ObjectStore) -> None:
    note(stack, 1)
    switched(stack)
    result = stack.make("wal-emergency", CONFIRM="yes", DUMP="no")
    assert (result.code, "archiving works" in result.stderr) == (26, True), result.output
    assert "pgbackrest" in stack.sql("SHOW archive_command")


def test_without_a_terminal_and_a_confirmation_nothing_is_given_up(stack: Stack, store: ObjectStore) -> None:
    note(stack, 2)
    switched(stack)
    store.cut()
    note(stack, 3)
    fill(stack, 14)
    wait_until(lambda: wal_status(stack)["archiver"] in {"failing", "stalled"}, 90, "a failed attempt")
    look_now(stack)
    wait_until(lambda: "disk:data" in [alarm["key"] for alarm in wal_status(stack)["alarms"]], 90, "the alarm of the disk")
    result = stack.make("wal-emergency", DUMP="no")
    assert result.code == 19, result.output
    assert "repository 1 cannot be reached" in result.stdout
    assert "is lost" in result.stdout
    assert "pgbackrest" in stack.sql("SHOW archive_command")


def test_the_emergency_makes_a_dump_and_frees_the_disk(stack: Stack) -> None:
    before = free_megabytes(stack)
    result = stack.make("wal-emergency", CONFIRM="yes", DIR=str(stack.directory / "dumps"))
    assert result.code == 0, result.output
    assert free_megabytes(stack) >= before + 8 * SEGMENT_MEGABYTES, result.output
    dumps = list((stack.directory / "dumps").iterdir())
    assert [oct(dump.stat().st_mode & 0o777) for dump in dumps] == ["0o600"], result.output
    listing = stack.run("sh", "-c", f"docker exec -i {stack.container('backup')} pg_restore --list < {dumps[0]}").stdout
    assert "TABLE DATA public ledger" in listing
    assert noted(stack) == [1, 2, 3]


def test_it_is_told_as_what_it_is(stack: Stack) -> None:
    assert wal_status(stack)["archiver"] == "emergency"
    assert "wal-emergency" in alarms(stack)
    result = stack.make("status")
    assert result.code == 20
    assert "WAL EMERGENCY since" in result.stdout
    assert "`make wal-resume`" in result.stdout
    wait_until(lambda: "make wal-resume" in stack.doing(), 60, "a supervisor that waits")


def test_it_outlives_restarts_containers_and_deployments(stack: Stack, store: ObjectStore) -> None:
    stack.docker("restart", "postgres")
    wait_until(stack.is_open, 60, "the database")
    assert wal_status(stack)["archiver"] == "emergency"
    stack.compose("up", "--detach", "--force-recreate", "--no-deps", "postgres")
    wait_until(stack.is_open, 60, "the database")
    assert wal_status(stack)["archiver"] == "emergency"
    configure(stack, BACKUP_FULL_AFTER="9", **store.variables())
    stack.compose("up", "--detach", "--no-deps", "setup")  # what `make deploy` does; new images would empty this disk
    wait_until(lambda: "configuration.changed" in stack.logs("backup"), 60, "a supervisor that reads it anew")
    look_now(stack)
    assert wal_status(stack)["archiver"] == "emergency"
    assert "wal-emergency" in alarms(stack)


def test_while_the_repository_is_dead_it_stays(stack: Stack) -> None:
    result = stack.make("wal-resume")
    assert result.code == 26, result.output
    assert "the WAL emergency goes on" in result.stderr
    assert wal_status(stack)["archiver"] == "emergency"
    assert stack.make("backup").code == 26


def test_the_way_back_ends_with_a_full_backup(stack: Stack, store: ObjectStore) -> None:
    note(stack, 4)
    fill(stack, 3)
    store.mend()
    left = f"{SPOOL}/00000001000000000000000A.ok"  # of a segment that was given up
    stack.exec("postgres", "sh", "-c", f"mkdir -p {SPOOL}; : > {left}")
    fulls = len(stack.backups("full"))
    result = stack.make("wal-resume")
    assert result.code == 0, result.output
    assert len(stack.backups("full")) == fulls + 1
    assert wal_status(stack)["archiver"] == "working"
    assert "wal-emergency" not in alarms(stack)
    gap = status(stack)["recovery_gaps"][-1]
    assert gap["backup"] == stack.backups("full")[-1]["label"]
    assert "No point-in-time recovery" in stack.make("backup-info").stdout
    assert "no recovery" in stack.make("status").stdout
    assert left not in stack.exec("postgres", "sh", "-c", f"find {SPOOL} -type f").stdout
    assert stack.backups("full")[-1]["annotation"]["wal-gap-since"] == gap["since"]


def test_a_moment_in_the_gap_is_refused(stack: Stack) -> None:
    gap = status(stack)["recovery_gaps"][-1]
    since, until = (datetime.fromisoformat(gap[name]) for name in ("since", "until"))
    inside = since + (until - since) / 2
    result = stack.make("restore-pitr", TARGET=f"{inside:%Y-%m-%d %H:%M:%S}", CONFIRM="yes")
    assert result.code == 16, result.output
    assert "interval without point-in-time recovery" in result.output
    assert f"{until + timedelta(seconds=1):%Y-%m-%d %H:%M:%S}" in result.output
    assert noted(stack) == [1, 2, 3, 4]


def test_the_latest_state_is_complete(stack: Stack) -> None:
    note(stack, 5)
    result = stack.make("restore-latest", CONFIRM="yes")
    assert result.code == 0, result.output
    assert stack.backups("full")[-1]["label"] in result.output
    assert noted(stack) == [1, 2, 3, 4, 5]


def test_the_last_moment_before_the_gap_is_still_there(stack: Stack) -> None:
    """The commit of row 3 came after it; that of row 2 is the last one in the archive, and recovery ends before it."""
    since = datetime.fromisoformat(status(stack)["recovery_gaps"][-1]["since"])
    target = since - timedelta(microseconds=1)
    result = stack.make("restore-pitr", TARGET=f"{target:%Y-%m-%d %H:%M:%S.%f}+00", CONFIRM="yes")
    assert result.code == 0, result.output
    assert noted(stack) in ([1], [1, 2])
