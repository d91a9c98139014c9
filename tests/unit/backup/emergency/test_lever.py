"""The lever says all that is known of the emergency, and is told apart from every other command."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup.emergency import lever
from backup.emergency.lever import Lever
from tests.unit.backup.fakes import NOON, make_wal

SEGMENT = "00000001000000000000002A"
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 hypothesis adds it


@given(MOMENTS, st.none() | MOMENTS, st.none() | st.just(SEGMENT), st.sampled_from(["operator", "valve"]))
def test_what_is_written_is_read_back(
    since: datetime, archived_at: datetime | None, archived: str | None, by: lever.By
) -> None:
    pulled = Lever(since, archived, archived_at, by)
    assert lever.read(pulled.command()) == pulled


def test_it_is_a_command_of_the_shell_that_succeeds_and_says_what_to_do() -> None:
    command = Lever(NOON, SEGMENT, NOON).command()
    assert command.startswith("true # ")
    assert "make wal-resume" in command
    assert "%" not in command
    assert "'" not in command
    assert not make_wal(archive_command=command).is_archiving_configured


def test_moments_are_written_in_utc() -> None:
    berlin = timezone(timedelta(hours=1))
    pulled = Lever(NOON.astimezone(berlin), None, None)
    assert "since=2026-03-04T12:00:00+00:00" in pulled.command()


@pytest.mark.parametrize(
    "command",
    [
        "",
        "true",
        "/bin/true",
        "pgbackrest --stanza=salespider archive-push %p",
        "true # salespider wal-emergency",
        f"true # {lever.MARKER} since=yesterday archived=- archived_at=- by=operator; edited",
        f"false # {lever.MARKER} since=2026-03-04T12:00:00+00:00 archived=- archived_at=- by=operator; x",
    ],
)
def test_another_command_is_no_lever(command: str) -> None:
    assert lever.read(command) is None


def test_without_an_archived_segment_the_emergency_itself_is_the_beginning() -> None:
    assert Lever(NOON, None, None).recoverable_until == NOON
    assert Lever(NOON, SEGMENT, NOON - timedelta(hours=1)).recoverable_until == NOON - timedelta(hours=1)
