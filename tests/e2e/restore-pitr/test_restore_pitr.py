"""A point in time: a table is dropped by mistake, and the database goes back to the moment before."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Stack


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    """A shop in Berlin, with a table of 100 sales."""
    stack = stacks.running(TZ="Europe/Berlin")
    stack.sql("CREATE TABLE sale AS SELECT id FROM generate_series(1, 100) id")
    return stack


def now_without_offset(stack: Stack) -> str:
    """The time as the shop's clock shows it."""
    return stack.sql("SELECT clock_timestamp()::timestamp")


def now_with_offset(stack: Stack) -> str:
    """The time with its offset, here "+01" or "+02"."""
    return stack.sql("SELECT clock_timestamp()")


def sales(stack: Stack) -> str:
    return stack.sql("SELECT count(*), max(id) FROM sale")


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("2999-01-01 00:00:00", 16),
        ("2001-01-01 00:00:00", 16),
        ("tomorrow-ish", 16),
        ("", 2),
    ],
    ids=["future", "before-the-first-backup", "no-time", "empty"],
)
def test_an_impossible_target_is_refused(stack: Stack, target: str, code: int) -> None:
    """The database is not even stopped."""
    life = stack.state("postgres")["StartedAt"]
    result = stack.make("restore-pitr", TARGET=target, CONFIRM="yes")
    assert result.code == code, result.output
    assert "HINT:" in result.output
    assert stack.state("postgres")["StartedAt"] == life
    assert sales(stack) == "100|100"


def test_refusal_names_the_earliest_possible_target(stack: Stack) -> None:
    """Who asks for too early a moment is told the earliest safe one: the full second after the backup ended."""
    safe = datetime.fromtimestamp(stack.backups()[0]["timestamp"]["stop"] + 1, UTC)
    result = stack.make("restore-pitr", TARGET="2001-01-01 00:00:00", CONFIRM="yes")
    assert f"{safe:%Y-%m-%d %H:%M:%S} UTC" in result.output


def test_nothing_happens_without_a_confirmation(stack: Stack) -> None:
    """Without a terminal to ask on and without CONFIRM=yes, the exit code is 19 and the database runs on."""
    target, life = now_without_offset(stack), stack.state("postgres")["StartedAt"]
    result = stack.make("restore-pitr", TARGET=target)
    assert result.code == 19, result.output
    assert stack.state("postgres")["StartedAt"] == life
    assert stack.runs()[-1]["kind"] == "backup"


def test_back_and_forth(stack: Stack) -> None:
    """Back before a mistake, forward with new work, back again past an abandoned branch, and forward once more."""
    before_the_drop = now_without_offset(stack)
    stack.sql("DROP TABLE sale")
    restore(stack, "restore-pitr", TARGET=before_the_drop)
    assert sales(stack) == "100|100"

    stack.sql("INSERT INTO sale VALUES (101)")
    restore(stack, "restore-latest")
    assert sales(stack) == "101|101", "what was written after the restore belongs to the latest state"

    stack.sql("INSERT INTO sale VALUES (102)")
    before_the_delete = now_with_offset(stack)
    stack.sql("DELETE FROM sale")
    assert stack.make("backup-diff").code == 0, "a backup of the mistake"
    restore(stack, "restore-pitr", TARGET=before_the_delete)
    assert sales(stack) == "102|102"

    before_103 = now_with_offset(stack)
    stack.sql("INSERT INTO sale VALUES (103)")
    restore(stack, "restore-pitr", TARGET=before_103)
    assert sales(stack) == "102|102", "a restore directly after a restore"

    stack.sql("INSERT INTO sale VALUES (104)")
    restore(stack, "restore-latest")
    assert sales(stack) == "103|104"
    assert [run["state"] for run in stack.runs() if run["kind"] == "restore"] == ["succeeded"] * 5


def restore(stack: Stack, verb: str, **variables: str) -> None:
    """Restore, and see that the database is open for writes on a new timeline, and archives again."""
    before = timeline(stack)
    result = stack.make(verb, CONFIRM="yes", **variables)
    assert result.code == 0, result.output
    assert stack.is_open()
    assert timeline(stack) > before
    assert stack.sql("SHOW archive_mode") == "on"


def timeline(stack: Stack) -> int:
    """Return the number of the timeline that is being written."""
    return int(stack.sql("SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"), 16)
