"""A new passphrase, which only a new repository can have: from the first line in .env to the old one's retirement."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Stack, wait_until

ONE = {
    "PGBACKREST_REPO1_TYPE": "posix",
    "BACKUP_SCHEDULE_DIFF": "off",
    "BACKUP_RETENTION_FULL": "1",
    "BACKUP_CPU_LIMIT": "2",
}
TWO = ONE | {"PGBACKREST_REPO2_TYPE": "posix"}
SECOND = {name: value for name, value in TWO.items() if "REPO1" not in name}


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    stack = stacks.new(**ONE)
    assert stack.make("deploy").code == 0
    stack.sql("CREATE TABLE sale (id int); INSERT INTO sale SELECT generate_series(1, 100); SELECT pg_switch_wal()")
    return stack


def restore(stack: Stack, *repositories: int) -> str:
    """Bring back the latest state, and see that all of it is there."""
    count = stack.sql("SELECT count(*) FROM sale")
    result = stack.make("restore-latest", CONFIRM="yes")
    assert result.code == 0, result.output
    assert stack.sql("SELECT count(*) FROM sale") == count
    assert any(f"repository {repo}" in result.output for repo in repositories), result.output
    stack.wait_for_backups_after_restore()
    return result.output


def passphrases(stack: Stack) -> dict[str, str]:
    lines = stack.exec("backup", "cat", "/etc/pgbackrest/conf.d/repo.conf").stdout.splitlines()
    return dict(line.split("=", 1) for line in lines if "-cipher-pass=" in line)


def taken_in(stack: Stack) -> set[int]:
    return {backup["database"]["repo-key"] for backup in stack.backups("full")}


def add_rows(stack: Stack) -> None:
    stack.sql("INSERT INTO sale SELECT generate_series(1, 100); SELECT pg_switch_wal()")


def test_before(stack: Stack) -> None:
    restore(stack, 1)
    refused = stack.make("repo-retire", REPO="1", CONFIRM="yes")
    assert refused.code == 20, refused.output
    assert "repository 1 is the only one" in refused.output
    missing = stack.make("repo-add", REPO="2")
    assert missing.code == 10, missing.output
    assert "repository 2 is not configured" in missing.output


def test_the_second_is_taken_into_use_with_a_passphrase_of_its_own(stack: Stack) -> None:
    add_rows(stack)
    before = stack.sql("SELECT pg_postmaster_start_time()")
    stack.configure(**TWO)
    assert stack.make("deploy").code == 0
    assert stack.sql("SELECT pg_postmaster_start_time()") == before, "a volume is mounted in any case"
    added = stack.make("repo-add", REPO="2")
    assert added.code == 0, added.output
    assert "recovery kit" in added.output
    assert taken_in(stack) == {1, 2}
    assert len(set(passphrases(stack).values())) == 2
    again = stack.make("repo-add", REPO="2")
    assert again.code == 0, again.output
    assert [run["state"] for run in stack.runs() if run["repo"] == 2 and run["what"] == "full"] == ["succeeded"]


def test_in_the_overlap(stack: Stack) -> None:
    add_rows(stack)
    restore(stack, 1, 2)
    assert stack.make("backup-check").code == 0


def test_the_old_one_is_retired(stack: Stack) -> None:
    planned = stack.make("repo-retire", REPO="1", CONFIRM="yes")
    assert planned.code == 0, planned.output
    assert "PGBACKREST_REPO1_TYPE" in planned.output
    assert "not protected against loss of this host" in planned.output
    old = passphrases(stack)["repo1-cipher-pass"]
    stack.configure(**SECOND)
    deployed = stack.make("deploy")
    assert deployed.code == 0, deployed.output
    assert "repository 1: docker volume backup-repo is not used any more" in deployed.output
    assert list(passphrases(stack)) == ["repo2-cipher-pass"]
    assert old not in stack.exec("backup", "cat", "/etc/pgbackrest/conf.d/repo.conf").stdout
    assert stack.in_repository("ls backup/salespider").strip(), "nothing was deleted"


def test_everything_goes_on_with_the_second_alone(stack: Stack) -> None:
    wait_until(lambda: stack.doing().startswith("idle"), 60, "the supervisor has taken the configuration")
    add_rows(stack)
    assert stack.make("backup-incr").code == 0
    assert stack.make("backup-check").code == 0
    assert stack.make("retention").code == 0
    restore(stack, 2)
    assert stack.alarms() == []


def test_the_number_is_free_for_another_place_with_another_passphrase(stack: Stack) -> None:
    """The next rotation: number 1 again, in a directory of the host."""
    old = passphrases(stack)
    place = stack.directory / "new-place"
    place.mkdir()
    stack.configure(**SECOND, PGBACKREST_REPO1_TYPE="posix", PGBACKREST_REPO1_PATH=str(place))
    assert stack.make("deploy").code == 0
    added = stack.make("repo-add", REPO="1")
    assert added.code == 0, added.output
    now = passphrases(stack)
    assert now["repo2-cipher-pass"] == old["repo2-cipher-pass"]
    kept = kept_passphrases(stack)
    assert now["repo1-cipher-pass"] not in kept
    assert kept, "what the retired one was encrypted with is kept"


def kept_passphrases(stack: Stack) -> list[Any]:
    script = "cat /s/repo1-cipher-pass.replaced-*"
    return stack.in_helper(script, {"/s": stack.volume("pgbackrest-secrets")}).split()
