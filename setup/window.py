"""How far back the backups reach, from the schedules and the retention alone. Pure.

Retention by count keeps a number of full backups; how much time that is depends on how often one is taken. And that is
more often than the schedule says: after a number of differential and incremental backups the next one is a full one. So
hourly increments can turn "seven full backups, weekly" from seven weeks into one.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import islice, pairwise

from cronsim import CronSim

from contract.cron import expand
from contract.supervisor import FORCED_FULL_AT_MOST_EVERY, RetentionType, Schedule

_BEGINNING = datetime(2001, 1, 1)  # noqa: DTZ001 - a Monday, without a zone: an hour in summer changes nothing here
_EVENTS = 400
"""So many runs are looked at, more where full backups are forced rarely: a year of daily ones, two weeks of hourly ones."""

_FORCED = 40
"""Of so many forced full backups there is room in what is looked at."""

_FULLS = 60
_DAY, _WEEK, _MONTH, _YEAR = (timedelta(days=count) for count in (1, 7, 30, 365))
_ENDLESS = 100 * _YEAR


@dataclass(frozen=True)
class Window:
    """From the moment after a full backup (`least`) to the moment before the next one (`most`)."""

    least: timedelta
    most: timedelta
    forced: bool
    """Whether full backups are taken that the schedule does not ask for."""

    is_known: bool = True
    """False when nothing is scheduled that leads to a full backup: then it is what the operator makes of it."""

    @property
    def is_short(self) -> bool:
        """Tell whether it is less than people expect of backups: a week, or nothing at all at times."""
        return self.is_known and (self.most < _WEEK or self.least < _DAY)

    def __str__(self) -> str:
        """Return `7 weeks`, or `6 to 7 weeks`."""
        return in_words(self.least, self.most) if self.is_known else "as long as backups are taken by hand"


def window(schedule: Schedule, retention: int, kind: RetentionType, full_after: int) -> Window:
    """Return the window that so many full backups (or days of them, with `time`) leave.

    `full_after`: after so many others in a row the next backup is a full one.
    """
    fulls, forced = _full_backups(schedule, full_after)
    if not fulls:
        return Window(timedelta(0), timedelta(0), forced=False, is_known=False)
    gaps = [later - earlier for earlier, later in pairwise(fulls)]
    if kind == "time":
        # One full backup older than that is kept, so that the whole time is covered.
        days = timedelta(days=retention)
        return Window(days, days + max(gaps, default=timedelta(0)), forced)
    return Window(_reach(fulls, retention - 1), _reach(fulls, retention), forced)


def in_words(least: timedelta, most: timedelta) -> str:
    """Return a span in a unit of which the longer time has some: `6 to 7 weeks`, `30 days`, `5 to 6 months`."""
    if most >= _ENDLESS:
        return "more than 100 years"
    unit, length = _unit(least, most)
    low, high = least // length, most // length
    plural = "" if high == 1 else "s"
    return f"{high} {unit}{plural}" if low >= high else f"{low} to {high} {unit}{plural}"


def _unit(least: timedelta, most: timedelta) -> tuple[str, timedelta]:
    if most >= 2 * _YEAR:
        return "year", _YEAR
    if most >= 4 * _MONTH:
        return "month", _MONTH
    if most >= 2 * _WEEK and not least % _WEEK and not most % _WEEK:
        return "week", _WEEK
    return ("day", _DAY) if most >= 2 * _DAY else ("hour", timedelta(hours=1))


def _reach(fulls: Sequence[datetime], intervals: int) -> timedelta:
    """Return the least time that so many intervals between full backups took; beyond what was looked at, the mean."""
    if intervals < len(fulls):
        return min(later - earlier for earlier, later in zip(fulls, fulls[intervals:], strict=False))
    mean = (fulls[-1] - fulls[0]) / max(len(fulls) - 1, 1)
    try:
        return mean * intervals
    except OverflowError:
        return timedelta.max


@cache
def _full_backups(schedule: Schedule, full_after: int) -> tuple[tuple[datetime, ...], bool]:
    """Play the schedules through; return when full backups are taken, and whether any was forced."""
    fulls: list[datetime] = []
    last_forced, others, forced = datetime.min, 0, False  # noqa: DTZ901 - without a zone, like the rest
    for moment, kind in islice(_runs(schedule), max(_EVENTS, _FORCED * full_after)):
        is_forced = kind != "full" and others >= full_after and moment - last_forced >= FORCED_FULL_AT_MOST_EVERY
        if kind == "full" and fulls and fulls[-1] == moment:
            continue
        if kind == "full" or is_forced:
            fulls.append(moment)
            others = 0
            last_forced, forced = (moment, True) if is_forced else (last_forced, forced)
        elif not fulls or fulls[-1] != moment:
            others += 1
    if schedule.full and len(fulls) < _FULLS // 10 and not forced:  # they are rare: look at them alone
        fulls = list(islice(_due(schedule.full), _FULLS))
    return tuple(fulls), forced


def _runs(schedule: Schedule) -> Iterator[tuple[datetime, str]]:
    """Return the runs in order, the most thorough first when several are due at once."""
    ranked = enumerate(schedule.expressions().items())
    merged = heapq.merge(*(_ranked(rank, kind, expression) for rank, (kind, expression) in ranked))
    return ((moment, kind) for moment, _, kind in merged)


def _ranked(rank: int, kind: str, expression: str) -> Iterator[tuple[datetime, int, str]]:
    return ((moment, rank, kind) for moment in _due(expression))


def _due(expression: str) -> Iterator[datetime]:
    try:
        yield from CronSim(expand(expression), _BEGINNING)
    except OverflowError:  # the calendar ends
        return
