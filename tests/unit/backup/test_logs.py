"""The log: standard output for containers, files for the guide."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from backup import logs


def test_a_line_goes_to_standard_output_and_to_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with logs.job_log(tmp_path, "backup-full.log", 3.0) as write:
        write("P00   INFO: backup begin")
        write("P00   INFO: 100 % done, %s {}")
    expected = "P00   INFO: backup begin\nP00   INFO: 100 % done, %s {}\n"
    assert (tmp_path / "backup-full.log").read_text("utf-8") == expected
    assert capsys.readouterr().out == expected


def test_the_file_has_the_options_of_a_command_and_a_person_only_its_verb(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "P00   INFO: backup command begin 2.55.1: --repo1-path=/var/lib/pgbackrest --stanza=salespider"
    with logs.job_log(tmp_path, "backup-full.log", 3.0) as write:
        write(line)
    assert (tmp_path / "backup-full.log").read_text("utf-8") == f"{line}\n"
    assert capsys.readouterr().out == "P00   INFO: backup command begin 2.55.1\n"


def test_the_lines_about_single_files_are_not_shown_one_by_one(tmp_path: Path) -> None:
    with logs.job_log(tmp_path, "backup-full.log", 3600.0) as write:
        for number in range(100):
            write(f"2026-03-01 02:00:01.123 P01 DETAIL: backup file /data/base/5/{number} (8KB, {number}%) checksum 01ab")
        write("P00   INFO: new backup label = 20260301-020000F")
    assert (tmp_path / "backup-full.log").read_text("utf-8") == "P00   INFO: new backup label = 20260301-020000F\n"


def test_a_later_job_adds_to_the_same_file(tmp_path: Path) -> None:
    for line in ("one", "two"):
        with logs.job_log(tmp_path, "backup-diff.log", 3.0) as write:
            write(line)
    assert (tmp_path / "backup-diff.log").read_text("utf-8") == "one\ntwo\n"


def test_a_full_file_is_rotated_and_the_old_ones_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "ROTATE_BYTES", 100)
    with logs.job_log(tmp_path, "restore.log", 3.0) as write:
        for number in range(100):
            write(f"a line with number {number:03}")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["restore.log", *(f"restore.log.{n}" for n in range(1, logs.ROTATED_FILES + 1))]
    assert all(path.stat().st_size <= 100 for path in tmp_path.iterdir())


def test_text_that_cannot_be_encoded_is_written_all_the_same(tmp_path: Path) -> None:
    handler_input = b"a\xff".decode("utf-8", "surrogateescape")
    with logs.job_log(tmp_path, "x.log", 3.0) as write, pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", lambda *_args, **_kwargs: None)
        write(handler_input)
    assert (tmp_path / "x.log").read_bytes() == b"a?\n"


def test_a_terminal_that_is_gone_stops_neither_the_work_nor_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_args: object, **_options: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("builtins.print", gone)
    with logs.job_log(tmp_path, "restore.log", 3.0) as write:
        write("one")
        write("two")
    assert (tmp_path / "restore.log").read_text("utf-8") == "one\ntwo\n"


def test_an_event_is_one_line_with_time_level_name_and_facts(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    logs.logger().info("backup.due", type="full", due="2026-03-01 02:00:00 UTC")
    line = capsys.readouterr().out
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[info *\] backup\.due +due='2026-03-01 02:00:00 UTC' type=full\n", line
    )
