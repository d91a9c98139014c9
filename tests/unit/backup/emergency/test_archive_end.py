"""What pg_waldump prints, read: commits, the ends of single transactions, restore points, the last record."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from backup.emergency import archive_end
from backup.emergency.archive_end import Ended

DUMPED = b"""\
rmgr: Heap        len (rec/tot):     59/    59, tx:        745, lsn: 0/05000028, prev 0/04FFFFD8, desc: INSERT off: 1
rmgr: Transaction len (rec/tot):     34/    34, tx:        745, lsn: 0/05000148, prev 0/05000028, desc: COMMIT 2026-03-04 11:00:00.500000 UTC
rmgr: Transaction len (rec/tot):     34/    34, tx:        746, lsn: 0/05000170, prev 0/05000148, desc: ABORT 2026-03-04 11:00:01.000000 UTC
rmgr: Transaction len (rec/tot):    214/   214, tx:        747, lsn: 0/05000198, prev 0/05000170, desc: PREPARE gid g: 2026-03-04 11:00:02.000000 UTC
rmgr: Transaction len (rec/tot):     58/    58, tx:          0, lsn: 0/05000270, prev 0/05000198, desc: COMMIT_PREPARED 747: 2026-03-04 11:00:03.000000 UTC
rmgr: XLOG        len (rec/tot):     98/    98, tx:          0, lsn: 0/050002B0, prev 0/05000270, desc: RESTORE_POINT two words
rmgr: XLOG        len (rec/tot):     98/    98, tx:          0, lsn: 0/05000318, prev 0/050002B0, desc: RESTORE_POINT two words
rmgr: XLOG        len (rec/tot):     24/    24, tx:          0, lsn: 0/05000380, prev 0/05000318, desc: SWITCH
"""  # noqa: E501 its lines are as they are


def at(second: float) -> datetime:
    return datetime(2026, 3, 4, 11, 0, int(second), round(second % 1 * 1_000_000), tzinfo=UTC)


def test_commits_are_read_with_their_times_also_prepared_ones() -> None:
    assert archive_end.commits(DUMPED) == (at(0.5), at(3))


def test_the_last_commit_is_read_with_its_position() -> None:
    assert archive_end.last_commit_record(DUMPED) == Ended(0x5000270, at(3), is_commit=True)
    assert archive_end.last_commit_record(b"") is None


@pytest.mark.parametrize(
    ("xid", "ended"),
    [
        (745, Ended(0x5000148, at(0.5), is_commit=True)),
        (746, Ended(0x5000170, at(1), is_commit=False)),
        (747, Ended(0x5000270, at(3), is_commit=True)),
        ((5 << 32) + 745, Ended(0x5000148, at(0.5), is_commit=True)),
        (74, None),
    ],
)
def test_a_transactions_end_is_found_by_the_number_that_wal_holds(xid: int, ended: Ended | None) -> None:
    assert archive_end.end_of_transaction(DUMPED, xid) == ended


def test_the_last_point_of_a_name_is_found_and_only_by_its_whole_name() -> None:
    assert archive_end.restore_point(DUMPED, "two words") == 0x5000318
    assert archive_end.restore_point(DUMPED, "two") is None


def test_the_last_record_is_the_one_with_the_highest_position() -> None:
    assert archive_end.last_record(DUMPED) == 0x5000380
    assert archive_end.last_record(b"pg_waldump: error") is None
