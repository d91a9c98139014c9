"""A backup falls due while the object store is out of reach: it is taken after the outage, promptly and once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.ledger import Ledger
from tests.e2e.outage import PATIENCE, be_heard, drain, restored_from_the_store_alone, told, waiting_segments
from tests.e2e.stack import Stack, wait_until
from tests.stores.store import ObjectStore

TIME_TO_START = timedelta(seconds=60)
MEGABYTES = 200
SLOW, FAST = "0.3", "2"


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    return stacks.new()


@pytest.fixture(scope="module")
def store(stacks: Stacks, stack: Stack) -> ObjectStore:
    """An S3 store, and the stack at work on it; a differential backup is due in a minute or two."""
    store: ObjectStore = stacks.store("s3", stack)
    due = datetime.now(UTC) + TIME_TO_START + timedelta(minutes=1)
    stack.configure(**PATIENCE, BACKUP_SCHEDULE_DIFF=f"{due.minute} {due.hour} * * *", **store.variables())
    stack.start()
    be_heard(stack)
    return store


@pytest.fixture(scope="module")
def ledger(stack: Stack, store: ObjectStore) -> Iterator[Ledger]:
    with Ledger(stack, 10, rows_a_segment=50) as ledger:
        ledger.wait_for(50, 60)
        yield ledger


def runs(stack: Stack) -> list[tuple[str, str, str]]:
    """Return the record without the first full backup: type, why, how it ended."""
    return [(run["what"], run["origin"], run["state"]) for run in stack.runs() if run["origin"] != "first"]


def test_what_falls_due_in_an_outage_fails_and_says_so(stack: Stack, store: ObjectStore, ledger: Ledger) -> None:
    store.stop()
    wait_until(lambda: runs(stack) == [("diff", "schedule", "failed")], 180, "the due backup to fail")
    (alarm,) = told(stack, "backup.failed")
    assert "repository 1" in alarm["summary"]
    wait_until(lambda: waiting_segments(stack) >= 10, 60, "a backlog")


def test_it_is_taken_once_when_archiving_works_again(
    stack: Stack, store: ObjectStore, ledger: Ledger, record_property: Callable[[str, object], None]
) -> None:
    store.start()
    seconds, _ = drain(stack, 90)
    began = datetime.now(UTC)
    wait_until(lambda: ("diff", "retry", "succeeded") in runs(stack), 120, "the backup that was due")
    record_property("seconds until archiving had caught up", round(seconds, 1))
    waited = (datetime.now(UTC) - began).total_seconds()
    record_property("seconds from then until the backup that was due was taken", round(waited, 1))
    assert [run for run in runs(stack) if run[2] == "succeeded"] == [("diff", "retry", "succeeded")]
    assert len(stack.backups("diff")) == 1
    assert len(told(stack, "backup.recovered")) == 1


def test_one_whose_store_dies_in_the_middle_is_told_and_taken_again(
    stack: Stack, store: ObjectStore, ledger: Ledger
) -> None:
    rows = MEGABYTES * 1_000_000 // 2_000
    stack.sql(f"CREATE TABLE ballast AS SELECT id, repeat(md5(id::text), 60) FROM generate_series(1, {rows}) id")
    stack.sql("CHECKPOINT")
    before = len(stack.backups())
    stack.docker("update", "backup", "--cpus", SLOW)
    said = stack.directory / "backup.out"
    argv = ("docker", "exec", stack.container("backup"), "salespider-backup", "backup", "--type=diff")
    with said.open("w") as stdout, stack.in_background(*argv, stdout=stdout) as process:
        wait_until(lambda: is_half_way(stack), 60, "half of a backup")
        store.stop()
        stack.docker("update", "backup", "--cpus", FAST)
        wait_until(lambda: "backup.retried" in said.read_text(), 200, "the failure")
        store.start()
        assert process.wait(200) == 0, said.read_text()
    assert len(stack.backups()) == before + 1
    assert stack.runs()[-1]["state"] == "succeeded"


def is_half_way(stack: Stack) -> bool:
    """Tell whether pgbackrest is in the middle of a backup, as its lock says: the store is not asked."""
    script = "cat /var/lib/salespider/lock/salespider-backup-1.lock 2>/dev/null || true"
    return '"pctCplt"' in stack.exec("postgres", "sh", "-c", script).stdout


def test_the_store_alone_brings_back_every_acknowledged_commit(stack: Stack, ledger: Ledger) -> None:
    ledger.close()
    assert restored_from_the_store_alone(stack, ledger) == []
