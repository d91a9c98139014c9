"""The plan of a restore: which backup, which target, what is lost; or a refusal that names the nearest possible target.

Pure: what the repository holds, what is wanted and the time go in, a plan comes out. Nothing is stopped or changed
before there is one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

from backup import reach
from backup.emergency import gap as recovery_gap
from backup.emergency.gap import Gap
from backup.pgbackrest import Backup, Info, RestoreTarget
from backup.restore.timeline import Branch, parse_lsn, timeline_of
from contract.errors import ProductError
from contract.exits import Exit

Verb = Literal["latest", "backup", "pitr"]

STOP_PRECISION: Final = timedelta(seconds=1)
"""pgBackRest lists whole seconds: a backup may have become consistent at any moment of the second it is said to end in,
and recovery to a target before that moment fails with the files already overwritten."""


class RefusedError(ProductError):
    """The restore cannot work as asked; nothing was touched."""

    exit_code = Exit.RESTORE_REFUSED

    def __init__(self, message: str, hint: str) -> None:
        """Take the reason and the nearest thing that is possible."""
        super().__init__(f"restore refused: {message}", hint=hint)


@dataclass(frozen=True)
class Wanted:
    """What the operator asked for: `label` goes with backup, `at` with pitr."""

    verb: Verb
    label: str | None = None
    at: datetime | None = None


@dataclass(frozen=True)
class Plan:
    """What will be done. `keeps_tail`: WAL that never reached the archive is fed to recovery.

    `repositories` are those that WAL comes from, in the order in which they are asked: the backup's own first, then the
    others that could be read.
    """

    wanted: Wanted
    backup: Backup
    target: RestoreTarget
    timeline: int
    repositories: tuple[int, ...] = ()

    @property
    def keeps_tail(self) -> bool:
        """Only a restore to the latest state wants what lies behind the end of the archive."""
        return self.wanted.verb == "latest"


def parse_target(text: str, zone: ZoneInfo) -> datetime:
    """Turn "2024-01-01 12:00:00" (also with fraction, offset, T or Z) into UTC; without an offset it is local to `zone`.

    Raises RefusedError when it is not a time, or one that a clock change makes ambiguous or skips.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise RefusedError(
            f"TARGET is not a time: {text!r}",
            'write it as "2024-01-01 12:00:00", with an offset if you like ("… +02:00")',
        ) from None
    if moment.tzinfo is not None:
        return moment.astimezone(UTC)
    candidates = {moment.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    if len(candidates) > 1:
        both = " or ".join(sorted(f"{c.astimezone(zone).isoformat(sep=' ')}" for c in candidates))
        raise RefusedError(f"TARGET lies in the hour of a clock change: {text!r}", f"add an offset: {both}")
    return candidates.pop()


def make_plan(wanted: Wanted, info: Info, branch: Branch, now: datetime, zone: ZoneInfo) -> Plan:
    """Decide. Raises RefusedError."""
    made = _make_plan(wanted, info, branch, now, zone)
    readable = (r.key for r in info.repositories if r.is_usable and not r.lacks_stanza)
    others = (key for key in readable if key != made.backup.repo)
    return replace(made, repositories=(made.backup.repo, *others))


def _make_plan(wanted: Wanted, info: Info, branch: Branch, now: datetime, zone: ZoneInfo) -> Plan:
    unusable = [repository for repository in info.repositories if not repository.is_usable]
    if unusable and len(unusable) == len(info.repositories):
        raise RefusedError(
            f"the repository cannot be read: {unusable[0].message}", "run `make backup-check`; nothing was changed"
        )
    good = info.good()
    if not good:
        raise RefusedError("the repository holds no backup without errors", "see `make backup-info`")
    on_branch = tuple(b for b in good if _is_on(branch, b))
    if wanted.verb == "backup":
        return _plan_of_backup(wanted, info, zone)
    if not on_branch:
        raise RefusedError(
            f"no backup lies on timeline {branch.timeline}, the newest in the archive",
            f"name a backup: make restore-backup BACKUP_SET={good[-1].label}",
        )
    if wanted.verb == "latest":
        return Plan(wanted, on_branch[-1], RestoreTarget("default"), branch.timeline)
    return _plan_of_time(wanted, on_branch, branch, now, zone)


def require_recoverable(wanted: Wanted, gaps: tuple[Gap, ...], zone: ZoneInfo) -> None:
    """Do nothing when the WAL of the wanted moment was archived. Raises RefusedError when it was given up."""
    if wanted.at is None or (gap := recovery_gap.holding(gaps, wanted.at)) is None:
        return
    latest = gap.since.replace(microsecond=0) - (timedelta(0) if gap.since.microsecond else timedelta(seconds=1))
    after = (
        f"the next possible target after it is {_both(gap.until + STOP_PRECISION, zone)}"
        if gap.until
        else "after it nothing can be restored yet: `make wal-resume`"
    )
    raise RefusedError(
        f"the target {_both(wanted.at, zone)} lies in an interval without point-in-time recovery: its WAL was given up in a "
        f"WAL emergency ({_both(gap.began, zone)})",
        f"the last possible target before it is {_both(latest, zone)}; {after}",
    )


def _is_on(branch: Branch, backup: Backup) -> bool:
    if backup.wal_stop is None or backup.lsn_stop is None:
        return False
    return branch.holds(timeline_of(backup.wal_stop), parse_lsn(backup.lsn_stop))


def _plan_of_backup(wanted: Wanted, info: Info, zone: ZoneInfo) -> Plan:
    backup = info.find(wanted.label or "")
    if backup is None:
        latest = info.good()[-1]
        raise RefusedError(
            f"there is no backup set {wanted.label!r}",
            f"the latest one is {latest.label} (ended {_both(latest.stopped, zone)}); `make backup-info` lists all",
        )
    if backup.has_errors:
        raise RefusedError(f"backup {backup.label} has page checksum errors", "choose another one from `make backup-info`")
    return Plan(wanted, backup, RestoreTarget("immediate"), timeline_of(backup.wal_stop or "00000001"))


def _plan_of_time(wanted: Wanted, backups: tuple[Backup, ...], branch: Branch, now: datetime, zone: ZoneInfo) -> Plan:
    if wanted.at is None:
        raise RefusedError("no TARGET given", 'make restore-pitr TARGET="2024-01-01 12:00:00"')
    if wanted.at > now:
        raise RefusedError(
            f"the target {_both(wanted.at, zone)} lies in the future", "for the latest state use `make restore-latest`"
        )
    before = [b for b in backups if b.stopped + STOP_PRECISION <= wanted.at]
    if not before:
        raise RefusedError(
            f"the target {_both(wanted.at, zone)} lies before the end of the earliest backup",
            f"the earliest possible target is {_both(backups[0].stopped + STOP_PRECISION, zone)}",
        )
    return Plan(wanted, before[-1], RestoreTarget("time", wanted.at), branch.timeline)


def _both(moment: datetime, zone: ZoneInfo) -> str:
    utc = f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if zone.key in ("UTC", "Etc/UTC"):
        return utc
    return f"{utc} ({moment.astimezone(zone):%Y-%m-%d %H:%M:%S %Z})"


def sources(info: Info, zone: ZoneInfo) -> str:
    """Return which repositories were read, and how far back each of them reaches."""
    parts = [
        f"repository {window.repo} reaches back to {_both(window.earliest, zone)}" for window in reach.windows(info, None)
    ]
    parts += [f"repository {r.key} CANNOT BE READ" for r in info.repositories if not r.is_usable]
    return "; ".join(parts)


def describe(plan: Plan, now: datetime, zone: ZoneInfo, gaps: tuple[Gap, ...] = ()) -> tuple[tuple[str, str], ...]:
    """Return the plan in words, as (name, text) pairs."""
    going_on = next((gap for gap in gaps if not gap.is_released), None)
    backup = plan.backup
    base = f"{backup.kind} backup {backup.label}, ended {_both(backup.stopped, zone)}, repository {backup.repo}"
    if plan.wanted.verb == "latest":
        to, lost = (
            "the latest state: every archived transaction, and WAL that never reached the archive",
            "nothing that is readable",
        )
        if going_on is not None:
            to = f"the end of the archive, {_both(going_on.since, zone)}"
            lost = "EVERYTHING committed after that: a WAL emergency is on, and nothing was archived or backed up since"
    elif plan.wanted.verb == "backup":
        to = f"the moment this backup became consistent, {_both(backup.stopped, zone)}"
        lost = "everything committed after it"
    else:
        at = plan.wanted.at or now
        ago = str(now - at).split(".", maxsplit=1)[0]
        to, lost = f"{_both(at, zone)}, {ago} ago", "everything committed after that moment"
    return (
        ("restore to", to),
        ("from", base),
        ("is lost", lost),
        *(("no recovery", recovery_gap.sentence(gap, lambda moment: _both(moment, zone))) for gap in gaps),
        ("timeline", f"follows {plan.timeline}; a new one begins when the database opens"),
    )
