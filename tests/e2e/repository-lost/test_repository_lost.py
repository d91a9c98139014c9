"""The first repository is lost with everything in it: the second one goes on protecting, and a new one takes its place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.ledger import Ledger
from tests.e2e.stack import CommandFailedError, Stack, wait_until
from tests.stores.kinds import Seaweed

NOTICED = 240
"""The supervisor looks once a minute; a question to a repository takes half a minute at the most."""


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    return stacks.new()


@pytest.fixture(scope="module")
def store(stacks: Stacks, stack: Stack) -> Seaweed:
    """An object store as repository 1, a volume as repository 2, a full backup in each."""
    store: Seaweed = stacks.store("s3", stack)
    stack.configure(PGBACKREST_REPO2_TYPE="posix", BACKUP_SCHEDULE_DIFF="off", BACKUP_CPU_LIMIT="2", **store.variables())
    stack.start()
    wait_until(lambda: {backup["database"]["repo-key"] for backup in listed(stack)} == {1, 2}, 120, "both have a backup")
    stack.listen()
    return store


@pytest.fixture(scope="module")
def ledger(stack: Stack, store: Seaweed) -> Ledger:
    """Commits before, during and after the loss of the store."""
    ledger = Ledger(stack, rows_a_second=20)
    with ledger:
        ledger.wait_for(40, 30)
        destroy(store)
        ledger.wait_for(100, 60)
        stack.sql("SELECT pg_switch_wal()")
        ledger.wait_for(40, 30)
    return ledger


def destroy(store: Seaweed) -> None:
    client = store.client()
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=store.bucket):
        for entry in page.get("Contents", ()):
            client.delete_object(Bucket=store.bucket, Key=entry["Key"])
    client.delete_bucket(Bucket=store.bucket)


def listed(stack: Stack) -> list[dict[str, Any]]:
    try:
        return stack.backups()
    except (CommandFailedError, LookupError):
        return []


def alarm(stack: Stack) -> dict[str, Any] | None:
    return next((alarm for alarm in stack.alarms() if alarm["key"] == "repository:1"), None)


def status(stack: Stack) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        stack.exec("backup", "salespider-backup", "status", "--output=json", check=False).stdout
    )
    return found


def back_up(stack: Stack, repo: int, kind: str = "incr") -> int:
    argv = ("salespider-backup", "backup", f"--type={kind}", f"--repo={repo}")
    return stack.exec("backup", *argv, check=False).code


def test_the_alarm_names_it_and_what_still_protects(stack: Stack, ledger: Ledger) -> None:
    assert back_up(stack, 1) != 0
    wait_until(lambda: alarm(stack), NOTICED, "the loss is noticed")
    raised = alarm(stack) or {}
    assert raised["severity"] == "critical"
    assert "it held 1 good backup" in raised["message"]
    assert "repository 2 reaches back to" in raised["message"]


def test_backups_and_the_window_go_on_in_the_second(stack: Stack, ledger: Ledger) -> None:
    assert back_up(stack, 2) == 0
    assert status(stack)["window"]["repository"] == 2
    checked = stack.make("backup-check")
    assert checked.code == 20
    assert "seen in the archive of repository 2" in checked.output


def test_a_restart_of_everything_changes_nothing_of_that(stack: Stack, ledger: Ledger) -> None:
    stack.compose("stop")
    stack.up()
    wait_until(stack.is_open, 60, "the database is open")
    wait_until(lambda: stack.doing().startswith("idle"), 180, "the supervisor is through")
    assert back_up(stack, 2) == 0
    assert alarm(stack)


def test_everything_acknowledged_comes_back_from_the_second(stack: Stack, ledger: Ledger) -> None:
    stack.compose("stop", "postgres")
    stack.in_helper("find /v -mindepth 1 -delete", {"/v": stack.volume("postgres-data")})
    stack.compose("start", "postgres")
    reason = "no new database is created: repository 2 holds"
    wait_until(lambda: reason in stack.logs("postgres", "--tail", "5"), 180, "the entrypoint says why it waits")
    restored = stack.make("restore-latest", CONFIRM="yes")
    assert restored.code == 0, restored.output
    assert "repository 1 CANNOT BE READ" in restored.output
    assert ledger.missing(stack) == []


def test_it_must_not_be_retired_the_other_way_round(stack: Stack, ledger: Ledger) -> None:
    refused = stack.make("repo-retire", REPO="2", CONFIRM="yes")
    assert refused.code == 20, refused.output
    assert "repository 1 holds no good full backup that can be read now" in refused.output


def test_a_new_store_in_its_place_is_taken_into_use(stack: Stack, store: Seaweed, ledger: Ledger) -> None:
    store.make_bucket(store.bucket)
    added = stack.make("repo-add", REPO="1")
    assert added.code == 0, added.output
    assert "verified" in added.output
    assert any(backup["database"]["repo-key"] == 1 for backup in stack.backups("full"))
    wait_until(lambda: alarm(stack), 10, "the loss still stands: what was lost is not back")
    assert stack.make("repo-add", REPO="1", CONFIRM="yes").code == 0
    assert alarm(stack) is None
    assert stack.make("backup-check").code == 0
