"""Names of segments and positions in the log."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup.ledger import wal
from backup.ledger.wal import SEGMENT_SIZES, segment_name, segment_number

SEGMENT, MEBIBYTE = 16 << 20, 1 << 20
LSNS = st.integers(0, 2**64 - 1)


@pytest.mark.parametrize(
    ("name", "size", "number"),
    [
        ("000000010000000000000005", SEGMENT, 5),
        ("000000020000000100000000", SEGMENT, 256),
        ("000000010000000100000001", 64 * MEBIBYTE, 65),
        ("000000010000000100000001", MEBIBYTE, 4097),
        ("000000010000000000000004.00000028.backup", SEGMENT, 4),
        ("00000002.history", SEGMENT, None),
        (None, SEGMENT, None),
    ],
)
def test_a_segments_name_is_its_place_in_the_log(name: str | None, size: int, number: int | None) -> None:
    assert segment_number(name, size) == number


@given(st.integers(1, 2**32 - 1), st.sampled_from(SEGMENT_SIZES), st.data())
def test_a_place_survives_being_made_a_name(timeline: int, size: int, data: st.DataObject) -> None:
    number = data.draw(st.integers(0, 2**64 // size - 1))
    name = segment_name(timeline, number, size)
    assert wal.SEGMENT.fullmatch(name)
    assert (wal.timeline_of(name), segment_number(name, size)) == (timeline, number)
    assert wal.end_of(name, size) - wal.begin_of(name, size) == size


@pytest.mark.parametrize(("size", "last"), [(MEBIBYTE, "FFF"), (SEGMENT, "FF"), (64 * MEBIBYTE, "3F"), (1 << 30, "3")])
def test_the_segment_before_the_first_of_a_log_is_the_last_of_the_one_before(size: int, last: str) -> None:
    assert wal.before("000000010000000200000000", size) == f"0000000100000001{last:0>8}"


@given(LSNS)
def test_an_lsn_survives_being_written_down(lsn: int) -> None:
    assert wal.parse_lsn(wal.format_lsn(lsn)) == lsn


@given(LSNS, LSNS)
def test_lsns_are_compared_as_numbers_and_not_as_text(one: int, other: int) -> None:
    assert (wal.parse_lsn(wal.format_lsn(one)) < wal.parse_lsn(wal.format_lsn(other))) == (one < other)


@pytest.mark.parametrize("text", ["", "0", "0/1/2", "0/G"])
def test_what_is_no_lsn_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        wal.parse_lsn(text)
