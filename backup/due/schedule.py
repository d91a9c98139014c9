"""When a backup is due. Pure: cron expressions, a time zone and moments in, moments out.

The promise at clock changes: an expression that names hours means local times, and each of them comes exactly once; one
that was skipped comes right after the gap, one that is repeated comes in the first pass. An expression for every hour
means intervals, and comes in every real hour. That is what Debian's cron does, except that it tells the two apart by a
star in front: `0 */12 * * *` would lose a midnight that a clock change skips, and run twice at one it repeats.

The cron arithmetic is cronsim's. Where it differs from the above, `_moments` says so.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import groupby, islice, takewhile
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim

from contract.cron import expand
from contract.supervisor import BackupType

MOST_THOROUGH_FIRST: Final[tuple[BackupType, ...]] = ("full", "diff", "incr")

GRACE: Final = timedelta(seconds=60)
"""A run whose moment is longer ago than this was missed: something kept it from being taken in time."""

LONGEST_STEP_BACK: Final = timedelta(hours=25)
"""A clock that was set back by more was not set back by a day or an hour: it had been wrong."""

_MOST_COUNTED: Final = 1000
_NO_MINUTE: Final = -1
_HOURS_OF_A_DAY: Final = 24
_LOOKING_BACK: Final = tuple(timedelta(hours=hours) for hours in (1, 25, 200, 800, 9000, 80_000, 800_000))

Expressions = Mapping[BackupType, str]


@dataclass(frozen=True)
class Due:
    """A backup of type `kind` whose time `at` (UTC) has come."""

    kind: BackupType
    at: datetime


@dataclass(frozen=True)
class Planned:
    """A coming run. `replaced_by` is the more thorough type of the same moment that is taken instead."""

    kind: BackupType
    at: datetime
    replaced_by: BackupType | None = None


@dataclass(frozen=True)
class Decision:
    """What a look at the clock says.

    `due` is the one backup to take, its moment the last one of its type; None when none is. `fell_due` counts the moments
    by type since the last look (1000 means at least so many). `is_missed` says that the moment is more than GRACE ago.
    `considered_until` is what to pass the next time: it must be written down before the backup is started; when nothing
    is due, now and then is often enough. `clock_jumped` says that the clock had been wrong, and the counting began anew.
    """

    due: Due | None
    fell_due: Mapping[BackupType, int]
    is_missed: bool
    considered_until: datetime
    clock_jumped: bool = False


def decide(expressions: Expressions, zone: ZoneInfo, considered_until: datetime | None, now: datetime) -> Decision:
    """Decide what is to be taken for the moments in (considered_until, now]; None stands for a first start.

    However many there are, one backup is taken, of the most thorough type: what the others would save is in it. While
    the clock is behind `considered_until`, nothing is due: those moments have been dealt with. If it is behind by more than
    LONGEST_STEP_BACK, the clock had been wrong before, and waiting for it could mean years without a backup.
    """
    if considered_until is None:
        return Decision(None, {}, is_missed=False, considered_until=now)
    if considered_until - now > LONGEST_STEP_BACK:
        return Decision(None, {}, is_missed=False, considered_until=now, clock_jumped=True)
    if now <= considered_until:
        return Decision(None, {}, is_missed=False, considered_until=considered_until)
    counted = {kind: _count(expressions[kind], zone, considered_until, now) for kind in _ranked(expressions)}
    fell_due = {kind: count for kind, count in counted.items() if count}
    if not fell_due:
        return Decision(None, {}, is_missed=False, considered_until=now)
    kind = next(iter(fell_due))
    due = Due(kind, previous_run(expressions[kind], zone, now + timedelta(microseconds=1)))
    return Decision(due, fell_due, is_missed=now - due.at > GRACE, considered_until=now)


def due(expressions: Expressions, zone: ZoneInfo, since: datetime, now: datetime) -> Due | None:
    """Return the one backup to take for the moments in (since, now], or None."""
    return decide(expressions, zone, since, now).due


def absorb(running: BackupType, fell_due: Due) -> bool:
    """Tell whether the running backup covers one that falls due meanwhile; then it is reported as overlapping and dropped.

    What is not covered is kept and taken afterwards; if more falls due until then, `more_thorough` of them.
    """
    return MOST_THOROUGH_FIRST.index(running) <= MOST_THOROUGH_FIRST.index(fell_due.kind)


def more_thorough(kept: Due | None, fell_due: Due) -> Due:
    """Return the one of two due backups that covers the other; of the same type, the later one."""
    return kept if kept is not None and kept.kind != fell_due.kind and absorb(kept.kind, fell_due) else fell_due


def next_run(expression: str, zone: ZoneInfo, after: datetime) -> datetime:
    """Return the first moment of a cron expression after `after`, in UTC. Raises ValueError when it never comes."""
    for moment in _moments(expression, zone, after):
        return moment
    raise ValueError(f"{expression!r} never comes due")


def previous_run(expression: str, zone: ZoneInfo, before: datetime) -> datetime:
    """Return the last moment of a cron expression before `before`, in UTC. Raises ValueError when there is none in 90 years.

    Found by looking ahead from further and further back, so that it is always one that `next_run` gives: cronsim's own way
    backwards starts a minute late, and in a gap before it.
    """
    for distance in _LOOKING_BACK:
        found = None
        for moment in takewhile(lambda m: m < before, _moments(expression, zone, before - distance)):
            found = moment
        if found is not None:
            return found
    raise ValueError(f"{expression!r} never came due")


def upcoming(expressions: Expressions, zone: ZoneInfo, now: datetime) -> tuple[Due, ...]:
    """Return the next run of each scheduled type, the earliest first."""
    runs = (Due(kind, next_run(expression, zone, now)) for kind, expression in expressions.items())
    return tuple(sorted(runs, key=lambda run: (run.at, MOST_THOROUGH_FIRST.index(run.kind))))


def agenda(expressions: Expressions, zone: ZoneInfo, now: datetime, count: int) -> tuple[Planned, ...]:
    """Return the next `count` runs of all types in order; those that a more thorough one replaces come extra, below it."""
    every = heapq.merge(*(_ranked_moments(kind, expression, zone, now) for kind, expression in expressions.items()))
    planned: list[Planned] = []
    for moment, together in islice(groupby(every, key=lambda run: run[0]), count):
        first, *others = (MOST_THOROUGH_FIRST[rank] for _, rank in together)
        planned += [Planned(first, moment), *(Planned(kind, moment, replaced_by=first) for kind in others)]
    return tuple(planned)


def _ranked_moments(kind: BackupType, expression: str, zone: ZoneInfo, after: datetime) -> Iterator[tuple[datetime, int]]:
    rank = MOST_THOROUGH_FIRST.index(kind)
    return ((moment, rank) for moment in _moments(expression, zone, after))


def _ranked(kinds: Iterable[BackupType]) -> list[BackupType]:
    return sorted(kinds, key=MOST_THOROUGH_FIRST.index)


def _count(expression: str, zone: ZoneInfo, after: datetime, until: datetime) -> int:
    moments = takewhile(lambda moment: moment <= until, _moments(expression, zone, after))
    return sum(1 for _ in islice(moments, _MOST_COUNTED))


def _moments(expression: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Yield the moments of an expression after `after`, in UTC, each one once.

    In the hour that a clock change repeats, cronsim goes on from the first pass through it even when it was started in
    the second, and so may begin with moments from before the start: they are left out. For an expression of one minute
    in every hour it leaps an hour of the clock, and over a run where a clock is changed by half an hour (Lord Howe):
    with a second minute, which never comes, it goes minute by minute.
    """
    simulation = CronSim(_normal(expression), after.astimezone(zone))
    if len(simulation.hours) == _HOURS_OF_A_DAY:
        simulation.minutes.add(_NO_MINUTE)
    return (moment for local in simulation if (moment := local.astimezone(UTC)) > after)


@cache
def _normal(expression: str) -> str:
    """Return the expression such that cronsim, which looks for a star in front, tells local times from intervals our way."""
    minute, hour, *rest = expand(expression).split(" ")
    parsed = CronSim(" ".join((minute, hour, *rest)), datetime(2000, 1, 1, tzinfo=UTC))
    if len(parsed.hours) == _HOURS_OF_A_DAY:
        return " ".join((minute, "*", *rest))
    return " ".join((_list(parsed.minutes), _list(parsed.hours), *rest))


def _list(numbers: Iterable[int]) -> str:
    return ",".join(str(number) for number in sorted(numbers))
