"""Restarts change nothing: the data is there, the passphrase is the same, and no second first backup is taken."""

from __future__ import annotations

import time

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Stack, wait_until


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    stack = stacks.running()
    stack.sql("CREATE TABLE sale AS SELECT id FROM generate_series(1, 100) id")
    return stack


def passphrase_digest(stack: Stack) -> str:
    return stack.in_helper("sha256sum /s/repo1-cipher-pass", {"/s": stack.volume("pgbackrest-secrets")})


@pytest.mark.parametrize("way", [["restart"], ["down", "up --detach"], ["stop", "start"]], ids=" ".join)
def test_restart(stack: Stack, way: list[str]) -> None:
    """However it is restarted, it goes on where it was."""
    labels, digest = [backup["label"] for backup in stack.backups()], passphrase_digest(stack)
    for command in way:
        stack.compose(*command.split())
    since = time.time()
    wait_until(stack.is_open, 60, "the database")
    wait_until(lambda: stack.doing(since).startswith("idle"), 60, "an idle supervisor")
    assert stack.sql("SELECT count(*) FROM sale") == "100"
    assert [backup["label"] for backup in stack.backups()] == labels
    assert len(stack.backups("full")) == 1
    assert passphrase_digest(stack) == digest
