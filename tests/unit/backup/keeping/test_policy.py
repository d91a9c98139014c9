"""Our judgement over backups: first full, freshness, window."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from backup.keeping import policy
from backup.pgbackrest import Backup
from backup.state.history import Run
from contract.supervisor import BackupType, Thresholds
from tests.unit.backup.fakes import make_backup, make_info

UTC_ZONE = ZoneInfo("UTC")
WEEKLY: dict[BackupType, str] = {"full": "0 2 * * 0", "diff": "0 2 * * 1-6"}

# 2026-03-01 is a Sunday.
SUNDAY = make_backup("20260301-020500F")
MONDAY = make_backup("20260301-020500F_20260302-020100D")
TUESDAY = make_backup("20260301-020500F_20260303-020100D")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# --- the first full ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "backups", "needed"),
    [
        ("an empty repository needs one", (), True),
        ("one that holds a full backup does not", (SUNDAY,), False),
        ("a full backup in another repository does not count", (make_backup(repo=2),), True),
        (
            "a damaged full one counts: another one would be as damaged",
            (make_backup("20260301-020500F", has_errors=True),),
            False,
        ),
    ],
)
def test_a_first_full_backup_is_needed_only_when_there_is_none(case: str, backups: tuple[Backup, ...], needed: bool) -> None:
    assert policy.needs_first_full(make_info(*backups), 1) is needed, case


# --- freshness --------------------------------------------------------------------------------------------------------

FULL_FINE, DIFF_FINE = ("full", None), ("diff", None)

FRESHNESS = [
    ("nothing at all", (), "2026-03-04 12:00", [("full", "there is no full backup"), DIFF_FINE]),
    ("a fresh deployment, its first full an hour old", (make_backup("20260304-110000F"),), "2026-03-04 12:00",
     [FULL_FINE, DIFF_FINE]),
    ("all kept", (SUNDAY, MONDAY, TUESDAY), "2026-03-03 12:00", [FULL_FINE, DIFF_FINE]),
    ("tonight's differential one may still be under way", (SUNDAY, MONDAY, TUESDAY), "2026-03-04 03:59",
     [FULL_FINE, DIFF_FINE]),
    ("two hours later it counts as missing", (SUNDAY, MONDAY, TUESDAY), "2026-03-04 04:01",
     [FULL_FINE,
      ("diff", "the last one is from 2026-03-03 02:01 UTC, but one was due at 2026-03-04 02:00 UTC")]),
    ("a week without a full one", (SUNDAY, MONDAY), "2026-03-08 12:00",
     [("full", "the last one is from 2026-03-01 02:05 UTC, but one was due at 2026-03-08 02:00 UTC"),
      ("diff", "the last one is from 2026-03-02 02:01 UTC, but one was due at 2026-03-07 02:00 UTC")]),
    ("a full backup serves as a differential one", (make_backup("20260303-020000F"),), "2026-03-03 12:00",
     [FULL_FINE, DIFF_FINE]),
    ("a differential one does not serve as a full one", (SUNDAY, make_backup("20260301-020500F_20260308-020100D")),
     "2026-03-08 12:00",
     [("full", "the last one is from 2026-03-01 02:05 UTC, but one was due at 2026-03-08 02:00 UTC"), DIFF_FINE]),
    ("only damaged full backups", (make_backup("20260301-020500F", has_errors=True),), "2026-03-01 12:00",
     [("full", "every full backup has page checksum errors"), DIFF_FINE]),
    ("a damaged differential one does not count", (SUNDAY, make_backup(MONDAY.label, has_errors=True)),
     "2026-03-02 12:00",
     [FULL_FINE, ("diff", "the last one is from 2026-03-01 02:05 UTC, but one was due at 2026-03-02 02:00 UTC")]),
    ("what fell due before the first backup was nobody's to take", (make_backup("20260304-110000F"),),
     "2026-03-04 13:30", [FULL_FINE, DIFF_FINE]),
    ("only damaged ones since before the last due time", (make_backup("20260301-020500F", has_errors=True),),
     "2026-03-03 12:00",
     [("full", "every full backup has page checksum errors"), ("diff", "no diff backup since 2026-03-03 02:00 UTC")]),
]  # fmt: skip


@pytest.mark.parametrize(("case", "backups", "now", "expected"), FRESHNESS, ids=[row[0] for row in FRESHNESS])
def test_freshness(case: str, backups: tuple[Backup, ...], now: str, expected: list[tuple[BackupType, str | None]]) -> None:
    verdicts = policy.freshness(WEEKLY, UTC_ZONE, backups, utc(now))
    assert [(v.kind, v.problem) for v in verdicts] == expected


def test_the_latest_sufficient_backup_and_the_next_run_come_with_the_verdict() -> None:
    full, diff = policy.freshness(WEEKLY, UTC_ZONE, (SUNDAY, MONDAY), utc("2026-03-02 12:00"))
    assert (full.latest, full.next_at) == (SUNDAY, utc("2026-03-08 02:00"))
    assert (diff.latest, diff.next_at) == (MONDAY, utc("2026-03-03 02:00"))


def test_the_schedule_is_read_in_its_own_zone() -> None:
    (full,) = policy.freshness({"full": "0 2 * * *"}, ZoneInfo("Asia/Tokyo"), (SUNDAY,), utc("2026-03-01 20:00"))
    assert full.problem == "the last one is from 2026-03-01 02:05 UTC, but one was due at 2026-03-01 17:00 UTC"


def test_an_incremental_schedule_is_served_by_any_backup() -> None:
    (incr,) = policy.freshness({"incr": "0 * * * *"}, UTC_ZONE, (SUNDAY,), utc("2026-03-01 04:30"))
    assert (incr.latest, incr.problem) == (SUNDAY, None)


# --- the window -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "backups", "archived", "window"),
    [
        ("no backup, no window", (), "2026-03-04 12:00", None),
        ("only damaged backups, no window", (make_backup(has_errors=True),), "2026-03-04 12:00", None),
        (
            "from the end of the first backup to the last archived segment",
            (SUNDAY, MONDAY),
            "2026-03-04 12:00",
            (SUNDAY.stopped, utc("2026-03-04 12:00")),
        ),
        ("without a word of the archiver, to the last backup", (SUNDAY, MONDAY), None, (SUNDAY.stopped, MONDAY.stopped)),
        (
            "an archiver whose statistics are older than the last backup",
            (SUNDAY, MONDAY),
            "2026-03-01 12:00",
            (SUNDAY.stopped, MONDAY.stopped),
        ),
        (
            "a damaged first backup does not open it",
            (make_backup("20260228-020000F", has_errors=True), SUNDAY),
            None,
            (SUNDAY.stopped, SUNDAY.stopped),
        ),
        ("another repository's backups do not count", (make_backup(repo=2),), None, None),
    ],
)
def test_window(
    case: str, backups: tuple[Backup, ...], archived: str | None, window: tuple[datetime, datetime] | None
) -> None:
    found = policy.window(make_info(*backups), 1, utc(archived) if archived else None)
    assert (found and (found.earliest, found.latest)) == window, case


# --- leeway -----------------------------------------------------------------------------------------------------------

FULL_RUN = Run(1, "backup", "full", 1, "schedule", "", utc("2026-03-08 02:00"), None, "running", None, None, "", "")


@pytest.mark.parametrize(
    ("case", "now", "running", "minutes", "late"),
    [
        ("nobody is at it", "2026-03-08 04:01", None, 120, ["full", "diff"]),
        ("within the minutes that are allowed", "2026-03-08 04:01", None, 122, ["diff"]),
        ("beyond fewer minutes", "2026-03-08 02:11", None, 10, ["full", "diff"]),
        ("a full one is under way and serves for both", "2026-03-08 09:00", FULL_RUN, 120, []),
        (
            "a differential one does not serve as a full one",
            "2026-03-08 09:00",
            replace(FULL_RUN, what="diff"),
            120,
            ["full"],
        ),
        ("one for another repository", "2026-03-08 09:00", replace(FULL_RUN, repo=2), 120, ["full", "diff"]),
    ],
)
def test_a_backup_is_late_after_the_minutes_allowed_unless_one_is_under_way(
    case: str, now: str, running: Run | None, minutes: int, late: list[str]
) -> None:
    excuse = policy.leeway(Thresholds(late_minutes=minutes), 1, running)
    verdicts = policy.freshness(WEEKLY, UTC_ZONE, (SUNDAY, MONDAY), utc(now), excuse)
    assert [v.kind for v in verdicts if v.problem] == late, case


def test_a_first_full_backup_under_way_is_none_yet() -> None:
    (full, _) = policy.freshness(WEEKLY, UTC_ZONE, (), utc("2026-03-08 02:01"), policy.leeway(Thresholds(), 1, FULL_RUN))
    assert full.problem == "there is no full backup"
