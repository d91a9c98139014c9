"""The intervals and holes of one branch: each kind of damage, at each kind of place."""

from __future__ import annotations

import pytest

from backup.ledger import wal
from backup.ledger.archive import Archive, Fault
from backup.ledger.intervals import Hole, Interval, Reader, Survey, is_on, survey
from backup.ledger.timelines import FIRST, Branch
from backup.pgbackrest import Backup
from tests.unit.backup.fakes import make_backup

SIZE = 16 << 20


def at(number: int, *, timeline: int = 1, size: int = SIZE, last: int | None = None) -> Backup:
    """A backup that begins and ends in these segments."""
    stop = number if last is None else last
    return make_backup(
        f"202603{number:02d}-020000F",
        wal_start=wal.segment_name(timeline, number, size),
        wal_stop=wal.segment_name(timeline, stop, size),
        lsn_start=wal.format_lsn(number * size + 0x28),
        lsn_stop=wal.format_lsn(stop * size + 0x100),
    )


def archive(*numbers: int, faults: tuple[Fault, ...] = (), size: int = SIZE, **more: tuple[int, ...]) -> Archive:
    """Segments of timeline 1, and of others as t2, t3."""
    others = {int(name.removeprefix("t")): frozenset(found) for name, found in more.items()}
    return Archive(size, {1: frozenset(numbers), **others}, faults)


