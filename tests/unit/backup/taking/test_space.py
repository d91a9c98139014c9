"""Space: refused only when a backup surely does not fit."""

from __future__ import annotations

import pytest

from backup.taking import space
from backup.taking.space import Room
from contract.supervisor import BackupType
from tests.unit.backup.fakes import make_backup, make_info

MB = 1_000_000
FULL = make_backup("20260301-020000F", database_bytes=1000 * MB, repository_bytes=100 * MB)
DIFF = make_backup("20260301-020000F_20260302-020000D", database_bytes=1000 * MB, repository_bytes=20 * MB)
DAMAGED = make_backup("20260303-020000F", database_bytes=1000 * MB, repository_bytes=900 * MB, has_errors=True)
ELSEWHERE = make_backup("20260304-020000F", repo=2, repository_bytes=900 * MB)
INFO = make_info(FULL, DIFF, DAMAGED, ELSEWHERE)


@pytest.mark.parametrize(
    ("case", "kind", "database", "probable"),
    [
        ("a full one takes what the last one took, and a fifth more", "full", 1000 * MB, 120 * MB),
        ("a database that has doubled takes the double", "full", 2000 * MB, 240 * MB),
        ("a differential one takes what the last one took", "diff", 2000 * MB, 24 * MB),
        ("of a type never taken nobody knows", "incr", 1000 * MB, None),
    ],
)
def test_the_last_good_backup_of_the_type_is_the_measure(
    case: str, kind: BackupType, database: int, probable: int | None
) -> None:
    assert space.probable_bytes(kind, INFO, 1, database) == probable, case


def test_of_an_empty_repository_nobody_knows_what_it_will_take() -> None:
    assert space.room("full", make_info(), 1, 10**12, 2 * MB) == Room("fits", 2 * MB, None)


@pytest.mark.parametrize(
    ("kind", "free", "fit"),
    [
        ("full", 120 * MB, "fits"),
        ("full", 120 * MB - 1, "tight"),
        ("full", 50 * MB, "tight"),
        ("full", 50 * MB - 1, "too small"),
        ("diff", 24 * MB, "fits"),
        ("diff", 2 * MB, "tight"),
        ("diff", MB - 1, "too small"),
        ("incr", MB, "fits"),
        ("incr", MB - 1, "too small"),
    ],
)
def test_only_what_surely_does_not_fit_is_refused(kind: BackupType, free: int, fit: str) -> None:
    assert space.room(kind, INFO, 1, 1000 * MB, free).fit == fit
