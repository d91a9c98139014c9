"""After seven backups that build on one another the next one is a full one, but no more than one a day."""

from __future__ import annotations

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Stack


def take_incremental(stack: Stack, times: int) -> list[str]:
    """Ask for incremental backups; return the types that were taken."""
    before = len(stack.runs())
    for _ in range(times):
        result = stack.make("backup-incr")
        assert result.code == 0, result.output
    return [run["what"] for run in stack.runs()[before:]]


def test_the_eighth_is_a_full_one_and_once_a_day_only(stacks: Stacks) -> None:
    stack = stacks.running()
    assert take_incremental(stack, 7) == ["incr"] * 7
    result = stack.make("backup-incr")
    assert result.code == 0, result.output
    assert "full instead of incr: 7 backups since the last full" in result.stdout
    assert [backup["type"] for backup in stack.backups()] == ["full", *["incr"] * 7, "full"]
    run = stack.runs()[-1]
    assert (run["requested"], run["what"]) == ("incr", "full")
    # The window: seven full backups are kept, and a forced one a day at most lets none of them go early.
    assert take_incremental(stack, 8) == ["incr"] * 8
    assert len(stack.backups("full")) == 2
