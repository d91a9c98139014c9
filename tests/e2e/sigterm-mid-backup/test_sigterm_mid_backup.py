"""The supervisor is stopped in the middle of a backup: in time, in order, and the next backup succeeds."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Stack, wait_until

GRACE_SECONDS = 60
SLOW, FAST = "0.2", "2"
MEGABYTES = 300


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    """A database of several hundred megabytes whose first backup takes a while: one process, a fifth of a core."""
    stack = stacks.new()
    scripts = stack.directory / "initdb.d"
    scripts.mkdir()
    scripts.chmod(0o755)
    rows = MEGABYTES * 1_000_000 // 2_000
    (scripts / "10-data.sql").write_text(
        f"CREATE TABLE ballast AS SELECT id, repeat(md5(id::text), 60) FROM generate_series(1, {rows}) id;\n"
    )
    stack.configure(
        PGBACKREST_REPO1_TYPE="posix",
        PGBACKREST_PROCESS_MAX="1",
        BACKUP_CPU_LIMIT=SLOW,
        POSTGRES_INIT_SCRIPTS=str(scripts),
    )
    return stack


def running_backup(stack: Stack) -> dict[str, Any]:
    """Return what pgbackrest says of a running backup, as the postgres container sees it: they share the lock."""
    argv = ("pgbackrest", "--stanza=salespider", "info", "--output=json")
    answer: list[dict[str, Any]] = json.loads(stack.exec("postgres", *argv).stdout)
    lock: dict[str, Any] = answer[0]["status"]["lock"]["backup"] if answer else {}
    return lock


def is_half_way(stack: Stack) -> bool:
    lock = running_backup(stack)
    return bool(lock.get("held")) and 0 < lock.get("size-cplt", 0) < lock["size"]


def throttle(stack: Stack, cores: str) -> None:
    stack.docker("update", "backup", "--cpus", cores)


def stop(stack: Stack) -> float:
    """Stop the supervisor's container; return how many seconds that took. Its exit code must be 143."""
    began = time.monotonic()
    stack.docker("stop", "backup")
    took = time.monotonic() - began
    assert stack.state("backup")["ExitCode"] == 143
    return took


def programs(stack: Stack) -> str:
    """Return what runs beside the database."""
    return stack.run("docker", "top", stack.container("postgres"), "-eo", "pid,comm").stdout


def assert_nothing_is_left_of_the_backup(stack: Stack) -> None:
    assert not running_backup(stack)["held"]
    wait_until(lambda: "pgbackrest" not in programs(stack), 10, "the end of archiving, which may be at work")
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name ILIKE 'pgbackrest%'"
    assert stack.sql(sessions) == "0"


def test_stopped_in_the_middle_of_its_own_backup(stack: Stack) -> None:
    """Exit code 143 within the grace period, nothing held, and the backup is taken when the supervisor is back."""
    stack.up()
    wait_until(stack.is_open, 120, "the database")
    wait_until(lambda: is_half_way(stack), 120, "half a backup")
    throttle(stack, "1")  # a container that may hardly run may hardly end either
    assert stop(stack) < GRACE_SECONDS - 20
    assert_nothing_is_left_of_the_backup(stack)

    stack.docker("start", "backup")
    wait_until(stack.has_backup, 120, "the backup that was cut off")
    wait_until(lambda: stack.doing().startswith("idle"), 30, "an idle supervisor")
    assert [run["state"] for run in stack.runs()] == ["interrupted", "succeeded"]


def test_stopped_in_the_middle_of_a_backup_by_hand(stack: Stack) -> None:
    """`make backup` runs in the same container and goes down with it; the next one succeeds, with a good label."""
    throttle(stack, SLOW)
    with stack.in_background("make", "backup", f"PROJECT={stack.project}"):
        wait_until(lambda: is_half_way(stack), 120, "half a backup")
        throttle(stack, "0.5")
        assert stop(stack) < GRACE_SECONDS - 20
    wait_until(lambda: not running_backup(stack)["held"], 10, "a free lock")
    assert_nothing_is_left_of_the_backup(stack)

    stack.docker("start", "backup")
    throttle(stack, FAST)
    before = {backup["label"] for backup in stack.backups()}
    result = stack.make("backup")
    assert result.code == 0, result.output
    # Perhaps two: one that was killed when it was whole and not listed yet is found by the next.
    *found, new = [backup for backup in stack.backups() if backup["label"] not in before]
    assert len(found) <= 1
    assert (new["type"], new["error"]) == ("full", False)
    assert new["label"] in result.output
    assert [run["state"] for run in stack.runs()][-2:] == ["interrupted", "succeeded"]


def test_stopped_while_idle(stack: Stack) -> None:
    """With nothing to end there is nothing to wait for."""
    wait_until(lambda: stack.doing(time.time() - 5).startswith("idle"), 30, "an idle supervisor")
    assert stop(stack) < 10
