"""The delay between attempts: from seconds to a day, a little different each time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup.notify.backoff import FIRST, LONGEST, LONGEST_ASKED_FOR, delay


def test_it_doubles_from_five_seconds_to_a_day() -> None:
    delays = [delay(attempts, 0).total_seconds() for attempts in range(1, 18)]
    assert delays[:4] == [5, 10, 20, 40]
    assert delays[-2:] == [86400, 86400]


@given(attempts=st.integers(0, 10**9), chance=st.floats(0, 1))
def test_it_never_leaves_its_bounds(attempts: int, chance: float) -> None:
    assert 0.75 * FIRST <= delay(attempts, chance) <= LONGEST


@given(attempts=st.integers(1, 30), chance=st.floats(0, 1))
def test_chance_only_takes_away_and_never_more_than_the_step_before(attempts: int, chance: float) -> None:
    assert delay(attempts, 1) <= delay(attempts, chance) <= delay(attempts, 0)
    assert delay(attempts + 1, chance) >= delay(attempts, chance)


@pytest.mark.parametrize(
    ("attempts", "asked_for", "waits"),
    [
        (1, timedelta(seconds=30), timedelta(seconds=30)),
        (1, timedelta(seconds=1), FIRST),
        (1, timedelta(days=365), LONGEST_ASKED_FOR),
        (30, timedelta(seconds=1), LONGEST),
        (1, timedelta(0), FIRST),
    ],
)
def test_what_the_receiver_asks_for_is_waited_for_within_bounds(
    attempts: int, asked_for: timedelta, waits: timedelta
) -> None:
    assert delay(attempts, 0, asked_for) == waits
