"""The newest branch: of all archives, and none is guessed when one cannot be read."""

from __future__ import annotations

import json

import pytest

from backup import jobs, process
from backup.restore import branches
from backup.restore.timeline import FIRST, Branch
from tests.unit.backup.fakes import FakePgbackrest, make_backup, make_info

FULL = make_backup("20260301-020000F")
NO_HISTORY = process.Captured(0, b"{}", "")


def listing(*names: str) -> process.Captured:
    return process.Captured(0, json.dumps({name: {"type": "file", "size": 1} for name in names}).encode(), "")


def test_an_archive_without_history_files_is_the_first_branch(engine: FakePgbackrest) -> None:
    engine.captured = {"repo-ls": NO_HISTORY}
    assert branches.newest(make_info(FULL)) == FIRST


def test_without_an_archive_nothing_is_asked(engine: FakePgbackrest) -> None:
    assert branches.newest(make_info(FULL, archive=())) == FIRST
    assert engine.ran == []


def test_the_newest_history_file_is_read(engine: FakePgbackrest) -> None:
    newest = "archive/salespider/17-1/00000003.history"
    engine.captured = {
        "repo-ls": listing("00000002.history", "00000003.history"),
        newest: process.Captured(0, b"1\t0/6000000\tno reason\n\n2\t0/A000000\tno reason\n", ""),
    }
    assert branches.newest(make_info(FULL)) == Branch(3, {1: 0x6000000, 2: 0xA000000})


@pytest.mark.parametrize("failing", ["repo-ls", "repo-get"])
def test_a_history_that_cannot_be_read_is_an_error_and_not_the_first_branch(engine: FakePgbackrest, failing: str) -> None:
    engine.captured = {"repo-ls": listing("00000002.history"), failing: process.Captured(49, b"", "no route")}
    with pytest.raises(jobs.RepositoryError) as error:
        branches.newest(make_info(FULL))
    assert error.value.message == "the archive's history cannot be read (host-connect)"
    assert error.value.hint == "the repository's host cannot be reached: check name and network"
