"""A passphrase that is not the one of the repository: setup refuses it, and the backup service writes nothing with it."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Stack, wait_until

OWN = "a passphrase of their own choice"
INFO = ("archive/salespider/archive.info", "archive/salespider/archive.info.copy")


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    """A shop that keeps a passphrase of its own choice."""
    return stacks.running(PGBACKREST_REPO1_CIPHER_PASS=OWN)


def published(stack: Stack) -> str:
    return stack.in_helper("find /c -type f -exec sha256sum '{}' + | sort -k 2", {"/c": stack.config_volume})


def files(stack: Stack) -> str:
    return stack.in_repository("find . -type f -exec sha256sum '{}' + | sort -k 2")


def test_a_supplied_passphrase_is_adopted(stack: Stack) -> None:
    assert stack.info()["cipher"] == "aes-256-cbc"
    text = stack.in_repository(f"openssl enc -d -aes-256-cbc -md sha1 -pass 'pass:{OWN}' -in {INFO[0]} 2>/dev/null")
    assert text.startswith("[backrest]\n")


def test_another_one_is_refused_and_the_stack_goes_on(stack: Stack) -> None:
    before = published(stack)
    stack.configure(PGBACKREST_REPO1_TYPE="posix", PGBACKREST_REPO1_CIPHER_PASS="quite another passphrase")
    result = stack.make("deploy")
    assert result.code == 10, result.output
    assert "PGBACKREST_REPO1_CIPHER_PASS: is not the stored passphrase, which backups have been made with" in result.output
    assert "HINT: remove PGBACKREST_REPO1_CIPHER_PASS" in result.output
    assert "quite another" not in result.output
    assert published(stack) == before
    stack.configure(PGBACKREST_REPO1_TYPE="posix", BACKUP_CPU_LIMIT="2")
    stack.up()
    wait_until(lambda: stack.is_open() and stack.doing().startswith("idle"), 90, "a stack as before")
    assert stack.make("backup").code == 0


def test_a_repository_with_another_one_is_refused_by_setup(stacks: Stacks, stack: Stack) -> None:
    """On another host, with the passphrase that setup has made up there: the disk of the shop is mounted."""
    other = stacks.new(PGBACKREST_REPO1_TYPE="posix", PGBACKREST_REPO1_PATH=f"{stack.directory}/copy")
    script = "cp -a /repository /host/copy; ls -A /host/copy/archive"
    stack.in_helper(script, {"/repository": stack.volume("backup-repo"), "/host": str(stack.directory)})
    result = other.make("deploy")
    assert result.code == 10, result.output
    assert "holds encrypted backups, but their passphrase is not in the volume" in result.output


def test_the_backup_service_looks_before_it_writes(stack: Stack) -> None:
    """Behind setup's back the repository becomes another one; the service says so, and touches nothing."""
    stack.docker("stop", "backup")
    stack.docker("stop", "postgres")
    for name in INFO:
        stack.in_repository(
            f"cp -a {name} {name}.kept; printf '[backrest]\\nbackrest-format=5\\n' | "
            f"openssl enc -aes-256-cbc -md sha1 -pass 'pass:of another shop' -out {name} 2>/dev/null"
        )
    before = files(stack)
    stack.docker("start", "postgres")
    stack.docker("start", "backup")
    said = "the passphrase does not open it, it was encrypted with another one"
    wait_until(lambda: said in stack.doing(), 60, "the supervisor's word for it")
    assert stack.exec("backup", "salespider-backup", "repository-check", check=False).code == 14
    result = stack.make("status")
    assert result.code == 20, result.output
    assert said in result.output
    assert files(stack) == before
    for name in INFO:
        stack.in_repository(f"mv {name}.kept {name}")
    wait_until(lambda: stack.doing().startswith("idle"), 90, "an idle supervisor, by itself")
    assert stack.make("backup").code == 0
