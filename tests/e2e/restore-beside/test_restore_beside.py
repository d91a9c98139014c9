"""A restore beside: the database serves until the swap, the swap takes seconds, and it can be undone and redone."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Result, Stack, wait_until

LONGEST_DOWNTIME_SECONDS = 30.0


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    """A shop with a few thousand sales and one full backup."""
    stack = stacks.running()
    stack.sql("CREATE TABLE sale AS SELECT id, repeat(md5(id::text), 30) AS note FROM generate_series(1, 20000) id")
    stack.sql("CREATE TABLE beat (at timestamptz DEFAULT clock_timestamp())")
    return stack


@contextmanager
def heartbeats(stack: Stack) -> Iterator[Callable[[], float]]:
    """Insert a row again and again, as a client would; yields what returns the longest time without an answer."""
    stop = threading.Event()
    answered = [time.monotonic()]

    def beat() -> None:
        while not stop.is_set():
            if stack.run(*psql(stack, "INSERT INTO beat DEFAULT VALUES"), check=False).code == 0:
                answered.append(time.monotonic())

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield lambda: max(after - before for before, after in itertools.pairwise(answered))
    finally:
        stop.set()
        thread.join()


def psql(stack: Stack, query: str) -> tuple[str, ...]:
    return (
        "docker",
        "exec",
        stack.container("postgres"),
        "psql",
        "-XAtq",
        "-U",
        "postgres",
        "-d",
        "salespider",
        "-c",
        query,
    )


def restore(stack: Stack, verb: str, **variables: str) -> tuple[Result, float]:
    """Restore while a client writes; return what was printed, and the longest time that the client had no answer."""
    with heartbeats(stack) as longest:
        result = stack.make(verb, CONFIRM="yes", **variables)
        assert result.code == 0, result.output
        wait_until(stack.is_open, 30, "an open database")
    return result, longest()


def sales(stack: Stack) -> str:
    return stack.sql("SELECT count(*), max(id) FROM sale")


def timeline(stack: Stack) -> int:
    return int(stack.sql("SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"), 16)


def in_volume(stack: Stack) -> list[str]:
    return stack.exec("postgres", "ls", "/var/lib/postgresql").stdout.split()


def kept(stack: Stack) -> list[str]:
    return [name for name in in_volume(stack) if name.startswith("previous-")]


def test_the_latest_state_comes_back_with_the_client_writing(
    stack: Stack, record_property: Callable[[str, object], None]
) -> None:
    stack.sql("INSERT INTO sale VALUES (20001, 'new')")
    result, downtime = restore(stack, "restore-latest")
    record_property("restore-latest: longest time without an answer, seconds", round(downtime, 1))
    assert downtime < LONGEST_DOWNTIME_SECONDS
    assert sales(stack) == "20001|20001"
    assert timeline(stack) == 2
    assert len(kept(stack)) == 1
    assert "make restore-undo" in result.output
    run = [run for run in stack.runs() if run["kind"] == "restore"][-1]
    assert run["state"] == "succeeded"
    assert run["downtime_seconds"] < LONGEST_DOWNTIME_SECONDS
    assert "the latest state" in run["restored_to"]


def test_no_row_that_was_acknowledged_during_the_restore_is_lost(stack: Stack) -> None:
    """The client of the test before went on writing until the database stopped."""
    acknowledged = stack.sql("SELECT count(*) FROM beat")
    assert int(acknowledged) > 5


def test_a_backup_follows_by_itself(stack: Stack) -> None:
    wait_until(lambda: len(stack.backups()) == 2, 90, "a backup after the restore")
    wait_until(lambda: stack.doing().startswith("idle"), 60, "an idle supervisor")
    assert stack.runs()[-1]["origin"] == "restore"


def test_a_moment_and_the_way_back(stack: Stack, record_property: Callable[[str, object], None]) -> None:
    """Back before a mistake; it was none after all, so undo; what is written then belongs to the latest state."""
    moment = stack.sql("SELECT clock_timestamp()")
    stack.sql("DELETE FROM sale WHERE id <= 10000")
    _, downtime = restore(stack, "restore-pitr", TARGET=moment)
    record_property("restore-pitr: longest time without an answer, seconds", round(downtime, 1))
    assert sales(stack) == "20001|20001"
    assert len(kept(stack)) == 2

    before = timeline(stack)
    _, downtime = restore(stack, "restore-undo")
    record_property("restore-undo: longest time without an answer, seconds", round(downtime, 1))
    assert sales(stack) == "10001|20001"
    assert timeline(stack) > before
    assert len(kept(stack)) == 2, "the one that came back is replaced by the one that went"
    assert stack.sql("SHOW archive_mode") == "on"

    stack.sql("INSERT INTO sale VALUES (20002, 'after the undo')")
    restore(stack, "restore-latest")
    assert sales(stack) == "10002|20002", "what was written after the undo is the latest state"

    restore(stack, "restore-undo")
    restore(stack, "restore-undo")
    assert sales(stack) == "10002|20002"


def test_status_and_cleanup(stack: Stack) -> None:
    status = stack.make("restore-status")
    assert status.code == 0, status.output
    assert "no restore is under way" in status.output
    assert "last restore: undo" in status.output
    names = kept(stack)
    assert all(name in status.output for name in names)
    stack.wait_for_backups_after_restore()
    result = stack.make("restore-cleanup")
    assert result.code == 0, result.output
    assert kept(stack) == names, "their days are not over"
    result = stack.make("restore-cleanup", CONFIRM="yes")
    assert result.code == 0, result.output
    assert kept(stack) == []
    assert in_volume(stack) == ["data"]
    refused = stack.make("restore-undo", CONFIRM="yes")
    assert refused.code == 16, refused.output
    assert stack.is_open()


def test_in_place_needs_no_second_cluster(stack: Stack) -> None:
    """What is different is said in the plan, and nothing is kept."""
    result = stack.make("restore-latest", CONFIRM="yes", IN_PLACE="yes")
    assert result.code == 0, result.output
    assert "IN PLACE" in result.output
    assert sales(stack) == "10002|20002"
    assert in_volume(stack) == ["data"]


def test_tablespaces_get_a_place_of_their_own(stack: Stack) -> None:
    """A tablespace inside the data volume: the restored one lies elsewhere, and the old one stays whole for the undo."""
    stack.exec("postgres", "mkdir", "/var/lib/postgresql/fast")
    stack.sql("CREATE TABLESPACE fast LOCATION '/var/lib/postgresql/fast'")
    stack.sql("CREATE TABLE quick TABLESPACE fast AS SELECT generate_series(1, 100) AS id")
    assert stack.make("backup").code == 0
    restore(stack, "restore-latest", RESTORE_AMCHECK="yes")
    assert stack.sql("SELECT count(*) FROM quick") == "100"
    assert "/tablespaces-" in stack.sql("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'fast'")
    stack.sql("DELETE FROM quick")
    restore(stack, "restore-undo")
    assert stack.sql("SELECT count(*) FROM quick") == "100"
    assert (
        stack.sql("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'fast'")
        == "/var/lib/postgresql/fast"
    )


@pytest.mark.long
def test_the_downtime_does_not_grow_with_the_database(stack: Stack, record_property: Callable[[str, object], None]) -> None:
    """A gigabyte takes longer to restore, and no longer to swap."""
    stack.sql("CREATE TABLE big AS SELECT id, repeat(md5(id::text), 60) AS note FROM generate_series(1, 500000) id")
    assert stack.make("backup").code == 0
    began = time.monotonic()
    _, downtime = restore(stack, "restore-latest")
    record_property("restore-latest of 1 GB, all of it, seconds", round(time.monotonic() - began, 1))
    record_property("restore-latest of 1 GB: longest time without an answer, seconds", round(downtime, 1))
    assert downtime < 10
    assert stack.sql("SELECT count(*) FROM big") == "500000"
