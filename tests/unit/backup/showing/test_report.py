"""Tables and sentences for people."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from backup.pgbackrest import RepositoryStatus
from backup.showing import report
from backup.showing.checks import Finding
from tests.unit.backup.fakes import make_backup, make_config, make_info

UTC_ZONE = ZoneInfo("UTC")


@pytest.fixture
def out() -> Console:
    return Console(file=io.StringIO(), width=160, highlight=False, soft_wrap=True)


def printed(out: Console) -> str:
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KB"),
        (1_234_567, "1.2 MB"),
        (30_000_000_000, "30.0 GB"),
        (5_500_000_000_000, "5.5 TB"),
        (5_500_000_000_000_000, "5500.0 TB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert report.human_bytes(count) == text


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(0), "0.0 s"),
        (timedelta(seconds=3.21), "3.2 s"),
        (timedelta(seconds=42.7), "43 s"),
        (timedelta(minutes=4, seconds=5), "4 min 5 s"),
        (timedelta(hours=2, minutes=30, seconds=59), "2 h 30 min"),
        (timedelta(days=2, hours=3, minutes=59), "2 d 3 h"),
    ],
)
def test_durations(duration: timedelta, text: str) -> None:
    assert report.human_duration(duration) == text


@given(st.integers(0, 10**18), st.integers(0, 10**18))
def test_no_size_and_no_duration_is_without_words(count: int, microseconds: int) -> None:
    assert report.human_bytes(count).split(" ")[1] in {"B", "KB", "MB", "GB", "TB"}
    assert report.human_duration(timedelta(microseconds=microseconds))


def test_a_moment_is_told_in_the_zone_of_the_reader() -> None:
    assert report.local(datetime(2026, 7, 1, 12, tzinfo=UTC), ZoneInfo("Europe/Berlin")) == "2026-07-01 14:00:00 CEST"
    assert report.local(None, UTC_ZONE) == "never"


# --- info -------------------------------------------------------------------------------------------------------------


def test_the_list_has_a_line_for_each_backup(out: Console) -> None:
    full, diff = make_backup("20260301-020000F"), make_backup("20260301-020000F_20260302-020000D", has_errors=True)
    report.print_info(out, make_info(full, diff), make_config())
    text = printed(out)
    assert "Backups of salespider" in text
    row = next(line for line in text.splitlines() if f" {full.label} " in line)
    for cell in ("full", "2026-03-01 02:00:00 UTC", "1.0 s", "30.0 MB", "4.0 MB", "7.5 : 1", "1 (posix)", "good"):
        assert cell in row
    assert "checksum errors" in next(line for line in text.splitlines() if diff.label in line)
    assert "WAL archive in repository 1: 000000010000000000000001 … 000000010000000000000005" in text
    assert "Repository 1: good; cipher aes-256-cbc" in text


def test_an_empty_repository_says_so_and_why_one_cannot_be_used(out: Console) -> None:
    refused = RepositoryStatus(1, "aes-256-cbc", 99, "[FormatError] key/value found outside of section")
    report.print_info(out, make_info(repositories=(refused,), archive=()), make_config())
    assert printed(out).splitlines() == [
        "No backups of salespider yet.",
        "Repository 1: [FormatError] key/value found outside of section; cipher aes-256-cbc",
    ]


def test_a_running_backup_is_told(out: Console) -> None:
    report.print_info(out, make_info(bytes_done=1_000_000, bytes_total=4_000_000), make_config())
    assert "A backup is running: 1.0 MB of 4.0 MB" in printed(out)


# --- findings ---------------------------------------------------------------------------------------------------------


def test_a_good_finding_is_a_line_and_a_bad_one_has_its_hint_below(out: Console) -> None:
    report.print_finding(out, Finding("archiving", True, "WAL segment 01 was pushed"))
    report.print_finding(out, Finding("last full", False, "there is no full backup", "take one now: `make backup`"))
    assert printed(out).splitlines() == [
        "  ok   archiving      WAL segment 01 was pushed",
        " FAIL  last full      there is no full backup",
        "       HINT: take one now: `make backup`",
    ]


def test_text_with_square_brackets_is_printed_as_it_is(out: Console) -> None:
    """pgbackrest's errors begin with a number in brackets, which rich would take for a style."""
    report.print_finding(out, Finding("archiving", False, "[082]: [/x] WAL segment was not archived", "see [049]"))
    assert "[082]: [/x] WAL segment was not archived" in printed(out)
    assert "HINT: see [049]" in printed(out)


def test_garbage_in_a_message_reaches_no_terminal(out: Console) -> None:
    """With a wrong passphrase the message holds decrypted noise."""
    noise = RepositoryStatus(1, "aes-256-cbc", 99, "[FormatError] line 1: \x1b[2J\x07[/red]")
    report.print_info(out, make_info(repositories=(noise,), archive=()), make_config())
    assert "Repository 1: [FormatError] line 1: ?[2J?[/red]; cipher aes-256-cbc" in printed(out)
