"""A plan in words, for people and for programs. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from backup.emergency import gap as recovery_gap
from backup.keeping import reach
from backup.ledger import wal
from backup.ledger.intervals import Hole
from backup.pgbackrest import Info
from backup.restore.planning.cost import Cost
from backup.restore.planning.phrases import both
from backup.restore.planning.phrases import hole as hole_in_words
from backup.restore.planning.plan import Plan
from backup.restore.planning.window import Known, Window

Rows = tuple[tuple[str, str], ...]


def sources(info: Info, zone: ZoneInfo) -> str:
    """Return which repositories were read, and how far back each of them reaches."""
    parts = [
        f"repository {window.repo} reaches back to {both(window.earliest, zone)}" for window in reach.windows(info, None)
    ]
    parts += [f"repository {r.key} CANNOT BE READ" for r in info.repositories if not r.is_usable]
    return "; ".join(parts)


def describe(plan: Plan, known: Known, now: datetime, zone: ZoneInfo) -> Rows:
    """Return the plan in words, as (name, text) pairs."""
    backup = plan.backup
    to, lost = _target(plan, known, now, zone)
    base = f"{backup.kind} backup {backup.label}, ended {both(backup.stopped, zone)}, repository {backup.repo}"
    chosen = "" if plan.wanted.timeline is None else ", as asked for"
    return (
        ("restore to", to),
        ("from", base),
        ("is lost", lost),
        *(("WARNING", warning) for warning in plan.warnings),
        *(("window", _window(window, known, zone)) for window in known.windows),
        *(("no recovery", recovery_gap.sentence(gap, lambda moment: both(moment, zone))) for gap in known.gaps),
        *(("hole", _hole(hole)) for hole in known.holes),
        *(("note", note) for note in plan.notes),
        ("timeline", f"follows {plan.timeline}{chosen}; a new one begins when the database opens"),
    )


def _target(plan: Plan, known: Known, now: datetime, zone: ZoneInfo) -> tuple[str, str]:
    wanted = plan.wanted
    if wanted.verb == "latest":
        going_on = next((gap for gap in known.gaps if not gap.is_released), None)
        if going_on is not None:
            return (
                f"the end of the archive, {both(going_on.since, zone)}",
                "EVERYTHING committed after that: a WAL emergency is on, and nothing was archived or backed up since",
            )
        if wanted.timeline is not None and not known.grows:
            return (f"the end of timeline {wanted.timeline}", "everything that was committed on other timelines")
        return (
            "the latest state: every archived transaction, and WAL that never reached the archive",
            "nothing that is readable",
        )
    if wanted.verb == "backup":
        return (
            f"the moment this backup became consistent, {both(plan.backup.stopped, zone)}",
            "everything committed after it",
        )
    just_before = "just before " if wanted.is_exclusive else ""
    if wanted.at is not None:
        ago = str(now - wanted.at).split(".", maxsplit=1)[0]
        return f"{just_before}{both(wanted.at, zone)}, {ago} ago", "everything committed after that moment"
    names = {"xid": "the end of transaction", "lsn": "the position", "name": "the restore point"}
    at = f", {both(known.point.at, zone)}" if known.point is not None and known.point.at is not None else ""
    return f"{just_before}{names[wanted.kind]} {wanted.value}{at}", "everything committed after it"


def _window(window: Window, known: Known, zone: ZoneInfo) -> str:
    begin = f"from {both(window.earliest, zone)} (position {wal.format_lsn(window.interval.begin)})"
    if known.is_open(window):
        return f"any moment {begin} until now; the running database archives its last WAL first"
    if window.end is None:
        return f"any moment {begin} to position {wal.format_lsn(window.interval.end)}"
    if window.last_moment is None:
        return f"no moment {begin}, but its backups: {', '.join(backup.label for backup in window.backups)}"
    position = "" if window.end.record is None else f" (position {wal.format_lsn(window.end.record)})"
    return f"any moment {begin} to {both(window.last_moment, zone)}{position}"


def _hole(hole: Hole) -> str:
    cuts = f"; unusable without it: {', '.join(backup.label for backup in hole.cuts)}" if hole.cuts else ""
    return f"{hole_in_words(hole)} (positions {wal.format_lsn(hole.begin)} to {wal.format_lsn(hole.end)}){cuts}"


def as_json(plan: Plan, known: Known, cost: Cost, rows: Rows) -> dict[str, Any]:
    """Return the plan for programs: times are ISO 8601 in UTC, sizes bytes, positions LSNs."""
    wanted, backup = plan.wanted, plan.backup
    return {
        "possible": True,
        "verb": wanted.verb,
        "target": {
            "type": plan.target.kind,
            "time": _iso(wanted.at),
            "value": wanted.value,
            "exclusive": wanted.is_exclusive,
        },
        "backup": {"label": backup.label, "type": backup.kind, "repository": backup.repo, "stopped": _iso(backup.stopped)},
        "timeline": plan.timeline,
        "repositories": list(plan.repositories),
        "windows": [_window_json(window, known) for window in known.windows],
        "holes": [_hole_json(hole) for hole in known.holes],
        "needs": {
            "database_bytes": cost.database_bytes,
            "free_bytes": cost.free_bytes,
            "replay_bytes": cost.replay_bytes,
            "seconds": None if cost.seconds is None else round(cost.seconds, 1),
        },
        "notes": list(plan.notes),
        "warnings": list(plan.warnings),
        "text": [{"name": name, "text": text} for name, text in rows],
    }


def _window_json(window: Window, known: Known) -> dict[str, Any]:
    return {
        "from": _iso(window.earliest),
        "to": None if known.is_open(window) else _iso(window.last_moment),
        "open": known.is_open(window),
        "from_lsn": wal.format_lsn(window.interval.begin),
        "to_lsn": wal.format_lsn(window.interval.end),
        "backups": [backup.label for backup in window.backups],
        "repositories": list(window.repositories),
    }


def _hole_json(hole: Hole) -> dict[str, Any]:
    return {
        "timeline": hole.timeline,
        "first": hole.first,
        "last": hole.last,
        "segments": hole.count,
        "from_lsn": wal.format_lsn(hole.begin),
        "to_lsn": wal.format_lsn(hole.end),
        "unusable": [backup.label for backup in hole.cuts],
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
