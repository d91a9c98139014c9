"""Evidence: what the repository is asked besides its list, and what its answers show."""

from __future__ import annotations

import json

import pytest

from backup.pgbackrest import ArchiveRange, UnreadableAnswerError
from backup.taking import evidence
from tests.unit.backup.fakes import make_backup, make_info

SEGMENT = "0000000100000A0000000042"
NAME = f"{SEGMENT}-0d653600edb6db3c6ce000506d767fb06dbdaf55.lz4"


def test_the_segment_is_looked_for_in_its_folder_by_its_whole_name() -> None:
    assert evidence.find_segment("x", 2, "17-1", SEGMENT) == (
        "pgbackrest", "--stanza=x", "--repo=2", f"--filter=^{SEGMENT}-[0-9a-f]{{40}}",
        "--output=json", "--log-level-console=off", "--log-level-stderr=warn",
        "repo-ls", "archive/x/17-1/0000000100000A00",
    )  # fmt: skip


def test_a_backup_is_asked_for_by_its_label() -> None:
    assert evidence.backup_details("x", 1, "20260301-020000F")[2:4] == ("--repo=1", "--set=20260301-020000F")


@pytest.mark.parametrize(
    ("case", "listing", "stored"),
    [
        ("it is there", {NAME: {"type": "file", "size": 69376, "time": 1795263846}}, True),
        ("it is empty", {NAME: {"type": "file", "size": 0, "time": 1795263846}}, False),
        ("it is not there", {}, False),
        ("its folder is not there", {".": {"type": "path"}}, False),
        ("a folder of that name", {NAME: {"type": "path"}}, False),
    ],
)
def test_a_segment_is_stored_when_its_file_holds_something(case: str, listing: dict[str, object], stored: bool) -> None:
    assert evidence.is_stored(json.dumps(listing).encode()) is stored, case


@pytest.mark.parametrize("answer", [b"", b"ERROR", b"[]", b'{"x": 1}', b"\xff"])
def test_what_is_no_listing_is_no_evidence(answer: bytes) -> None:
    with pytest.raises(UnreadableAnswerError):
        evidence.is_stored(answer)


@pytest.mark.parametrize(
    ("entry", "files"),
    [
        ({"error": True, "error-list": ["base/5/16384", "base/5/16389"]}, ("base/5/16384", "base/5/16389")),
        ({"error": False}, ()),
        ({"error": True, "error-list": None}, ()),
    ],
)
def test_the_damaged_files_stand_in_the_details(entry: dict[str, object], files: tuple[str, ...]) -> None:
    assert evidence.damaged_files(json.dumps([{"backup": [entry], "name": "x"}]).encode()) == files


@pytest.mark.parametrize(
    ("count", "named"),
    [
        (0, "in files that pgbackrest does not name"),
        (1, "in 1 file: base/5/0"),
        (2, "in 2 files: base/5/0, base/5/1"),
        (5, "in 5 files: base/5/0, base/5/1, base/5/2, base/5/3, base/5/4"),
        (7, "in 7 files: base/5/0, base/5/1, base/5/2, base/5/3, base/5/4 and 2 more"),
    ],
)
def test_a_few_files_are_named_and_all_are_counted(count: int, named: str) -> None:
    assert evidence.name_files(tuple(f"base/5/{number}" for number in range(count))) == named


def test_the_archive_is_the_one_of_the_backups_cluster_in_its_repository() -> None:
    archive = (
        ArchiveRange(1, "16-1", None, None),
        ArchiveRange(1, "17-2", None, None),
        ArchiveRange(2, "17-1", None, None),
    )
    info = make_info(archive=archive)
    assert evidence.archive_id(info, make_backup("20260301-020000F", cluster_id=2)) == "17-2"
    assert evidence.archive_id(info, make_backup("20260301-020000F", repo=2)) == "17-1"
    assert evidence.archive_id(info, make_backup("20260301-020000F", cluster_id=3)) is None
