"""Backups ended at many moments, in order and by force: never a lock left behind, and what was kept restores whole."""

from __future__ import annotations

import json
import random

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Stack, wait_until

MEGABYTES = 150
SEED = 20261121
INFO = ("pgbackrest", "--stanza=salespider", "info", "--output=json")
VERIFY = ("pgbackrest", "--stanza=salespider", "--output=text", "--verbose", "verify")
FEW, MANY = 3, 40


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    stack = stacks.running(PGBACKREST_PROCESS_MAX="1")
    rows = MEGABYTES * 1_000_000 // 2_000
    stack.sql(f"CREATE TABLE ballast AS SELECT id, repeat(md5(id::text), 60) AS text FROM generate_series(1, {rows}) id")
    return stack


def share_done(stack: Stack) -> float:
    """Return how far a running backup has come, 0 to 1; 0 when none runs. Both containers share the lock that tells."""
    lock = json.loads(stack.exec("postgres", *INFO).stdout)[0]["status"]["lock"]["backup"]
    return float(lock.get("size-cplt", 0) / lock["size"]) if lock.get("size") else 0.0


def end_a_backup(stack: Stack, share: float, command: str) -> None:
    """Begin a backup and end its container when it has come so far, or has got there before anybody looked."""
    stack.docker("update", "backup", "--cpus", "0.3")
    with stack.in_background("make", "backup", f"PROJECT={stack.project}") as backup:
        wait_until(lambda: share_done(stack) > share or backup.poll() is not None, 120, f"{share:.0%} of a backup")
        stack.docker(command, "backup")
    stack.docker("start", "backup")
    stack.docker("update", "backup", "--cpus", "2")
    wait_until(lambda: stack.doing().startswith("idle"), 60, "an idle supervisor")


def end_backups(stack: Stack, times: int, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(times):
        end_a_backup(stack, chance.random() * 0.9, chance.choice(["stop", "kill"]))
        stack.sql("UPDATE ballast SET text = text || 'x' WHERE id % 500 = 0")
    result = stack.make("backup")
    assert result.code == 0, result.output
    assert "running" not in [run["state"] for run in stack.runs()]
    verified = stack.exec("backup", *VERIFY)
    assert "status: ok" in verified.stdout, verified.output
    was = stack.sql("SELECT sum(hashtextextended(b::text, 0)) FROM ballast b")
    restored = stack.make("restore-latest", CONFIRM="yes")
    assert restored.code == 0, restored.output
    assert stack.sql("SELECT sum(hashtextextended(b::text, 0)) FROM ballast b") == was


def test_a_few_moments(stack: Stack) -> None:
    """The sample that every run takes."""
    end_backups(stack, FEW, SEED)


@pytest.mark.long
def test_many_moments(stack: Stack) -> None:
    """The same at forty moments."""
    end_backups(stack, MANY, SEED + 1)
