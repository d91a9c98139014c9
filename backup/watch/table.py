"""`wal-status` for people: a small table."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

from rich.markup import escape
from rich.table import Table

from backup.units import human_bytes, human_duration
from backup.watch.disks import left
from backup.watch.readings import Standing, Volume
from backup.watch.summary import Taker, WalStatus

_UNKNOWN = "not known"
_STALE = timedelta(minutes=5)


def table(status: WalStatus, zone: ZoneInfo) -> Table:
    """Return what is known, a line for each thing; times in this zone."""
    made = Table(show_header=False, box=None, pad_edge=False)
    made.add_column(style="bold", no_wrap=True)
    made.add_column()
    for heading, said in _rows(status, zone):
        made.add_row(heading, said)
    return made


def _rows(status: WalStatus, zone: ZoneInfo) -> list[tuple[str, str]]:
    rows = [
        (
            "database",
            status.database if status.database != "unreachable" else escape(f"unreachable: {status.database_problem}"),
        ),
        ("archiver", _archiver(status, zone)),
        ("backlog", _backlog(status)),
        ("WAL rate", f"{_rate(status.wal_rate)} now, {_rate(status.wal_rate_peak)} at most in the last hour"),
        ("pg_wal", _size(status.pg_wal_bytes)),
        ("if archiving stopped now", f"{_hours(status.safe_hours)}, {_hours(status.safe_hours_at_peak)} at that peak"),
    ]
    if status.full_in_hours is not None:
        rows.append(("disk full", f"[red]in {left(status.full_in_hours)} at the present rate[/red]"))
    if status.catch_up_seconds is not None:
        rows.append(("caught up", f"in {human_duration(timedelta(seconds=status.catch_up_seconds))}"))
    rows += [(f"repository {taker.key}", _taker(taker)) for taker in status.repositories]
    rows += [(f"volume {volume.name}", _volume(volume)) for volume in status.volumes]
    rows.append(("last look", _age(status)))
    return rows + [(f"[red]{alarm.severity}[/red]", _alarm(alarm)) for alarm in status.alarms]


def _archiver(status: WalStatus, zone: ZoneInfo) -> str:
    colour = {"working": "green", "catching up": "yellow", "behind": "yellow"}.get(status.archiver, "red")
    said = f"[{colour}]{status.archiver}[/{colour}]"
    if status.last_archived_at is not None:
        moment = status.last_archived_at.astimezone(zone)
        said += f"; last {escape(status.last_archived_wal or '')} at {moment:%Y-%m-%d %H:%M:%S %Z}"
    if status.archiver in {"failing", "stalled"} and status.last_failed_wal:
        said += f"; failed at {escape(status.last_failed_wal)}"
    return said


def _taker(taker: Taker) -> str:
    said = {True: "[green]takes WAL[/green]", False: "[red]takes no WAL[/red]", None: _UNKNOWN}[taker.takes_wal]
    why = f": {escape(taker.reason)}" if taker.reason else ""
    return f"{said} ({escape(taker.location)}){why}"


def _backlog(status: WalStatus) -> str:
    if status.waiting_segments is None or status.waiting_bytes is None:
        return _UNKNOWN
    if not status.waiting_segments:
        return "nothing waits"
    age = human_duration(timedelta(seconds=round(status.oldest_waiting_seconds or 0)))
    plural = "" if status.waiting_segments == 1 else "s"
    return f"{status.waiting_segments} segment{plural} ({human_bytes(status.waiting_bytes)}), the oldest for {age}"


def _rate(rate: float | None) -> str:
    return _UNKNOWN if rate is None else f"{human_bytes(round(rate))}/s"


def _size(count: int | None) -> str:
    return _UNKNOWN if count is None else human_bytes(count)


def _hours(hours: float | None) -> str:
    return _UNKNOWN if hours is None else left(hours)


def _volume(volume: Volume) -> str:
    if volume.free_bytes is None or volume.total_bytes is None or volume.used_percent is None:
        return "[red]cannot be looked at[/red]"
    also = f"; the same disk as {', '.join(volume.also)}" if volume.also else ""
    sizes = f"{human_bytes(volume.free_bytes)} free of {human_bytes(volume.total_bytes)}"
    return f"{sizes}, {volume.used_percent:.0f} % used{also}"


def _age(status: WalStatus) -> str:
    if status.last_sample_at is None:
        return "[red]the supervisor has not looked yet[/red]"
    age = max(timedelta(), status.at - status.last_sample_at)
    said = f"{human_duration(age)} ago"
    return f"[red]{said}: the supervisor does not look any more[/red]" if age > _STALE else said


def _alarm(alarm: Standing) -> str:
    return f"{escape(alarm.message)}\n[dim]HINT: {escape(alarm.hint)}[/dim]"
