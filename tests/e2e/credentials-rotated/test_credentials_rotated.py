"""The keys of the object store are replaced: archiving and backups take the new ones without a restart of the database."""

from __future__ import annotations

import base64
import json
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
    assert stack.make("deploy").code == 0
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
    assert deployed.code in (0, 20), deployed.output  # 20: the alarm of the failed backup stands until the next one
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


def test_plain_compose_up_takes_the_new_keys_as_well(stack: Stack, store: Seaweed) -> None:
    """It restarts the database: setup's container is made anew when .env changes, and what depends on it, too."""
    before = started(stack)
    configure(stack, store, THIRD)
    with stack.env_file.open("a") as file:
        file.write("BACKUP_CATCH_UP_JITTER='7'\n")
    stack.up()
    wait_until(stack.is_open, 60, "the database is open")
    archive_one(stack, 60)
    assert started(stack) != before, "docs/guide/moving.md says that it restarts"


def test_a_key_file_of_the_host_is_read_at_every_deployment(stacks: Stacks) -> None:
    """Nothing in .env changes: the file is another one under the same name, as a secret manager leaves it."""
    stack = stacks.new()
    key = stack.directory / "gcs.json"
    stack.configure(PGBACKREST_REPO1_TYPE="gcs", GCS_BUCKET="salespider-backups", GCS_KEY=str(key))
    for number in (1, 2):
        fresh = key.with_suffix(".new")
        fresh.write_text(service_account(number))
        fresh.chmod(0o644)
        fresh.rename(key)
        stack.compose("up", "--detach", "--no-deps", "setup")
        assert stack.run("docker", "wait", stack.container("setup")).stdout.strip() == "0", stack.logs("setup")
        published = stack.in_helper("cat /c/keys/repo1-gcs.json", {"/c": stack.config_volume})
        assert json.loads(published)["private_key_id"] == str(number)


def service_account(number: int) -> str:
    """The form of a key; what it is worth, only Google knows."""
    der = base64.b64encode(b"0" + bytes([7]) + b"nothing").decode()
    return json.dumps(
        {
            "type": "service_account",
            "private_key_id": str(number),
            "client_email": "backup@salespider.example",
            "token_uri": "https://oauth2.example/token",
            "private_key": f"-----BEGIN {'PRIVATE'} KEY-----\n{der}\n-----END {'PRIVATE'} KEY-----\n",
        }
    )
