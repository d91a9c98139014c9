"""Pings: in order, and not when they no longer say what is so."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from backup.state.pings import WORTH_SENDING, Pings
from backup.state.store import Store
from tests.unit.backup.fakes import NOON

LEASE = timedelta(seconds=60)


@pytest.fixture
def pings(tmp_path: Path) -> Iterator[Pings]:
    store = Store(tmp_path / "state.sqlite")
    yield Pings(store)
    store.close()


def test_they_come_out_in_order(pings: Pings) -> None:
    assert not pings.is_due(NOON)
    pings.put("start", NOON)
    pings.put("success", NOON)
    assert pings.is_due(NOON)
    first = pings.claim(NOON, LEASE)
    assert first is not None
    assert (first.phase, first.attempts, first.is_last) == ("start", 1, False)
    pings.forget(first)
    second = pings.claim(NOON, LEASE)
    assert second is not None
    assert (second.phase, second.is_last) == ("success", True)
    assert pings.claim(NOON, LEASE) is None
    pings.forget(second)
    assert pings.claim(NOON + 2 * LEASE, LEASE) is None


def test_one_that_is_to_be_tried_again_waits_until_then(pings: Pings) -> None:
    pings.put("fail", NOON)
    ping = pings.claim(NOON, LEASE)
    assert ping is not None
    pings.again(ping, NOON + timedelta(seconds=5))
    assert not pings.is_due(NOON + timedelta(seconds=4))
    again = pings.claim(NOON + timedelta(seconds=5), LEASE)
    assert again is not None
    assert again.attempts == 2


def test_one_that_has_failed_holds_no_newer_one_back(pings: Pings) -> None:
    pings.put("success", NOON)
    failed = pings.claim(NOON, LEASE)
    assert failed is not None
    pings.again(failed, NOON + timedelta(minutes=2))
    pings.put("start", NOON + timedelta(seconds=1))
    assert pings.is_due(NOON + timedelta(seconds=1))
    newer = pings.claim(NOON + timedelta(seconds=1), LEASE)
    assert newer is not None
    assert (newer.phase, newer.is_last) == ("start", True)
    pings.forget(newer)
    assert not pings.is_due(NOON + timedelta(minutes=3))


def test_an_old_one_is_not_sent_any_more(pings: Pings) -> None:
    pings.put("start", NOON - WORTH_SENDING - timedelta(seconds=1))
    pings.put("success", NOON)
    ping = pings.claim(NOON, LEASE)
    assert ping is not None
    assert ping.phase == "success"


def test_a_clock_that_is_set_back_does_not_hold_them_back(pings: Pings) -> None:
    pings.put("success", NOON)
    assert pings.is_due(NOON - timedelta(days=1))
    assert pings.claim(NOON - timedelta(days=1), LEASE) is not None
