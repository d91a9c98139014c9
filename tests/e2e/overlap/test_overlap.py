"""A backup is still running when the next one is due: that is told, and never are there two."""

from __future__ import annotations

import json
from itertools import pairwise

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Stack, wait_until

MEGABYTES = 60
NEVER = "0 0 31 12 *"


def said(stack: Stack, event: str) -> list[dict[str, object]]:
    """The lines of the supervisor's log with this event."""
    lines = [line for line in stack.logs("backup").splitlines() if line.startswith("{")]
    return [entry for entry in map(json.loads, lines) if entry["event"] == event]


def test_a_slow_backup_is_not_doubled(stacks: Stacks) -> None:
    """Full backups are due every minute, and one of them has so little of the processor that it takes longer."""
    stack = stacks.running(BACKUP_SCHEDULE_FULL=NEVER, BACKUP_SCHEDULE_DIFF="off", PGBACKREST_PROCESS_MAX="1")
    rows = MEGABYTES * 1_000_000 // 2_000
    stack.sql(f"CREATE TABLE ballast AS SELECT id, repeat(md5(id::text), 60) AS text FROM generate_series(1, {rows}) id")
    stack.configure(
        PGBACKREST_REPO1_TYPE="posix",
        BACKUP_SCHEDULE_FULL="* * * * *",
        BACKUP_SCHEDULE_DIFF="off",
        PGBACKREST_PROCESS_MAX="1",
    )
    stack.compose("up", "-d", "--no-deps", "setup")
    wait_until(lambda: said(stack, "backup.started") and stack.runs()[-1]["origin"] == "schedule", 90, "a due backup")
    stack.docker("update", "backup", "--cpus", "0.05")
    wait_until(lambda: said(stack, "backup.overlap"), 150, "the next due time")
    assert [run["state"] for run in stack.runs()].count("running") == 1
    stack.docker("update", "backup", "--cpus", "2")
    wait_until(lambda: stack.runs()[-1]["state"] == "succeeded", 60, "the slow backup")
    taken = [run for run in stack.runs() if run["origin"] == "schedule"]
    assert {run["state"] for run in taken} == {"succeeded"}
    assert all(one["finished_at"] <= other["started_at"] for one, other in pairwise(taken))
