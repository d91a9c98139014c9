"""The repository's disk is full: the backup says so before it begins, the good one stays, and space is all it takes."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Stack

MEGABYTES = 48
FILLING = "/var/lib/pgbackrest/filling"


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    """A stack whose repository is a small file system in memory."""
    stack = stacks.new(PGBACKREST_REPO1_TYPE="posix")
    labels = (f"com.docker.compose.project={stack.project}", "com.docker.compose.volume=backup-repo")
    stack.run(
        *("docker", "volume", "create", "--driver", "local", "--opt", "type=tmpfs", "--opt", "device=tmpfs"),
        *("--opt", f"o=size={MEGABYTES}m,uid=999,gid=999,mode=0750"),
        *(part for label in labels for part in ("--label", label)),
        stack.volume("backup-repo"),
    )
    stack.start()
    return stack


def fill(stack: Stack, leaving: int) -> None:
    script = (
        f"free=$(df --output=avail -B1 /var/lib/pgbackrest | tail -1); head -c $((free - {leaving})) /dev/zero > {FILLING}"
    )
    stack.exec("backup", "sh", "-c", script)


def test_a_backup_that_cannot_fit_is_refused_with_the_figures(stack: Stack) -> None:
    first = stack.backups()
    fill(stack, leaving=1_200_000)
    result = stack.make("backup")
    assert result.code == 14, result.output
    assert "repository 1 (docker volume backup-repo): 1." in result.stderr
    assert " MB free, and a full backup takes about " in result.stderr
    assert "HINT: free or add space, or keep fewer backups: BACKUP_RETENTION_FULL in .env" in result.stderr
    assert stack.backups() == first
    assert "backup:1" in [alarm["key"] for alarm in stack.alarms()]
    assert stack.runs()[-1]["retryable"] == 1


def test_a_disk_that_fills_up_during_the_backup_leaves_the_good_one(stack: Stack) -> None:
    """It may fit, judged by the last backup: that is worth a warning, and the attempt."""
    first = stack.backups()
    stack.exec("backup", "rm", FILLING)
    fill(stack, leaving=4_500_000)
    result = stack.make("backup")
    assert result.code == 15, result.output
    assert "backup.space-tight" in result.stdout
    assert "(file-write)" in result.stderr
    assert "HINT: check the free space of the repository" in result.stderr
    assert stack.backups() == first


def test_space_is_all_it_takes(stack: Stack) -> None:
    stack.exec("backup", "rm", FILLING)
    result = stack.make("backup")
    assert result.code == 0, result.output
    assert len(stack.backups("full")) == 2
    assert "backup:1" not in [alarm["key"] for alarm in stack.alarms()]
