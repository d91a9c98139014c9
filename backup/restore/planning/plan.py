"""The plan of a restore: which backup, which target, what is lost; or a refusal that names the nearest possible target.

Pure: what the repositories hold, what is wanted and the time go in, a plan comes out. Nothing is stopped or changed
before there is one. `choosing` decides about targets, `words` says it all to people.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from backup.emergency import gap as recovery_gap
from backup.emergency.gap import Gap
from backup.ledger import wal
from backup.pgbackrest import Backup, Info, RestoreTarget
from backup.restore.planning import phrases
from backup.restore.planning.refusal import RefusedError
from backup.restore.planning.target import TargetKind
from backup.restore.planning.window import JUST_BEFORE, STOP_PRECISION, Known, Window, pairs

__all__ = ["STOP_PRECISION", "Plan", "RefusedError", "Verb", "Wanted", "make_plan", "require_recoverable"]

Verb = Literal["latest", "backup", "pitr"]


@dataclass(frozen=True)
class Wanted:
    """What the operator asked for: `label` goes with backup; with pitr `at`, or a `value` of another kind.

    `repo` and `timeline` are given when only that repository may be used, or another branch than the newest is wanted.
    """

    verb: Verb
    label: str | None = None
    at: datetime | None = None
    kind: TargetKind = "time"
    value: str | None = None
    is_exclusive: bool = False
    repo: int | None = None
    timeline: int | None = None


@dataclass(frozen=True)
class Plan:
    """What will be done. `keeps_tail`: WAL that never reached the archive is fed to recovery.

    `repositories` are those that WAL comes from, in the order in which they are asked: the backup's own first, then the
    others that could be read. `window` is the unbroken WAL it relies on, `notes` what cannot be known, in words, and
    `warnings` what may be missing. `needs_tail`: the target lies in WAL that never reached the archive.
    """

    wanted: Wanted
    backup: Backup
    target: RestoreTarget
    timeline: int
    repositories: tuple[int, ...] = ()
    window: Window | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    needs_tail: bool = False

    @property
    def keeps_tail(self) -> bool:
        """Only a restore to the latest state wants what lies behind the end of the archive."""
        return self.wanted.verb == "latest"


def readable(info: Info) -> tuple[int, ...]:
    """Return the repositories that hold the stanza and can be read."""
    return tuple(r.key for r in info.repositories if r.is_usable and not r.lacks_stanza)


def require_readable(wanted: Wanted, info: Info) -> None:
    """Do nothing when there is something to restore from. Raises RefusedError."""
    if wanted.repo is not None and not any(r.key == wanted.repo for r in info.repositories):
        keys = ", ".join(str(r.key) for r in info.repositories)
        raise RefusedError(f"there is no repository {wanted.repo}", f"there is {keys}: REPO={keys[:1] or 1}")
    unusable = [repository for repository in info.repositories if not repository.is_usable]
    asked = [repository for repository in unusable if wanted.repo in (None, repository.key)]
    if asked and (wanted.repo is not None or len(unusable) == len(info.repositories)):
        raise RefusedError(
            f"the repository cannot be read: {asked[0].message}", "run `make backup-check`; nothing was changed"
        )
    if not info.good(wanted.repo):
        raise RefusedError("the repository holds no backup without errors", "see `make backup-info`")


def require_left(wanted: Wanted, info: Info, backup: Backup) -> None:
    """Do nothing when `info`, without the repositories whose archive cannot be read, still has what is wanted to begin with.

    Raises RefusedError.
    """
    if wanted.verb != "backup" and info.good(wanted.repo):
        return
    if wanted.verb == "backup" and info.find(backup.label, wanted.repo) is not None:
        return
    why = next((r.message for r in info.repositories if r.key == backup.repo), "")
    others = info.good(wanted.repo)
    nearest = min(others, key=lambda b: abs(b.stopped - backup.stopped), default=None)
    what = f"backup {backup.label} lies in" if wanted.verb == "backup" else "all usable backups lie in"
    raise RefusedError(
        f"{what} repository {backup.repo}, and there {why}",
        f"the nearest one elsewhere is {nearest.label}, in repository {nearest.repo}"
        if nearest
        else "run `make backup-check`",
    )


def backup_for(wanted: Wanted, info: Info, zone: ZoneInfo) -> Backup:
    """Return a backup of the cluster that is to be restored: an earlier one than the present, perhaps. Raises RefusedError.

    Positions, transactions and names mean the cluster of the newest backup, moments that of the newest one before them.
    """
    good = info.good(wanted.repo)
    if wanted.verb == "backup":
        return _backup_set(wanted, info, zone)
    if wanted.at is not None:
        before = [b for b in good if b.stopped + STOP_PRECISION <= wanted.at]
        return before[-1] if before else good[0]
    return good[-1]


def make_plan(wanted: Wanted, known: Known, now: datetime, zone: ZoneInfo) -> Plan:
    """Decide. Raises RefusedError."""
    unread = () if wanted.repo is not None else tuple(r for r in known.info.repositories if not r.is_usable)
    try:
        made = _decided(wanted, known, now, zone)
    except RefusedError as refused:
        refused.hint = "; ".join((refused.hint, *(phrases.perhaps_there(r.key, r.message) for r in unread)))
        raise
    usable = readable(known.info) if wanted.repo is None else (made.backup.repo,)
    may_be_newer = wanted.verb == "latest" and not known.grows
    return replace(
        made,
        repositories=(made.backup.repo, *(key for key in usable if key != made.backup.repo)),
        warnings=tuple(phrases.left_out(r.key, r.message, may_be_newer=may_be_newer) for r in unread),
    )


def _decided(wanted: Wanted, known: Known, now: datetime, zone: ZoneInfo) -> Plan:
    if wanted.verb == "backup":
        return _plan_of_backup(wanted, known, zone)
    if wanted.verb == "latest":
        return _plan_of_latest(wanted, known, zone)
    if wanted.kind == "time":
        return _plan_of_time(wanted, known, now, zone)
    return _plan_of_place(wanted, known, zone)


def require_recoverable(wanted: Wanted, gaps: tuple[Gap, ...], zone: ZoneInfo) -> None:
    """Do nothing when the WAL of the wanted moment was archived. Raises RefusedError when it was given up."""
    if wanted.at is None or (gap := recovery_gap.holding(gaps, wanted.at)) is None:
        return
    latest = gap.since.replace(microsecond=0) - (timedelta(0) if gap.since.microsecond else timedelta(seconds=1))
    after = (
        f"the next possible target after it is {phrases.both(gap.until + STOP_PRECISION, zone)}"
        if gap.until
        else "after it nothing can be restored yet: `make wal-resume`"
    )
    raise RefusedError(
        f"the target {phrases.both(wanted.at, zone)} lies in an interval without point-in-time recovery: its WAL was given "
        f"up in a WAL emergency ({phrases.both(gap.began, zone)})",
        f"the last possible target before it is {phrases.both(latest, zone)}; {after}",
    )


# --- the latest state -------------------------------------------------------------------------------------------------


def _plan_of_latest(wanted: Wanted, known: Known, zone: ZoneInfo) -> Plan:
    given_up = any(not gap.is_released for gap in known.gaps)  # and said so: the end of the archive is all there is
    windows = known.windows if given_up else known.latest
    window = max(windows, key=lambda w: (w.interval.end, w.backups[-1].stopped), default=None)
    if window is None:
        raise _none_on_branch(known, zone)
    hole = next((hole for hole in known.holes if hole.begin >= window.interval.end), None)
    if hole is not None and not given_up:
        raise RefusedError(
            f"{phrases.hole(hole)}, so the latest state cannot be restored: recovery would end there without a word, at "
            f"{phrases.until(window, zone)}, and what was committed after that would be lost",
            "; ".join(
                (
                    *phrases.at_hand(hole, known.at_hand, known.container),
                    phrases.up_to_its_end(window, known.branch.timeline, zone),
                )
            ),
        )
    target = RestoreTarget("default", timeline=wanted.timeline)
    return Plan(wanted, window.backups[-1], target, known.branch.timeline, window=window)


def _none_on_branch(known: Known, zone: ZoneInfo) -> RefusedError:
    newest = known.info.good()[-1]
    if known.holes:
        return RefusedError(
            f"{phrases.hole(known.holes[0])}, and no backup on timeline {known.branch.timeline} is complete without it",
            "; ".join((*phrases.at_hand(known.holes[0], known.at_hand, known.container), "see `make backup-info`")),
        )
    return RefusedError(
        f"no backup lies on timeline {known.branch.timeline}, the one to follow",
        f"name a backup: make restore-backup BACKUP_SET={newest.label} (ended {phrases.both(newest.stopped, zone)})",
    )


# --- a backup set -----------------------------------------------------------------------------------------------------


def _backup_set(wanted: Wanted, info: Info, zone: ZoneInfo) -> Backup:
    if wanted.timeline is not None:
        raise RefusedError("a backup set is restored on its own timeline", "leave TIMELINE out")
    backup = info.find(wanted.label or "", wanted.repo)
    if backup is None:
        latest = info.good(wanted.repo)[-1]
        raise RefusedError(
            f"there is no backup set {wanted.label!r}",
            f"the latest one is {latest.label} (ended {phrases.both(latest.stopped, zone)}); `make backup-info` lists all",
        )
    if backup.has_errors:
        raise RefusedError(f"backup {backup.label} has page checksum errors", "choose another one from `make backup-info`")
    return backup


def _plan_of_backup(wanted: Wanted, known: Known, zone: ZoneInfo) -> Plan:
    backup = backup_for(wanted, known.info, zone)
    target = RestoreTarget("immediate")
    if backup.wal_stop is None or backup.lsn_stop is None:  # nobody can tell what it needs
        return Plan(wanted, backup, target, known.branch.timeline)
    window = next((w for w, each in pairs(known.windows) if each.label == backup.label), None)
    if window is not None:
        own = next(each for each in window.backups if each.label == backup.label)
        return Plan(wanted, own, target, wal.timeline_of(own.wal_stop or "00000001"), window=window)
    hole = next((h for h in known.holes if any(cut.label == backup.label for cut in h.cuts)), None)
    lack = phrases.hole(hole) if hole else "the archive lacks WAL of it"
    others = [b for b in sorted(known.info.good(wanted.repo), key=lambda b: abs(b.stopped - backup.stopped))
              if any(b in w.backups for w in known.windows)]  # fmt: skip
    nearest = f"the nearest one that can is {others[0].label}" if others else "see `make backup-info`"
    at_hand = phrases.at_hand(hole, known.at_hand, known.container) if hole else ()
    raise RefusedError(
        f"{lack}, and without it backup {backup.label} cannot become consistent", "; ".join((*at_hand, nearest))
    )


# --- a moment ---------------------------------------------------------------------------------------------------------


def _plan_of_time(wanted: Wanted, known: Known, now: datetime, zone: ZoneInfo) -> Plan:
    at = wanted.at
    if at is None:
        raise RefusedError("no TARGET given", 'make restore-pitr TARGET="2024-01-01 12:00:00"')
    if at > now:
        raise RefusedError(
            f"the target {phrases.both(at, zone)} lies in the future", "for the latest state use `make restore-latest`"
        )
    if not known.windows:
        raise _none_on_branch(known, zone)
    for window, backup in pairs(known.windows):
        if backup.stopped + STOP_PRECISION <= at and _reaches_moment(known, window, at):
            target = RestoreTarget("time", at, is_exclusive=wanted.is_exclusive, timeline=wanted.timeline)
            made = Plan(
                wanted, backup, target, known.branch.timeline, window=window, notes=_notes_of_time(known, window, at)
            )
            return replace(made, needs_tail=not _is_archived(known, window, at))
    raise _no_such_moment(known, at, zone)


def _is_archived(known: Known, window: Window, at: datetime) -> bool:
    return known.is_open(window) or window.until is None or at < window.until


def _reaches_moment(known: Known, window: Window, at: datetime) -> bool:
    if known.is_open(window) or known.goes_on(window):
        return True
    if window.until is not None:
        return at < window.until
    later = [w.earliest for w in known.windows if w.interval.begin > window.interval.end]
    return at < min(later, default=at + JUST_BEFORE)


def _notes_of_time(known: Known, window: Window, at: datetime) -> tuple[str, ...]:
    if not _is_archived(known, window, at):
        return ("the target lies in WAL that only the database's disk holds; the proof shows whether a commit follows it",)
    if window.until is None and not known.is_open(window):
        return ("nobody could look into the last WAL, so whether a commit follows the target is not known",)
    return ()


def _no_such_moment(known: Known, at: datetime, zone: ZoneInfo) -> RefusedError:
    earliest = min(window.earliest for window in known.windows)
    if at < earliest:
        return RefusedError(
            f"the target {phrases.both(at, zone)} lies before the end of the earliest backup",
            f"the earliest possible target is {phrases.both(earliest, zone)}",
        )
    before = max((w for w in known.windows if w.earliest <= at), key=lambda w: (w.interval.end, w.last_moment or w.earliest))
    after = min((w.earliest for w in known.windows if w.earliest > at), default=None)
    hole = known.hole_after(before)
    hints = phrases.nearest(before, after, zone)
    if hole is not None:
        return RefusedError(
            f"{phrases.hole(hole)}, and the target {phrases.both(at, zone)} lies behind it",
            "; ".join((*phrases.at_hand(hole, known.at_hand, known.container), *hints)),
        )
    return RefusedError(
        f"the target {phrases.both(at, zone)} lies after the last transaction in the archive "
        f"({phrases.until(before, zone)}): recovery would not find it",
        "; ".join((*hints, "for the latest state use `make restore-latest`")),
    )


# --- a position, a transaction, a name --------------------------------------------------------------------------------


def _plan_of_place(wanted: Wanted, known: Known, zone: ZoneInfo) -> Plan:
    if wanted.kind == "name" and wanted.is_exclusive:
        raise RefusedError("a restore point has no before", "EXCLUSIVE=yes goes with a time, an LSN or a transaction")
    if not known.windows:
        raise _none_on_branch(known, zone)
    target = RestoreTarget(wanted.kind, value=wanted.value, is_exclusive=wanted.is_exclusive, timeline=wanted.timeline)
    if wanted.kind != "lsn" and known.point is None:
        return _plan_of_unseen(wanted, known, target)
    lsn = wal.parse_lsn(wanted.value or "") if wanted.kind == "lsn" else known.point.lsn if known.point else 0
    if known.point is not None and not known.branch.holds(known.point.timeline, lsn):
        raise RefusedError(
            f"{known.point.what} lies on timeline {known.point.timeline}, and timeline {known.branch.timeline} is followed, "
            "which began before it",
            f"follow that one: TIMELINE={known.point.timeline}",
        )
    for window, backup in pairs(known.windows):
        stopped = wal.parse_lsn(backup.lsn_stop or "")
        if stopped + wanted.is_exclusive <= lsn and _reaches_position(known, window, lsn):
            notes = (known.point.what,) if known.point else ()
            return Plan(wanted, backup, target, known.branch.timeline, window=window, notes=notes)
    raise _no_such_position(wanted, known, lsn, zone)


def _reaches_position(known: Known, window: Window, lsn: int) -> bool:
    if known.is_open(window):
        return True
    last = window.end.record if window.end is not None and window.end.record is not None else window.interval.end - 1
    return lsn <= (last if known.point is None else window.interval.end)


def _plan_of_unseen(wanted: Wanted, known: Known, target: RestoreTarget) -> Plan:
    what = f"transaction {wanted.value}" if wanted.kind == "xid" else f"restore point {wanted.value!r}"
    newest, backup = next(pairs(known.windows))
    if not known.is_open(newest):
        raise RefusedError(
            f"{what} is not in the archive ({known.searched})",
            '`salespider-backup restore-point --list` shows the names; or restore to a moment: TARGET="2024-01-01 12:00:00"',
        )
    note = f"{what} is not in the archive ({known.searched}); it is looked for again in the WAL that is archived first"
    return Plan(wanted, backup, target, known.branch.timeline, window=newest, notes=(note,))


def _no_such_position(wanted: Wanted, known: Known, lsn: int, zone: ZoneInfo) -> RefusedError:
    what = f"the position {wanted.value}" if known.point is None else known.point.what
    first = min(window.interval.begin for window in known.windows)
    if lsn <= first:
        earliest = phrases.both(min(window.earliest for window in known.windows), zone)
        return RefusedError(
            f"{what} lies before the end of the earliest backup",
            f"the earliest possible target is TARGET_TYPE=lsn TARGET={wal.format_lsn(first)} (ended {earliest})",
        )
    before = max((w for w in known.windows if w.interval.begin <= lsn), key=lambda w: w.interval.end)
    after = min((w.interval.begin for w in known.windows if w.interval.begin > lsn), default=None)
    hole = known.hole_after(before)
    reason = f"{phrases.hole(hole)}, and {what} lies behind it" if hole else f"{what} lies behind the end of the archive"
    at_hand = phrases.at_hand(hole, known.at_hand, known.container) if hole else ()
    return RefusedError(reason, "; ".join((*at_hand, *phrases.nearest_positions(before, after))))
