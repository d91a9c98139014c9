"""Transfers: pgbackrest's two numbers become a share, a rate and a time left."""

from __future__ import annotations

import pytest

from backup.taking import transfer
from backup.taking.transfer import Transfer


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            '{"execId":"253-8cb33bd2","pctCplt":373,"pid":253,"sz":561382221,"szCplt":20964173}',
            Transfer(20964173, 561382221),
        ),
        ('{"execId":"253-8cb33bd2","pid":253}', None),
        ('{"execId":"654-5cbe8828","pid":654}373,"pid":640,"sz":561611597,"szCplt":20964173}', None),
        ("", None),
        ("[]", None),
        ("null", None),
        ('{"sz":null,"szCplt":1}', None),
    ],
)
def test_the_lock_file_tells_both_numbers_or_nothing(text: str, found: Transfer | None) -> None:
    assert transfer.parse_lock_file(text) == found


@pytest.mark.parametrize(
    ("done", "total", "elapsed", "line"),
    [
        (0, 561_400_000, 3.0, "0%, 0 B of 561.4 MB"),
        (253_100_000, 561_400_000, 3.0, "45%, 253.1 MB of 561.4 MB, 84.4 MB/s, about 4 s left"),
        (561_400_000, 561_400_000, 10.0, "100%, 561.4 MB of 561.4 MB, 56.1 MB/s, about 0 s left"),
        (600_000_000, 561_400_000, 10.0, "100%, 600.0 MB of 561.4 MB, 60.0 MB/s, about 0 s left"),
        (0, 0, 1.0, "0%, 0 B of 0 B"),
        (10, 100, 0.0, "10%, 10 B of 100 B"),
        (10_000_000, 1_000_000_000_000, 1.0, "0%, 10.0 MB of 1.0 TB, 10.0 MB/s, about 1 d 3 h left"),
    ],
)
def test_a_pace_is_one_line(done: int, total: int, elapsed: float, line: str) -> None:
    assert str(transfer.pace(Transfer(done, total), elapsed)) == line
