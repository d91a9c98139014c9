"""SIGKILL at random moments of a backup: the repository verifies, the next run succeeds, the history is whole."""

from __future__ import annotations

import json
import random
import time

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Stack, wait_until

MEGABYTES = 60
SEED = 20261121
FEW, MANY = 4, 50
LONGEST_BACKUP_SECONDS = 6.0
VERIFY = ("pgbackrest", "--stanza=salespider", "--output=text", "--verbose", "verify")


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    stack = stacks.running(PGBACKREST_PROCESS_MAX="1", BACKUP_CATCH_UP_JITTER="0")
    rows = MEGABYTES * 1_000_000 // 2_000
    stack.sql(f"CREATE TABLE ballast AS SELECT id, repeat(md5(id::text), 60) AS text FROM generate_series(1, {rows}) id")
    return stack


def kill_a_backup(stack: Stack, kind: str, delay_seconds: float) -> None:
    """Begin a backup and kill the whole container so long after it has begun."""
    before = len(stack.runs())
    stack.docker("update", "backup", "--cpus", "0.5")
    with stack.in_background("docker", "exec", stack.container("backup"), "salespider-backup", "backup", f"--type={kind}"):
        wait_until(lambda: len(stack.runs()) > before, 60, "a backup that has begun")
        time.sleep(delay_seconds)
        stack.docker("kill", "backup")
    stack.docker("start", "backup")
    stack.docker("update", "backup", "--cpus", "2")
    wait_until(lambda: stack.doing().startswith("idle"), 90, "an idle supervisor")


def kill_backups(stack: Stack, times: int, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(times):
        kill_a_backup(stack, chance.choice(["full", "diff", "incr"]), chance.random() * LONGEST_BACKUP_SECONDS)
        stack.sql("UPDATE ballast SET text = text || 'x' WHERE id % 500 = 0")
    result = stack.make("backup")
    assert result.code == 0, result.output
    runs = stack.runs()
    assert len(runs) >= times + 2  # the first one, those that were killed, the one just taken
    assert {run["state"] for run in runs} <= {"succeeded", "interrupted"}
    assert all(run["finished_at"] is not None for run in runs)
    unrecorded = {backup["label"] for backup in stack.backups()} - {
        run["label"] for run in runs if run["state"] == "succeeded"
    }
    killed = [run for run in runs if run["state"] == "interrupted"]
    assert len(unrecorded) <= len(killed), "only a kill between a backup's end and its record leaves it out"
    verified = stack.exec("backup", *VERIFY)
    assert "status: ok" in verified.stdout, verified.output
    status = json.loads(stack.exec("backup", "salespider-backup", "status", "--output=json", check=False).stdout)
    assert [cause["key"] for cause in status["causes"] if cause["severity"] == "critical"] == []


def test_a_few_moments(stack: Stack) -> None:
    """The sample that every run takes."""
    kill_backups(stack, FEW, SEED)


@pytest.mark.long
def test_many_moments(stack: Stack) -> None:
    """The same at fifty moments."""
    kill_backups(stack, MANY, SEED + 1)