def ends(found: Survey, size: int = SIZE) -> list[tuple[int, float]]:
    """The intervals, in segments: where the first backup ended, and where the archive does."""
    return [(each.begin // size, each.end / size) for each in found.intervals]


def holes(found: Survey) -> list[tuple[str, str]]:
    return [(hole.first, hole.last) for hole in found.holes]


def test_an_unbroken_archive_is_one_interval_from_the_first_backups_end() -> None:
    first, second = at(2), at(5)
    found = survey(archive(*range(1, 9)), FIRST, (second, first))
    assert found == Survey(FIRST, (Interval(2 * SIZE + 0x100, 9 * SIZE, (first, second)),), (), ())
    assert found.of_backup(second) == found.intervals[0] == found.latest


def test_without_a_backup_there_is_nothing() -> None:
    assert survey(archive(1, 2, 3), FIRST, ()) == Survey(FIRST, (), (), ())
    assert survey(archive(1, 2, 3), FIRST, (at(2, timeline=2),)).latest is None


def test_what_expired_before_the_first_backup_is_no_hole() -> None:
    assert holes(survey(archive(1, 5, 6), FIRST, (at(5),))) == []


@pytest.mark.parametrize("size", wal.SEGMENT_SIZES)
def test_a_missing_segment_ends_an_interval_and_the_next_begins_with_the_next_backup(size: int) -> None:
    first, second = at(2, size=size), at(7, size=size)
    found = survey(archive(2, 3, 6, 7, 8, size=size), FIRST, (first, second))
    assert ends(found, size) == [(2, 4), (7, 9)]
    (hole,) = found.holes
    assert hole == Hole(1, wal.segment_name(1, 4, size), wal.segment_name(1, 5, size), 2, 4 * size, 6 * size)
    assert (found.before(hole), found.after(hole)) == found.intervals


def test_wal_behind_a_hole_without_a_backup_is_lost() -> None:
    found = survey(archive(2, 3, 5, 6), FIRST, (at(2),))
    assert ends(found) == [(2, 4)]
    assert found.after(found.holes[0]) is None


@pytest.mark.parametrize("kind", ["empty", "duplicate"])
def test_a_file_that_cannot_be_fetched_is_a_hole_that_names_it_also_at_the_very_end(kind: str) -> None:
    fault = Fault(1, 4, kind)  # type: ignore[arg-type]
    for numbers in ((2, 3), (2, 3, 5)):
        found = survey(archive(*numbers, faults=(fault,)), FIRST, (at(2),))
        assert ends(found) == [(2, 4)]
        assert [hole.faults for hole in found.holes] == [(fault,)]


def test_a_part_of_the_last_segment_is_the_end_and_no_hole() -> None:
    found = survey(archive(2, 3, faults=(Fault(1, 4, "partial"),)), FIRST, (at(2),))
    assert (ends(found), found.holes) == ([(2, 4)], ())


def test_a_hole_in_a_backups_own_wal_makes_it_unusable_and_other_backups_not() -> None:
    first, cut, last = at(2), at(4, last=6), at(7)
    found = survey(archive(2, 3, 4, 6, 7), FIRST, (first, cut, last))
    assert ends(found) == [(2, 5), (7, 8)]
    assert found.unusable == (cut,)
    assert found.holes[0].cuts == (cut,)
    assert found.of_backup(cut) is None


def test_a_backup_whose_last_segment_never_came_is_cut_by_a_hole() -> None:
    found = survey(archive(2, 3), FIRST, (at(2), at(4)))
    assert ends(found) == [(2, 4)]
    assert [(hole.first, hole.cuts) for hole in found.holes] == [("000000010000000000000004", (at(4),))]


# --- timelines --------------------------------------------------------------------------------------------------------

MIDDLE = 4 * SIZE + SIZE // 2
SECOND = Branch(2, {1: MIDDLE})


def test_at_a_fork_in_the_middle_the_childs_segment_serves_for_the_parents_that_is_only_a_part() -> None:
    known = archive(2, 3, faults=(Fault(1, 4, "partial"),), t2=(4, 5))
    assert ends(survey(known, SECOND, (at(2),))) == [(2, 6)]
    assert ends(survey(known, FIRST, (at(2),))) == [(2, 4)]


def test_the_parents_segment_serves_up_to_the_fork_when_the_childs_is_missing() -> None:
    found = survey(archive(2, 3, 4, 5, t2=(5, 6)), SECOND, (at(2),))
    assert ends(found) == [(2, 4.5)]
    (hole,) = found.holes
    assert (hole.timeline, hole.first, hole.last) == (2, "000000020000000000000004", "000000020000000000000004")
    assert (hole.begin, hole.end) == (MIDDLE, 5 * SIZE)


def test_a_fork_whose_new_timeline_has_archived_nothing_yet_is_no_hole() -> None:
    for numbers in ((2, 3, 4), (2, 3, 4, 5, 6)):
        found = survey(archive(*numbers), SECOND, (at(2),))
        assert (ends(found), found.holes) == ([(2, 4.5)], ())
    assert (ends(survey(archive(2, 3), SECOND, (at(2),)))) == [(2, 4)]


def test_a_childs_damaged_segment_is_not_passed_by_to_the_parents() -> None:
    found = survey(archive(2, 3, 4, faults=(Fault(2, 4, "empty"),), t2=(5,)), SECOND, (at(2),))
    assert ends(found) == [(2, 4)]
    assert found.holes[0].faults == (Fault(2, 4, "empty"),)


def test_a_fork_between_two_segments_needs_nothing_of_the_parents_next_one() -> None:
    found = survey(archive(2, 3, t2=(4, 5)), Branch(2, {1: 4 * SIZE}), (at(2),))
    assert (ends(found), found.holes) == ([(2, 6)], ())


def test_several_forks_in_one_segment_take_the_newest() -> None:
    third = Branch(3, {1: MIDDLE, 2: MIDDLE + 0x1000})
    assert ends(survey(archive(2, 3, 4, t2=(4,), t3=(4, 5)), third, (at(2),))) == [(2, 6)]
    (interval,) = survey(archive(2, 3, 4, t2=(4,), t3=(5,)), third, (at(2),)).intervals
    assert interval.end == MIDDLE + 0x1000


def test_the_abandoned_end_of_a_parent_is_its_own_branch_and_no_others() -> None:
    known, abandoned, new = archive(2, 3, 4, 5, 6, t2=(4, 5)), at(6), at(5, timeline=2)
    assert survey(known, SECOND, (at(2), abandoned, new)).intervals[0].backups == (at(2), new)
    assert survey(known, FIRST, (at(2), abandoned, new)).intervals[0].backups == (at(2), abandoned)
    assert (is_on(SECOND, new), is_on(SECOND, abandoned), is_on(SECOND, make_backup(lsn_stop=None))) == (True, False, False)


def test_a_hole_over_a_fork_is_told_for_each_timeline() -> None:
    found = survey(archive(2, t2=(6,)), SECOND, (at(2),))
    assert holes(found) == [
        ("000000010000000000000003", "000000010000000000000003"),
        ("000000020000000000000004", "000000020000000000000005"),
    ]


def test_the_last_segments_are_named_as_recovery_reads_them() -> None:
    reader = Reader(archive(2, 3, 4, t2=(4, 5)), SECOND)
    assert reader.names_back(6 * SIZE, 3) == (
        "000000020000000000000005", "000000020000000000000004", "000000010000000000000003"
    )  # fmt: skip
    assert reader.names_back(MIDDLE, 1) == ("000000020000000000000004",)
    assert reader.names_back(2 * SIZE, 3) == ()


def test_a_backup_without_a_place_is_left_out() -> None:
    assert survey(archive(2, 3), FIRST, (make_backup(wal_stop=None),)).intervals == ()
    older = make_backup(wal_start="000000010000000000000002", lsn_start=None)
    assert ends(survey(archive(2, 3), FIRST, (older,))) == [(2, 4)]
