"""The plan: what cannot work is refused before anything stops, with the nearest thing that can."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup.emergency.gap import Gap
from backup.pgbackrest import Backup, Info, RepositoryStatus, RestoreTarget
from backup.restore import plan
from backup.restore.plan import Plan, RefusedError, Verb, Wanted, describe, make_plan, parse_target
from backup.restore.timeline import FIRST, Branch
from contract.exits import Exit
from tests.unit.backup.fakes import NOON, make_backup, make_info

UTC_ZONE, BERLIN = ZoneInfo("UTC"), ZoneInfo("Europe/Berlin")

SUNDAY = make_backup("20260301-020000F")
MONDAY = make_backup("20260301-020000F_20260302-020000D", lsn_stop="0/5000100")
TUESDAY = make_backup("20260301-020000F_20260303-020000D", lsn_stop="0/8000100")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def planned(wanted: Wanted, info: Info, branch: Branch = FIRST, now: datetime = NOON, zone: ZoneInfo = UTC_ZONE) -> Plan:
    return make_plan(wanted, info, branch, now, zone)


def refusal(
    wanted: Wanted, info: Info, branch: Branch = FIRST, now: datetime = NOON, zone: ZoneInfo = UTC_ZONE
) -> tuple[str, str]:
    with pytest.raises(RefusedError) as refused:
        planned(wanted, info, branch, now, zone)
    assert refused.value.exit_code is Exit.RESTORE_REFUSED
    return refused.value.message, refused.value.hint


# --- what the operator typed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "zone", "moment"),
    [
        ("2026-01-15 12:00:00", UTC_ZONE, "2026-01-15 12:00:00"),
        ("2026-01-15 12:00:00", BERLIN, "2026-01-15 11:00:00"),
        ("2026-07-15 12:00:00", BERLIN, "2026-07-15 10:00:00"),
        ("  2026-01-15 12:00  ", UTC_ZONE, "2026-01-15 12:00:00"),
        ("2026-01-15", UTC_ZONE, "2026-01-15 00:00:00"),
        ("2026-01-15T12:00:00Z", BERLIN, "2026-01-15 12:00:00"),
        ("2026-01-15T12:00:00.25+02:00", BERLIN, "2026-01-15 10:00:00.25"),
        ("2026-01-15 12:00:00+05:30", BERLIN, "2026-01-15 06:30:00"),
        ("2026-01-15 12:00:00 +02:00", BERLIN, "2026-01-15 10:00:00"),
        ("2026-01-15 12:00:00.123456", UTC_ZONE, "2026-01-15 12:00:00.123456"),
        ("2026-10-25 02:30:00+02:00", BERLIN, "2026-10-25 00:30:00"),
        ("2026-10-25 02:30:00+01:00", BERLIN, "2026-10-25 01:30:00"),
    ],
)
def test_a_time_is_read_as_it_is_written_and_local_without_an_offset(text: str, zone: ZoneInfo, moment: str) -> None:
    assert parse_target(text, zone) == utc(moment)


@pytest.mark.parametrize("text", ["", "yesterday", "10 minutes ago", "2026-13-01 00:00", "1767225600", "12:00", "NaT"])
def test_what_is_no_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(RefusedError) as refused:
        parse_target(text, UTC_ZONE)
    assert refused.value.message == f"restore refused: TARGET is not a time: {text!r}"
    assert refused.value.hint == 'write it as "2024-01-01 12:00:00", with an offset if you like ("… +02:00")'


@pytest.mark.parametrize(
    ("case", "text", "both"),
    [
        (
            "the hour that comes twice",
            "2026-10-25 02:30:00",
            "2026-10-25 02:30:00+01:00 or 2026-10-25 02:30:00+02:00",
        ),
        (
            "the hour that is skipped",
            "2026-03-29 02:30:00",
            "2026-03-29 01:30:00+01:00 or 2026-03-29 03:30:00+02:00",
        ),
    ],
)
def test_a_time_in_the_hour_of_a_clock_change_is_refused_with_both_readings(case: str, text: str, both: str) -> None:
    with pytest.raises(RefusedError) as refused:
        parse_target(text, BERLIN)
    assert refused.value.message == f"restore refused: TARGET lies in the hour of a clock change: {text!r}", case
    assert refused.value.hint == f"add an offset: {both}"


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.timezones()))  # noqa: DTZ001 hypothesis adds the zone
def test_any_moment_with_an_offset_survives_being_written_down(moment: datetime) -> None:
    in_utc = moment.astimezone(UTC)
    assert parse_target(in_utc.isoformat(sep=" "), BERLIN) == in_utc


@given(st.text(max_size=30))
def test_whatever_is_typed_is_a_time_or_refused(text: str) -> None:
    with contextlib.suppress(RefusedError):
        assert parse_target(text, BERLIN).tzinfo is UTC


# --- the latest state -------------------------------------------------------------------------------------------------


def test_the_latest_state_starts_from_the_last_good_backup_and_keeps_the_tail() -> None:
    damaged = make_backup("20260301-020000F_20260304-020000D", has_errors=True)
    made = planned(Wanted("latest"), make_info(SUNDAY, MONDAY, damaged))
    assert (made.backup, made.target, made.timeline) == (MONDAY, RestoreTarget("default"), 1)
    assert made.keeps_tail


@pytest.mark.parametrize("verb", ["latest", "backup", "pitr"])
def test_an_empty_repository_is_refused(verb: Verb) -> None:
    assert refusal(Wanted(verb, label="20260301-020000F", at=NOON), make_info()) == (
        "restore refused: the repository holds no backup without errors",
        "see `make backup-info`",
    )


def test_a_repository_that_cannot_be_read_is_refused_with_its_message() -> None:
    unreadable = RepositoryStatus(1, "aes-256-cbc", 99, "[FormatError] key/value found outside of section")
    assert refusal(Wanted("latest"), make_info(SUNDAY, repositories=(unreadable,))) == (
        "restore refused: the repository cannot be read: [FormatError] key/value found outside of section",
        "run `make backup-check`; nothing was changed",
    )


def test_one_readable_repository_of_two_is_enough() -> None:
    states = (RepositoryStatus(1, "none", 99, "gone"), RepositoryStatus(2, "none", 0, "ok"))
    assert planned(Wanted("latest"), make_info(make_backup(repo=2), repositories=states)).backup.repo == 2


# --- a backup set -----------------------------------------------------------------------------------------------------


def test_a_backup_set_ends_where_it_became_consistent_and_leaves_the_tail() -> None:
    made = planned(Wanted("backup", label=SUNDAY.label), make_info(SUNDAY, MONDAY))
    assert (made.backup, made.target) == (SUNDAY, RestoreTarget("immediate"))
    assert not made.keeps_tail


def test_a_backup_set_may_lie_on_an_abandoned_timeline() -> None:
    other = make_backup("20260302-120000F", wal_stop="000000020000000000000009", lsn_stop="0/9000100")
    made = planned(Wanted("backup", label=other.label), make_info(SUNDAY, other), Branch(3, {1: 0x5000000}))
    assert made.timeline == 2


@pytest.mark.parametrize("label", ["20200101-000000F", "", "latest", None])
def test_an_unknown_backup_set_is_refused_with_the_latest(label: str | None) -> None:
    assert refusal(Wanted("backup", label=label), make_info(SUNDAY, MONDAY)) == (
        f"restore refused: there is no backup set {label!r}",
        f"the latest one is {MONDAY.label} (ended 2026-03-02 02:00:00 UTC); `make backup-info` lists all",
    )


def test_a_damaged_backup_set_is_refused() -> None:
    damaged = make_backup("20260302-120000F", has_errors=True)
    assert refusal(Wanted("backup", label=damaged.label), make_info(SUNDAY, damaged)) == (
        "restore refused: backup 20260302-120000F has page checksum errors",
        "choose another one from `make backup-info`",
    )


# --- a moment ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "at", "backup"),
    [
        ("after the first backup", "2026-03-01 12:00", SUNDAY),
        ("a second after a backup", "2026-03-02 02:00:01", MONDAY),
        ("in the second that a backup ends in, the one before it", "2026-03-02 02:00:00.999999", SUNDAY),
        ("after the last backup", "2026-03-04 11:59", TUESDAY),
        ("now", "2026-03-04 12:00", TUESDAY),
    ],
)
def test_a_moment_starts_from_the_last_backup_that_ended_before_it(case: str, at: str, backup: Backup) -> None:
    made = planned(Wanted("pitr", at=utc(at)), make_info(SUNDAY, MONDAY, TUESDAY))
    assert (made.backup, made.target) == (backup, RestoreTarget("time", utc(at))), case
    assert not made.keeps_tail


def test_the_future_is_refused() -> None:
    assert refusal(Wanted("pitr", at=NOON + timedelta(seconds=1)), make_info(SUNDAY)) == (
        "restore refused: the target 2026-03-04 12:00:01 UTC lies in the future",
        "for the latest state use `make restore-latest`",
    )


def test_a_moment_before_the_earliest_backup_is_refused_with_the_earliest_possible() -> None:
    assert refusal(Wanted("pitr", at=utc("2026-03-01 01:00")), make_info(SUNDAY, MONDAY), zone=BERLIN) == (
        (
            "restore refused: the target 2026-03-01 01:00:00 UTC (2026-03-01 02:00:00 CET) lies before the end of the "
            "earliest backup"
        ),
        "the earliest possible target is 2026-03-01 02:00:01 UTC (2026-03-01 03:00:01 CET)",
    )


def test_without_a_moment_there_is_an_example() -> None:
    assert refusal(Wanted("pitr"), make_info(SUNDAY)) == (
        "restore refused: no TARGET given",
        'make restore-pitr TARGET="2024-01-01 12:00:00"',
    )


# --- timelines --------------------------------------------------------------------------------------------------------

# Restored to Monday noon: timeline 2 left timeline 1 at 0/6000000, so Tuesday's backup is on the abandoned branch.
SECOND = Branch(2, {1: 0x6000000})


@pytest.mark.parametrize(
    ("case", "wanted"),
    [("latest", Wanted("latest")), ("a moment after the abandoned one", Wanted("pitr", at=NOON))],
)
def test_a_backup_on_an_abandoned_branch_is_not_used(case: str, wanted: Wanted) -> None:
    made = planned(wanted, make_info(SUNDAY, MONDAY, TUESDAY), SECOND)
    assert (made.backup, made.timeline) == (MONDAY, 2), case


def test_a_backup_taken_after_the_fork_is_used() -> None:
    new = make_backup("20260303-120000F", wal_stop="000000020000000000000009", lsn_stop="0/9000100")
    assert planned(Wanted("latest"), make_info(SUNDAY, MONDAY, TUESDAY, new), SECOND).backup == new


def test_when_no_backup_lies_on_the_newest_branch_one_can_be_named() -> None:
    assert refusal(Wanted("latest"), make_info(TUESDAY), SECOND) == (
        "restore refused: no backup lies on timeline 2, the newest in the archive",
        f"name a backup: make restore-backup BACKUP_SET={TUESDAY.label}",
    )


def test_a_backup_whose_place_in_the_log_is_unknown_is_only_used_by_name() -> None:
    unknown = make_backup("20260301-020000F", wal_stop=None, lsn_stop=None)
    assert refusal(Wanted("latest"), make_info(unknown))[0].startswith("restore refused: no backup lies on timeline 1")
    assert planned(Wanted("backup", label=unknown.label), make_info(unknown)).backup == unknown


# --- in words ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "to", "lost"),
    [
        (
            Wanted("latest"),
            "the latest state: every archived transaction, and WAL that never reached the archive",
            "nothing that is readable",
        ),
        (
            Wanted("backup", label=SUNDAY.label),
            "the moment this backup became consistent, 2026-03-01 02:00:00 UTC",
            "everything committed after it",
        ),
        (
            Wanted("pitr", at=utc("2026-03-04 11:30:00.5")),
            "2026-03-04 11:30:00 UTC, 0:29:59 ago",
            "everything committed after that moment",
        ),
    ],
)
def test_a_plan_says_what_it_brings_back_and_what_is_lost(wanted: Wanted, to: str, lost: str) -> None:
    words = dict(describe(planned(wanted, make_info(SUNDAY)), NOON, UTC_ZONE))
    assert (words["restore to"], words["is lost"]) == (to, lost)
    assert words["from"] == "full backup 20260301-020000F, ended 2026-03-01 02:00:00 UTC, repository 1"
    assert words["timeline"] == "follows 1; a new one begins when the database opens"


def test_times_are_told_in_utc_and_in_the_readers_zone() -> None:
    assert plan._both(utc("2026-07-01 12:00"), BERLIN) == "2026-07-01 12:00:00 UTC (2026-07-01 14:00:00 CEST)"
    assert plan._both(utc("2026-07-01 12:00"), ZoneInfo("Etc/UTC")) == "2026-07-01 12:00:00 UTC"


# --- WAL that was given up --------------------------------------------------------------------------------------------


GAP = Gap(
    utc("2026-03-03 10:00:00.5"),
    utc("2026-03-03 11:00:00"),
    utc("2026-03-03 15:00:00"),
    "20260303-150000F",
    1,
    is_released=True,
)
OPEN = Gap(utc("2026-03-03 10:00:00"), utc("2026-03-03 11:00:00"))


@pytest.mark.parametrize("at", ["2026-03-03 10:00:00.5", "2026-03-03 12:00:00", "2026-03-03 15:00:00"])
def test_a_target_whose_wal_was_given_up_is_refused_with_the_nearest_ones(at: str) -> None:
    with pytest.raises(RefusedError) as refused:
        plan.require_recoverable(Wanted("pitr", at=utc(at)), (GAP,), UTC_ZONE)
    assert "lies in an interval without point-in-time recovery" in refused.value.message
    assert refused.value.hint == (
        "the last possible target before it is 2026-03-03 10:00:00 UTC; "
        "the next possible target after it is 2026-03-03 15:00:01 UTC"
    )


def test_before_a_whole_second_the_second_before_is_the_last() -> None:
    with pytest.raises(RefusedError) as refused:
        plan.require_recoverable(Wanted("pitr", at=utc("2026-03-04 10:00:00")), (OPEN,), UTC_ZONE)
    assert "the last possible target before it is 2026-03-03 09:59:59 UTC; after it nothing" in refused.value.hint


@pytest.mark.parametrize("at", ["2026-03-03 10:00:00", "2026-03-03 15:00:01"])
def test_what_it_names_is_possible(at: str) -> None:
    plan.require_recoverable(Wanted("pitr", at=utc(at)), (GAP,), UTC_ZONE)


def test_other_restores_are_not_refused_for_it() -> None:
    plan.require_recoverable(Wanted("latest"), (OPEN,), UTC_ZONE)
    plan.require_recoverable(Wanted("backup", label="x"), (OPEN,), UTC_ZONE)


def test_the_plan_says_what_an_emergency_costs() -> None:
    made = planned(Wanted("latest"), make_info(SUNDAY))
    text = "\n".join(f"{name}: {words}" for name, words in describe(made, NOON, UTC_ZONE, (OPEN,)))
    assert "restore to: the end of the archive, 2026-03-03 10:00:00 UTC" in text
    assert "is lost: EVERYTHING committed after that: a WAL emergency is on" in text
    text = "\n".join(f"{name}: {words}" for name, words in describe(made, NOON, UTC_ZONE, (GAP,)))
    assert "is lost: nothing that is readable" in text
    assert "no recovery: no moment after 2026-03-03 10:00:00 UTC can be restored before 2026-03-03 15:00:00 UTC" in text


# --- several repositories ---------------------------------------------------------------------------------------------


def test_wal_comes_from_the_repository_of_the_backup_first_and_from_no_unreadable_one() -> None:
    newest = make_backup("20260303-020000F", repo=3)
    info = make_info(SUNDAY, make_backup("20260302-020000F", repo=2), newest)
    assert planned(Wanted("latest"), info).repositories == (3, 1, 2)
    dead = RepositoryStatus(1, "none", 99, "[HostConnectError] timeout")
    rest = make_info(make_backup("20260302-020000F", repo=2), newest, repositories=(dead, *info.repositories[1:]))
    assert planned(Wanted("latest"), rest).repositories == (3, 2)


def test_an_emptied_repository_is_not_asked_for_wal() -> None:
    emptied = RepositoryStatus(1, "none", 1, "missing stanza path")
    info = make_info(make_backup("20260302-020000F", repo=2))
    rest = make_info(*info.backups, repositories=(emptied, RepositoryStatus(2, "none", 0, "ok")))
    assert planned(Wanted("latest"), rest).repositories == (2,)


def test_the_window_is_told_with_the_repositories_that_give_it() -> None:
    dead = RepositoryStatus(1, "none", 99, "[HostConnectError] timeout")
    second = make_backup("20260302-020000F", repo=2)
    info = make_info(second, repositories=(dead, RepositoryStatus(2, "none", 0, "ok")))
    assert plan.sources(info, UTC_ZONE) == (
        "repository 2 reaches back to 2026-03-02 02:00:00 UTC; repository 1 CANNOT BE READ"
    )
