"""The keys of the object store are replaced: archiving and backups take the new ones without a restart of the database."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.ledger import Ledger
from tests.e2e.stack import Stack, wait_until
from tests.stores.kinds import Seaweed

SECOND, THIRD = ("AKSECOND000000000001", "second-secret"), ("AKTHIRD0000000000001", "third-secret")
NOTICED = 150


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    return stacks.new()


@pytest.fixture(scope="module")
def store(stacks: Stacks, stack: Stack) -> Seaweed:
    store: Seaweed = stacks.store("s3", stack)
    configure(stack, store, (store.key, store.secret))
    stack.start()
    return store


@pytest.fixture(scope="module")
def ledger(stack: Stack, store: Seaweed) -> Any:
    """A client that commits all the time, to the end of the scenario."""
    with Ledger(stack, rows_a_second=10) as ledger:
        yield ledger


def configure(stack: Stack, store: Seaweed, keys: tuple[str, str]) -> None:
    own = {"AWS_ACCESS_KEY_ID": keys[0], "AWS_SECRET_ACCESS_KEY": keys[1]}
    late = {"BACKUP_ARCHIVE_LATE_AFTER": "1", "BACKUP_SCHEDULE_DIFF": "off", "BACKUP_CPU_LIMIT": "2"}
    stack.configure(**{**store.variables(), **own, **late})


def started(stack: Stack) -> str:
    return stack.sql("SELECT pg_postmaster_start_time()")


def archive_one(stack: Stack, seconds: float) -> None:
    """End a segment, and wait until PostgreSQL knows it as archived."""
    segment = stack.sql("SELECT pg_walfile_name(pg_switch_wal())")
    query = f"SELECT last_archived_wal >= '{segment}' FROM pg_stat_archiver"
    wait_until(lambda: stack.sql(query) == "t", seconds, f"{segment} is archived")


def test_the_right_order_costs_nothing(stack: Stack, store: Seaweed, ledger: Ledger) -> None:
    """The new key beside the old one, deploy, the old one away."""
    before = started(stack)
    failed = stack.sql("SELECT failed_count FROM pg_stat_archiver")
    store.allow("second", *SECOND)
    configure(stack, store, SECOND)
    deployed = stack.make("deploy")
    assert deployed.code == 0, deployed.output
    store.forbid("salespider")
    archive_one(stack, 60)
    backed_up = stack.make("backup-incr")
    assert backed_up.code == 0, backed_up.output
    assert started(stack) == before
    assert int(stack.sql("SELECT failed_count FROM pg_stat_archiver")) - int(failed) <= 1, "the server was restarted"


def test_in_the_wrong_order_it_is_told_and_the_deployment_mends_it(stack: Stack, store: Seaweed, ledger: Ledger) -> None:
    """The old key is revoked first: WAL waits, nothing is lost, and the next deployment catches up."""
    before = started(stack)
    store.allow("third", *THIRD)
    store.forbid("second")
    stack.sql("SELECT pg_switch_wal()")
    assert stack.make("backup-incr").code != 0
    assert [alarm["key"] for alarm in stack.alarms() if alarm["key"] == "backup:1"] == ["backup:1"]
    wait_until(lambda: any(a["key"] == "archiver" for a in stack.alarms()), NOTICED, "archiving is said to fail")
    configure(stack, store, THIRD)
    deployed = stack.make("deploy")
    assert deployed.code == 0, deployed.output
    archive_one(stack, 120)
    assert stack.make("backup-incr").code == 0
    assert started(stack) == before


def test_nothing_acknowledged_is_missing_after_a_restore(stack: Stack, store: Seaweed) -> None:
    ledger = Ledger(stack, rows_a_second=20)
    with ledger:
        ledger.wait_for(40, 30)
    archive_one(stack, 60)
    restored = stack.make("restore-latest", CONFIRM="yes")
    assert restored.code == 0, restored.output
    assert ledger.missing(stack) == []


def test_plain_compose_up_restarts_the_database_which_make_deploy_does_not(stack: Stack, store: Seaweed) -> None:
    """Setup's container is made anew when .env changes, and Compose makes anew what depends on it."""
    before = started(stack)
    configure(stack, store, THIRD)
    with stack.env_file.open("a") as file:
        file.write("BACKUP_CATCH_UP_JITTER='7'\n")
    stack.up()
    wait_until(stack.is_open, 60, "the database is open")
    archive_one(stack, 60)
    print("restarted by docker compose up -d:", started(stack) != before)
