"""The plan: it changes nothing, sees a hole in the archive before a restore falls into it, and names what works instead."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Result, Stack, wait_until


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    """A shop in Berlin with a table of entries, and room for the backups that follow restores."""
    stack = stacks.running(TZ="Europe/Berlin", BACKUP_RETENTION_DIFF="20")
    stack.sql("CREATE TABLE entry (n int)")
    return stack


def entries(stack: Stack) -> str:
    return stack.sql("SELECT coalesce(string_agg(n::text, ',' ORDER BY n), '') FROM entry")


def archived_entry(stack: Stack, number: int) -> str:
    """Commit an entry, end its WAL segment and wait until that is archived; return the segment's name."""
    stack.sql(f"INSERT INTO entry VALUES ({number})")
    return archived_end(stack)


def archived_end(stack: Stack) -> str:
    """End the WAL segment that is being written and wait until it is archived; return its name."""
    segment = stack.sql("SELECT pg_walfile_name(pg_switch_wal())")
    wait_until(lambda: stack.sql("SELECT last_archived_wal FROM pg_stat_archiver")[:24] >= segment, 60, segment)
    return segment


def remove_from_archive(stack: Stack, segment: str) -> None:
    stack.in_repository(f"rm archive/salespider/17-1/{segment[:16]}/{segment}-*")


def plan(stack: Stack, **variables: str) -> dict[str, Any]:
    """The plan for programs, of what can be done."""
    result = stack.make("restore-plan", OUTPUT="json", **variables)
    assert result.code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def refused(stack: Stack, target: str, **variables: str) -> Result:
    """A restore that is refused: nothing is stopped, and nothing is lost."""
    life, before = stack.state("postgres")["StartedAt"], entries(stack)
    result = stack.make(target, CONFIRM="yes", **variables)
    assert result.code == 16, result.output
    assert "HINT: " in result.output
    assert (stack.state("postgres")["StartedAt"], entries(stack)) == (life, before)
    return result


def named(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found is not None, text
    return found[1]


def test_a_plan_changes_nothing_and_says_what_it_takes(stack: Stack) -> None:
    life, runs = stack.state("postgres")["StartedAt"], len(stack.runs())
    position = stack.sql("SELECT pg_walfile_name(pg_current_wal_lsn())")
    result = stack.make("restore-plan")
    assert result.code == 0, result.output
    for row in ("restore to", "from", "is lost", "window", "timeline", "space", "replay", "time"):
        assert f"\n  {row}" in f"\n{result.stdout}", result.stdout
    assert "unknown: no restore" in result.stdout
    assert result.stdout.splitlines()[-1] == "nothing was changed"
    found = plan(stack)
    assert (found["possible"], found["backup"]["label"]) == (True, stack.backups()[-1]["label"])
    assert found["needs"]["database_bytes"] == stack.backups()[-1]["info"]["size"]
    assert (stack.state("postgres")["StartedAt"], len(stack.runs())) == (life, runs)
    assert stack.sql("SELECT pg_walfile_name(pg_current_wal_lsn())") == position


def test_people_write_times_in_many_ways_and_none_is_guessed(stack: Stack) -> None:
    for target in ("1 second ago", "0 minutes ago"):
        assert plan(stack, TARGET=target)["target"]["type"] == "time"
    for target in ("2026-01-15", "12:00", "last week", "01/02/2026 12:00"):
        assert stack.make("restore-plan", TARGET=target).code == 16


def test_a_hole_is_seen_and_the_nearest_targets_work(stack: Stack) -> None:
    """A segment vanishes. The plan refuses to let recovery end there without a word, and what it names works."""
    stack.sql("INSERT INTO entry VALUES (1)")
    assert stack.make("restore-point", NAME="before-release").code == 0
    archived_end(stack)
    lost = archived_entry(stack, 2)
    archived_entry(stack, 3)
    behind = stack.sql("SELECT clock_timestamp()")
    stack.sql("INSERT INTO entry VALUES (4)")
    remove_from_archive(stack, lost)

    for verb in ("restore-latest", "restore-plan"):
        result = refused(stack, verb)
        assert f"the archive lacks WAL segment {lost}" in result.output
    command = named(r"can be archived from there: (docker exec .*? archive-push \S+?);", result.output)
    assert f" {stack.container('postgres')} " in command, "the hint can be pasted"
    stack.run(*command.split())
    assert plan(stack)["holes"] == []
    remove_from_archive(stack, lost)

    command = named(r"(TARGET_TYPE=lsn TARGET=\S+ TIMELINE=1)", refused(stack, "restore-latest").output)
    everything_before = dict(word.split("=") for word in command.split())
    before = named(r"before it is ([-0-9:. ]+ UTC)", refused(stack, "restore-pitr", TARGET=behind).output)
    assert stack.make("backup-diff").code == 0
    result = refused(stack, "restore-pitr", TARGET=behind)
    assert named(r"before it is ([-0-9:. ]+ UTC)", result.output) == before
    after = named(r"after it is ([-0-9:. ]+ UTC)", result.output)

    archived_entry(stack, 5)
    assert len(plan(stack)["holes"]) == 1
    restore(stack, TARGET=after)
    assert entries(stack) == "1,2,3,4"
    restore(stack, TARGET=before)
    assert entries(stack) == "1"
    restore(stack, **everything_before)
    assert entries(stack) == "1"


def test_a_name_is_restored_to_and_known_to_the_plan(stack: Stack) -> None:
    found = plan(stack, TARGET="before-release", TARGET_TYPE="name")
    assert found["target"] == {"type": "name", "time": None, "value": "before-release", "exclusive": False}
    assert "before-release" in stack.make("restore-plan").stdout
    restore(stack, TARGET="before-release", TARGET_TYPE="name")
    assert entries(stack) == "1"
    assert stack.make("restore-point", NAME="before-release").code == 2, "a name is taken once"
    assert stack.make("restore-plan", TARGET="never-made", TARGET_TYPE="name", TIMELINE="1").code == 16


def test_another_timeline_is_followed_when_it_is_asked_for(stack: Stack) -> None:
    archived_entry(stack, 6)
    assert plan(stack)["timeline"] > 1
    result = stack.make("restore-latest", TIMELINE="1", CONFIRM="yes")
    assert result.code == 0, result.output
    assert entries(stack) == "1,2,3,4,5"
    assert stack.make("restore-plan", TIMELINE="99").code == 16
    assert stack.make("restore-plan", REPO="2").code == 16


def restore(stack: Stack, **variables: str) -> None:
    result = stack.make("restore-pitr", CONFIRM="yes", **variables)
    assert result.code == 0, result.output
    assert stack.is_open()
