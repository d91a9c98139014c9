"""Moments, positions and holes as a plan and its refusals say them. Pure."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from backup.ledger import wal
from backup.ledger.intervals import Hole
from backup.restore.planning.window import Window


def both(moment: datetime, zone: ZoneInfo) -> str:
    """Return a moment in UTC and, unless that is the same, in the reader's zone; with a fraction where there is one."""
    fraction = f".{moment.microsecond:06d}" if moment.microsecond else ""
    utc = f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}{fraction} UTC"
    if zone.key in ("UTC", "Etc/UTC"):
        return utc
    local = moment.astimezone(zone)
    return f"{utc} ({local:%Y-%m-%d %H:%M:%S}{fraction} {local:%Z})"


def until(window: Window, zone: ZoneInfo) -> str:
    """Return the moment at which a window ends."""
    if window.until is None:
        return f"position {wal.format_lsn(window.interval.end)}"
    return both(window.until, zone)


def hole(found: Hole) -> str:
    """Return what is missing: "the archive lacks WAL segment X"."""
    kinds = {fault.kind for fault in found.faults}
    why = " (a part of one is there)" if "partial" in kinds else ""
    if "empty" in kinds:
        why = " (a file of it is empty)"
    if "duplicate" in kinds:
        sums = next(" and ".join(f.checksums) for f in found.faults if f.kind == "duplicate")
        why = f" (it is there twice, with the checksums {sums})"
    if found.count == 1:
        return f"the archive lacks WAL segment {found.first}{why}"
    return f"the archive lacks {found.count} WAL segments, {found.first} to {found.last}{why}"


def at_hand(found: Hole, names: Collection[str], container: str) -> tuple[str, ...]:
    """Return how a hole can be closed when its segments still lie on the database's disk.

    `container` is the database's; empty where it is not known what it is called.
    """
    if (
        any(fault.blocks for fault in found.faults)
        or not names
        or found.count != sum(found.first <= name <= found.last for name in names)
    ):
        return ()
    there = "what is missing still lies in pg_wal and can be archived from there"
    if not container:
        return (f"{there}: `make restore-plan` shows the command",)
    return (
        f"{there}: docker exec --workdir /var/lib/postgresql/data {container} "
        "pgbackrest --stanza=salespider --no-archive-async archive-push "
        f"pg_wal/{found.first}" + (", and so on" if found.count > 1 else ""),
    )


def left_out(repo: int, why: str, *, may_be_newer: bool) -> str:
    """Return what a repository that cannot be read means for a plan; `may_be_newer`: the latest state is wanted."""
    lack = "what only it holds is not in the windows"
    if may_be_newer:
        lack = "if only it holds later WAL or a newer timeline, this is NOT the latest state"
    return f"repository {repo} is left out, it cannot be read: {' '.join(why.split())}; {lack}"


def perhaps_there(repo: int, why: str) -> str:
    """Return the way on from a refusal that a repository which cannot be read would perhaps not have made."""
    return f"repository {repo}, which cannot be read, may hold what is missing: {' '.join(why.split())}"


def up_to_its_end(window: Window, timeline: int, zone: ZoneInfo) -> str:
    """Return the command that restores everything in a window: its last commit, too, where that can be told.

    It names the timeline: after another restore the same position would be one of another branch.
    """
    if window.end is not None and window.end.record is not None:
        position = wal.format_lsn(window.end.record)
        return (
            f"all that is before it comes back with: make restore-pitr TARGET_TYPE=lsn TARGET={position} TIMELINE={timeline}"
        )
    if window.last_moment is not None:
        return f'the last possible target is TARGET="{both(window.last_moment, zone)}"'
    return f"the last backup before it: make restore-backup BACKUP_SET={window.backups[-1].label}"


def nearest(before: Window, after: datetime | None, zone: ZoneInfo) -> tuple[str, ...]:
    """Return the nearest possible targets around a moment."""
    if before.last_moment is not None:
        last = f"the last possible target before it is {both(before.last_moment, zone)}"
    else:
        label = before.backups[-1].label
        last = f"before it there is the end of backup {label}: make restore-backup BACKUP_SET={label}"
    return (last, f"the next possible target after it is {both(after, zone)}") if after is not None else (last,)


def nearest_positions(before: Window, after: int | None) -> tuple[str, ...]:
    """Return the nearest possible positions around one."""
    end = before.interval.end - 1 if before.end is None or before.end.record is None else before.end.record
    last = f"the last possible position before it is {wal.format_lsn(end)}"
    return (last, f"the next one after it is {wal.format_lsn(after)}") if after is not None else (last,)
