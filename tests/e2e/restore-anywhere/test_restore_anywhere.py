"""Restores to random moments, over many timelines and past undone ones: each returns exactly what was committed by then."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.ledger import Ledger
from tests.e2e.stack import Stack

SEED = 20261121
ZONE = ZoneInfo("Europe/Berlin")
FEW, MANY = 6, 100
ROWS_BETWEEN = 40
UNDO_EVERY = 5
BACKUPS = ("backup-incr", "backup-diff", "backup-incr", "backup")
"""Taken in turns, one before every other restore."""

Row = tuple[int, datetime]
"""A number, and the server's time between the commit before it and its own."""


@dataclass
class Branch:
    """What the database must hold now: the rows that were committed on the way to it, oldest first."""

    rows: list[Row] = field(default_factory=list)

    def by(self, moment: datetime) -> Branch:
        """Return what had been committed by a moment."""
        return Branch([row for row in self.rows if row[1] < moment])


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    return stacks.running(PGBACKREST_PROCESS_MAX="2", BACKUP_RETENTION_FULL="100", TZ=ZONE.key)


def held(stack: Stack) -> list[Row]:
    """Return what the database holds."""
    lines = stack.sql(
        "SELECT number, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US+00:00') FROM ledger ORDER BY 1"
    )
    rows = (line.split("|") for line in lines.splitlines())
    return [(int(number), datetime.fromisoformat(at)) for number, at in rows]


def written(stack: Stack) -> list[Row]:
    """Let a client commit for a moment; return the rows that were acknowledged."""
    with Ledger(stack, 50) as ledger:
        ledger.wait_for(ROWS_BETWEEN, 60)
    return ledger.rows


def moment_of(branch: Branch, chance: random.Random, earliest: datetime) -> datetime:
    """Return a moment between two commits of the branch, mostly a late one, so that the branch does not run out."""
    moments = [at for _, at in branch.rows if at > earliest]
    return moments[-chance.randint(1, min(len(moments), 3 * ROWS_BETWEEN))]


def restore_to_random_moments(stack: Stack, times: int, seed: int) -> None:
    chance, branch = random.Random(seed), Branch()
    earliest = datetime.fromtimestamp(stack.backups()[0]["timestamp"]["stop"] + 1, UTC)
    for attempt in range(times):
        branch.rows += written(stack)
        if attempt % 2:
            assert stack.make(BACKUPS[attempt // 2 % len(BACKUPS)]).code == 0
            branch.rows += written(stack)
        assert held(stack) == branch.rows
        moment = moment_of(branch, chance, earliest)
        target = chance.choice([moment.isoformat(), f"{moment.astimezone(ZONE):%F %T.%f}"])
        restored = stack.make("restore-pitr", TARGET=target, CONFIRM="yes")
        assert restored.code == 0, f"restore {attempt} to {target}: {restored.output}"
        assert held(stack) == branch.by(moment).rows, f"restore {attempt} to {target}"
        if attempt % UNDO_EVERY == UNDO_EVERY - 1:
            undone = stack.make("restore-undo", CONFIRM="yes")
            assert undone.code == 0, undone.output
            assert held(stack) == branch.rows
        else:
            branch = branch.by(moment)
    latest = stack.make("restore-latest", CONFIRM="yes")
    assert latest.code == 0, latest.output
    assert held(stack) == branch.rows


def test_a_few_moments(stack: Stack) -> None:
    """The sample that every run takes."""
    restore_to_random_moments(stack, FEW, SEED)


@pytest.mark.long
def test_many_moments(stack: Stack) -> None:
    restore_to_random_moments(stack, MANY, SEED + 1)
