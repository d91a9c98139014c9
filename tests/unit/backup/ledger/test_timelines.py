"""Timelines: which positions belong to the past of the branch that recovery follows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup.ledger.archive import listing
from backup.ledger.timelines import FIRST, Branch, Stretch, branches, newest, parse_history
from backup.ledger.wal import format_lsn, timeline_of
from backup.pgbackrest import UnreadableAnswerError

LSNS = st.integers(0, 2**64 - 1)


REAL = """1\t0/6000000\tbefore 2026-03-02 12:00:00.000000+00

2\t0/A000148\tno recovery target specified
"""


@given(st.integers(1, 2**32 - 1), st.integers(0, 2**64 - 1))
def test_a_segments_timeline_is_read_from_its_name(timeline: int, rest: int) -> None:
    assert timeline_of(f"{timeline:08X}{rest:016X}") == timeline
    assert timeline_of(f"{timeline:08X}.history") == timeline


def test_a_real_history_file_is_read() -> None:
    assert parse_history("00000003.history", REAL) == Branch(3, {1: 0x6000000, 2: 0xA000148})


@pytest.mark.parametrize("text", ["", "\n\n", "# a comment\n", "garbage\n"])
def test_a_history_file_without_ancestors_has_none(text: str) -> None:
    assert parse_history("00000002.history", text) == Branch(2, {})


@given(st.lists(LSNS, max_size=20).map(sorted))
def test_any_history_that_can_be_written_is_read(left_at: list[int]) -> None:
    timeline = len(left_at) + 1
    text = "".join(f"{number}\t{format_lsn(lsn)}\tsome reason or other\n" for number, lsn in enumerate(left_at, 1))
    branch = parse_history(f"{timeline:08X}.history", text)
    assert branch == Branch(timeline, dict(enumerate(left_at, 1)))


@pytest.mark.parametrize(
    ("case", "timeline", "lsn", "held"),
    [
        ("its own timeline, anywhere", 3, 0xFFFFFFFF, True),
        ("an ancestor, before it was left", 1, 0x5FFFFFF, True),
        ("an ancestor, at the very point", 1, 0x6000000, True),
        ("an ancestor, after it was left", 1, 0x6000001, False),
        ("a timeline that is no ancestor", 4, 0, False),
    ],
)
def test_what_a_branch_holds(case: str, timeline: int, lsn: int, held: bool) -> None:
    assert parse_history("00000003.history", REAL).holds(timeline, lsn) is held, case


@given(st.dictionaries(st.integers(1, 9), LSNS), st.integers(1, 9), LSNS)
def test_what_a_branch_holds_it_holds_up_to_there(left_at: dict[int, int], timeline: int, lsn: int) -> None:
    branch = Branch(10, left_at)
    if branch.holds(timeline, lsn):
        assert branch.holds(timeline, lsn // 2)


def test_a_cluster_that_was_never_promoted_holds_only_timeline_1() -> None:
    assert FIRST.holds(1, 2**63)
    assert not FIRST.holds(2, 0)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ((), None),
        (("0000000100000000",), None),
        (("00000002.history",), "00000002.history"),
        (("0000000A.history", "00000009.history", "00000002.history"), "0000000A.history"),
        (("000000FF.history", "00000100.history"), "00000100.history"),
    ],
)
def test_the_newest_history_file_is_that_of_the_highest_timeline(names: tuple[str, ...], found: str | None) -> None:
    assert newest(names) == found


def test_a_listing_gives_the_files_in_order_and_leaves_directories_out() -> None:
    entries: dict[str, Any] = {
        ".": {"type": "path"},
        "00000003.history": {"type": "file", "size": 93, "time": 1795223563},
        "00000002.history": {"type": "file", "size": 50, "time": 1795223500},
        "0000000100000000": {"type": "path"},
    }
    assert sorted(listing(json.dumps(entries).encode())) == ["00000002.history", "00000003.history"]


def test_a_listing_that_is_none_is_an_error_that_says_so() -> None:
    with pytest.raises(UnreadableAnswerError, match=r"^pgbackrest repo-ls printed no listing: "):
        listing(b"ERROR: [049]")


def test_a_branch_goes_along_each_ancestor_up_to_where_it_was_left() -> None:
    assert parse_history("00000003.history", REAL).path() == (
        Stretch(1, 0, 0x6000000),
        Stretch(2, 0x6000000, 0xA000148),
        Stretch(3, 0xA000148, None),
    )
    assert FIRST.path() == (Stretch(1, 0, None),)


def test_every_timeline_can_be_followed_and_one_without_a_history_has_no_past() -> None:
    third = Branch(3, {1: 0x6000000})
    assert branches([third], [1, 2]) == (FIRST, Branch(2, {}), third)
    assert branches([]) == (FIRST,)


def test_a_branch_that_was_left_before_its_parent_began_skips_the_parent() -> None:
    """What PostgreSQL writes when a restore follows timeline 2 and ends at a moment before that one began."""
    branch = parse_history("00000003.history", "1\t0/9000000\tno reason\n\n2\t0/3021C08\tbefore a moment\n")
    assert branch.path() == (Stretch(1, 0, 0x3021C08), Stretch(3, 0x3021C08, None))
    assert branch.holds(1, 0x3021C08)
    assert not branch.holds(1, 0x3021C09), "it was written after the branch had left"
    assert not branch.holds(2, 0x3021C08)
