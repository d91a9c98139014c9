"""The README's first command: it shows the whole promise, leaves the stack up, and goes away when told to."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Result, Stack, wait_until


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    return stacks.new()


@pytest.fixture(scope="module")
def demo(stack: Stack) -> Result:
    return stack.make("demo", DEMO_PROJECT=stack.project, DEMO_SCALE="2")


def test_the_dropped_table_is_back_and_every_table_equals_what_it_was(demo: Result, stack: Stack) -> None:
    """It compares by itself; the rows are there for others to see as well."""
    assert demo.code == 0, demo.output
    assert "tables compared               4, all equal" in demo.stdout
    assert stack.sql("SELECT count(*) FROM pgbench_accounts") == "200000"
    wait_until(lambda: len(stack.backups()) == 4, 90, "the backup that follows the restore")
    assert [backup["type"] for backup in stack.backups()] == ["full", "full", "diff", "diff"]


def test_what_it_says_to_type_next_works(demo: Result, stack: Stack) -> None:
    """Look, break, restore: with the demo's own stack, addressed by its name."""
    moment = demo.stdout.split('TARGET="', 1)[1].split('"', 1)[0]
    assert stack.make("status").code == 0
    stack.sql("TRUNCATE pgbench_history")
    restored = stack.make("restore-pitr", TARGET=moment, CONFIRM="yes")
    assert restored.code == 0, restored.output
    assert stack.sql("SELECT count(*) FROM pgbench_history") == "16000"


def test_it_goes_away_with_its_images(demo: Result, stack: Stack) -> None:
    """No container, volume or image is left."""
    removed = stack.make("demo-down", DEMO_PROJECT=stack.project)
    assert removed.code == 0, removed.output
    label = f"label=com.docker.compose.project={stack.project}"
    assert stack.run("docker", "ps", "--all", "--quiet", "--filter", label).stdout == ""
    assert stack.run("docker", "volume", "ls", "--quiet", "--filter", label).stdout == ""
    assert stack.run("docker", "image", "ls", "--quiet", "--filter", f"reference=*:{stack.project}").stdout == ""
