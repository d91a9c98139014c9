"""The measured rate of WAL: never a rate that was not, whatever the server and the clocks do."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup.watch.rates import LONGEST_HOURS, Rate, hours_until_full, measured
from backup.watch.readings import Volume, WalReading
from tests.unit.backup.fakes import MEBIBYTE, SEGMENT, make_wal

WALS = st.none() | st.builds(
    make_wal,
    in_recovery=st.booleans(),
    system_id=st.sampled_from([1, 2]),
    timeline=st.integers(1, 2),
    wal_position=st.integers(0, 2**63 - 1),
)
SECONDS = st.floats(-1e9, 1e9, allow_nan=False) | st.sampled_from([0.0, math.inf, -math.inf, math.nan])
RATES = st.none() | st.floats(0, 1e12)


@given(WALS, WALS, SECONDS, RATES)
def test_a_rate_is_never_negative_and_always_a_number(
    before: WalReading | None, now: WalReading | None, seconds: float, smoothed: float | None
) -> None:
    rate = measured(before, now, seconds, smoothed)
    for value in (rate.latest, rate.smoothed):
        assert value is None or (value >= 0 and math.isfinite(value))


@given(st.integers(0, 2**40), st.integers(0, 2**40), st.floats(10, 1e6), RATES)
def test_more_written_is_never_a_lower_rate(less: int, more: int, seconds: float, smoothed: float | None) -> None:
    less, more = sorted((less, more))
    start = make_wal(wal_position=0)
    slow = measured(start, make_wal(wal_position=less), seconds, smoothed)
    fast = measured(start, make_wal(wal_position=more), seconds, smoothed)
    assert slow.latest is not None and fast.latest is not None  # noqa: PT018 for mypy
    assert slow.smoothed is not None and fast.smoothed is not None  # noqa: PT018
    assert slow.latest <= fast.latest
    assert slow.smoothed <= fast.smoothed * (1 + 1e-12)


@given(st.floats(0, 1e9), st.floats(0, 1e9), st.floats(10, 1e6))
def test_the_mean_lies_between_what_was_and_what_is(was: float, now: float, seconds: float) -> None:
    end = make_wal(wal_position=int(now * seconds))
    rate = measured(make_wal(wal_position=0), end, seconds, was)
    assert rate.latest is not None
    assert rate.smoothed is not None
    low, high = sorted((was, rate.latest))
    assert low * (1 - 1e-9) <= rate.smoothed <= high * (1 + 1e-9) + 1e-9


@pytest.mark.parametrize(
    "after",
    [
        {"timeline": 2, "wal_position": 8 * SEGMENT},
        {"system_id": 1, "wal_position": 8 * SEGMENT},
        {"wal_position": SEGMENT},
        {"in_recovery": True, "wal_position": 8 * SEGMENT},
    ],
    ids=["promoted", "another cluster", "restored to before", "in recovery"],
)
def test_a_restore_is_no_rate_and_the_mean_stays(after: dict[str, int]) -> None:
    assert measured(make_wal(), make_wal(**after), 60, 1000.0) == Rate(None, 1000.0)


@pytest.mark.parametrize("seconds", [-86400.0, 0.0, 9.9])
def test_too_short_a_time_is_no_rate(seconds: float) -> None:
    assert measured(make_wal(), make_wal(wal_position=7 * SEGMENT), seconds, 1000.0) == Rate(None, 1000.0)


def test_a_steady_rate_becomes_the_mean_within_the_hour() -> None:
    smoothed: float | None = 0.0
    wal = make_wal(wal_position=0)
    for _ in range(60):
        after = replace(wal, wal_position=wal.wal_position + 60 * MEBIBYTE)
        smoothed, wal = measured(wal, after, 60, smoothed).smoothed, after
    assert smoothed == pytest.approx(MEBIBYTE, rel=0.02)


def test_the_mean_does_not_depend_on_how_often_one_looks() -> None:
    one = measured(make_wal(wal_position=0), make_wal(wal_position=600 * MEBIBYTE), 600, 0.0).smoothed
    many: float | None = 0.0
    for _ in range(10):
        many = measured(make_wal(wal_position=0), make_wal(wal_position=60 * MEBIBYTE), 60, many).smoothed
    assert one == pytest.approx(many)


# --- the guide's formula ----------------------------------------------------------------------------------------------

GB = 10**9


@pytest.mark.parametrize(
    ("free", "an_hour", "hours"),
    [(10 * GB, GB / 10, 83.3), (20 * GB, GB / 5, 83.3), (50 * GB, GB / 2, 83.3), (10 * GB, GB, 8.3)],
)
def test_the_examples_of_the_guide(free: int, an_hour: float, hours: float) -> None:
    volume = Volume("data", (), free, 100 * GB)
    assert hours_until_full(volume, an_hour / 3600, 0) == pytest.approx(hours, abs=0.04)


def test_a_reserve_does_not_count_as_free() -> None:
    assert hours_until_full(Volume("data", (), 15 * GB, 100 * GB), GB / 3600, 5) == pytest.approx(8.33, abs=0.01)
    assert hours_until_full(Volume("data", (), 5 * GB, 100 * GB), GB / 3600, 5) == 0.0


def test_what_is_not_known_gives_no_hours() -> None:
    assert hours_until_full(Volume("data"), 1.0, 5) is None
    assert hours_until_full(Volume("data", (), GB, GB), None, 5) is None


@given(
    st.integers(0, 2**50),
    st.integers(0, 2**50),
    st.integers(0, 50),
    st.floats(0, 1e12),
    st.floats(0, 1e12),
    st.integers(0, 2**50),
)
def test_less_room_a_bigger_reserve_and_a_higher_rate_never_give_more_hours(
    free: int, used: int, reserve: int, slow: float, fast: float, less: int
) -> None:
    slow, fast = sorted((slow, fast))
    volume, smaller = Volume("data", (), free, free + used), Volume("data", (), min(free, less), free + used)
    hours = hours_until_full(volume, slow, reserve)
    assert hours is not None
    assert 0 <= hours <= LONGEST_HOURS
    for worse in (
        hours_until_full(volume, fast, reserve),
        hours_until_full(smaller, slow, reserve),
        hours_until_full(volume, slow, reserve + 1),
    ):
        assert worse is not None
        assert worse <= hours
