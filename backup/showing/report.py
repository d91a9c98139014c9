"""Tables and sentences for people: how sizes, times, backups and findings look on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from backup.emergency.gap import Gap, sentence
from backup.keeping import reach
from backup.keeping.policy import Window
from backup.keeping.retention import Forecast
from backup.pgbackrest import Backup, Info
from backup.units import human_bytes as human_bytes  # noqa: PLC0414 part of what this module offers
from backup.units import human_duration as human_duration  # noqa: PLC0414 the same
from contract.supervisor import SupervisorConfig

if TYPE_CHECKING:
    from backup.showing.checks import Finding  # which loads much that a table of backups does not need


def console() -> Console:
    """Return a console for standard output; wide enough for a table when it is no terminal."""
    found = Console(highlight=False, soft_wrap=True)
    return found if found.is_terminal else Console(highlight=False, soft_wrap=True, width=220)


def local(moment: datetime | None, zone: ZoneInfo) -> str:
    """Return a moment in a zone, to the second."""
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}" if moment else "never"


def foreign(text: str) -> str:
    """Return what another program said, with nothing in it that rich takes for a style or a terminal obeys."""
    return escape("".join(c if c.isprintable() or c == "\n" else "?" for c in text))


def backups_table(info: Info, config: SupervisorConfig, zone: ZoneInfo) -> Table:
    """Return the list of backups, oldest first."""
    table = Table(title=f"Backups of {info.stanza}", title_justify="left", header_style="bold")
    for heading in ("backup set", "type", "ended"):
        table.add_column(heading, no_wrap=True)
    for heading in ("took", "database", "stored", "ratio"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("repository", no_wrap=True)
    table.add_column("state", no_wrap=True)
    where = {repository.key: repository.type for repository in config.repositories}
    for backup in info.backups:
        table.add_row(*_cells(backup, where.get(backup.repo, "?"), zone))
    return table


def _cells(backup: Backup, where: str, zone: ZoneInfo) -> tuple[str, ...]:
    ratio = f"{backup.copied_bytes / backup.repository_bytes:.1f} : 1" if backup.repository_bytes else ""
    return (
        backup.label,
        backup.kind,
        local(backup.stopped, zone),
        human_duration(backup.stopped - backup.started),
        human_bytes(backup.database_bytes),
        human_bytes(backup.repository_bytes),
        ratio,
        f"{backup.repo} ({where})",
        "[red]checksum errors[/red]" if backup.has_errors else "good",
    )


def print_gaps(out: Console, gaps: Sequence[Gap], zone: ZoneInfo) -> None:
    """Print the intervals without point-in-time recovery, if there are any."""
    for gap in gaps:
        out.print(f"[yellow]No point-in-time recovery[/yellow]: {sentence(gap, lambda moment: local(moment, zone))}")


def print_info(out: Console, info: Info, config: SupervisorConfig) -> None:
    """Print the backups, the archive's extent and each repository's condition."""
    zone = ZoneInfo(config.time_zone)
    if info.backups:
        out.print(backups_table(info, config, zone))
    else:
        out.print(f"No backups of {info.stanza} yet.")
    for archive in info.archive:
        out.print(f"WAL archive in repository {archive.repo}: {archive.first} … {archive.last}")
    for window in reach.windows(info, None):
        out.print(f"Repository {window.repo} reaches back to {local(window.earliest, zone)}")
    for repository in info.repositories:
        state = "good" if repository.code == 0 else foreign(repository.message)
        out.print(f"Repository {repository.key}: {state}; cipher {repository.cipher}")
    if info.bytes_total:
        done = info.bytes_done or 0
        out.print(f"A backup is running: {human_bytes(done)} of {human_bytes(info.bytes_total)}")


def print_finding(out: Console, finding: Finding) -> None:
    """Print one finding, a hint below it when it is bad."""
    mark = "[green]  ok  [/green]" if finding.good else "[red] FAIL [/red]"
    if finding.good and finding.hint:
        mark = "[yellow] WARN [/yellow]"
    out.print(f"{mark} {finding.name:<14} {foreign(finding.seen)}")
    if finding.hint:
        out.print(f"       HINT: {foreign(finding.hint)}")


def print_forecasts(out: Console, forecasts: Sequence[Forecast], zone: ZoneInfo) -> None:
    """Print what the next expire would remove from each repository, and the window that remains."""
    for found in forecasts:
        out.print(f"Repository {found.repo} {found.keeps}")
        out.print(f"  window         {_reach(found.window, zone)}")
        if not found.removal.backups and not found.removal.wal:
            out.print("  next expire    removes nothing")
            continue
        gone = found.removal.backups
        count = f"{len(gone)} backup{'s' if len(gone) > 1 else ''}: {', '.join(gone)}" if gone else "no backup"
        out.print(f"  next expire    removes {count}")
        for wal in found.removal.wal:
            out.print(
                f"                 and WAL of {wal.archive_id}: {f'{wal.first} … {wal.last}' if wal.first else 'all of it'}"
            )
        out.print(f"  window after   {_reach(found.window_after, zone)}")
        if found.refused:
            out.print(f"[yellow]  not done[/yellow]       {foreign(found.refused)}")


def _reach(window: Window | None, zone: ZoneInfo) -> str:
    if window is None:
        return "nothing can be restored"
    return f"{local(window.earliest, zone)} … {local(window.latest, zone)} (continuity not checked)"
