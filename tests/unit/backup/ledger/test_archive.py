"""What an archive's listing is worth: whole segments, and what only looks like one."""

from __future__ import annotations

import json

import pytest

from backup.ledger import archive, wal
from backup.ledger.archive import Archive, Fault
from backup.pgbackrest import UnreadableAnswerError
from tests.unit.backup.fakes import make_backup

SIZE = 16 << 20
ONE, OTHER = "3aaa6ab7f7fa24d981f6f2a785273180f6da1b0c", "0d653600edb6db3c6ce000506d767fb06dbdaf55"
FOLDER = "0000000100000000"


def read(*names: str, **sizes: int) -> Archive:
    return archive.read({name: sizes.get("size", 69376) for name in names}, SIZE)


def test_the_whole_command_is_one_listing_of_everything_below_the_archive() -> None:
    assert archive.list_archive("x", 2, "17-1") == (
        "pgbackrest", "--stanza=x", "--repo=2", "--recurse", "--output=json", "--log-level-console=off",
        "--log-level-stderr=warn", "repo-ls", "archive/x/17-1",
    )  # fmt: skip


def test_a_real_listing_gives_segments_by_timeline_and_histories() -> None:
    entries = {
        ".": {"type": "path"},
        FOLDER: {"type": "path"},
        "00000002.history": {"type": "file", "size": 33, "time": 1795223563},
        f"{FOLDER}/{FOLDER}00000002-{ONE}.lz4": {"type": "file", "size": 69376, "time": 1795223563},
        f"{FOLDER}/{FOLDER}00000002.00000028.backup": {"type": "file", "size": 370, "time": 1795223563},
        f"{FOLDER}/{FOLDER}00000003.partial-{ONE}.lz4": {"type": "file", "size": 69376, "time": 1795223563},
        "0000000200000001": {"type": "path"},
        f"0000000200000001/000000020000000100000000-{OTHER}": {"type": "file", "size": SIZE, "time": 1795223563},
    }
    found = archive.read(archive.listing(json.dumps(entries).encode()), SIZE)
    assert found == Archive(SIZE, {1: frozenset({2}), 2: frozenset({256})}, (Fault(1, 3, "partial"),), ("00000002.history",))


@pytest.mark.parametrize("suffix", ["", ".lz4", ".gz", ".zst", ".bz2"])
def test_every_compression_is_read(suffix: str) -> None:
    assert read(f"{FOLDER}/{FOLDER}00000002-{ONE}{suffix}").whole == {1: frozenset({2})}


@pytest.mark.parametrize(
    "name",
    [
        f"{FOLDER}/{FOLDER}00000002-{ONE}.lz4.pgbackrest.tmp",
        f"{FOLDER}/{FOLDER}00000002",
        f"{FOLDER}/{FOLDER}00000002-{ONE[:39]}.lz4",
        f"{FOLDER}/{FOLDER}00000002-{ONE}.txt",
        f"{FOLDER}/{FOLDER}00000002.00000028.backup",
        "archive.info",
        "",
    ],
)
def test_what_is_no_segment_is_left_out(name: str) -> None:
    assert read(name) == Archive(SIZE, {})


def test_an_empty_file_is_no_segment_and_told() -> None:
    found = read(f"{FOLDER}/{FOLDER}00000002-{ONE}.lz4", size=0)
    assert found == Archive(SIZE, {}, (Fault(1, 2, "empty"),))
    assert found.blocked == {(1, 2)}


def test_two_files_of_a_segment_are_told_with_their_checksums_and_neither_counts() -> None:
    found = read(f"{FOLDER}/{FOLDER}00000002-{ONE}.lz4", f"{FOLDER}/{FOLDER}00000002-{OTHER}.lz4")
    assert found == Archive(SIZE, {}, (Fault(1, 2, "duplicate", (OTHER, ONE)),))


def test_a_part_beside_the_whole_segment_is_no_fault() -> None:
    found = read(f"{FOLDER}/{FOLDER}00000002-{ONE}.lz4", f"{FOLDER}/{FOLDER}00000002.partial-{OTHER}.lz4")
    assert found == Archive(SIZE, {1: frozenset({2})})


@pytest.mark.parametrize("answer", [b"", b"ERROR: [049]", b"[]", b'{"x": 1}', b"\xff"])
def test_what_is_no_listing_is_an_error(answer: bytes) -> None:
    with pytest.raises(UnreadableAnswerError, match=r"^pgbackrest repo-ls printed no listing: "):
        archive.listing(answer)


# --- several repositories ---------------------------------------------------------------------------------------------


def test_what_one_archive_lacks_another_has() -> None:
    one = Archive(SIZE, {1: frozenset({1, 3})}, (Fault(1, 2, "partial"),), ("00000002.history",))
    other = Archive(SIZE, {1: frozenset({2}), 2: frozenset({4})}, (), ("00000003.history",))
    assert archive.merged((one, other)) == Archive(
        SIZE, {1: frozenset({1, 2, 3}), 2: frozenset({4})}, (), ("00000002.history", "00000003.history")
    )


def test_recovery_stops_at_a_file_it_cannot_read_unless_a_whole_one_comes_first() -> None:
    damaged, good = Archive(SIZE, {}, (Fault(1, 2, "empty"),)), Archive(SIZE, {1: frozenset({2})})
    assert archive.merged((good, damaged)) == good
    assert archive.merged((damaged, good)) == damaged


# --- the size of a segment --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", wal.SEGMENT_SIZES)
def test_backups_tell_the_size_of_a_segment(size: int) -> None:
    def at(label: str, lsn: int) -> object:
        name = wal.segment_name(1, lsn // size, size)
        lsns = {"lsn_start": wal.format_lsn(lsn), "lsn_stop": wal.format_lsn(lsn + 0x100)}
        return make_backup(label, wal_start=name, wal_stop=name, **lsns)

    one, two = at("20260301-020000F", 2 * size + 0x28), at("20260302-020000F", (1 << 32) + 3 * size + 0x28)
    assert archive.segment_bytes_of((one, two)) == size  # type: ignore[arg-type]


def test_a_position_between_two_segments_is_named_by_the_one_before() -> None:
    ended = make_backup(
        wal_start="000000010000000000000001",
        lsn_start="0/4000028",
        wal_stop="000000010000000000000001",
        lsn_stop="0/8000000",
    )
    assert archive.segment_bytes_of((ended,)) == 64 << 20


def test_without_evidence_it_is_what_initdb_makes() -> None:
    assert archive.segment_bytes_of(()) == SIZE
    assert archive.segment_bytes_of((make_backup(wal_start=None, wal_stop=None, lsn_stop=None),)) == SIZE
    assert archive.segment_bytes_of((make_backup(wal_stop="000000010000000000000009"),)) == SIZE
