"""Whether the promise is kept, from local state alone."""

from __future__ import annotations

import dataclasses
import json
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest

from backup import health
from backup.health import Health
from backup.pgbackrest import Backup
from backup.state.alarms import Alarm, Alarms
from backup.state.history import Beginning, Ending, State
from backup.state.holdings import Holdings
from contract import events, paths
from contract.exits import HealthExit
from contract.severity import Severity
from tests.unit.backup.fakes import NOON, FakePgbackrest, World, make_backup


@pytest.fixture
def healthy(world: World, engine: FakePgbackrest) -> World:
    world.deployment.history.beat("idle; next: diff backup", NOON)
    ran(world, "succeeded")
    return world


def ran(world: World, state: State, message: str = "") -> None:
    history = world.deployment.history
    number = history.begin(Beginning("backup", "full", 1, "schedule", "scheduled"), NOON - timedelta(hours=1))
    history.end(number, Ending(state, 0, None, message), NOON)


def alarm(world: World, key: str, severity: Severity, message: str = "it is so", hint: str = "look") -> None:
    Alarms(world.deployment.store).put(Alarm(key, events.BACKUP_FAILED, severity, message, hint), world.clock())


def look(world: World) -> Health:
    return health.examine(world.deployment.store, world.clock())


def keys(found: Health) -> list[str]:
    return [cause.key for cause in found.causes]


def test_a_kept_promise_is_ok_and_says_what_goes_on(healthy: World) -> None:
    found = look(healthy)
    assert (found.level, found.causes, found.is_kept, found.is_ready) == (HealthExit.OK, (), True, True)
    assert found.as_lines() == ["OK: backups are as promised; idle; next: diff backup"]


def test_it_asks_neither_database_nor_repository(healthy: World, engine: FakePgbackrest) -> None:
    healthy.postgres.down = "gone"
    assert look(healthy).level is HealthExit.OK
    assert engine.ran == []


@pytest.mark.parametrize(
    ("severities", "level", "is_kept"),
    [
        (("info",), HealthExit.OK, True),
        (("warning",), HealthExit.WARNING, True),
        (("warning", "critical", "info"), HealthExit.CRITICAL, False),
    ],
)
def test_the_worst_open_alarm_decides(
    healthy: World, severities: tuple[Severity, ...], level: HealthExit, is_kept: bool
) -> None:
    for number, severity in enumerate(severities):
        alarm(healthy, f"key-{number}", severity)
    found = look(healthy)
    assert (found.level, found.is_kept, found.is_ready) == (level, is_kept, True)


def test_a_cause_has_severity_message_time_and_hint_in_one_line_the_worst_first(healthy: World) -> None:
    alarm(healthy, "disk:data", "warning", "the volume is 71 % full")
    healthy.clock.advance(seconds=5)
    alarm(healthy, "archiver", "critical", "archiving\nfails", "see `make wal-status`")
    worst, other = look(healthy).as_lines()
    moment = r"\(since 2026-03-0\d \d\d:\d\d:05[+-]\d\d:\d\d\)"
    assert re.fullmatch(rf"CRITICAL: archiving fails {moment}; HINT: see `make wal-status`", worst)
    assert other.startswith("WARNING: the volume is 71 % full (since ")


def test_an_alarm_that_is_over_is_no_cause_any_more(healthy: World) -> None:
    alarm(healthy, "archiver", "critical")
    Alarms(healthy.deployment.store).clear("archiver")
    assert look(healthy).level is HealthExit.OK


# --- the supervisor ---------------------------------------------------------------------------------------------------


def test_a_supervisor_without_a_sign_of_life_is_unknown_after_a_minute(healthy: World) -> None:
    healthy.clock.advance(seconds=60)
    assert look(healthy).level is HealthExit.OK
    healthy.clock.advance(seconds=1)
    found = look(healthy)
    assert (found.level, found.is_kept, found.is_ready) == (HealthExit.UNKNOWN, False, False)
    assert found.causes[0].message == "the supervisor gives no sign of life"
    assert found.as_lines()[0].startswith("UNKNOWN: the supervisor gives no sign of life (since ")
    assert found.causes[0].since == NOON


def test_a_sign_of_life_from_the_future_is_none(healthy: World) -> None:
    """The clock was set back: what it proves nobody knows until the next one, a few seconds later."""
    healthy.clock.advance(days=-1)
    assert look(healthy).level is HealthExit.UNKNOWN


def test_what_is_known_to_be_broken_outweighs_silence(healthy: World) -> None:
    alarm(healthy, "archiver", "critical")
    healthy.clock.advance(hours=1)
    found = look(healthy)
    assert found.level is HealthExit.CRITICAL
    assert set(keys(found)) == {"archiver", health.SUPERVISOR}


