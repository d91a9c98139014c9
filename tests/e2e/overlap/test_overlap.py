"""A backup still runs when the next one is due, or when somebody restores: there are never two, and a restore goes first."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Stack, wait_until

MEGABYTES = 100


def said(stack: Stack, event: str) -> list[dict[str, object]]:
    """The lines of the supervisor's log with this event."""
    lines = [line for line in stack.logs("backup").splitlines() if line.startswith("{")]
    return [entry for entry in map(json.loads, lines) if entry["event"] == event]


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    """A full backup is due every minute, with a compression for which a tenth of a processor needs longer than that."""
    stack = stacks.running(
        BACKUP_SCHEDULE_FULL="* * * * *",
        BACKUP_SCHEDULE_DIFF="off",
        PGBACKREST_PROCESS_MAX="1",
        PGBACKREST_COMPRESS_TYPE="bz2",
        PGBACKREST_COMPRESS_LEVEL="9",
    )
    rows = MEGABYTES * 1_000_000 // 2_000
    stack.sql(f"CREATE TABLE ballast AS SELECT id, repeat(md5(id::text), 60) AS text FROM generate_series(1, {rows}) id")
    return stack


def test_a_slow_backup_is_not_doubled(stack: Stack) -> None:
    before = len(said(stack, "backup.overlap"))  # the first backup of all may have met one, too
    stack.docker("update", "backup", "--cpus", "0.15")
    wait_until(lambda: len(said(stack, "backup.overlap")) > before, 170, "a due time in the middle of a backup")
    stack.docker("update", "backup", "--cpus", "2")
    runs = stack.runs()
    assert [run["state"] for run in runs].count("running") <= 1
    wait_until(lambda: stack.runs()[len(runs) - 1]["state"] == "succeeded", 60, "the slow backup")
    taken = [run for run in stack.runs() if run["finished_at"] is not None]
    assert {run["state"] for run in taken} == {"succeeded"}
    assert all(one["finished_at"] <= other["started_at"] for one, other in pairwise(taken))


def test_a_restore_goes_ahead_of_a_slow_backup(stack: Stack) -> None:
    rows = stack.sql("SELECT count(*) FROM ballast")
    stack.docker("update", "backup", "--cpus", "0.15")
    wait_until(lambda: stack.runs()[-1]["state"] == "running", 90, "a backup that runs")
    restored = stack.make("restore-latest", CONFIRM="yes")
    assert restored.code == 0, restored.output
    assert "a restore goes first, and a backup follows it" in restored.stdout
    stack.docker("update", "backup", "--cpus", "2")
    assert stack.sql("SELECT count(*) FROM ballast") == rows
    runs = stack.runs()
    restore = next(run for run in runs if run["kind"] == "restore")
    (stopped,) = [run for run in runs if run["state"] == "interrupted"]
    assert stopped["message"] == "stopped, because a restore goes first"
    assert stopped["finished_at"] <= restore["started_at"]
    wait_until(lambda: stack.runs()[-1]["state"] == "succeeded", 90, "a backup after the restore")
    assert stack.alarms() == []
