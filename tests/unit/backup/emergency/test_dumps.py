"""Whether a dump fits, and how many tables one holds."""

from __future__ import annotations

import pytest

from backup.emergency import dumps
from backup.emergency.dumps import Target

GIGABYTE = 1_000_000_000
DATABASE = 4 * GIGABYTE + dumps.SMALLEST_BYTES
HERE, THERE = 7, 8


@pytest.mark.parametrize(
    ("free", "device", "fits"),
    [
        (2 * GIGABYTE + dumps.RESERVE_BYTES, THERE, True),
        (2 * GIGABYTE, THERE, False),
        (2 * GIGABYTE + dumps.RESERVE_BYTES, HERE, False),
        (4 * GIGABYTE + dumps.RESERVE_BYTES, HERE, True),
    ],
)
def test_on_the_disk_of_the_database_it_takes_more_room(free: int, device: int, fits: bool) -> None:
    found = dumps.room(Target("/mnt/other", free, device), DATABASE, HERE)
    assert found.fits is fits
    assert ("on the disk of the database" in found.words) == (device == HERE)
    assert ("DIR=… names another disk" in found.words) != fits


def test_an_empty_database_takes_next_to_nothing() -> None:
    assert dumps.room(Target("x", dumps.RESERVE_BYTES, HERE), dumps.SMALLEST_BYTES, HERE).fits


def test_only_tables_are_counted() -> None:
    listing = """;
; Archive created at 2026-11-21 16:00:00 UTC
;     Format: CUSTOM
;
2; 3079 16384 EXTENSION - pg_stat_statements
216; 1259 16386 TABLE public orders postgres
217; 1259 16390 TABLE public ledger postgres
218; 1259 16400 TABLE public parts postgres
219; 0 0 TABLE ATTACH public parts_1 postgres
220; 1259 16410 VIEW public view postgres
3405; 0 16390 TABLE DATA public ledger postgres
3250; 2606 16394 CONSTRAINT public ledger ledger_pkey postgres
"""
    assert dumps.tables_listed(listing) == 3
