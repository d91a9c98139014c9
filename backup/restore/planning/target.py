"""What people write for a moment, a transaction, a position or a name: read strictly, never guessed. Pure.

Libraries that read dates take "03-04" for a day and "12" for an hour of today; a restore to a moment that was meant
otherwise loses data. So this knows a few forms exactly, and refuses all others with an example.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

from backup.restore.planning.refusal import RefusedError

TargetKind = Literal["time", "xid", "lsn", "name"]

EXAMPLES: Final = (
    'write it as "2024-01-01 12:00:00" (local to TZ), "2024-01-01T12:00:00Z", "2024-01-01 12:00:00+02:00", '
    '"10 minutes ago", "yesterday 14:00" or "today 09:30"'
)

LONGEST_NAME: Final = 63
"""Bytes that PostgreSQL keeps of a restore point's name (MAXFNAMELEN - 1)."""

_CLOCK: Final = r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,6}))?)?"
_MOMENT: Final = re.compile(
    rf"(?P<date>\d{{4}}-\d\d-\d\d)(?:\s+|t){_CLOCK}\s*(?P<offset>z|utc|[+-]\d\d(?::?\d\d)?)?", re.IGNORECASE | re.ASCII
)
_DAY: Final = re.compile(rf"(?P<day>today|yesterday)(?:\s+at)?\s+{_CLOCK}", re.IGNORECASE | re.ASCII)
_AGO: Final = re.compile(r"(?:\d{1,9}\s*[a-z]+(?:,|\s+and)?\s+)+ago", re.IGNORECASE | re.ASCII)
_PART: Final = re.compile(r"(\d+)\s*([a-z]+)", re.IGNORECASE | re.ASCII)
_DATE_ALONE: Final = re.compile(r"\d{4}-\d\d-\d\d|today|yesterday", re.IGNORECASE | re.ASCII)
_CLOCK_ALONE: Final = re.compile(_CLOCK, re.ASCII)
_UNITS: Final = {
    **dict.fromkeys(("second", "seconds", "sec", "secs", "s"), timedelta(seconds=1)),
    **dict.fromkeys(("minute", "minutes", "min", "mins"), timedelta(minutes=1)),
    **dict.fromkeys(("hour", "hours", "h"), timedelta(hours=1)),
    **dict.fromkeys(("day", "days", "d"), timedelta(days=1)),
    **dict.fromkeys(("week", "weeks"), timedelta(weeks=1)),
}
_XID: Final = re.compile(r"\d{1,20}", re.ASCII)
_LSN: Final = re.compile(r"[0-9A-F]{1,8}/[0-9A-F]{1,8}", re.ASCII)
_UNFIT_IN_A_NAME: Final = re.compile(r"[\x00-\x1f\x7f'\\]")


def parse_moment(text: str, now: datetime, zone: ZoneInfo) -> datetime:
    """Turn a moment as people write it into UTC; without an offset it is local to `zone`.

    A day in "2 days ago" has 24 hours. Raises RefusedError when it is none of the forms that are known, or one that a
    clock change makes ambiguous or skips.
    """
    written = text.strip()
    if (found := _MOMENT.fullmatch(written)) is not None:
        return _moment(found, written, zone)
    if (found := _DAY.fullmatch(written)) is not None:
        day = now.astimezone(zone).date() - timedelta(days=found["day"].lower() == "yesterday")
        return _local(_clock(day.isoformat(), found, text), written, zone)
    if _AGO.fullmatch(written) is not None:
        return _ago(written, now)
    if _DATE_ALONE.fullmatch(written) is not None:
        raise RefusedError(
            f"TARGET is a day, and not a moment: {text!r}", f'add the time: TARGET="{written} 00:00:00" is its beginning'
        )
    if _CLOCK_ALONE.fullmatch(written) is not None:
        raise RefusedError(f"TARGET has no day: {text!r}", f'add it: TARGET="today {written}" or "yesterday {written}"')
    raise RefusedError(f"TARGET is not a time: {text!r}", EXAMPLES)


def _moment(found: re.Match[str], text: str, zone: ZoneInfo) -> datetime:
    moment = _clock(found["date"], found, text)
    offset = found["offset"]
    if offset is None:
        return _local(moment, text, zone)
    if offset.lower() in ("z", "utc"):
        return moment.replace(tzinfo=UTC)
    digits = offset[1:].replace(":", "").ljust(4, "0")
    try:
        return datetime.fromisoformat(f"{moment.isoformat()}{offset[0]}{digits[:2]}:{digits[2:]}").astimezone(UTC)
    except (ValueError, OverflowError):
        raise RefusedError(f"TARGET has an offset that does not exist: {text!r}", EXAMPLES) from None


def _clock(date: str, found: re.Match[str], text: str) -> datetime:
    fraction = (found["fraction"] or "").ljust(6, "0")
    try:
        return datetime.fromisoformat(
            f"{date}T{int(found['hour']):02d}:{found['minute']}:{found['second'] or '00'}.{fraction}"
        )
    except ValueError:
        raise RefusedError(f"TARGET is a day or time that does not exist: {text!r}", EXAMPLES) from None


def _local(moment: datetime, text: str, zone: ZoneInfo) -> datetime:
    try:
        candidates = {moment.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    except OverflowError:
        raise RefusedError(f"TARGET is a day or time that does not exist: {text!r}", EXAMPLES) from None
    if len(candidates) > 1:
        both = " or ".join(sorted(f"{c.astimezone(zone).isoformat(sep=' ')}" for c in candidates))
        raise RefusedError(f"TARGET lies in the hour of a clock change: {text!r}", f"add an offset: {both}")
    return candidates.pop()


def _ago(text: str, now: datetime) -> datetime:
    past = timedelta(0)
    for count, unit in _PART.findall(text):
        if unit.lower() not in _UNITS:
            raise RefusedError(
                f"TARGET has a unit that is not known: {unit!r}", "seconds, minutes, hours, days or weeks ago"
            )
        try:
            past += int(count) * _UNITS[unit.lower()]
        except OverflowError:
            past = timedelta.max
    try:
        return (now - past).astimezone(UTC)
    except OverflowError:
        raise RefusedError(f"TARGET lies before all time: {text!r}", EXAMPLES) from None


def parse_value(kind: TargetKind, text: str) -> str:
    """Return a transaction's number, an LSN or a restore point's name as pgbackrest takes it. Raises RefusedError."""
    written = text.strip()
    if kind == "xid" and (not _XID.fullmatch(written) or not 3 <= int(written) < 1 << 64):  # noqa: PLR2004 below are none
        raise RefusedError(
            f"TARGET is not a transaction's number: {text!r}", "it is what `SELECT pg_current_xact_id()` said in it: 12345"
        )
    if kind == "lsn":
        if not _LSN.fullmatch(written.upper()):
            raise RefusedError(f"TARGET is not an LSN: {text!r}", "it is what `SELECT pg_current_wal_lsn()` says: 0/5000148")
        return written.upper()
    if kind == "name" and (not written or len(written.encode()) > LONGEST_NAME or _UNFIT_IN_A_NAME.search(written)):
        raise RefusedError(
            f"TARGET cannot be a restore point's name: {text!r}", "`salespider-backup restore-point --list` shows them"
        )
    return written
