"""A backup falls due while the object store is out of reach: it is taken after the outage, promptly and once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.ledger import Ledger
from tests.e2e.outage import PATIENCE, be_heard, drain, refuse, restored_from_the_store_alone, told, waiting_segments
from tests.e2e.stack import Stack, wait_until
from tests.stores.kinds import Seaweed

TIME_TO_START = timedelta(seconds=60)
MEGABYTES = 200
SLOW, FAST = "0.3", "2"
BACKDATE = """
import json, sqlite3
state = sqlite3.connect("/state/history.sqlite")
(text,) = state.execute("SELECT value FROM mark WHERE name = 'agenda'").fetchone()
agenda = json.loads(text)
agenda["considered_until"] -= 24 * 3600
state.execute("UPDATE mark SET value = ? WHERE name = 'agenda'", (json.dumps(agenda),))
state.commit()
"""


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    return stacks.new()


@pytest.fixture(scope="module")
def store(stacks: Stacks, stack: Stack) -> Seaweed:
    """An S3 store, and the stack at work on it; a differential backup is due in a minute or two."""
    store: Seaweed = stacks.store("s3", stack)
    due = datetime.now(UTC) + TIME_TO_START + timedelta(minutes=1)
    stack.configure(
        **PATIENCE,
        BACKUP_SCHEDULE_FULL="0 0 31 12 *",
        BACKUP_SCHEDULE_DIFF=f"{due.minute} {due.hour} * * *",
        BACKUP_CATCH_UP_JITTER="2",
        **store.variables(),
    )
    stack.start()
    be_heard(stack)
    return store


@pytest.fixture(scope="module")
def ledger(stack: Stack, store: Seaweed) -> Iterator[Ledger]:
    with Ledger(stack, 10, rows_a_segment=50) as ledger:
        ledger.wait_for(50, 60)
        yield ledger


def runs(stack: Stack) -> list[tuple[str, str, str]]:
    """Return the record without the first full backup: type, why, how it ended."""
    return [(run["what"], run["origin"], run["state"]) for run in stack.runs() if run["origin"] != "first"]


def test_what_falls_due_in_an_outage_fails_and_says_so(stack: Stack, store: Seaweed, ledger: Ledger) -> None:
    store.stop()
    wait_until(lambda: runs(stack) == [("diff", "schedule", "failed")], 180, "the due backup to fail")
    (alarm,) = told(stack, "backup.failed")
    assert "repository 1" in alarm["summary"]
    wait_until(lambda: waiting_segments(stack) >= 10, 60, "a backlog")


def test_it_is_taken_once_when_archiving_works_again(
    stack: Stack, store: Seaweed, ledger: Ledger, record_property: Callable[[str, object], None]
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


def test_one_whose_store_dies_in_the_middle_is_told_and_taken_again(stack: Stack, store: Seaweed, ledger: Ledger) -> None:
    """The run that falls due now copies for a while; in the middle of it the store refuses everything."""
    rows = MEGABYTES * 1_000_000 // 2_000
    stack.sql(f"CREATE TABLE ballast AS SELECT id, repeat(md5(id::text), 60) FROM generate_series(1, {rows}) id")
    before = runs(stack)
    be_down_for_a_day(stack)
    wait_until(lambda: is_half_way(stack), 90, "half of a backup")
    refuse(store)
    stack.docker("update", "backup", "--cpus", FAST)
    wait_until(lambda: runs(stack)[len(before) :] == [("diff", "schedule", "failed")], 200, "the failure")
    assert len(told(stack, "backup.failed")) == 2
    store.allow("salespider", store.key, store.secret)
    wait_until(lambda: ("diff", "retry", "succeeded") in runs(stack)[len(before) :], 200, "the second attempt")
    assert len([run for run in runs(stack)[len(before) :] if run[2] == "succeeded"]) == 1
    assert len(told(stack, "backup.recovered")) == 2


def be_down_for_a_day(stack: Stack) -> None:
    """Stop the supervisor, let its state say that it looked at the schedule a day ago, and start it with few cores."""
    stack.docker("stop", "backup")
    stack.in_helper(f"python3 - <<'PROGRAM'\n{BACKDATE}\nPROGRAM", {"/state": stack.volume("backup-state")})
    stack.docker("update", "backup", "--cpus", SLOW)
    stack.docker("start", "backup")


def is_half_way(stack: Stack) -> bool:
    """Tell whether pgbackrest is in the middle of a backup, as its lock says: the store is not asked."""
    script = "cat /var/lib/salespider/lock/salespider-backup-1.lock 2>/dev/null || true"
    return '"pctCplt"' in stack.exec("postgres", "sh", "-c", script).stdout


def test_the_store_alone_brings_back_every_acknowledged_commit(stack: Stack, ledger: Ledger) -> None:
    ledger.close()
    assert restored_from_the_store_alone(stack, ledger) == []
