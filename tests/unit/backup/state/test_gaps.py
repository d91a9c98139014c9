"""The record of what was given up: each source is learned from, and every step may be repeated."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from backup.emergency.gap import Gap
from backup.emergency.lever import Lever
from backup.state.gaps import Gaps
from backup.state.store import Store
from tests.unit.backup.fakes import NOON, make_backup, make_info

HOUR = timedelta(hours=1)
LEVER = Lever(NOON, "00000001000000000000002A", NOON - HOUR)


@pytest.fixture
def gaps(tmp_path: Path) -> Iterator[Gaps]:
    store = Store(tmp_path / "state.sqlite")
    yield Gaps(store)
    store.close()


def test_a_gap_begins_once(gaps: Gaps) -> None:
    gaps.begin(LEVER)
    gaps.begin(LEVER)
    assert gaps.all() == (Gap(NOON - HOUR, NOON, segment=LEVER.archived),)
    assert gaps.current() == gaps.all()[0]


def test_no_backup_ends_it_while_the_lever_is_pulled(gaps: Gaps) -> None:
    gaps.begin(LEVER)
    assert gaps.pending(1) is None
    gaps.release(NOON, [1], NOON + HOUR)
    pending = gaps.pending(1)
    assert pending is not None
    assert pending.is_released
    assert gaps.pending(2) is None


def test_the_archive_may_know_its_beginning_better(gaps: Gaps) -> None:
    gaps.begin(LEVER)
    gaps.release(NOON, [1], NOON + HOUR, NOON - 3 * HOUR)
    assert gaps.all()[0].since == NOON - 3 * HOUR


def test_it_is_over_when_every_repository_has_its_backup(gaps: Gaps) -> None:
    gaps.begin(LEVER)
    gaps.release(NOON, [1, 2], NOON + HOUR)
    gap = gaps.all()[0]
    assert gaps.learn(make_info(make_backup("20260304-140000F"))) == ()
    first = make_backup("20260304-150000F", annotations=gap.annotations())
    assert gaps.learn(make_info(first)) == ()
    assert gaps.pending(1) is None
    assert gaps.pending(2) is not None
    second = make_backup("20260304-160000F", repo=2, annotations=gap.annotations())
    (ended,) = gaps.learn(make_info(first, second))
    assert (ended.label, ended.until) == ("20260304-150000F", NOON + 3 * HOUR)
    assert gaps.current() is None
    assert gaps.learn(make_info(first, second)) == ()


def test_a_host_that_knows_nothing_learns_it_from_the_repository(gaps: Gaps) -> None:
    told = Gap(NOON - HOUR, NOON)
    gaps.learn(make_info(make_backup("20260304-150000F", annotations=told.annotations())))
    (known,) = gaps.all()
    assert (known.since, known.until, known.is_released) == (NOON - HOUR, NOON + 3 * HOUR, True)
    assert gaps.current() is None


def test_it_may_go_on_after_all(gaps: Gaps) -> None:
    gaps.begin(LEVER)
    gaps.release(NOON, [1], NOON + HOUR)
    gaps.begin(LEVER)
    assert gaps.pending(1) is None
    current = gaps.current()
    assert current is not None
    assert not current.is_released


def test_a_repository_that_is_gone_needs_no_backup(gaps: Gaps) -> None:
    gaps.begin(LEVER)
    gaps.release(NOON, [1, 2], NOON + HOUR)
    gaps.forget([1])
    assert gaps.pending(2) is None
    assert gaps.pending(1) is not None
