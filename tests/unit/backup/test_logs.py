"""The log: standard output for containers, files for the guide."""

from __future__ import annotations

import io
import json
import re
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from backup import logs
from contract import events
from contract.supervisor import LogFormat

WARNING = "2026-03-01 02:00:01.123 P00   WARN: a timeline switch has occurred"


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


def test_a_file_that_is_full_at_ten_megabytes_is_rotated(tmp_path: Path) -> None:
    line = "x" * 999_999
    with logs.job_log(tmp_path, "backup-full.log", 3.0) as write:
        for _ in range(9):
            write(line)
        assert [path.name for path in tmp_path.iterdir()] == ["backup-full.log"]
        write(line)
    assert (tmp_path / "backup-full.log.1").stat().st_size == 9_000_000
    assert (tmp_path / "backup-full.log").stat().st_size == 1_000_000


def test_text_that_cannot_be_encoded_is_written_to_the_file_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    with logs.job_log(tmp_path, "x.log", 3.0) as write:
        write(b"a\xff".decode("utf-8", "surrogateescape"))
    assert (tmp_path / "x.log").read_bytes() == b"a?\n"


class GoneTerminal(io.StringIO):
    def write(self, _text: str) -> int:
        raise BrokenPipeError


def test_a_terminal_that_is_gone_stops_neither_the_work_nor_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", GoneTerminal())
    with logs.job_log(tmp_path, "restore.log", 3.0) as write:
        write("one")
        logs.logger().info("backup.due")
        write("two")
    assert (tmp_path / "restore.log").read_text("utf-8") == "one\ntwo\n"


# --- the two forms ----------------------------------------------------------------------------------------------------


def test_an_event_is_one_line_with_time_level_name_and_facts(capsys: pytest.CaptureFixture[str]) -> None:
    logs.logger().info("backup.due", type="full", due="2026-03-01 02:00:00 UTC")
    line = capsys.readouterr().out
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[info *\] backup\.due +due='2026-03-01 02:00:00 UTC' type=full\n", line
    )


def test_in_json_an_event_is_an_object_with_its_head_first(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json")
    logs.logger().warning("backup.due", type="full", seconds=1.5, label=None)
    (line,) = capsys.readouterr().out.splitlines()
    entry = json.loads(line)
    assert list(entry) == ["time", "level", "event", "type", "seconds", "label"]
    assert (entry["level"], entry["event"], entry["seconds"], entry["label"]) == ("warning", "backup.due", 1.5, None)
    assert datetime.fromisoformat(entry["time"]).utcoffset() is not None


@pytest.mark.parametrize(
    ("line", "level"),
    [(WARNING, "warning"), ("P00  ERROR: [049]: no route", "info"), (" P01  ERROR: [049]: no", "error"), ("ok", "info")],
)
def test_in_json_a_line_of_pgbackrest_is_an_event_with_its_level(
    capsys: pytest.CaptureFixture[str], line: str, level: str
) -> None:
    logs.configure("json")
    logs.foreign_line(line)
    entry = json.loads(capsys.readouterr().out)
    assert (entry["event"], entry["level"], entry["line"]) == (events.PGBACKREST_LINE, level, line)


def test_in_text_a_line_of_pgbackrest_stands_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    logs.foreign_line(WARNING)
    assert capsys.readouterr().out == f"{WARNING}\n"


def fail_with_a_secret() -> None:
    password = "dont-log-me"
    raise ZeroDivisionError(str(len(password)))


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_exception_is_told_without_the_values_of_variables(capsys: pytest.CaptureFixture[str], form: LogFormat) -> None:
    logs.configure(form)
    try:
        fail_with_a_secret()
    except ZeroDivisionError:
        logs.logger().exception("supervisor.tick-failed")
    out = capsys.readouterr().out
    assert "fail_with_a_secret" in out
    assert "dont-log-me" not in out.replace('password = "dont-log-me"', "")
    if form == "json":
        (line,) = out.splitlines()
        (cause,) = json.loads(line)["exception"]
        assert (cause["exc_type"], cause["exc_value"]) == ("ZeroDivisionError", "11")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "is_json"), [(Terminal, False), (io.StringIO, True)])
def test_without_a_choice_a_terminal_gets_text_and_everything_else_json(
    monkeypatch: pytest.MonkeyPatch, stream: Callable[[], Any], is_json: bool
) -> None:
    out = stream()
    monkeypatch.setattr(sys, "stdout", out)
    logs.configure("auto")
    logs.logger().info("backup.due")
    assert out.getvalue().startswith("{") == is_json


def test_the_form_can_be_changed_while_a_logger_is_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    log = logs.logger()
    log.info("backup.due")
    logs.configure("json")
    log.info("backup.due")
    text, line = capsys.readouterr().out.splitlines()
    assert text.endswith("backup.due")
    assert json.loads(line)["event"] == "backup.due"


def test_lines_of_several_threads_do_not_mix(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json")

    def chatter() -> None:
        for number in range(200):
            logs.logger().info("backup.due", text="x" * number)

    threads = [threading.Thread(target=chatter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([json.loads(line) for line in capsys.readouterr().out.splitlines()]) == 800
