"""Intervals without point-in-time recovery: which moments lie in one, and what the repositories tell of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from backup.emergency import gap as gaps
from backup.emergency.gap import Gap
from tests.unit.backup.fakes import NOON, make_backup, make_info

HOUR = timedelta(hours=1)
OPEN = Gap(NOON, NOON + HOUR)
CLOSED = Gap(NOON, NOON + HOUR, NOON + 3 * HOUR, "20260304-150000F", 1, is_released=True)


@pytest.mark.parametrize(
    ("moment", "held"),
    [
        (NOON - timedelta(microseconds=1), False),
        (NOON, True),  # recovery needs a commit after its target
        (NOON + 2 * HOUR, True),
        (NOON + 3 * HOUR, True),  # pgbackrest counts whole seconds
        (NOON + 3 * HOUR + timedelta(seconds=1), False),
    ],
)
def test_which_moments_lie_in_it(moment: object, held: bool) -> None:
    assert CLOSED.holds(moment) is held  # type: ignore[arg-type]  # the parameters are of mixed types


def test_one_that_goes_on_has_no_end() -> None:
    assert OPEN.holds(NOON + 10000 * HOUR)
    assert not OPEN.holds(NOON - HOUR)


def test_a_backup_tells_of_the_gap_it_ended() -> None:
    backup = make_backup("20260304-150000F", annotations=OPEN.annotations())
    assert gaps.of_backup(backup) == CLOSED


@pytest.mark.parametrize(
    "annotations",
    [
        (),
        (("by", "somebody"),),
        ((gaps.GAP_SINCE, "yesterday"), (gaps.GAP_BEGAN, "today")),
        ((gaps.GAP_SINCE, "2026-03-04T12:00:00+00:00"),),
    ],
)
def test_other_annotations_tell_nothing(annotations: tuple[tuple[str, str], ...]) -> None:
    assert gaps.of_backup(make_backup(annotations=annotations)) is None


def test_a_damaged_backup_ends_no_gap() -> None:
    damaged = make_backup("20260304-150000F", annotations=OPEN.annotations(), has_errors=True)
    good = make_backup("20260304-160000F", annotations=OPEN.annotations())
    assert [gap.label for gap in gaps.of_info(make_info(damaged, good))] == ["20260304-160000F"]


def test_the_earliest_backup_is_the_end_whatever_source_tells_it() -> None:
    later = replace(CLOSED, until=NOON + 5 * HOUR, label="20260304-170000F", repo=2)
    for sources in ([(OPEN,), (later,), (CLOSED,)], [(CLOSED, later), (OPEN,)], [(later, CLOSED)]):
        assert gaps.merged(*sources) == (CLOSED,)


def test_several_gaps_stay_several_and_are_told_in_order() -> None:
    another = Gap(NOON + 9 * HOUR, NOON + 10 * HOUR)
    assert gaps.merged((another,), (CLOSED,)) == (CLOSED, another)
    assert gaps.holding((CLOSED, another), NOON + 12 * HOUR) == another
    assert gaps.holding((CLOSED, another), NOON + 5 * HOUR) is None


def test_it_is_told_in_a_sentence() -> None:
    local = "{:%H:%M}".format
    assert gaps.sentence(CLOSED, local) == (
        "no moment after 12:00 can be restored before 15:00, the end of backup 20260304-150000F"
    )
    assert gaps.sentence(OPEN, local).endswith("until the first backup after the WAL emergency")
