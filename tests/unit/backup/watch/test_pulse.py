"""When an idle server is made to archive something."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from backup.watch.pulse import is_due
from tests.unit.backup.fakes import NOON, make_wal

LONG_AGO = NOON - timedelta(minutes=15)


def test_after_a_quarter_of_an_hour_without_archiving_it_is_due() -> None:
    assert is_due(make_wal(last_archived_at=LONG_AGO), "working", NOON, None)
    assert is_due(make_wal(last_archived_at=None), "working", NOON, None), "nothing was ever archived"
    assert not is_due(make_wal(last_archived_at=LONG_AGO + timedelta(seconds=1)), "working", NOON, None)


def test_one_that_did_not_arrive_is_not_followed_by_another_one_at_once() -> None:
    wal = make_wal(last_archived_at=LONG_AGO)
    assert not is_due(wal, "working", NOON, NOON - timedelta(minutes=1))
    assert is_due(wal, "working", NOON, LONG_AGO)


@pytest.mark.parametrize(
    ("state", "given"),
    [
        ("off", {}),
        ("failing", {}),
        ("stalled", {}),
        ("unknown", {}),
        ("working", {"in_recovery": True}),
        ("working", {"ready_segments": 1, "oldest_ready_seconds": 5.0}),
    ],
)
def test_where_something_waits_or_fails_nothing_is_added(state: Any, given: dict[str, Any]) -> None:
    assert not is_due(make_wal(last_archived_at=LONG_AGO, **given), state, NOON, None)
