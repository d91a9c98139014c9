"""When a backup is due: exactly once each, through both clock changes, however long the supervisor looks away."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backup.due import schedule
from backup.due.schedule import MOST_THOROUGH_FIRST, Decision, Due, Planned
from contract.supervisor import BackupType

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = st.sampled_from(
    [ZoneInfo(name) for name in ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata")]
)
WEEKLY: dict[BackupType, str] = {"full": "0 2 * * 0", "diff": "0 2 * * 1-6"}
EXPRESSIONS: st.SearchStrategy[dict[BackupType, str]] = st.sampled_from(
    [
        WEEKLY,
        {"full": "30 2 * * 0", "diff": "30 2 * * *"},
        {"full": "0 3 1 * *", "diff": "0 3 * * *", "incr": "0 */6 * * *"},
        {"full": "15 0 * * 1,4"},
        {"diff": "59 23 * * *"},
    ]
)
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 hypothesis adds the zone


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# --- clock changes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "expression", "after", "expected"),
    [
        ("an ordinary night in winter", "30 2 * * *", "2026-01-10 12:00", "2026-01-11 01:30"),
        ("an ordinary night in summer", "30 2 * * *", "2026-07-10 12:00", "2026-07-11 00:30"),
        ("the hour that is skipped: right after it", "30 2 * * *", "2026-03-28 12:00", "2026-03-29 01:00"),
        ("the night after the skipped hour", "30 2 * * *", "2026-03-29 01:00", "2026-03-30 00:30"),
        ("the hour that comes twice: in the first", "30 2 * * *", "2026-10-24 12:00", "2026-10-25 00:30"),
        ("not again in the second", "30 2 * * *", "2026-10-25 00:30", "2026-10-26 01:30"),
        ("an hourly one runs in both of them", "30 * * * *", "2026-10-25 00:30", "2026-10-25 01:30"),
    ],
)
def test_the_next_run_in_berlin(case: str, expression: str, after: str, expected: str) -> None:
    assert schedule.next_run(expression, BERLIN, utc(after)) == utc(expected), case


@pytest.mark.parametrize("expression", ["30 2 * * *", "0 2 * * *", "0 3 * * *", "59 1 * * *"])
def test_a_nightly_run_happens_once_on_every_day_of_the_year_in_berlin(expression: str) -> None:
    moment, days = utc("2025-12-31 12:00"), []
    for _ in range(365):
        moment = schedule.next_run(expression, BERLIN, moment)
        days.append(moment.astimezone(BERLIN).date())
    assert days == [datetime(2026, 1, 1, tzinfo=UTC).date() + timedelta(days=n) for n in range(365)]


@given(EXPRESSIONS, ZONES, MOMENTS)
@settings(deadline=None)
def test_looking_back_and_looking_ahead_meet_at_the_same_runs(
    expressions: dict[BackupType, str], zone: ZoneInfo, moment: datetime
) -> None:
    for expression in expressions.values():
        coming = schedule.next_run(expression, zone, moment)
        assert coming > moment
        past = schedule.previous_run(expression, zone, coming)
        assert past <= moment
        assert schedule.next_run(expression, zone, past) == coming


def test_moments_are_given_in_utc() -> None:
    assert schedule.next_run("0 2 * * *", BERLIN, utc("2026-01-01 00:00")).tzinfo is UTC
    assert schedule.previous_run("0 2 * * *", BERLIN, utc("2026-01-01 00:00")).tzinfo is UTC


# --- due --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "expressions", "since", "now", "expected"),
    [
        ("nothing before its time", WEEKLY, "2026-03-01 01:00", "2026-03-01 01:59:59", None),
        ("at its very second", WEEKLY, "2026-03-01 01:59:59", "2026-03-01 02:00", Due("full", utc("2026-03-01 02:00"))),
        ("not twice", WEEKLY, "2026-03-01 02:00", "2026-03-01 02:00:01", None),
        ("a weekday", WEEKLY, "2026-03-02 01:59", "2026-03-02 02:00", Due("diff", utc("2026-03-02 02:00"))),
        (
            "a full one absorbs a differential one of the same minute",
            {"full": "0 2 * * 0", "diff": "0 2 * * *"},
            "2026-03-01 01:59",
            "2026-03-01 02:00",
            Due("full", utc("2026-03-01 02:00")),
        ),
        (
            "after days away, one full backup for all that was missed",
            WEEKLY,
            "2026-02-27 12:00",
            "2026-03-03 12:00",
            Due("full", utc("2026-03-01 02:00")),
        ),
        (
            "a differential one absorbs an incremental one",
            {"diff": "0 2 * * *", "incr": "0 * * * *"},
            "2026-03-02 00:30",
            "2026-03-02 03:30",
            Due("diff", utc("2026-03-02 02:00")),
        ),
        ("an empty schedule is never due", {}, "2026-01-01 00:00", "2026-12-31 00:00", None),
    ],
)
def test_due(case: str, expressions: dict[BackupType, str], since: str, now: str, expected: Due | None) -> None:
    assert schedule.due(expressions, ZoneInfo("UTC"), utc(since), utc(now)) == expected, case


def moments_of(expression: str, zone: ZoneInfo, since: datetime, until: datetime) -> list[datetime]:
    found = []
    moment = schedule.next_run(expression, zone, since)
    while moment <= until:
        found.append(moment)
        moment = schedule.next_run(expression, zone, moment)
    return found


@given(EXPRESSIONS, ZONES, st.integers(0, 2**32))
@settings(deadline=None, max_examples=12)
def test_through_a_year_of_ticks_of_any_length_nothing_is_lost_and_nothing_doubled(
    expressions: dict[BackupType, str], zone: ZoneInfo, seed: int
) -> None:
    choose = random.Random(seed).choice
    start = utc("2026-01-01 00:00")
    ticks = [start]
    while ticks[-1] < utc("2027-01-01 00:00"):
        ticks.append(ticks[-1] + timedelta(seconds=choose([600, 3600, 40_000, 86_400, 200_000, 900_000])))
    moments = {kind: moments_of(cron, zone, start, ticks[-1]) for kind, cron in expressions.items()}
    for since, now in pairwise(ticks):
        expected = next(
            (
                Due(kind, max(inside))
                for kind in ("full", "diff", "incr")
                if (inside := [m for m in moments.get(kind, []) if since < m <= now])
            ),
            None,
        )
        assert schedule.due(expressions, zone, since, now) == expected


@pytest.mark.parametrize("since", ["2026-10-25 00:45", "2026-10-25 01:10", "2026-10-25 01:40"])
def test_a_run_in_the_hour_that_a_clock_change_repeats_is_not_due_again(since: str) -> None:
    """At half past two, twice: the first pass counts, however late in the second one somebody looks."""
    berlin = ZoneInfo("Europe/Berlin")
    assert schedule.next_run("30 2 * * 0", berlin, utc(since)) == utc("2026-11-01 01:30")
    assert schedule.due({"full": "30 2 * * 0"}, berlin, utc(since), utc("2026-10-25 12:00")) is None
    assert schedule.previous_run("30 2 * * 0", berlin, utc("2026-10-25 00:30")) == utc("2026-10-18 00:30")


def test_upcoming_lists_one_run_of_each_type_the_earliest_first() -> None:
    now = utc("2026-03-05 12:00")
    assert schedule.upcoming(WEEKLY, ZoneInfo("UTC"), now) == (
        Due("diff", utc("2026-03-06 02:00")),
        Due("full", utc("2026-03-08 02:00")),
    )


def test_upcoming_names_the_more_thorough_of_two_at_the_same_time_first() -> None:
    runs = schedule.upcoming({"diff": "0 2 * * *", "full": "0 2 * * *"}, ZoneInfo("UTC"), utc("2026-03-05 12:00"))
    assert [run.kind for run in runs] == ["full", "diff"]


# --- the decision -----------------------------------------------------------------------------------------------------

ALL_THREE: dict[BackupType, str] = {"full": "0 2 * * 0", "diff": "0 2 * * *", "incr": "0 * * * *"}
UTC_ZONE = ZoneInfo("UTC")


def test_a_first_start_begins_to_count_now() -> None:
    now = utc("2026-03-01 02:00")
    assert schedule.decide(WEEKLY, UTC_ZONE, None, now) == Decision(None, {}, is_missed=False, considered_until=now)


def test_what_fell_due_meanwhile_is_counted_and_taken_once() -> None:
    now = utc("2026-03-01 05:30")
    decision = schedule.decide(ALL_THREE, UTC_ZONE, utc("2026-02-28 01:30"), now)
    assert decision == Decision(
        Due("full", utc("2026-03-01 02:00")), {"full": 1, "diff": 2, "incr": 28}, is_missed=True, considered_until=now
    )
    assert schedule.decide(ALL_THREE, UTC_ZONE, now, now + timedelta(minutes=29)).due is None


@pytest.mark.parametrize(("seconds", "missed"), [(0, False), (60, False), (61, True)])
def test_a_run_is_missed_when_its_moment_is_more_than_a_minute_ago(seconds: int, missed: bool) -> None:
    now = utc("2026-03-01 02:00") + timedelta(seconds=seconds)
    decision = schedule.decide(WEEKLY, UTC_ZONE, utc("2026-03-01 01:59"), now)
    assert (decision.due, decision.is_missed) == (Due("full", utc("2026-03-01 02:00")), missed)


def test_the_counting_of_ages_ends_at_a_thousand() -> None:
    decision = schedule.decide({"incr": "* * * * *"}, UTC_ZONE, utc("1999-01-01 00:00"), utc("2026-03-01 02:00:30"))
    assert decision.fell_due == {"incr": 1000}
    assert decision.due == Due("incr", utc("2026-03-01 02:00"))


def test_a_clock_set_back_by_a_day_repeats_nothing_and_waits() -> None:
    dealt_with = utc("2026-03-02 02:00")
    decision = schedule.decide(WEEKLY, UTC_ZONE, dealt_with, utc("2026-03-01 02:00:01"))
    assert decision == Decision(None, {}, is_missed=False, considered_until=dealt_with)


def test_a_clock_that_had_been_wrong_by_years_does_not_stop_the_schedule_for_years() -> None:
    now = utc("2026-03-01 01:59:59")
    wrong = schedule.decide(WEEKLY, UTC_ZONE, utc("2099-01-01 00:00"), now)
    assert wrong == Decision(None, {}, is_missed=False, considered_until=now, clock_jumped=True)
    then = schedule.decide(WEEKLY, UTC_ZONE, wrong.considered_until, now + timedelta(seconds=1))
    assert then.due == Due("full", utc("2026-03-01 02:00"))


@given(EXPRESSIONS, ZONES, st.sampled_from([-1, 1]), st.lists(st.floats(0, 3 * 86_400), max_size=12))
@settings(deadline=None, max_examples=50)
def test_a_clock_that_jumps_a_day_and_back_loses_and_repeats_nothing(
    expressions: dict[BackupType, str], zone: ZoneInfo, days: int, waits: list[float]
) -> None:
    """After each wait the clock is set by a day, and back after the next; every moment it has shown is dealt with once."""
    start = real = utc("2026-10-20 12:00")
    considered, error, latest = start, timedelta(0), start
    counted: dict[BackupType, int] = {}
    for number, wait in enumerate([*waits, 86_400.0, 86_400.0]):
        real += timedelta(seconds=wait)
        for now in (real + error, real + (error := timedelta(days=days) * (number % 2))):
            decision = schedule.decide(expressions, zone, considered, now)
            assert not decision.clock_jumped
            considered, latest = decision.considered_until, max(latest, now)
            for kind, count in decision.fell_due.items():
                counted[kind] = counted.get(kind, 0) + count
    assert considered == latest
    moments = {kind: len(moments_of(cron, zone, start, latest)) for kind, cron in expressions.items()}
    assert counted == {kind: count for kind, count in moments.items() if count}


# --- overlap ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("running", "covered"), [("full", ["full", "diff", "incr"]), ("diff", ["diff", "incr"]), ("incr", ["incr"])]
)
def test_a_running_backup_covers_what_is_no_more_thorough(running: BackupType, covered: list[BackupType]) -> None:
    now = utc("2026-03-01 02:00")
    assert [kind for kind in MOST_THOROUGH_FIRST if schedule.absorb(running, Due(kind, now))] == covered


def test_of_what_waits_for_the_running_one_the_most_thorough_is_kept() -> None:
    earlier, later = utc("2026-03-01 02:00"), utc("2026-03-01 03:00")
    assert schedule.more_thorough(None, Due("incr", earlier)) == Due("incr", earlier)
    assert schedule.more_thorough(Due("full", earlier), Due("diff", later)) == Due("full", earlier)
    assert schedule.more_thorough(Due("diff", earlier), Due("full", later)) == Due("full", later)
    assert schedule.more_thorough(Due("diff", earlier), Due("diff", later)) == Due("diff", later)


# --- what is to come --------------------------------------------------------------------------------------------------


def test_the_agenda_merges_all_types_and_says_what_is_replaced() -> None:
    assert schedule.agenda({"full": "0 2 * * 0", "diff": "0 2 * * *"}, UTC_ZONE, utc("2026-02-27 12:00"), 3) == (
        Planned("diff", utc("2026-02-28 02:00")),
        Planned("full", utc("2026-03-01 02:00")),
        Planned("diff", utc("2026-03-01 02:00"), replaced_by="full"),
        Planned("diff", utc("2026-03-02 02:00")),
    )
    assert schedule.agenda({}, UTC_ZONE, utc("2026-02-27 12:00"), 3) == ()


def test_the_last_run_is_found_in_the_minute_in_which_it_was_due() -> None:
    assert schedule.previous_run("0 2 * * *", UTC_ZONE, utc("2026-03-01 02:00:30")) == utc("2026-03-01 02:00")
    assert schedule.previous_run("0 2 * * *", UTC_ZONE, utc("2026-03-01 02:00")) == utc("2026-02-28 02:00")
    assert schedule.previous_run("30 2 * * *", BERLIN, utc("2026-03-29 01:00:30")) == utc("2026-03-29 01:00")


@pytest.mark.parametrize("look", [schedule.next_run, schedule.previous_run])
def test_an_expression_that_never_comes_due_is_refused(look: Callable[[str, ZoneInfo, datetime], datetime]) -> None:
    with pytest.raises(ValueError, match="never c"):
        look("0 0 */30 2 1#5", UTC_ZONE, utc("2026-03-01 02:00"))


@pytest.mark.parametrize(
    ("nickname", "expected"),
    [("@hourly", "2026-03-04 13:00"), ("@daily", "2026-03-05 00:00"), ("@midnight", "2026-03-05 00:00"),
     ("@weekly", "2026-03-08 00:00"), ("@monthly", "2026-04-01 00:00"), ("@Yearly", "2027-01-01 00:00")],
)  # fmt: skip
def test_nicknames(nickname: str, expected: str) -> None:
    assert schedule.next_run(nickname, UTC_ZONE, utc("2026-03-04 12:34")) == utc(expected)
