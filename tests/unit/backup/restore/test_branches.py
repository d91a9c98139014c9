"""The newest timeline: of all archives, and none is guessed when one cannot be read."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from backup import process
from backup.restore import branches
from backup.taking import jobs
from tests.unit.backup.fakes import FakePgbackrest, make_backup, make_info

FULL = make_backup("20260301-020000F")
NO_HISTORY = process.Captured(0, b"{}", "")


def listing(*names: str) -> process.Captured:
    return process.Captured(0, json.dumps({name: {"type": "file", "size": 1} for name in names}).encode(), "")


def test_an_archive_without_history_files_is_the_first_branch(engine: FakePgbackrest) -> None:
    engine.captured = {"repo-ls": NO_HISTORY}
    assert branches.newest_timeline(make_info(FULL)) == 1


def test_without_an_archive_nothing_is_asked(engine: FakePgbackrest) -> None:
    assert branches.newest_timeline(make_info(FULL, archive=())) == 1
    assert engine.ran == []


def test_the_newest_history_file_tells(engine: FakePgbackrest) -> None:
    engine.captured = {"repo-ls": listing("00000003.history", "00000002.history")}
    assert branches.newest_timeline(make_info(FULL)) == 3


def test_a_history_that_cannot_be_read_is_an_error_and_not_the_first_branch(engine: FakePgbackrest) -> None:
    engine.captured = {"repo-ls": process.Captured(49, b"", "no route")}
    with pytest.raises(jobs.RepositoryError) as error:
        branches.newest_timeline(make_info(FULL))
    assert error.value.message == "the archive's history cannot be read (host-connect)"
    assert error.value.hint == "the repository's host cannot be reached: check name and network"


def test_an_archive_that_cannot_be_listed_tells_by_its_last_segment(
    engine: FakePgbackrest, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = make_info(FULL, make_backup("20260302-020000F", repo=2))
    first, second = info.archive
    denied = process.Captured(53, b"", "")
    monkeypatch.setattr(process, "capture", lambda argv, _: denied if "--repo=2" in argv else listing("00000002.history"))
    assert branches.newest_timeline(info) == 2
    later = replace(second, last="000000040000000000000009")
    assert branches.newest_timeline(replace(info, archive=(first, later))) == 4
