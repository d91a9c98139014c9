"""What people write for a target: read exactly, or refused with what to write instead."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup.restore.planning.refusal import RefusedError
from backup.restore.planning.target import EXAMPLES, TargetKind, parse_moment, parse_value
from tests.unit.backup.fakes import NOON

UTC_ZONE, BERLIN, KATHMANDU = ZoneInfo("UTC"), ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kathmandu")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "zone", "moment"),
    [
        ("2026-01-15 12:00:00", UTC_ZONE, "2026-01-15 12:00:00"),
        ("2026-01-15 12:00:00", BERLIN, "2026-01-15 11:00:00"),
        ("2026-07-15 12:00:00", BERLIN, "2026-07-15 10:00:00"),
        ("  2026-01-15   12:00  ", UTC_ZONE, "2026-01-15 12:00:00"),
        ("2026-01-15 9:05", UTC_ZONE, "2026-01-15 09:05:00"),
        ("2026-01-15T12:00:00Z", BERLIN, "2026-01-15 12:00:00"),
        ("2026-01-15t12:00:00z", BERLIN, "2026-01-15 12:00:00"),
        ("2026-01-15T12:00:00.25+02:00", BERLIN, "2026-01-15 10:00:00.25"),
        ("2026-01-15 12:00:00,25 UTC", BERLIN, "2026-01-15 12:00:00.25"),
        ("2026-01-15 12:00:00+05:30", BERLIN, "2026-01-15 06:30:00"),
        ("2026-01-15 12:00:00+0530", BERLIN, "2026-01-15 06:30:00"),
        ("2026-01-15 12:00:00.123456+02", BERLIN, "2026-01-15 10:00:00.123456"),
        ("2026-01-15 12:00:00 -02:00", BERLIN, "2026-01-15 14:00:00"),
        ("2026-01-15 12:00:00.123456", UTC_ZONE, "2026-01-15 12:00:00.123456"),
        ("2026-10-25 02:30:00+02:00", BERLIN, "2026-10-25 00:30:00"),
        ("2026-10-25 02:30:00+01:00", BERLIN, "2026-10-25 01:30:00"),
        ("10 minutes ago", BERLIN, "2026-03-04 11:50:00"),
        ("1 minute ago", BERLIN, "2026-03-04 11:59:00"),
        ("90 sec ago", BERLIN, "2026-03-04 11:58:30"),
        ("2 hours ago", BERLIN, "2026-03-04 10:00:00"),
        ("2h ago", BERLIN, "2026-03-04 10:00:00"),
        ("1 hour 30 minutes ago", BERLIN, "2026-03-04 10:30:00"),
        ("1 hour and 30 minutes ago", BERLIN, "2026-03-04 10:30:00"),
        ("1 week, 1 day ago", BERLIN, "2026-02-24 12:00:00"),
        ("yesterday 14:00", UTC_ZONE, "2026-03-03 14:00:00"),
        ("Yesterday at 14:00:30.5", BERLIN, "2026-03-03 13:00:30.5"),
        ("today 09:30", BERLIN, "2026-03-04 08:30:00"),
        ("today 0:15", KATHMANDU, "2026-03-03 18:30:00"),
    ],
)
def test_a_time_is_read_as_it_is_written_and_local_without_an_offset(text: str, zone: ZoneInfo, moment: str) -> None:
    assert parse_moment(text, NOON, zone) == utc(moment)


def test_yesterday_is_the_day_before_in_the_zone_of_the_reader() -> None:
    late = utc("2026-03-04 23:30:00")  # already the 5th in Berlin
    assert parse_moment("yesterday 14:00", late, BERLIN) == utc("2026-03-04 13:00:00")
    assert parse_moment("yesterday 14:00", late, UTC_ZONE) == utc("2026-03-03 14:00:00")


@pytest.mark.parametrize(
    "text",
    [
        "", "yesterday-ish", "tomorrow 12:00", "1767225600", "NaT", "now", "ago", "ten minutes ago", "10 minutes",
        "-10 minutes ago", "01/02/2026 12:00", "2026-1-5 12:00", "2026-01-15 12", "2026-01-15 12:00:00.1234567",
        "2026-01-15 12:00 CET", "2026-01-15 12:00:00+2", "12:00 yesterday", "2026-W03-4 12:00", "20260115T120000",
        "2026-01-15 \u0661\u0662:00",
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(RefusedError) as refused:
        parse_moment(text, NOON, UTC_ZONE)
    assert refused.value.message == f"restore refused: TARGET is not a time: {text!r}"
    assert refused.value.hint == EXAMPLES


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("2026-01-15", "TARGET is a day, and not a moment: '2026-01-15'", '"2026-01-15 00:00:00" is its beginning'),
        ("yesterday", "TARGET is a day, and not a moment: 'yesterday'", '"yesterday 00:00:00" is its beginning'),
        ("14:00", "TARGET has no day: '14:00'", 'TARGET="today 14:00" or "yesterday 14:00"'),
        ("2 months ago", "TARGET has a unit that is not known: 'months'", "seconds, minutes, hours, days or weeks ago"),
        ("10 m ago", "TARGET has a unit that is not known: 'm'", "seconds, minutes, hours, days or weeks ago"),
        ("2026-13-01 00:00", "TARGET is a day or time that does not exist: '2026-13-01 00:00'", "write it as"),
        ("2026-02-29 00:00", "TARGET is a day or time that does not exist: '2026-02-29 00:00'", "write it as"),
        ("2026-01-15 24:30", "TARGET is a day or time that does not exist: '2026-01-15 24:30'", "write it as"),
        ("today 25:00", "TARGET is a day or time that does not exist: 'today 25:00'", "write it as"),
        ("2026-01-15 12:00+99:00", "TARGET has an offset that does not exist: '2026-01-15 12:00+99:00'", "write it as"),
        ("999999999 weeks ago", "TARGET lies before all time: '999999999 weeks ago'", "write it as"),
    ],
)
def test_what_is_almost_a_time_is_refused_with_what_is_missing(text: str, message: str, hint: str) -> None:
    with pytest.raises(RefusedError) as refused:
        parse_moment(text, NOON, BERLIN)
    assert refused.value.message == f"restore refused: {message}"
    assert hint in refused.value.hint


@pytest.mark.parametrize(
    ("case", "text", "now", "both"),
    [
        (
            "the hour that comes twice",
            "2026-10-25 02:30:00",
            NOON,
            "2026-10-25 02:30:00+01:00 or 2026-10-25 02:30:00+02:00",
        ),
        (
            "the hour that is skipped",
            "2026-03-29 02:30:00",
            NOON,
            "2026-03-29 01:30:00+01:00 or 2026-03-29 03:30:00+02:00",
        ),
        (
            "yesterday, when the clock was changed",
            "yesterday 02:30",
            utc("2026-10-26 08:00"),
            "2026-10-25 02:30:00+01:00 or 2026-10-25 02:30:00+02:00",
        ),
    ],
)
def test_a_time_in_the_hour_of_a_clock_change_is_refused_with_both_readings(
    case: str, text: str, now: datetime, both: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        parse_moment(text, now, BERLIN)
    assert refused.value.message == f"restore refused: TARGET lies in the hour of a clock change: {text!r}", case
    assert refused.value.hint == f"add an offset: {both}"
    for reading in both.split(" or "):
        assert parse_moment(reading, now, BERLIN) == datetime.fromisoformat(reading)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.timezones()))  # noqa: DTZ001 hypothesis adds the zone
def test_any_moment_with_an_offset_survives_being_written_down(moment: datetime) -> None:
    in_utc = moment.astimezone(UTC)
    assert parse_moment(in_utc.isoformat(sep=" "), NOON, BERLIN) == in_utc


@given(st.one_of(st.text(max_size=30), st.from_regex(r"[0-9]{1,4}[-: a-z0-9+.]{1,25}( ago)?", fullmatch=True)))
def test_whatever_is_typed_is_a_time_or_refused(text: str) -> None:
    with contextlib.suppress(RefusedError):
        assert parse_moment(text, NOON, BERLIN).tzinfo is UTC


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("xid", " 746 ", "746"),
        ("xid", "4294967999", "4294967999"),
        ("lsn", "0/5000148", "0/5000148"),
        ("lsn", "16/b374d848", "16/B374D848"),
        ("name", "before release 2.0", "before release 2.0"),
        ("name", "pgBackRest Archive Check", "pgBackRest Archive Check"),
    ],
)
def test_other_targets_are_read(kind: TargetKind, text: str, value: str) -> None:
    assert parse_value(kind, text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("xid", ""), ("xid", "0"), ("xid", "2"), ("xid", "-5"), ("xid", "0x10"), ("xid", "18446744073709551616"),
        ("lsn", ""), ("lsn", "5000148"), ("lsn", "0/"), ("lsn", "0/123456789"), ("lsn", "0/5000148 "+"x"),
        ("name", ""), ("name", "x" * 64), ("name", "it's"), ("name", "a\nb"), ("name", "back\\slash"),
    ],
)  # fmt: skip
def test_other_targets_that_cannot_be_are_refused(kind: TargetKind, text: str) -> None:
    with pytest.raises(RefusedError) as refused:
        parse_value(kind, text)
    assert repr(text) in refused.value.message
