"""A directory and an object store that do not hold the same: each restore takes what it needs from where it is, or says why.

The first, a directory, begins later: its first backup has expired. The second, an S3 store, reaches further back and lacks a
WAL segment.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Result, Stack, wait_until
from tests.stores.kinds import Seaweed

REFUSED = 16


@dataclass(frozen=True)
class Shop:
    """The shop; a moment that only the store reaches, one that both archives are needed for, and the store's hole."""

    stack: Stack
    store: Seaweed
    early: str
    late: str
    lost: str


@pytest.fixture(scope="module")
def shop(stacks: Stacks) -> Shop:
    stack = stacks.new()
    store: Seaweed = stacks.store("s3", stack)
    stack.configure(
        PGBACKREST_REPO1_TYPE="posix",
        PGBACKREST_REPO1_RETENTION_FULL="1",
        BACKUP_CPU_LIMIT="2",
        BACKUP_SCHEDULE_DIFF="off",
        **store.variables(2),
    )
    stack.start()
    wait_until(lambda: {backup["database"]["repo-key"] for backup in stack.backups()} == {1, 2}, 120, "a backup in each")
    stack.sql("CREATE TABLE entry (n int)")
    archived_entry(stack, 1)
    early = moment(stack)
    archived_entry(stack, 2)
    stack.exec("backup", "salespider-backup", "backup", "--type=full", "--repo=1")
    archived_entry(stack, 3)
    wait_until(lambda: moment(stack) > end_of_last_backup(stack), 10, "a moment after the backup")
    lost = archived_entry(stack, 4)
    late = moment(stack)
    archived_entry(stack, 5)
    remove_from_store(store, lost)
    return Shop(stack, store, early, late, lost)


def moment(stack: Stack) -> str:
    return stack.sql("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00'")


def end_of_last_backup(stack: Stack) -> str:
    stopped = max(backup["timestamp"]["stop"] for backup in stack.backups()) + 2
    return stack.sql(f"SELECT to_char(to_timestamp({stopped}) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00'")


def archived_entry(stack: Stack, number: int) -> str:
    """Commit an entry, end its WAL segment and wait until both archives have that; return the segment's name."""
    stack.sql(f"INSERT INTO entry VALUES ({number})")
    segment = stack.sql("SELECT pg_walfile_name(pg_switch_wal())")
    wait_until(lambda: all(archive["max"] >= segment for archive in stack.info()["archive"]), 60, segment)
    return segment


def remove_from_store(store: Seaweed, segment: str) -> None:
    client = store.client()
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=store.bucket)
    (key,) = [entry["Key"] for page in pages for entry in page.get("Contents", ()) if f"/{segment}-" in entry["Key"]]
    client.delete_object(Bucket=store.bucket, Key=key)


def plan(stack: Stack, **variables: str) -> dict[str, Any]:
    result = stack.make("restore-plan", OUTPUT="json", **variables)
    assert result.code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def refused(stack: Stack, target: str, **variables: str) -> Result:
    result = stack.make(target, **variables)
    assert result.code == REFUSED, result.output
    assert "HINT: " in result.output
    return result


def peeked(shop: Shop, repo: int, **variables: str) -> str:
    """Open a peek, which has to be of this repository; return its entries and close it."""
    opened = shop.stack.make("peek", **variables)
    assert opened.code == 0, opened.output
    assert f" of repository {repo}; open until" in opened.stdout
    looked = shop.stack.make("peek-psql", SQL="COPY (SELECT string_agg(n::text, ',' ORDER BY n) FROM entry) TO STDOUT")
    assert shop.stack.make("peek-close").code == 0
    return looked.stdout.strip()


def entries(stack: Stack) -> str:
    return stack.sql("SELECT string_agg(n::text, ',' ORDER BY n) FROM entry")


def test_the_plan_takes_the_repository_that_has_it(shop: Shop) -> None:
    latest, early = plan(shop.stack), plan(shop.stack, TARGET=shop.early)
    assert (latest["backup"]["repository"], latest["repositories"], latest["holes"]) == (1, [1, 2], [])
    assert (early["backup"]["repository"], early["repositories"]) == (2, [2, 1])
    assert (latest["warnings"], early["warnings"]) == ([], [])


def test_one_repository_alone_is_taken_at_its_word(shop: Shop) -> None:
    stack = shop.stack
    for verb in ("restore-plan", "restore-latest"):
        result = refused(stack, verb, REPO="2", CONFIRM="yes")
        assert f"the archive lacks WAL segment {shop.lost}" in result.output
    early = refused(stack, "restore-pitr", TARGET=shop.early, REPO="1", CONFIRM="yes")
    assert "lies before the end of the earliest backup" in early.output
    assert entries(stack) == "1,2,3,4,5", "nothing was touched"


def test_a_peek_shows_what_only_the_second_reaches(shop: Shop) -> None:
    assert peeked(shop, 2, TARGET=shop.early) == "1"
    assert peeked(shop, 2, TARGET=shop.early, REPO="2") == "1"
    refused(shop.stack, "peek", TARGET=shop.early, REPO="1")
    assert peeked(shop, 1, TARGET=shop.late, REPO="1") == "1,2,3,4"
    assert f"the archive lacks WAL segment {shop.lost}" in refused(shop.stack, "peek", REPO="2").output


def test_a_moment_from_the_first_and_the_latest_state_from_the_second(shop: Shop) -> None:
    """The backup that follows the first restore closes the hole in the store: then the store alone has the latest state."""
    stack = shop.stack
    restored = stack.make("restore-pitr", TARGET=shop.late, REPO="1", CONFIRM="yes")
    assert restored.code == 0, restored.output
    assert entries(stack) == "1,2,3,4"
    stack.wait_for_backups_after_restore()
    archived_entry(stack, 6)
    restored = stack.make("restore-latest", REPO="2", CONFIRM="yes")
    assert restored.code == 0, restored.output
    assert "repository 2" in restored.output
    assert entries(stack) == "1,2,3,4,6"


def test_a_store_that_is_lost_is_missed_aloud(shop: Shop) -> None:
    """The last test: it removes the bucket."""
    stack = shop.stack
    stack.wait_for_backups_after_restore()
    client = shop.store.client()
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=shop.store.bucket):
        for entry in page.get("Contents", ()):
            client.delete_object(Bucket=shop.store.bucket, Key=entry["Key"])
    client.delete_bucket(Bucket=shop.store.bucket)
    found = plan(stack)
    assert "repository 2 is left out, it cannot be read: " in found["warnings"][0]
    assert "WARNING" in [row["name"] for row in found["text"]]
    early = refused(stack, "restore-plan", TARGET=shop.early)
    assert "repository 2, which cannot be read, may hold what is missing" in early.output
    refused(stack, "restore-plan", REPO="2")
