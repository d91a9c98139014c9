"""How runs develop: medians now against medians before."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup.showing import trend
from backup.state.history import Run
from tests.unit.backup.fakes import NOON


def make_run(days_ago: int, seconds: float = 60.0, copied: int | None = 1000, stored: int | None = 500) -> Run:
    started = NOON - timedelta(days=days_ago)
    return Run(
        id=1000 - days_ago,
        kind="backup",
        what="full",
        repo=1,
        origin="schedule",
        reason="",
        started=started,
        finished=started + timedelta(seconds=seconds),
        state="succeeded",
        exit_code=0,
        label=None,
        message="",
        tail="",
        database_bytes=10_000,
        copied_bytes=copied,
        stored_bytes=stored,
    )


def changes(runs: list[Run]) -> dict[str, float | None]:
    found = trend.trend(runs)
    assert found is not None
    return {change.measure: change.percent and round(change.percent, 1) for change in found.changes}


def test_the_last_seven_are_held_against_the_thirty_before() -> None:
    runs = [make_run(n, 112.0) for n in range(7)] + [make_run(n, 100.0) for n in range(7, 60)]
    found = trend.trend(runs)
    assert found is not None
    assert (found.type, found.repo, found.recent_runs, found.before_runs) == ("full", 1, 7, 30)
    assert found.since == NOON - timedelta(days=36)
    assert changes(runs) == {
        "seconds": 12.0,
        "database_bytes": 0.0,
        "copied_bytes": 0.0,
        "stored_bytes": 0.0,
        "ratio": 0.0,
        "bytes_per_second": -10.7,
    }


def test_one_run_beside_a_busy_database_changes_nothing() -> None:
    runs = [make_run(0, 9999.0), *(make_run(n) for n in range(1, 40))]
    assert changes(runs)["seconds"] == 0.0


@pytest.mark.parametrize(("count", "is_trend"), [(0, False), (9, False), (10, True)])
def test_too_few_runs_are_no_trend(count: int, is_trend: bool) -> None:
    assert (trend.trend([make_run(n) for n in range(count)]) is not None) == is_trend


def test_what_was_not_measured_is_left_out() -> None:
    runs = [make_run(n, copied=None, stored=None) for n in range(20)]
    assert set(changes(runs)) == {"seconds", "database_bytes"}


def test_from_nothing_there_is_no_percentage() -> None:
    runs = [make_run(n) for n in range(7)] + [make_run(n, copied=0) for n in range(7, 20)]
    assert changes(runs)["copied_bytes"] is None


@given(st.lists(st.floats(0, 1e9), min_size=10, max_size=50))
def test_a_trend_lies_within_what_was_measured(durations: list[float]) -> None:
    runs = [make_run(n, duration) for n, duration in enumerate(durations)]
    found = trend.trend(runs)
    assert found is not None
    change = next(change for change in found.changes if change.measure == "seconds")
    taken = [trend.seconds(run) or 0.0 for run in runs]
    assert min(taken) <= change.recent <= max(taken)
    assert min(taken) <= change.before <= max(taken)