def test_a_warning_does_not_hide_silence(healthy: World) -> None:
    alarm(healthy, "protection", "warning")
    healthy.clock.advance(hours=1)
    assert look(healthy).level is HealthExit.UNKNOWN


# --- runs -------------------------------------------------------------------------------------------------------------


def test_before_the_first_backup_the_promise_is_broken_and_it_says_what_goes_on(world: World) -> None:
    found = look(world)
    assert (found.level, keys(found)) == (HealthExit.CRITICAL, [health.SUPERVISOR, health.NO_BACKUP])
    world.deployment.history.beat("taking the first full backup", NOON)
    (cause,) = look(world).causes
    assert cause.message == "no backup yet, nothing can be restored (taking the first full backup)"
    assert not look(world).is_ready


def test_a_failed_run_is_critical_and_an_interrupted_one_is_not(healthy: World) -> None:
    ran(healthy, "interrupted")
    assert look(healthy).level is HealthExit.OK
    ran(healthy, "failed", "it broke")
    found = look(healthy)
    assert found.level is HealthExit.CRITICAL
    assert found.is_ready, "the backups of before can be restored"
    assert [(cause.key, cause.message) for cause in found.causes] == [("backup:1", "the last backup run failed: it broke")]


def test_a_failed_run_is_not_told_twice(healthy: World) -> None:
    ran(healthy, "failed", "it broke")
    alarm(healthy, "backup:1", "critical", "full backup: it broke")
    assert [cause.message for cause in look(healthy).causes] == ["full backup: it broke"]


def test_a_first_backup_that_failed_says_why(world: World) -> None:
    world.deployment.history.beat("waiting", NOON)
    ran(world, "failed", "no route to host")
    assert set(keys(look(world))) == {health.NO_BACKUP, "backup:1"}


FULL = make_backup("20260301-020000F")


@pytest.mark.parametrize(
    ("case", "seen", "ran_at", "ready"),
    [
        ("a new host, an empty record, and a repository with backups", (FULL,), None, True),
        ("all of its backups are damaged", (dataclasses.replace(FULL, has_errors=True),), None, False),
        ("the first one was proven after it was seen empty", (), NOON, True),
        ("the backups of the record were deleted", (), NOON - timedelta(days=1), False),
    ],
)
def test_whether_there_is_a_backup_is_what_the_repository_was_seen_to_hold(
    world: World, case: str, seen: tuple[Backup, ...], ran_at: datetime | None, ready: bool
) -> None:
    deployment = world.deployment
    deployment.history.beat("idle", NOON)
    Holdings(deployment.store).put({1: seen}, {1: "/srv"}, NOON - timedelta(hours=1))
    if ran_at:
        number = deployment.history.begin(Beginning("backup", "full", 1, "first", ""), ran_at)
        deployment.history.end(number, Ending("succeeded", 0, FULL.label, ""), ran_at)
    assert look(world).is_ready == ready, case


# --- where it is asked from -------------------------------------------------------------------------------------------


def test_a_state_that_cannot_be_read_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "broken").write_bytes(b"this is no database at all" * 100)
    for path in (tmp_path / "broken", tmp_path / "missing" / "history.sqlite"):
        found = health.look(path, NOON)
        assert (found.level, keys(found), found.is_ready) == (HealthExit.UNKNOWN, [health.STATE], False)


def test_a_verdict_can_be_told_as_json(healthy: World) -> None:
    alarm(healthy, "archiver", "critical")
    assert json.loads(json.dumps(look(healthy).as_json())) == {
        "schema_version": 1,
        "at": "2026-03-04T12:00:00+00:00",
        "status": "critical",
        "doing": "idle; next: diff backup",
        "causes": [
            {
                "key": "archiver",
                "severity": "critical",
                "message": "it is so",
                "hint": "look",
                "since": "2026-03-04T12:00:00+00:00",
            }
        ],
    }


@pytest.mark.parametrize(
    ("severity", "code", "for_docker"), [(None, 0, 0), ("warning", 1, 0), ("critical", 2, 1), ("silent", 3, 1)]
)
def test_the_program_ends_with_the_code_of_monitoring_plugins_or_the_one_that_docker_knows(
    healthy: World,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    severity: Severity | Literal["silent"] | None,
    code: int,
    for_docker: int,
) -> None:
    class Clock:
        @staticmethod
        def now(_zone: object) -> object:
            return healthy.clock()

    monkeypatch.setattr(health, "datetime", Clock)
    monkeypatch.setattr(paths, "HISTORY", healthy.volumes.history)
    if severity == "silent":
        healthy.clock.advance(hours=1)
    elif severity:
        alarm(healthy, "archiver", severity)
    assert health.main([]) == code
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) == 1
    assert health.main(["--docker"]) == for_docker
    assert capsys.readouterr().out == printed
