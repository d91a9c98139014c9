"""The supervisor's look at the clock, played through years in every time zone: no run is lost, none is doubled.

What is right is said by an oracle of its own (cron_oracle), not by the library that the code under test uses.
"""

from __future__ import annotations

import random
import zoneinfo
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from backup.due import schedule
from contract.supervisor import BackupType
from tests.unit.backup.cron_oracle import Plan, minutes, moments

SUNDAYS = Plan("30 2 * * 0", (2,), (30,), lambda day: day.isoweekday() == 7)
SATURDAYS = Plan("59 23 * * SAT", (23,), (59,), lambda day: day.isoweekday() == 6)
MONTHLY = Plan("0 3 1 * *", (3,), (0,), lambda day: day.day == 1)
MIDNIGHTS = Plan("@daily", (0,), (0,))
NIGHTLY = Plan("45 1,2,23 * * *", (1, 2, 23), (45,))
WORKING_DAYS = Plan("15,30 0-2 * * mon-fri", (0, 1, 2), (15, 30), lambda day: day.isoweekday() < 6)
STARRED = Plan("*/20 2 * * *", (2,), (0, 20, 40))
SIX_HOURLY = Plan("0 */6 * * *", (0, 6, 12, 18), (0,))
HOURLY = Plan("45 * * * *", None, (45,))
SUNDAYS_HOURS = Plan("0,30 */1 * * 0", None, (0, 30), lambda day: day.isoweekday() == 7)

Plans = dict[BackupType, Plan]
PLANS: tuple[Plans, ...] = (
    {"full": SUNDAYS, "diff": MIDNIGHTS, "incr": HOURLY},
    {"full": MONTHLY, "diff": NIGHTLY, "incr": SIX_HOURLY},
    {"full": SATURDAYS, "diff": STARRED, "incr": WORKING_DAYS},
    {"full": MONTHLY, "diff": WORKING_DAYS, "incr": SUNDAYS_HOURS},
)
MOST_THOROUGH_FIRST: tuple[BackupType, ...] = ("full", "diff", "incr")


@dataclass
class Life:
    """A supervisor that looks at the clock at random moments, is restarted at others, and keeps what it must keep."""

    zone: ZoneInfo
    plans: Plans
    choose: random.Random

    def __post_init__(self) -> None:
        self.memory: datetime | None = None
        self.kept: datetime | None = None
        self.expressions = {kind: plan.expression for kind, plan in self.plans.items()}

    def look(self, now: datetime) -> tuple[datetime, schedule.Decision]:
        """One tick; returns how far had been considered before it, and the decision."""
        if self.choose.random() < 0.05:
            self.memory = self.kept
        before = self.memory or now
        decision = schedule.decide(self.expressions, self.zone, self.memory, now)
        self.memory = decision.considered_until
        if decision.due or self.kept is None or self.choose.random() < 0.2:
            self.kept = self.memory
        return before, decision

    def ticks(self, start: datetime, end: datetime, longest: tuple[float, ...]) -> Iterator[datetime]:
        now = start
        while now < end:
            yield now
            now += timedelta(seconds=self.choose.random() * self.choose.choice(longest))
        yield now


def play(zone: ZoneInfo, plans: Plans, years: tuple[datetime, datetime], longest: tuple[float, ...], seed: int) -> int:
    """Play a supervisor's life and compare every decision with the oracle; return how many moments there were."""
    start, end = years
    expected = {kind: moments(plan, zone, start, end + timedelta(days=40)) for kind, plan in plans.items()}
    life = Life(zone, plans, random.Random(seed))
    counted: Counter[str] = Counter()
    last = start
    for now in life.ticks(start, end, longest):
        before, decision = life.look(now)
        inside = {
            kind: expected[kind][bisect_right(expected[kind], minutes(before)) : bisect_right(expected[kind], minutes(now))]
            for kind in MOST_THOROUGH_FIRST
            if kind in expected
        }
        inside = {kind: found for kind, found in inside.items() if found}
        assert decision.fell_due == {kind: len(found) for kind, found in inside.items()}, (zone, before, now)
        taken = (decision.due.kind, minutes(decision.due.at)) if decision.due else None
        assert taken == next(((kind, found[-1]) for kind, found in inside.items()), None), (zone, before, now)
        counted.update(decision.fell_due)
        last = now
    # Each moment exactly once, restarts or not: 0 lost, 0 doubled.
    assert counted == {k: n for k, m in expected.items() if (n := bisect_right(m, minutes(last)))}, zone
    return counted.total()


