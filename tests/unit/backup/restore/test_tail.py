"""The unarchived tail: kept before anything is overwritten, fed to recovery, dropped only when nobody needs it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from backup.ledger.timelines import Branch
from backup.restore import tail
from tests.unit.backup.fakes import SYSTEM_ID, wal_segment

ARCHIVED = "000000010000000000000001"
WAITING = "000000010000000000000002"
CURRENT = "000000010000000000000003"
RECYCLED = "000000010000000000000004"
PREALLOCATED = "000000010000000000000005"


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def pgdata(volume: Path) -> Path:
    """A cluster with an archived segment, one that waits, the one it was writing, and two for later."""
    wal = volume / "data" / "pg_wal"
    (wal / "archive_status").mkdir(parents=True)
    for name in (ARCHIVED, WAITING, CURRENT):
        (wal / name).write_bytes(wal_segment(name))
    (wal / RECYCLED).write_bytes(wal_segment(RECYCLED, of=ARCHIVED))
    (wal / PREALLOCATED).write_bytes(bytes(4096))
    (wal / "00000002.history").write_text("1\t0/6000000\treason\n")
    (wal / "archive_status" / f"{ARCHIVED}.done").touch()
    (wal / "archive_status" / f"{WAITING}.ready").touch()
    return volume / "data"


def keep(volume: Path, pgdata: Path, restore_id: str = "1", *, clean: bool = False) -> Path:
    return tail.keep(volume, pgdata, restore_id, stopped_cleanly=clean)


def names(paths: Iterable[Path]) -> list[str]:
    return [path.name for path in paths]


# --- keep -------------------------------------------------------------------------------------------------------------


def test_the_whole_old_wal_is_kept_beside_the_data_directory(volume: Path, pgdata: Path) -> None:
    kept = keep(volume, pgdata, "20260304-120000")
    assert kept == volume / "salvage-20260304-120000"
    assert sorted(names(kept.iterdir())) == sorted(names((pgdata / "pg_wal").iterdir()))
    assert (kept / CURRENT).exists()
    assert sorted(names((kept / "archive_status").iterdir())) == [f"{ARCHIVED}.done", f"{WAITING}.ready"]
    assert kept.stat().st_mode & 0o777 == 0o700


def test_keeping_takes_no_space_and_survives_the_restore_that_unlinks_the_old_names(volume: Path, pgdata: Path) -> None:
    kept = keep(volume, pgdata)
    old = pgdata / "pg_wal" / CURRENT
    assert (kept / CURRENT).samefile(old)
    old.unlink()
    old.write_bytes(b"other content")
    assert (kept / CURRENT).read_bytes() == wal_segment(CURRENT)


def test_without_an_old_cluster_there_is_nothing_to_feed(volume: Path) -> None:
    kept = keep(volume, volume / "data")
    assert tail.unarchived(kept) == ()


def test_a_cluster_without_archive_status_is_kept_all_the_same(volume: Path, pgdata: Path) -> None:
    for mark in (pgdata / "pg_wal" / "archive_status").iterdir():
        mark.unlink()
    (pgdata / "pg_wal" / "archive_status").rmdir()
    assert names(tail.unarchived(keep(volume, pgdata))) == [ARCHIVED, WAITING, CURRENT]


def test_a_second_attempt_in_the_same_second_is_an_error_and_harms_nothing(volume: Path, pgdata: Path) -> None:
    kept = keep(volume, pgdata)
    with pytest.raises(FileExistsError):
        keep(volume, pgdata)
    assert (kept / CURRENT).exists()


# --- feed -------------------------------------------------------------------------------------------------------------


def test_after_a_crash_every_segment_with_wal_of_its_own_and_no_done_mark_is_unarchived(volume: Path, pgdata: Path) -> None:
    assert names(tail.unarchived(keep(volume, pgdata))) == [WAITING, CURRENT]


def test_after_an_orderly_stop_only_what_waits_is_unarchived(volume: Path, pgdata: Path) -> None:
    assert names(tail.unarchived(keep(volume, pgdata, clean=True))) == [WAITING]


@pytest.mark.parametrize(
    ("case", "name", "content", "own"),
    [
        ("its own first page", CURRENT, wal_segment(CURRENT), True),
        ("a later log file", "0000000100000A0B000000FF", wal_segment("0000000100000A0B000000FF"), True),
        ("recycled from an older one", CURRENT, wal_segment(CURRENT, of=ARCHIVED), False),
        ("recycled from the timeline before", CURRENT, wal_segment(CURRENT, of=f"00000002{CURRENT[8:]}"), False),
        ("never written", CURRENT, bytes(4096), False),
        ("cut off", CURRENT, wal_segment(CURRENT)[:10], False),
        ("empty", CURRENT, b"", False),
    ],
)
def test_a_segment_holds_wal_of_its_own_when_its_first_page_says_so(
    volume: Path, case: str, name: str, content: bytes, own: bool
) -> None:
    kept = keep(volume, volume / "data")
    (kept / name).write_bytes(content)
    assert (names(tail.unarchived(kept)) == [name]) is own, case


def test_the_unarchived_segments_are_copied_into_the_new_wal(volume: Path, pgdata: Path) -> None:
    kept = keep(volume, pgdata)
    new = volume / "new"
    (new / "pg_wal").mkdir(parents=True)
    assert tail.feed((kept,), new, SYSTEM_ID) == 2
    assert sorted(names((new / "pg_wal").iterdir())) == [WAITING, CURRENT]
    fed = new / "pg_wal" / CURRENT
    assert fed.read_bytes() == wal_segment(CURRENT)
    assert fed.stat().st_mode & 0o777 == 0o600
    fed.write_bytes(b"PostgreSQL writes on")
    assert (kept / CURRENT).read_bytes() == wal_segment(CURRENT)


def test_the_wal_of_another_cluster_is_not_fed(volume: Path, pgdata: Path) -> None:
    (pgdata / "pg_wal" / WAITING).write_bytes(wal_segment(WAITING, system_id=1))
    kept = keep(volume, pgdata)
    new = volume / "new"
    (new / "pg_wal").mkdir(parents=True)
    assert tail.feed((kept,), new, SYSTEM_ID) == 1
    assert names((new / "pg_wal").iterdir()) == [CURRENT]


def test_the_tail_of_a_failed_attempt_before_this_one_is_fed_too_and_the_later_one_wins(volume: Path, pgdata: Path) -> None:
    first = keep(volume, pgdata, "20260304-110000")
    (pgdata / "pg_wal" / WAITING).unlink()
    (pgdata / "pg_wal" / CURRENT).unlink()
    (pgdata / "pg_wal" / CURRENT).write_bytes(wal_segment(CURRENT, b"later"))
    second = keep(volume, pgdata, "20260304-120000")
    assert tail.kept_directories(volume) == (first, second)
    new = volume / "new"
    (new / "pg_wal").mkdir(parents=True)
    tail.feed(tail.kept_directories(volume), new, None)
    assert (new / "pg_wal" / WAITING).read_bytes() == wal_segment(WAITING)
    assert (new / "pg_wal" / CURRENT).read_bytes() == wal_segment(CURRENT, b"later")


# --- forget and drop --------------------------------------------------------------------------------------------------


def test_forgetting_removes_only_what_this_restore_kept(volume: Path, pgdata: Path) -> None:
    first = keep(volume, pgdata)
    keep(volume, pgdata, "2")
    tail.forget(volume, "2")
    assert tail.kept_directories(volume) == (first,)
    tail.forget(volume, "3")


def test_replayed_wal_is_dropped(volume: Path, pgdata: Path) -> None:
    kept = (keep(volume, pgdata), keep(volume, pgdata, "2"))
    assert tail.drop(kept, replayed=True) == ()
    assert sorted(names(volume.iterdir())) == ["data"]


def test_wal_that_was_not_wanted_but_nobody_else_has_is_kept_under_another_name(volume: Path, pgdata: Path) -> None:
    kept = keep(volume, pgdata, "20260304-120000")
    left = tail.drop((kept,), replayed=False)
    assert left == (volume / "old-wal-20260304-120000",)
    assert (left[0] / CURRENT).exists()
    assert tail.kept_directories(volume) == ()


def test_wal_that_is_all_archived_is_dropped_even_when_it_was_not_wanted(volume: Path, pgdata: Path) -> None:
    for name in (WAITING, CURRENT):
        (pgdata / "pg_wal" / "archive_status" / f"{name}.done").touch()
    assert tail.drop((keep(volume, pgdata),), replayed=False) == ()
    assert sorted(names(volume.iterdir())) == ["data"]


# --- fingerprint ------------------------------------------------------------------------------------------------------


def test_an_untouched_directory_keeps_its_fingerprint(pgdata: Path) -> None:
    assert tail.fingerprint(pgdata) == tail.fingerprint(pgdata)
    assert tail.fingerprint(pgdata).entries


def test_a_missing_directory_has_an_empty_one(volume: Path) -> None:
    assert tail.fingerprint(volume / "nowhere").entries == frozenset()


@pytest.mark.parametrize("change", ["written", "added", "removed", "replaced"])
def test_any_change_shows(pgdata: Path, change: str) -> None:
    before = tail.fingerprint(pgdata)
    file = pgdata / "pg_wal" / CURRENT
    match change:
        case "written":
            file.write_bytes(b"longer than it was, whatever it was")
        case "added":
            (pgdata / "new").touch()
        case "removed":
            file.unlink()
        case "replaced":
            other = pgdata / "other"
            other.write_bytes(file.read_bytes())
            other.rename(file)
    assert tail.fingerprint(pgdata) != before


def test_keeping_the_wal_does_not_change_the_fingerprint(volume: Path, pgdata: Path) -> None:
    """Hard links change a file's link count and its change time of the inode, but nothing that a write changes."""
    before = tail.fingerprint(pgdata)
    keep(volume, pgdata)
    assert tail.fingerprint(pgdata) == before


