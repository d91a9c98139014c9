"""The one screen of `make status`: how things are, for a person."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from rich.console import Console

from backup.health import Cause
from backup.showing.report import foreign, local
from backup.showing.snapshot import Archiver, Database, Disk, Kind, LastBackup, RecoveryGap, Repository, Status, Volume
from backup.units import human_bytes, human_duration
from contract import protection
from contract.supervisor import Repository as Configured
from contract.supervisor import SupervisorConfig

Row = tuple[str, str]

_COLOURS = {"critical": "red", "warning": "yellow"}
_PROTECTION = "protection"
"""The key of the alarm that has a row of its own."""


def print_status(out: Console, status: Status, config: SupervisorConfig) -> None:
    """Print it: what there is, then what is not as promised, each with its next step."""
    zone = ZoneInfo(config.time_zone)
    for name, text in _rows(status, config, zone):
        out.print(f"{name:<14} {text}")
    if not status.protection.protected:
        _print_warning(out, "[yellow]WARNING[/yellow]        ", foreign(status.protection.reason), protection.HINT)
    for cause in status.causes:
        if cause.key != _PROTECTION:
            _print_cause(out, cause, status.at, zone)
    if status.is_kept:
        out.print("[green]All is as promised.[/green]")


def _print_cause(out: Console, cause: Cause, now: datetime, zone: ZoneInfo) -> None:
    colour, word = _COLOURS.get(cause.severity, "default"), f"{cause.severity.upper():<14}"
    since = f" (since {local(cause.since, zone)}, {human_duration(now - cause.since)})" if cause.since else ""
    _print_warning(out, f"[{colour}]{word}[/{colour}] ", foreign(cause.message) + since, cause.hint)


def _print_warning(out: Console, head: str, text: str, hint: str) -> None:
    out.print(f"{head}{text}")
    if hint:
        out.print(f"{'':<14} HINT: {foreign(hint)}")


def _rows(status: Status, config: SupervisorConfig, zone: ZoneInfo) -> Iterator[Row]:
    yield "mode", f"backups are on: {config.reason}"
    yield "supervisor", foreign(status.supervisor.doing)
    yield "database", _database(status.database)
    yield "archiver", _archiver(status.archiver, status.at)
    yield from _disk(status.disk, status.archiver)
    if len(status.repositories) > 1:
        yield "window", _source(status, zone)
    if status.protection.protected:
        yield "protection", "a verified recovery kit holds the present passphrases"
    configured = {repository.key: repository for repository in config.repositories}
    for repository in status.repositories:
        yield from _repository(repository, configured[repository.key], zone)
    for gap in status.recovery_gaps:
        yield "no recovery", _gap(gap, zone)


def _database(database: Database) -> str:
    if database.version is None:
        return "[red]not reachable[/red]" if database.state == "unreachable" else database.state
    state = "in recovery, read-only" if database.state == "in recovery" else database.state
    return f"PostgreSQL {database.version}, {state}, timeline {database.timeline}"


def _archiver(archiver: Archiver, now: datetime) -> str:
    parts: list[str] = [archiver.state]
    if archiver.last_archived_wal:
        ago = f", {human_duration(now - archiver.last_archived_at)} ago" if archiver.last_archived_at else ""
        parts.append(f"last {archiver.last_archived_wal}{ago}")
    if archiver.waiting_segments is not None:
        parts.append(f"{archiver.waiting_segments} waiting")
    if archiver.wal_bytes_per_second is not None:
        parts.append(f"WAL {human_bytes(round(archiver.wal_bytes_per_second * 60))} a minute")
    return "; ".join(parts)


# --- disks ------------------------------------------------------------------------------------------------------------


def _disk(disk: Disk, archiver: Archiver) -> Iterator[Row]:
    if disk.volumes:
        yield "disk", "; ".join(_volume(volume) for volume in disk.volumes)
    sentences = []
    if archiver.pg_wal_bytes is not None:
        sentences.append(f"{human_bytes(archiver.pg_wal_bytes)} of WAL on the database's volume")
    if disk.full_in_hours is not None:
        sentences.append(f"[red]full in {_hours(disk.full_in_hours)}[/red] at the present rate")
    elif disk.safe_hours is not None:
        sentences.append(f"archiving could stop for {_hours(disk.safe_hours)} before it is full")
    if sentences:
        yield "", "; ".join(sentences)


def _volume(volume: Volume) -> str:
    name = f"{volume.name} (also {', '.join(volume.also)})" if volume.also else volume.name
    if volume.used_percent is None or volume.free_bytes is None:
        return f"{name} not known"
    return f"{name} {volume.used_percent:.0f} % used, {human_bytes(volume.free_bytes)} free"


def _hours(hours: float) -> str:
    return "more than a year" if hours > 366 * 24 else human_duration(timedelta(hours=hours))


# --- repositories -----------------------------------------------------------------------------------------------------


def _repository(repository: Repository, configured: Configured, zone: ZoneInfo) -> Iterator[Row]:
    cipher = "encrypted" if repository.encrypted else "NOT encrypted"
    days = " days of" if configured.retention_full_type == "time" else ""
    kept = f"keeps {configured.retention_full}{days} full and {configured.retention_diff} differential backups"
    yield f"repository {repository.key}", f"{repository.type} at {repository.location}, {cipher}, {kept}"
    if repository.problem:
        seen = f"; as of {local(repository.as_of, zone)}" if repository.as_of else ""
        yield "  now", f"[red]not known[/red]{seen}"
    else:
        yield "  window", _window(repository, zone)
    shown = set[str]()
    for kind in repository.types:
        yield f"  {kind.type} backup", _kind(kind, zone)
        if kind.last and kind.last.label not in shown:
            shown.add(kind.last.label)
            yield "", _measures(kind.last)


def _source(status: Status, zone: ZoneInfo) -> str:
    found = status.window
    if found is None:
        return "[red]nothing can be restored now[/red]"
    return f"{local(found.earliest, zone)} … {local(found.latest, zone)}, given by repository {found.repository}"


def _window(repository: Repository, zone: ZoneInfo) -> str:
    if repository.window is None:
        return "nothing can be restored yet"
    reach = f"{local(repository.window.earliest, zone)} … {local(repository.window.latest, zone)}"
    return f"{reach} (continuity not checked), {repository.backups} backups"


def _gap(gap: RecoveryGap, zone: ZoneInfo) -> str:
    if gap.until is None:
        return f"[red]to any moment after {local(gap.since, zone)}[/red]: a WAL emergency has given up the WAL since"
    return f"to a moment from {local(gap.since, zone)} to {local(gap.until, zone)}: its WAL was given up in a WAL emergency"


def _kind(kind: Kind, zone: ZoneInfo) -> str:
    last = f"last {local(kind.last.stopped, zone)}" if kind.last else "none yet"
    return f"{last}; next {local(kind.next_at, zone)}" if kind.next_at else f"{last}; not scheduled"


def _measures(last: LastBackup) -> str:
    ratio = f" ({last.ratio:.1f} : 1)" if last.ratio else ""
    rate = f", {human_bytes(round(last.bytes_per_second))}/s" if last.bytes_per_second else ""
    took = human_duration(timedelta(seconds=last.seconds))
    copied = f"{human_bytes(last.copied_bytes)} of {human_bytes(last.database_bytes)} copied"
    return f"{last.label}: took {took}{rate}, {copied}, {human_bytes(last.stored_bytes)} stored{ratio}"