def span(text: str, days: int) -> tuple[datetime, datetime]:
    start = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return start, start + timedelta(days=days)


ODD = [
    ("half an hour forward", "Australia/Lord_Howe", "2026-09-20", 30),
    ("half an hour back", "Australia/Lord_Howe", "2026-03-20", 30),
    ("two hours forward", "Antarctica/Troll", "2026-03-15", 30),
    ("two hours back", "Antarctica/Troll", "2026-10-15", 30),
    ("off for Ramadan", "Africa/Casablanca", "2026-02-01", 70),
    ("winter time as the exception", "Europe/Dublin", "2026-10-15", 30),
    ("a day that never was", "Pacific/Apia", "2011-12-15", 30),
    ("the same, in another year", "Pacific/Kiritimati", "1994-12-15", 40),
    ("midnight skipped", "America/Havana", "2026-03-01", 20),
    ("midnight twice", "America/Havana", "2026-10-25", 20),
    ("the last hour of Saturday skipped", "America/Scoresbysund", "2025-03-20", 20),
    ("the last hour of Saturday twice", "America/Nuuk", "2025-10-15", 20),
    ("midnight skipped in the south", "America/Santiago", "2026-08-25", 20),
    ("half an hour for good", "Asia/Pyongyang", "2018-04-25", 20),
    ("half an hour back for good", "Asia/Pyongyang", "2015-08-05", 20),
    ("half an hour forward at half past two", "America/Caracas", "2016-04-20", 20),
    ("a minute past midnight", "America/St_Johns", "2011-03-01", 20),
    ("an ordinary change", "Europe/Berlin", "2026-10-15", 20),
]


@pytest.mark.parametrize(("case", "name", "start", "days"), ODD, ids=[row[0] for row in ODD])
@pytest.mark.parametrize("plans", PLANS, ids=[" ".join(plan.expression for plan in plans.values()) for plans in PLANS])
def test_where_clocks_are_changed_nothing_is_lost_and_nothing_doubled(
    case: str, name: str, start: str, days: int, plans: Plans
) -> None:
    longest = (30.0, 600.0, 2000.0, 4000.0, 90_000.0)
    assert play(ZoneInfo(name), plans, span(start, days), longest, seed=1) > 0


def distinct_zones() -> dict[str, str]:
    """One name for each content of a time zone's file, with the other names that it has."""
    names: dict[bytes, list[str]] = {}
    for name in sorted(zoneinfo.available_timezones()):
        file = next(path for folder in zoneinfo.TZPATH if (path := Path(folder, name)).is_file())
        names.setdefault(file.read_bytes(), []).append(name)
    return {first: " ".join(others) for first, *others in names.values()}


@pytest.mark.long
@pytest.mark.parametrize("name", distinct_zones())
def test_through_ten_years_in_every_time_zone_nothing_is_lost_and_nothing_doubled(name: str) -> None:
    longest = (60.0, 3600.0, 43_200.0, 86_400.0, 200_000.0, 900_000.0)
    hourly, *others = PLANS
    assert play(ZoneInfo(name), hourly, span("2026-01-01", 365), longest, seed=0) > 8000
    for seed, plans in enumerate(others):
        assert play(ZoneInfo(name), plans, span("2020-01-01", 3653), longest, seed) > 1000
