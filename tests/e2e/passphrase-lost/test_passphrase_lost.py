"""The secrets volume is gone while the repository holds encrypted backups: nothing is made up in its place."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import CommandFailedError, Stack, wait_until

GONE = "holds encrypted backups, but their passphrase is not in the volume pgbackrest-secrets"


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    stack = stacks.running()
    stack.sql("CREATE TABLE sale AS SELECT id FROM generate_series(1, 100) id")
    return stack


@pytest.fixture(scope="module")
def passphrase(stack: Stack) -> str:
    """Return the passphrase from a copy that the operator has kept, and lose the volume."""
    secret = in_secrets(stack, "cat repo1-cipher-pass").strip()
    stack.compose("down")
    stack.run("docker", "volume", "rm", stack.volume("pgbackrest-secrets"))
    return secret


def in_secrets(stack: Stack, script: str) -> str:
    return stack.in_helper(f"cd /s; {script}", {"/s": stack.volume("pgbackrest-secrets")})


def everything(stack: Stack) -> str:
    """Return every file of the backups and of the configuration with its checksum."""
    volumes = {"/repository": stack.volume("backup-repo"), "/config": stack.config_volume}
    return stack.in_helper("find /repository /config -type f -exec sha256sum '{}' + | sort -k 2", volumes)


def published(stack: Stack) -> list[str]:
    return [line for line in everything(stack).splitlines() if " /config/" in line]


def refused(stack: Stack) -> str:
    """Try to bring the stack up; return what setup says about it."""
    with pytest.raises(CommandFailedError):
        stack.up()
    assert stack.state("setup")["ExitCode"] == 10
    assert not stack.state("postgres")["Running"]
    return stack.logs("setup")


def test_no_other_passphrase_takes_its_place(stack: Stack, passphrase: str) -> None:
    before = everything(stack)
    said = refused(stack)
    assert GONE in said
    assert "HINT: put it back with `make deploy FROM_KIT=…`, or set PGBACKREST_REPO1_CIPHER_PASS to it" in said
    assert in_secrets(stack, "ls -A") == ""
    assert everything(stack) == before
    assert GONE in stack.make("deploy").output
    assert everything(stack) == before


def test_a_wrong_one_is_refused_and_not_kept(stack: Stack, passphrase: str) -> None:
    before = everything(stack)
    stack.configure(PGBACKREST_REPO1_TYPE="posix", PGBACKREST_REPO1_CIPHER_PASS="not the passphrase of this shop")
    said = refused(stack)
    assert "PGBACKREST_REPO1_CIPHER_PASS: does not open the repository" in said
    assert "of this shop" not in said
    assert in_secrets(stack, "ls -A") == ""
    assert everything(stack) == before


def test_the_right_one_is_taken_up_and_needed_no_more(stack: Stack, passphrase: str) -> None:
    stack.configure(PGBACKREST_REPO1_TYPE="posix", PGBACKREST_REPO1_CIPHER_PASS=passphrase, BACKUP_CPU_LIMIT="2")
    stack.up()
    wait_until(lambda: stack.is_open() and stack.doing().startswith("idle"), 90, "a stack as before")
    assert in_secrets(stack, "cat repo1-cipher-pass").strip() == passphrase
    stack.configure(PGBACKREST_REPO1_TYPE="posix", BACKUP_CPU_LIMIT="2")
    stack.up()
    assert passphrase not in stack.logs("setup")
    assert stack.make("backup").code == 0
    assert stack.make("restore-latest", CONFIRM="yes").code == 0
    assert stack.sql("SELECT count(*) FROM sale") == "100"


def test_encryption_cannot_be_switched_off(stack: Stack, passphrase: str) -> None:
    before = published(stack)
    stack.configure(PGBACKREST_REPO1_TYPE="posix", PGBACKREST_REPO1_CIPHER_TYPE="none")
    result = stack.make("deploy")
    assert result.code == 10, result.output
    assert (
        "PGBACKREST_REPO1_CIPHER_TYPE: is none, but the repository in docker volume backup-repo is encrypted"
        in result.output
    )
    assert "second repository" in result.output
    assert published(stack) == before
