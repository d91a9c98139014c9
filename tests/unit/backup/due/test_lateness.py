"""Noticing what is missing from what was seen last, and asking the repository only when something seems so."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from backup import process
from backup.due import lateness
from backup.keeping import losses, policy
from backup.pgbackrest import Backup, RepositoryStatus
from backup.state.holdings import Holdings, telling
from contract import events
from tests.unit.backup.fakes import NOON, FakePgbackrest, World, make_backup, make_config, make_info

FULL = make_backup("20260301-020000F")
DIFF = make_backup("20260301-020000F_20260304-020000D")
NEXT = make_backup("20260301-020000F_20260305-020000D")
LATE_AT = timedelta(hours=16, minutes=1)
"""From noon until a minute after the tolerance for the differential backup of the next night."""


@pytest.fixture
def settled(world: World, engine: FakePgbackrest) -> World:
    engine.info = make_info(FULL, DIFF)
    losses.remember(world.deployment, engine.info)
    return world


def late(world: World) -> list[str]:
    return [raised.alarm.key for raised in world.deployment.teller.alarms.raised()]


def asked(engine: FakePgbackrest) -> int:
    return len(engine.ran)


def test_while_the_schedule_is_kept_nobody_is_asked(settled: World, engine: FakePgbackrest) -> None:
    for _ in range(16 * 60):
        lateness.judge(settled.deployment)
        settled.clock.advance(minutes=1)
    assert (late(settled), asked(engine)) == ([], 0)


def test_a_missing_backup_raises_an_alarm_with_the_next_step(settled: World, engine: FakePgbackrest) -> None:
    settled.clock.now = NOON + LATE_AT
    with capture_logs() as logged:
        lateness.judge(settled.deployment)
    (raised,) = settled.deployment.teller.alarms.raised()
    assert (raised.alarm.key, raised.alarm.event, raised.alarm.severity) == ("late:1:diff", events.BACKUP_LATE, "critical")
    assert raised.alarm.message.startswith("diff backup in repository 1: the last one is from 2026-03-04 02:00 UTC")
    assert raised.alarm.hint.endswith("`make backup-diff`")
    assert [(entry["event"], entry["repo"], entry["type"]) for entry in logged] == [(events.BACKUP_LATE, 1, "diff")]
    assert asked(engine) == 1, "it asks before it says so"


def test_a_backup_taken_by_hand_is_found_before_anything_is_said(settled: World, engine: FakePgbackrest) -> None:
    engine.info = make_info(FULL, DIFF, NEXT)
    settled.clock.now = NOON + LATE_AT
    with capture_logs() as logged:
        lateness.judge(settled.deployment)
    assert (late(settled), logged) == ([], [])


def test_while_it_stays_late_it_is_told_once_and_the_repository_asked_rarely(settled: World, engine: FakePgbackrest) -> None:
    settled.clock.now = NOON + LATE_AT
    with capture_logs() as logged:
        for _ in range(60):
            lateness.judge(settled.deployment)
            settled.clock.advance(minutes=1)
    assert len(logged) == 1
    assert asked(engine) == 4


def test_the_alarm_ends_when_the_backup_is_there(settled: World, engine: FakePgbackrest) -> None:
    settled.clock.now = NOON + LATE_AT
    lateness.judge(settled.deployment)
    losses.remember(settled.deployment, make_info(FULL, DIFF, NEXT))
    with capture_logs() as logged:
        lateness.judge(settled.deployment)
        lateness.judge(settled.deployment)
    assert late(settled) == []
    assert [entry["event"] for entry in logged] == [events.BACKUP_ON_TIME]


def test_the_alarm_ends_when_nobody_asks_for_the_backup_any_more(settled: World, engine: FakePgbackrest) -> None:
    settled.clock.now = NOON + LATE_AT
    lateness.judge(settled.deployment)
    settled.republish(make_config(diff=None), "2")
    lateness.judge(settled.deployment.reloaded())
    assert late(settled) == []


def test_a_repository_out_of_reach_does_not_stop_the_alarm(settled: World, engine: FakePgbackrest) -> None:
    engine.info_answer = process.Captured(-9, b"", "")
    settled.clock.now = NOON + LATE_AT
    lateness.judge(settled.deployment)
    assert late(settled) == ["late:1:diff"]


def test_before_anything_was_seen_nothing_is_late(world: World, engine: FakePgbackrest) -> None:
    lateness.judge(world.deployment)
    assert (late(world), asked(engine)) == ([], 0)


# --- empty repositories -----------------------------------------------------------------------------------------------


def test_the_first_backup_has_its_time(world: World, engine: FakePgbackrest) -> None:
    engine.info = make_info()
    losses.remember(world.deployment, engine.info)
    world.clock.advance(minutes=120)
    losses.remember(world.deployment, engine.info)
    lateness.judge(world.deployment)
    assert late(world) == []
    world.clock.advance(minutes=1)
    lateness.judge(world.deployment)
    assert late(world) == ["late:1:full"]


def test_a_repository_that_was_emptied_is_told_at_once(settled: World, engine: FakePgbackrest) -> None:
    engine.info = make_info()
    losses.remember(settled.deployment, engine.info)
    lateness.judge(settled.deployment)
    assert "late:1:full" in late(settled)


def test_an_answer_that_is_none_changes_nothing(settled: World) -> None:
    refused = make_info(repositories=(RepositoryStatus(1, "aes-256-cbc", 99, "[HostConnectError]"),))
    before = Holdings(settled.deployment.store).recall()
    settled.clock.advance(minutes=5)
    losses.remember(settled.deployment, refused)
    assert Holdings(settled.deployment.store).recall() == before


def test_what_another_release_wrote_down_is_no_knowledge(settled: World) -> None:
    settled.deployment.marks.put("backups.known", {"1": {"seen_at": 0, "empty_since": None, "backups": [{"name": "x"}]}})
    assert Holdings(settled.deployment.store).recall() == {}
    lateness.judge(settled.deployment)
    assert late(settled) == []


def test_what_is_known_survives_a_restart(settled: World) -> None:
    known = Holdings(settled.deployment.store).recall()[1]
    assert known.backups == (FULL, DIFF)
    assert (known.seen_at, known.empty_since) == (NOON, None)


# --- enough is remembered ---------------------------------------------------------------------------------------------


@st.composite
def many_backups(draw: st.DrawFn) -> tuple[Backup, ...]:
    backups = []
    for hours in draw(st.lists(st.integers(1, 2000), max_size=12, unique=True)):
        stopped = NOON - timedelta(hours=hours)
        kind = draw(st.sampled_from(["full", "diff", "incr"]))
        errors = draw(st.booleans())
        label = f"{stopped:%Y%m%d-%H%M%S}F"
        backups.append(make_backup(label, kind=kind, has_errors=errors))
    return tuple(sorted(backups, key=lambda backup: backup.stopped))


@given(many_backups(), st.integers(0, 400))
def test_the_few_that_are_remembered_lead_to_the_same_verdicts_as_all(backups: tuple[Backup, ...], hours: int) -> None:
    config, now = make_config(incr="0 */6 * * *"), NOON + timedelta(hours=hours)
    expressions = config.schedule.expressions()
    zone = ZoneInfo("UTC")
    few = telling(backups)
    assert len(few) <= 7
    assert policy.freshness(expressions, zone, few, now) == policy.freshness(expressions, zone, backups, now)
