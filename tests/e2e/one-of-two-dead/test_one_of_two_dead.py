"""One of two repositories refuses everything: the other one is kept current, and the alarm names the dead one and why."""

from __future__ import annotations

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
from tests.stores.kinds import Seaweed


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    return stacks.new()


@pytest.fixture(scope="module")
def store(stacks: Stacks, stack: Stack) -> Seaweed:
    """An S3 store as the second repository, beside a directory."""
    store = stacks.store("s3", stack)
    assert isinstance(store, Seaweed)
    stack.configure(**PATIENCE, BACKUP_SCHEDULE_DIFF="off", PGBACKREST_REPO1_TYPE="posix", **store.variables(2))
    stack.start()
    wait_until(lambda: {backup["database"]["repo-key"] for backup in stack.backups()} == {1, 2}, 60, "a backup in each")
    return store


@pytest.fixture(scope="module")
def ledger(stack: Stack, store: Seaweed) -> Ledger:
    """What a client has committed, before and after the store began to refuse everything."""
    with Ledger(stack, 10, rows_a_segment=5) as ledger:
        ledger.wait_for(4, 60)
        refuse(store)
        wait_until(lambda: waiting_segments(stack) >= 10, 60, "a backlog")
    return ledger


def test_the_other_one_is_kept_current(stack: Stack, ledger: Ledger) -> None:
    newest = stack.sql("SELECT pg_walfile_name(pg_switch_wal())")
    wait_until(lambda: newest in archived(stack, 1), 120, "the newest segment in the directory")


def test_the_alarm_names_the_dead_one_and_why(stack: Stack, ledger: Ledger) -> None:
    alarm = alarmed(stack, 150, "repository 1 is kept current")
    assert "repository 2 (s3://" in alarm["message"]
    takers = {taker["key"]: taker["takes_wal"] for taker in wal_status(stack)["repositories"]}
    assert takers == {1: True, 2: False}


def test_it_catches_up_when_it_is_back(stack: Stack, store: Seaweed, ledger: Ledger) -> None:
    store.allow("salespider", store.key, store.secret)
    drain(stack, 120)
    assert archived(stack, 2)[-1] == archived(stack, 1)[-1]
    assert gaps(archived(stack, 2)) == []
    look_now(stack)
    wait_until(lambda: archiver_alarm(stack) is None, 30, "the end of the alarm")
    assert restored_from_the_store_alone(stack, ledger) == []
