"""Two repositories, each encrypted with a passphrase of its own: every backup is in both, and either one restores alone."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Stack


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    return stacks.running(PGBACKREST_REPO2_TYPE="posix", PGBACKREST_REPO2_RETENTION_FULL="3")


def labels(stack: Stack, repo: int) -> list[str]:
    return [backup["type"] for backup in stack.backups() if backup["database"]["repo-key"] == repo]


def test_the_first_backup_is_in_both(stack: Stack) -> None:
    assert (labels(stack, 1), labels(stack, 2)) == (["full"], ["full"])
    assert [(repo["cipher"], repo["status"]["code"]) for repo in stack.info()["repo"]] == [("aes-256-cbc", 0)] * 2


def test_each_has_its_own_passphrase_and_retention(stack: Stack) -> None:
    options = stack.exec("backup", "cat", "/etc/pgbackrest/conf.d/repo.conf").stdout.splitlines()
    passphrases = [line.split("=", 1)[1] for line in options if "-cipher-pass=" in line]
    assert len(set(passphrases)) == 2
    assert "repo1-retention-full=7" in options
    assert "repo2-retention-full=3" in options


def test_every_segment_goes_to_both(stack: Stack) -> None:
    result = stack.make("backup-check")
    assert result.code == 0, result.output
    archives = {entry["database"]["repo-key"]: entry["max"] for entry in stack.info()["archive"]}
    assert archives[1] == archives[2]


def test_the_second_one_restores_when_the_first_is_lost(stack: Stack) -> None:
    """The first repository is emptied; the latest state comes from the second."""
    stack.sql("CREATE TABLE sale AS SELECT id FROM generate_series(1, 1000) id; SELECT pg_switch_wal()")
    assert stack.make("backup-check").code == 0
    stack.docker("stop", "backup")
    stack.docker("stop", "postgres")
    stack.in_repository("rm -rf archive backup")
    result = stack.make("restore-latest", CONFIRM="yes")
    assert result.code == 0, result.output
    assert "repository 2" in result.output
    assert stack.sql("SELECT count(*) FROM sale") == "1000"
