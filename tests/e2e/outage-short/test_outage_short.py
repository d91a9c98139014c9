"""The object store is out of reach for a minute: the database goes on, archiving catches up alone, nothing is missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.ledger import Ledger
from tests.e2e.outage import (
    PATIENCE,
    alarmed,
    archived,
    archiver_alarm,
    be_heard,
    drain,
    gaps,
    look_now,
    restored_from_the_store_alone,
    told,
    wal_status,
)
from tests.e2e.stack import Stack, wait_until
from tests.stores.store import ObjectStore


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    return stacks.new()


@pytest.fixture(scope="module")
def store(stacks: Stacks, stack: Stack) -> ObjectStore:
    """An S3 store, and the stack at work on it."""
    store: ObjectStore = stacks.store("s3", stack)
    stack.configure(**PATIENCE, BACKUP_SCHEDULE_DIFF="off", **store.variables())
    stack.start()
    be_heard(stack)
    return store


@pytest.fixture(scope="module")
def ledger(stack: Stack, store: ObjectStore) -> Iterator[Ledger]:
    """A client that commits 20 rows a second, a segment every five seconds."""
    with Ledger(stack, 20, rows_a_segment=100) as ledger:
        ledger.wait_for(100, 60)
        yield ledger


def test_the_database_goes_on_and_the_alarm_says_how_long_it_can(stack: Stack, store: ObjectStore, ledger: Ledger) -> None:
    store.cut()
    wait_until(lambda: wal_status(stack)["archiver"] == "stalled", 100, "archiving that is late")
    look_now(stack)
    assert alarmed(stack, 30)["message"].startswith("archiving is behind: ")
    status = wal_status(stack)
    assert status["waiting_segments"] >= 5
    assert 0 < status["full_in_hours"] <= status["safe_hours"] * 1.01
    ledger.wait_for(40, 10)


def test_it_catches_up_alone_and_in_order(
    stack: Stack, store: ObjectStore, ledger: Ledger, record_property: Callable[[str, object], None]
) -> None:
    backlog = wal_status(stack)["waiting_segments"]
    store.mend()
    seconds, seen = drain(stack, 60)
    record_property(f"seconds from the end of the outage until {backlog} segments were archived", round(seconds, 1))
    assert seen == sorted(seen)
    assert gaps(archived(stack)) == []


def test_the_recovery_is_told_once_with_how_long_and_how_much(stack: Stack) -> None:
    look_now(stack)
    wait_until(lambda: archiver_alarm(stack) is None, 30, "the end of the alarm")
    assert len(told(stack, "archiver.stalled")) == 1
    (message,) = told(stack, "archiver.recovered")
    assert "archiving works again after 1 min" in message["summary"]
    facts: dict[str, Any] = json.loads(message["facts"])
    assert 60 <= facts["seconds"] < 240
    assert facts["segments"] >= 5
    assert facts["bytes"] == facts["segments"] * 16 * 1024 * 1024


def test_the_store_alone_brings_back_every_acknowledged_commit(stack: Stack, ledger: Ledger) -> None:
    ledger.close()
    assert len(ledger.acknowledged) > 1000
    assert restored_from_the_store_alone(stack, ledger) == []
