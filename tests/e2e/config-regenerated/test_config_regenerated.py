"""The generated configuration is thrown away and written again; the passphrase, the data and the backups stay."""

from __future__ import annotations

import time

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Stack, wait_until


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    stack = stacks.running()
    stack.sql("CREATE TABLE sale AS SELECT 1 AS id")
    assert stack.make("backup").code == 0
    stack.sql("INSERT INTO sale VALUES (2)")
    return stack


def digests(stack: Stack) -> str:
    """Return the digests of the passphrase and of every published file."""
    mounts = {"/s": stack.volume("pgbackrest-secrets"), "/config": stack.config_volume}
    return stack.in_helper("find /s /config -type f -exec sha256sum '{}' + | sort", mounts)


def guide_sequence(stack: Stack) -> None:
    """What the guide prints, between a `down` that frees the volume and an `up`."""
    stack.compose("down")
    stack.run("docker", "volume", "rm", stack.config_volume)
    stack.run("docker", "volume", "create", stack.config_volume)
    stack.up()


def make_target(stack: Stack) -> None:
    result = stack.make("config-regenerate")
    assert result.code == 0, result.output


@pytest.mark.parametrize("regenerate", [guide_sequence, make_target])
def test_same_configuration_again(stack: Stack, regenerate: object) -> None:
    """Same settings, same bytes: passphrase and configuration are what they were, and the supervisor goes on."""
    before, labels = digests(stack), [backup["label"] for backup in stack.backups()]
    assert callable(regenerate)
    since = time.time()
    regenerate(stack)
    wait_until(stack.is_open, 60, "the database")
    wait_until(lambda: stack.doing(since).startswith("idle"), 60, "an idle supervisor")
    assert digests(stack) == before
    assert [backup["label"] for backup in stack.backups()] == labels


def test_a_backup_from_before_can_be_restored(stack: Stack) -> None:
    """With the configuration written anew, the old backup still decrypts."""
    if (backup := stack.backups()[-1])["type"] == "full":
        guide_sequence(stack)
        wait_until(stack.is_open, 60, "the database")
    result = stack.make("restore-backup", BACKUP_SET=backup["label"], CONFIRM="yes")
    assert result.code == 0, result.output
    assert stack.sql("SELECT string_agg(id::text, ' ') FROM sale") == "1"
