"""What is tried again, as what and when: from the record of runs alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup.due.retry import DELAYS, Retry, jitter_seconds, retry
from backup.state.history import Run

NOW = datetime(2026, 3, 9, 2, 0, tzinfo=UTC)
TEN_MINUTES_AGO = NOW - timedelta(minutes=10)
JITTER = timedelta(minutes=1)


def run(what: str, state: str, **given: Any) -> Run:
    """A scheduled run in repository 1 that ended ten minutes ago and may be tried again."""
    values: dict[str, Any] = {
        "id": 1, "kind": "backup", "what": what, "repo": 1, "origin": "schedule", "reason": "",
        "started": TEN_MINUTES_AGO - timedelta(minutes=5), "finished": TEN_MINUTES_AGO, "state": state, "exit_code": 50,
        "label": None, "message": "", "tail": "", "requested": what, "retryable": state != "succeeded",
    }  # fmt: skip
    return Run(**{**values, **given})


def at(found: Retry | None) -> datetime:
    assert found is not None
    return found.at


NOTHING: list[tuple[str, tuple[Run, ...]]] = [
    ("nothing was run", ()),
    ("all is well", (run("full", "succeeded"),)),
    ("it cannot help", (run("full", "failed", retryable=False),)),
    ("it cannot help any more", (run("full", "failed", retryable=False), run("full", "failed"))),
    ("by hand", (run("full", "failed", origin="manual"),)),
    ("by hand and cut off", (run("full", "interrupted", origin="manual"),)),
    ("one is under way", (run("diff", "running", finished=None), run("full", "failed"))),
    ("it has succeeded since", (run("diff", "succeeded"), run("diff", "failed"))),
    ("it has succeeded by hand since", (run("diff", "succeeded", origin="manual"), run("diff", "failed"))),
    ("a full one has succeeded since", (run("full", "succeeded"), run("diff", "failed"))),
    ("a full one took its place, in vain", (run("full", "failed", retryable=False), run("diff", "failed"))),
    ("a restore is no backup", (run("latest", "failed", kind="restore"),)),
]


@pytest.mark.parametrize(("case", "runs"), NOTHING, ids=[row[0] for row in NOTHING])
def test_nothing_is_tried_again(case: str, runs: tuple[Run, ...]) -> None:
    assert retry(runs, NOW) is None


def test_what_was_cut_off_is_started_again_at_once_as_what_it_was() -> None:
    found = retry((run("full", "interrupted", requested="diff", origin="first", repo=2),), NOW)
    reason = "attempt 2: the full backup begun at 2026-03-09 01:45 UTC was cut off"
    assert found == Retry("full", "diff", 2, NOW, 2, reason)


def test_a_weaker_success_does_not_settle_a_full_one() -> None:
    found = retry((run("diff", "succeeded"), run("full", "failed")), NOW)
    assert found is not None
    assert (found.kind, found.attempt) == ("full", 2)


def test_the_most_thorough_of_several_is_tried_first() -> None:
    found = retry((run("incr", "failed"), run("full", "interrupted")), NOW)
    assert found is not None
    assert found.kind == "full"


def test_the_wait_grows_with_every_failure_and_ends_at_an_hour() -> None:
    finished = [at(retry((run("full", "failed", finished=NOW),) * count, NOW)) - NOW for count in range(1, 8)]
    expected = [*DELAYS, DELAYS[-1], DELAYS[-1], DELAYS[-1]]
    assert all(least <= wait < least + JITTER for wait, least in zip(finished, expected, strict=True))


def test_failures_from_before_the_last_success_do_not_count() -> None:
    runs = (run("full", "failed", finished=NOW), run("full", "succeeded"), *(run("full", "failed"),) * 5)
    assert at(retry(runs, NOW)) - NOW < DELAYS[0] + JITTER


def test_what_is_cut_off_again_and_again_is_no_longer_started_at_once() -> None:
    waits = [at(retry((run("full", "interrupted", finished=NOW),) * count, NOW)) - NOW for count in range(1, 6)]
    assert waits[:3] == [timedelta(0)] * 3
    assert DELAYS[0] <= waits[3] < DELAYS[1] <= waits[4]


def test_a_moment_that_has_passed_is_now() -> None:
    assert at(retry((run("full", "failed"),), NOW)) == NOW
    assert at(retry((run("full", "failed"),), TEN_MINUTES_AGO)) > TEN_MINUTES_AGO


def test_a_restart_does_not_draw_the_jitter_again() -> None:
    failed = run("full", "failed", finished=NOW)
    assert retry((failed,), NOW) == retry((failed,), NOW)
    assert at(retry((run("full", "failed", finished=NOW, id=2),), NOW)) != at(retry((failed,), NOW))


@given(st.integers(0, 3600), st.text() | st.integers())
def test_jitter_stays_below_its_maximum(maximum: int, seed: str | int) -> None:
    assert 0 <= jitter_seconds(maximum, seed) <= maximum
    assert jitter_seconds(maximum, seed) == jitter_seconds(maximum, seed)


def test_jitter_is_spread_over_the_whole_range() -> None:
    drawn = sorted(jitter_seconds(100, f"host{number}") for number in range(1000))
    assert max(later - earlier for earlier, later in pairwise([0.0, *drawn, 100.0])) < 2


def test_when_archiving_works_again_nobody_waits_any_longer() -> None:
    failures = tuple(run("full", "failed", id=number) for number in (4, 3, 2, 1))
    assert at(retry(failures, NOW)) > NOW
    assert at(retry(failures, NOW, TEN_MINUTES_AGO + timedelta(seconds=1))) == NOW
    assert at(retry(failures, NOW, TEN_MINUTES_AGO - timedelta(seconds=1))) > NOW, "it has failed since"
