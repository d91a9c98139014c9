"""Which type is taken: what was asked for, or a full backup and why; never more than one of those a day."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backup.due import schedule
from backup.due.chain import ChainFacts, Choice, chain_facts, choose
from backup.pgbackrest import Backup
from backup.state.history import Run
from contract.supervisor import FORCED_FULL_AT_MOST_EVERY, FULL_AFTER, BackupType, Schedule
from setup.window import window
from tests.unit.backup.fakes import make_backup

NOW = datetime(2026, 3, 9, 2, 0, tzinfo=UTC)
FULL = make_backup("20260301-020000F")
DIFFS = tuple(make_backup(f"20260301-020000F_2026030{day}-020000D") for day in range(2, 9))
HERE = ChainFacts(system_id=7710425701430951955, version="17.6")
YESTERDAY = replace(HERE, last_forced_full=NOW - timedelta(hours=23))
SEVEN = "7 backups since the last full"
DAMAGED = replace(FULL, has_errors=True)

CASES: list[tuple[str, BackupType, tuple[Backup, ...], ChainFacts, Choice]] = [
    ("a full one is a full one", "full", (FULL, *DIFFS), HERE, Choice("full")),
    ("even when there was another one today", "full", (FULL,), YESTERDAY, Choice("full")),
    ("an increment on a fresh full one", "incr", (FULL,), HERE, Choice("incr")),
    ("nothing to build on", "diff", (), HERE, Choice("full", "the repository holds no full backup")),
    ("nothing to build on again", "diff", (), YESTERDAY, Choice("full", "the repository holds no full backup")),
    ("six since the last full one", "diff", (FULL, *DIFFS[:6]), HERE, Choice("diff")),
    ("seven", "diff", (FULL, *DIFFS), HERE, Choice("full", SEVEN)),
    ("seven, and more are allowed", "diff", (FULL, *DIFFS), replace(HERE, full_after=8), Choice("diff")),
    ("seven before the last full one", "diff", (FULL, *DIFFS, make_backup("20260308-120000F")), HERE, Choice("diff")),
    (
        "seven of which retention has removed three",
        "diff",
        (FULL, *DIFFS[3:]),
        replace(HERE, labels=frozenset(diff.label for diff in DIFFS)),
        Choice("full", SEVEN),
    ),
    (
        "seven, but a full one was forced today",
        "diff",
        (FULL, *DIFFS),
        YESTERDAY,
        Choice("diff", f"no full backup although {SEVEN}: the last one outside the schedule is less than a day old"),
    ),
    (
        "seven, and a day has passed since",
        "diff",
        (FULL, *DIFFS),
        replace(HERE, last_forced_full=NOW - timedelta(days=1)),
        Choice("full", SEVEN),
    ),
    (
        "a damaged full one",
        "incr",
        (DAMAGED,),
        HERE,
        Choice("full", "the last full one, 20260301-020000F, has page checksum errors"),
    ),
    (
        "two damaged full ones: a third would be as damaged, and push a good one out",
        "incr",
        (replace(DAMAGED, label="20260222-020000F"), DAMAGED),
        HERE,
        Choice(
            "incr",
            "no full backup although the last full one, 20260301-020000F, has page checksum errors: "
            "so has the one before, the database itself is damaged",
        ),
    ),
    (
        "a damaged increment is not a damaged full one",
        "incr",
        (FULL, replace(DIFFS[0], has_errors=True)),
        HERE,
        Choice("incr"),
    ),
    ("a damaged full one below a good one", "incr", (DAMAGED, make_backup("20260308-020000F")), HERE, Choice("incr")),
    (
        "another cluster",
        "diff",
        (FULL,),
        replace(YESTERDAY, system_id=1),
        Choice("full", "the last full one is of another cluster (system identifier 7710425701430951955, now 1)"),
    ),
    (
        "another major version",
        "diff",
        (FULL,),
        replace(HERE, version="18.1"),
        Choice("full", "the last full one is of PostgreSQL 17, now it is 18.1"),
    ),
    ("a cluster that was not asked", "diff", (FULL,), ChainFacts(), Choice("diff")),
]


@pytest.mark.parametrize(("case", "asked", "backups", "chain", "expected"), CASES, ids=[row[0] for row in CASES])
def test_choose(case: str, asked: BackupType, backups: tuple[Backup, ...], chain: ChainFacts, expected: Choice) -> None:
    assert choose(asked, backups, chain, NOW) == expected


def run(started: datetime, what: str, requested: str = "", label: str | None = None, kind: str = "backup") -> Run:
    return Run(
        1, kind, what, 1, "schedule", "", started, started, "succeeded", 0, label, "", "", requested or what
    )  # fmt: skip


def test_the_record_tells_the_last_forced_full_and_the_labels() -> None:
    hour = timedelta(hours=1)
    runs = (
        run(NOW, "full", "full", "d"),
        run(NOW - hour, "full", "diff", "c"),
        run(NOW - 2 * hour, "full", "incr"),
        run(NOW - 3 * hour, "diff", "diff", "b"),
        run(NOW - hour / 2, "latest", label="a", kind="restore"),
    )
    assert chain_facts(runs, 5, 1, "17.6") == ChainFacts(5, NOW - hour, frozenset({"b", "c", "d"}), 1, "17.6")
    assert chain_facts((), 5, None, None) == ChainFacts(5)


SCHEDULES: list[dict[BackupType, str]] = [
    {"full": "0 2 * * 0", "diff": "0 2 * * 1-6"},
    {"full": "0 2 * * 0", "diff": "0 2 * * 1-6", "incr": "0 * * * *"},
    {"full": "0 2 1 * *", "diff": "0 2 * * *"},
    {"full": "0 2 1 * *", "incr": "*/15 * * * *"},
    {"full": "0 */12 * * *", "incr": "30 * * * *"},
]


def lived(
    expressions: dict[BackupType, str], seed: int, days: int, trouble: float = 0.1
) -> tuple[list[Backup], list[datetime]]:
    """Random failures, outages, expired and damaged backups; return all backups and the moments of forced full ones."""
    chance = random.Random(seed)
    now = NOW
    backups: list[Backup] = []
    runs: list[Run] = []
    for planned in schedule.agenda(expressions, ZoneInfo("UTC"), now, days * 4):
        if planned.replaced_by or chance.random() < trouble:
            continue
        listed = tuple(b for b in backups if b.kind == "full" or planned.at - b.stopped < timedelta(days=2))
        facts = chain_facts(runs, 7, HERE.system_id, HERE.version)
        chosen = choose(planned.kind, listed, facts, planned.at)
        last_full = next((b.label for b in reversed(backups) if b.kind == "full"), "")
        stamp = f"{planned.at:%Y%m%d-%H%M%S}"
        label = f"{stamp}F" if chosen.kind == "full" else f"{last_full}_{stamp}{chosen.kind[0].upper()}"
        runs.append(run(planned.at, chosen.kind, planned.kind, label))
        backups.append(make_backup(label, has_errors=chance.random() < trouble / 2))
    return backups, [r.started for r in runs if r.requested != r.what]


@given(st.sampled_from(SCHEDULES), st.integers(0, 2**32))
@settings(deadline=None, max_examples=25)
def test_no_two_unscheduled_full_backups_within_a_day_and_no_chain_without_end(
    expressions: dict[BackupType, str], seed: int
) -> None:
    backups, forced = lived(expressions, seed, 60)
    assert all(later - earlier >= FORCED_FULL_AT_MOST_EVERY for earlier, later in pairwise(forced))
    # The chain is longer than asked only while a full backup outside the schedule is less than a day old.
    since = 0
    last_forced = min(forced, default=NOW) - timedelta(days=365)
    for backup in backups:
        since = 0 if backup.kind == "full" else since + 1
        last_forced = backup.stopped if backup.stopped in forced else last_forced
        assert since <= 7 or backup.stopped - last_forced <= FORCED_FULL_AT_MOST_EVERY


@given(st.sampled_from(SCHEDULES), st.integers(0, 2**32), st.integers(2, 7))
@settings(deadline=None, max_examples=25)
def test_a_number_of_full_backups_spans_what_the_schedule_and_one_a_day_leave(
    expressions: dict[BackupType, str], seed: int, kept: int
) -> None:
    """Retention by count keeps a span of time that follows from the schedule, whatever fails, is damaged or is missed."""
    backups, forced = lived(expressions, seed, 60)
    fulls = [backup.stopped for backup in backups if backup.kind == "full"]
    for first, last in zip(fulls, fulls[kept - 1 :], strict=False):
        scheduled = sum(1 for moment in fulls if first <= moment <= last and moment not in forced)
        assert last - first >= (kept - scheduled - 1) * FORCED_FULL_AT_MOST_EVERY


def test_undisturbed_the_window_is_the_one_that_setup_promises() -> None:
    expressions: dict[BackupType, str] = {"full": "0 2 * * 0", "diff": "0 2 * * 1-6"}
    fulls = [b.stopped for b in lived(expressions, 1, 150, trouble=0)[0] if b.kind == "full"][1:]  # without the very first
    promised = window(Schedule(full=expressions["full"], diff=expressions["diff"]), 7, "count", FULL_AFTER)
    assert len(fulls) > 14
    assert {last - first for first, last in zip(fulls, fulls[6:], strict=False)} == {promised.least}
    assert {last - first for first, last in zip(fulls, fulls[7:], strict=False)} == {promised.most}
