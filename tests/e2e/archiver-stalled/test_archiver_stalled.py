"""The repository cannot be written: the backlog is counted, an alarm stands, and it ends when the archive has caught up."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Result, Stack, wait_until

PG_WAL = "/var/lib/postgresql/data/pg_wal"
LOOK_SECONDS = 90
"""The supervisor looks once a minute."""


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    """A stack whose repository nobody can enter."""
    stack = stacks.running()
    assert wal_status(stack)["archiver"] == "working"
    stack.in_repository("chmod 0 archive")
    for _ in range(3):
        stack.sql("SELECT pg_current_xact_id()")
        stack.sql("SELECT pg_switch_wal()")
    return stack


def wal_status(stack: Stack) -> dict[str, Any]:
    told = stack.exec("backup", "salespider-backup", "wal-status", "--output=json", check=False).stdout
    found: dict[str, Any] = json.loads(told)
    return found


def shown(stack: Stack) -> Result:
    return stack.make("wal-status")


def ready_files(stack: Stack) -> list[str]:
    return stack.exec("postgres", "sh", "-c", f"ls {PG_WAL}/archive_status | grep ready || true").stdout.split()


def alarms(stack: Stack) -> list[str]:
    """Return the keys of the alarms that stand."""
    return [alarm["key"] for alarm in stack.alarms()]


def test_a_backlog_is_counted_before_it_is_late(stack: Stack) -> None:
    wait_until(lambda: wal_status(stack)["archiver"] == "failing", 60, "the first failed attempt")
    status = wal_status(stack)
    assert status["waiting_segments"] == len([name for name in ready_files(stack) if len(name) == len("0" * 24 + ".ready")])
    assert status["waiting_bytes"] == status["waiting_segments"] * 16 * 1024 * 1024
    assert status["waiting_segments"] >= 3
    assert [alarm["key"] for alarm in status["alarms"] if alarm["key"] == "archiver"] == []


def test_when_it_is_late_an_alarm_stands(stack: Stack) -> None:
    stack.exec("postgres", "sh", "-c", f"touch -d '20 minutes ago' {PG_WAL}/archive_status/*.ready")
    result = shown(stack)
    assert result.code == 20, result.output
    assert "stalled" in result.stdout
    assert "WAL segments" in result.stdout
    assert "give the directory back to uid and gid 999; archiving then catches up by itself" in " ".join(
        result.stdout.split()
    )
    wait_until(lambda: alarms(stack) == ["archiver"], LOOK_SECONDS, "the alarm")


def test_it_outlives_a_restart_of_the_supervisor(stack: Stack) -> None:
    since = time.time()
    stack.docker("restart", "backup")
    wait_until(lambda: stack.doing(since), 60, "the supervisor")
    assert alarms(stack) == ["archiver"]


def test_when_the_repository_is_back_all_of_it_arrives_and_the_alarm_ends(stack: Stack) -> None:
    waiting = sorted(name.removesuffix(".ready") for name in ready_files(stack))
    stack.in_repository("chmod 750 archive")
    stack.sql("SELECT pg_reload_conf()")  # the archiver tries again at once
    wait_until(lambda: wal_status(stack)["archiver"] == "working", LOOK_SECONDS, "the archive to catch up")
    archived = stack.in_repository("find archive -name '0*-*'")
    assert all(f"/{name}-" in archived for name in waiting)
    since = time.time()
    stack.docker("restart", "backup")  # which looks at once
    wait_until(lambda: stack.doing(since), 60, "the supervisor")
    wait_until(lambda: alarms(stack) == [], LOOK_SECONDS, "the end of the alarm")
    assert [alarm["key"] for alarm in wal_status(stack)["alarms"] if alarm["key"] == "archiver"] == []


def test_without_a_database_the_disks_are_still_shown(stack: Stack) -> None:
    stack.compose("stop", "postgres")
    result = shown(stack)
    assert "database" in result.stdout
    assert "unreachable" in result.stdout
    assert "volume data" in result.stdout
    assert wal_status(stack)["volumes"][0]["free_bytes"] > 0
    stack.compose("start", "postgres")
