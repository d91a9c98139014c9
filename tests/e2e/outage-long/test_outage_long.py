"""Hundreds of segments wait, and containers are restarted and killed meanwhile: all of it arrives, and in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.ledger import Ledger
from tests.e2e.outage import (
    PATIENCE,
    alarmed,
    archived,
    archiver_alarm,
    drain,
    gaps,
    look_now,
    refuse,
    restored_from_the_store_alone,
    waiting_segments,
    wal_status,
)
from tests.e2e.stack import Stack, wait_until
from tests.stores.store import ObjectStore

BACKLOG = 200


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    return stacks.new()


@pytest.fixture(scope="module")
def store(stacks: Stacks, stack: Stack) -> ObjectStore:
    """An S3 store, and the stack at work on it."""
    store: ObjectStore = stacks.store("s3", stack)
    stack.configure(**PATIENCE, BACKUP_SCHEDULE_DIFF="off", **store.variables())
    stack.start()
    return store


@pytest.fixture(scope="module")
def ledger(stack: Stack, store: ObjectStore) -> Iterator[Ledger]:
    """A client that commits up to twenty rows a second, and a segment for each."""
    with Ledger(stack, 20, rows_a_segment=1) as ledger:
        ledger.wait_for(4, 60)
        yield ledger


def test_the_database_goes_on_through_restarts_and_kills(stack: Stack, store: ObjectStore, ledger: Ledger) -> None:
    store.cut()
    wait_until(lambda: waiting_segments(stack) >= BACKLOG // 4, 60, "a quarter of the backlog")
    stack.docker("restart", "postgres")
    ledger.wait_for(1, 60)
    stack.docker("restart", "backup")
    wait_until(lambda: waiting_segments(stack) >= BACKLOG // 2, 60, "half of the backlog")
    stack.docker("kill", "postgres")
    stack.docker("kill", "backup")
    stack.docker("start", "postgres")
    stack.docker("start", "backup")
    ledger.wait_for(1, 60)
    wait_until(lambda: waiting_segments(stack) >= BACKLOG, 120, "the backlog")
    wait_until(lambda: wal_status(stack)["archiver"] == "stalled", 90, "archiving that is late")
    look_now(stack)
    alarmed(stack, 30)


def test_all_of_it_arrives_alone_and_in_order(
    stack: Stack, store: ObjectStore, ledger: Ledger, record_property: Callable[[str, object], None]
) -> None:
    ledger.close()
    stack.sql("SELECT pg_switch_wal()")
    backlog = waiting_segments(stack)
    assert backlog >= BACKLOG
    store.mend()
    seconds, seen = drain(stack, 120)
    record_property(f"seconds until {backlog} segments were archived after the outage", round(seconds, 1))
    assert seen == sorted(seen)
    assert len(seen) > 1, "it was seen on its way"
    assert gaps(archived(stack)) == []
    look_now(stack)
    wait_until(lambda: archiver_alarm(stack) is None, 30, "the end of the alarm")
    assert wal_status(stack)["archiver"] == "working"


def test_the_store_alone_brings_back_every_acknowledged_commit(stack: Stack, ledger: Ledger) -> None:
    assert len(ledger.acknowledged) > BACKLOG
    assert restored_from_the_store_alone(stack, ledger) == []


def test_one_of_two_repositories_is_dead_and_the_other_one_is_kept_current(stacks: Stacks) -> None:
    """The store refuses everything; the directory takes all, and after the loss of the database either one would do."""
    stack = stacks.new()
    store = stacks.store("s3", stack)
    stack.configure(**PATIENCE, BACKUP_SCHEDULE_DIFF="off", PGBACKREST_REPO1_TYPE="posix", **store.variables(2))
    stack.start()
    with Ledger(stack, 10, rows_a_segment=2) as ledger:
        ledger.wait_for(4, 60)
        refuse(store)
        wait_until(lambda: waiting_segments(stack) >= 10, 60, "a backlog")
        stack.exec("postgres", "sh", "-c", "touch -d '5 minutes ago' /var/lib/postgresql/data/pg_wal/archive_status/*.ready")
        look_now(stack)
        found = alarmed(stack, 150, "repository 1 is kept current")
        assert "repository 2 (s3://" in found["message"]
        print(found)
        takers = {taker["key"]: taker["takes_wal"] for taker in wal_status(stack)["repositories"]}
        assert takers == {1: True, 2: False}
        newest = stack.sql("SELECT pg_walfile_name(pg_switch_wal())")
    wait_until(lambda: newest in archived(stack, 1), 60, "the newest segment in the directory")
    store.allow("salespider", store.key, store.secret)
    drain(stack, 120)
    assert archived(stack, 1) == archived(stack, 2)
    look_now(stack)
    wait_until(lambda: archiver_alarm(stack) is None, 30, "the end of the alarm")
