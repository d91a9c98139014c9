"""How far back backups reach, by the schedules and the retention."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import settings as run_with
from hypothesis import strategies as st

from contract.supervisor import RetentionType, Schedule
from setup.window import in_words, window

WEEKLY, DAILY, DIFFS = "0 2 * * 0", "0 2 * * *", "0 2 * * 1-6"


@pytest.mark.parametrize(
    ("full", "diff", "incr", "retention", "kind", "words", "short"),
    [
        (WEEKLY, DIFFS, None, 7, "count", "6 to 7 weeks", False),
        (WEEKLY, None, None, 2, "count", "1 to 2 weeks", False),
        (WEEKLY, None, None, 1, "count", "0 to 7 days", True),
        (DAILY, None, None, 7, "count", "6 to 7 days", False),
        (DAILY, None, None, 3, "count", "2 to 3 days", True),
        ("0 */6 * * *", None, None, 3, "count", "12 to 18 hours", True),
        (WEEKLY, DIFFS, None, 30, "time", "30 to 37 days", False),
        (WEEKLY, DIFFS, None, 3, "time", "3 to 10 days", False),
        # Seven increments are over in seven hours, so a full one is forced every day: seven of them are a week, not seven.
        (WEEKLY, DIFFS, "0 * * * *", 7, "count", "5 to 6 days", True),
        (WEEKLY, None, "0 */8 * * *", 7, "count", "13 to 14 days", False),
        ("0 0 1 * *", DAILY, None, 3, "count", "12 to 20 days", False),
        ("0 0 1 1 *", None, None, 5, "count", "4 to 5 years", False),
        ("0 0 1 * *", None, None, 7, "count", "6 to 7 months", False),
        (WEEKLY, None, None, 9_999_999, "count", "more than 100 years", False),
        ("* * * * *", None, "* * * * *", 3, "count", "0 hours", True),
        ("0 0 29 2 *", None, None, 2, "count", "4 to 8 years", False),
        # Without a schedule of their own, full backups are the eighth of each row.
        (None, DAILY, None, 7, "count", "48 to 56 days", False),
        (None, DAILY, None, 30, "time", "30 to 38 days", False),
        (None, None, None, 7, "count", "as long as backups are taken by hand", False),
    ],
)
def test_the_window_in_words(
    full: str | None, diff: str | None, incr: str | None, retention: int, kind: RetentionType, words: str, short: bool
) -> None:
    found = window(Schedule(full=full, diff=diff, incr=incr), retention, kind, 7)
    assert (str(found), found.is_short) == (words, short)


def test_a_full_backup_is_forced_once_a_day_at_most() -> None:
    found = window(Schedule(full=WEEKLY, diff=None, incr="*/5 * * * *"), 8, "count", 7)
    assert found.forced
    assert timedelta(days=6) <= found.least <= found.most <= timedelta(days=8)


def test_without_many_others_none_is_forced() -> None:
    assert not window(Schedule(full=WEEKLY, diff=DIFFS), 7, "count", 7).forced


@pytest.mark.parametrize(
    ("full_after", "words"),
    [(1, "3 to 4 days"), (7, "3 to 4 days"), (24, "3 to 4 days"), (48, "6 to 8 days"), (100, "12 to 16 days")],
)
def test_more_backups_in_a_row_reach_further_back(full_after: int, words: str) -> None:
    schedule = Schedule(full="0 0 1 1 *", diff=None, incr="0 * * * *")
    assert str(window(schedule, 4, "count", full_after)) == words


@pytest.mark.parametrize(
    ("least_days", "most_days", "words"),
    [(1, 1, "24 hours"), (2, 2, "2 days"), (7, 21, "1 to 3 weeks"), (7, 20, "7 to 20 days")],
)
def test_in_words(least_days: int, most_days: int, words: str) -> None:
    assert in_words(timedelta(days=least_days), timedelta(days=most_days)) == words


crons = st.sampled_from([WEEKLY, DAILY, DIFFS, "0 * * * *", "*/15 * * * *", "0 0 1 * *", "30 3 1 JAN *", "0 0 29 2 *"])


@run_with(deadline=None, database=None, max_examples=60)
@given(
    full=crons, diff=st.none() | crons, incr=st.none() | crons, retention=st.integers(1, 60), full_after=st.integers(1, 100)
)
def test_keeping_more_never_reaches_less(
    full: str, diff: str | None, incr: str | None, retention: int, full_after: int
) -> None:
    schedule = Schedule(full=full, diff=diff, incr=incr)
    less, more = window(schedule, retention, "count", full_after), window(schedule, retention + 1, "count", full_after)
    assert timedelta(0) <= less.least <= less.most
    assert less.most <= more.most
    assert str(more)