# --- hand over --------------------------------------------------------------------------------------------------------


def test_what_was_replayed_before_the_fork_is_given_to_the_archive(volume: Path, pgdata: Path) -> None:
    kept = keep(volume, pgdata)
    new = volume / "new"
    (new / "pg_wal" / "archive_status").mkdir(parents=True)
    fork = 3 * len(wal_segment(CURRENT)) + 100
    assert tail.hand_over(tail.unarchived(kept), new, Branch(2, {1: fork}), SYSTEM_ID) == 1
    assert (new / "pg_wal" / WAITING).read_bytes() == wal_segment(WAITING)
    assert names((new / "pg_wal" / "archive_status").iterdir()) == [f"{WAITING}.ready"]


@pytest.mark.parametrize(("branch", "system_id"), [(Branch(2, {1: 100}), SYSTEM_ID), (Branch(3, {2: 2**40}), SYSTEM_ID)])
def test_what_lies_behind_the_fork_or_on_another_branch_is_not(
    volume: Path, pgdata: Path, branch: Branch, system_id: int
) -> None:
    kept = keep(volume, pgdata)
    assert tail.hand_over(tail.unarchived(kept), pgdata, branch, system_id) == 0


def test_what_another_cluster_wrote_is_not(volume: Path, pgdata: Path) -> None:
    assert tail.hand_over(tail.unarchived(keep(volume, pgdata)), pgdata, Branch(2, {1: 2**40}), SYSTEM_ID + 1) == 0
