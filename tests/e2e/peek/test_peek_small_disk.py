"""A peek on a disk that fills up: it gives its space back before the live database lacks any."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.small_disk import free_megabytes, note, noted, small, start
from tests.e2e.stack import Stack, wait_until

RESERVE_MEGABYTES = 62
"""What the peek leaves to the live database here: 64 million bytes."""


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    stack = small(stacks)
    start(stack, PGBACKREST_REPO1_TYPE="posix")
    note(stack, 1)
    return stack


def peeks(stack: Stack) -> list[str]:
    return [name for name in stack.exec("postgres", "ls", "/var/lib/postgresql").stdout.split() if name.startswith("peek-")]


def test_a_disk_that_fills_up_ends_it_and_not_the_database(stack: Stack) -> None:
    result = stack.make("peek")
    assert result.code == 0, result.output
    assert len(peeks(stack)) == 1
    ballast = free_megabytes(stack) - RESERVE_MEGABYTES + 2
    stack.exec("postgres", "dd", "if=/dev/zero", "of=/var/lib/postgresql/ballast", "bs=1M", f"count={ballast}")
    wait_until(lambda: stack.state("peek")["Status"] == "exited", 60, "the end of the peek")
    assert "getting full" in stack.logs("peek")
    assert peeks(stack) == []
    assert free_megabytes(stack) > RESERVE_MEGABYTES
    note(stack, 2)
    assert noted(stack) == [1, 2]


def test_without_room_it_is_refused(stack: Stack) -> None:
    stack.exec("postgres", "dd", "if=/dev/zero", "of=/var/lib/postgresql/ballast", "bs=1M",
               f"count={free_megabytes(stack) - RESERVE_MEGABYTES}", "oflag=append", "conv=notrunc")  # fmt: skip
    result = stack.make("peek")
    assert result.code == 27, result.output
    assert "a copy of the database takes" in result.output
    assert peeks(stack) == []
