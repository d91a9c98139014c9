"""What is known now: everything that cannot be asked is a cause with a next step, never an exception."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pydantic
import pytest

from backup import process
from backup.keeping import losses
from backup.ownership import protection
from backup.pgbackrest import RepositoryStatus
from backup.showing import status
from backup.showing.snapshot import Status
from backup.state.alarms import Alarm, Alarms
from backup.state.history import Beginning, Ending, State
from backup.watch import look
from backup.watch.readings import Volume
from contract import events
from tests.unit.backup.fakes import NOON, FakePgbackrest, World, info_json, make_backup, make_config, make_info, make_world

FULL = make_backup("20260301-020000F")
DIFF = make_backup("20260301-020000F_20260304-020000D")
SIXTY_FREE = (Volume("data", ("repository1",), 60_000_000_000, 100_000_000_000),)


@pytest.fixture(autouse=True)
def _enough_space(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look, "volumes", lambda _deployment: SIXTY_FREE)


@pytest.fixture
def healthy(world: World, engine: FakePgbackrest) -> World:
    engine.info = make_info(FULL, DIFF)
    world.deployment.history.beat("idle; next: diff backup", NOON)
    losses.remember(world.deployment, engine.info)
    ran(world, "succeeded")
    return world


def ran(world: World, state: State, message: str = "") -> None:
    history = world.deployment.history
    number = history.begin(Beginning("backup", "full", 1, "schedule", "scheduled"), NOON - timedelta(hours=1))
    history.end(number, Ending(state, 0, None, message), NOON)


def said(found: Status) -> list[tuple[str, str, str]]:
    return [(cause.key, cause.severity, cause.message) for cause in found.causes]


def test_all_is_as_promised(healthy: World) -> None:
    found = status.gather(healthy.deployment)
    assert (found.status, found.causes, found.is_kept) == ("ok", (), True)
    assert found.supervisor.doing == "idle; next: diff backup"
    assert (found.database.state, found.database.version, found.archiver.state) == ("open", "17.6", "working")
    (volume,) = found.disk.volumes
    assert (volume.name, volume.used_percent) == ("data", 40.0)
    (repository,) = found.repositories
    assert repository.window is not None
    assert repository.window.earliest == FULL.stopped
    assert repository.window.latest == NOON - timedelta(minutes=1)
    assert (repository.backups, repository.damaged, repository.problem, repository.as_of) == (2, 0, "", NOON)
    assert [(kind.type, kind.last and kind.last.label) for kind in repository.types] == [
        ("full", FULL.label),
        ("diff", DIFF.label),
    ]
    assert found.last_run is not None
    assert found.last_run.state == "succeeded"


def test_a_backup_is_told_with_size_duration_ratio_and_throughput(healthy: World, engine: FakePgbackrest) -> None:
    slow = make_backup("20260304-110000F", started=NOON - timedelta(minutes=61), copied_bytes=6_000_000)
    engine.info = make_info(slow)
    last = status.gather(healthy.deployment).repositories[0].types[0].last
    assert last is not None
    assert (last.seconds, last.database_bytes, last.copied_bytes, last.stored_bytes) == (
        60,
        30_000_000,
        6_000_000,
        4_000_000,
    )
    assert (last.ratio, last.bytes_per_second) == (1.5, 100_000)


def test_a_type_that_is_not_scheduled_is_told_when_there_is_one(healthy: World, engine: FakePgbackrest) -> None:
    incr = make_backup("20260301-020000F_20260304-030000I")
    engine.info = make_info(FULL, DIFF, incr)
    *_, kind = status.gather(healthy.deployment).repositories[0].types
    assert (kind.type, kind.last and kind.last.label, kind.next_at) == ("incr", incr.label, None)


# --- what cannot be asked ---------------------------------------------------------------------------------------------


def test_a_database_that_is_down_is_a_cause_and_the_rest_is_told_all_the_same(healthy: World) -> None:
    healthy.postgres.down = "connection refused"
    found = status.gather(healthy.deployment)
    assert said(found) == [("database", "critical", "the database cannot be reached: connection refused")]
    assert (found.status, found.database.state, found.database.version) == ("critical", "unreachable", None)
    (repository,) = found.repositories
    assert repository.window is not None
    assert repository.window.latest == DIFF.stopped


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (process.Captured(49, b"", "no route to host\n"), "pgbackrest info: exit code 49 (host-connect): no route to host"),
        (process.Captured(-9, b"", ""), "no answer within 8 s"),
        (process.Captured(0, b"nonsense", ""), "pgbackrest info printed no JSON"),
    ],
)
def test_a_repository_that_cannot_be_asked_is_a_cause_and_what_was_known_is_told(
    healthy: World, engine: FakePgbackrest, answer: process.Captured, message: str
) -> None:
    healthy.clock.advance(seconds=30)
    engine.info_answer = answer
    found = status.gather(healthy.deployment)
    assert said(found) == [("repository:1", "critical", f"repository 1: {message}")]
    assert found.causes[0].hint
    (repository,) = found.repositories
    assert (repository.problem, repository.as_of, repository.window, repository.backups) == (message, NOON, None, None)
    assert [kind.last and kind.last.label for kind in repository.types] == [FULL.label, DIFF.label]


def test_a_repository_that_was_never_seen_and_cannot_be_asked_is_not_known(world: World, engine: FakePgbackrest) -> None:
    engine.info_answer = process.Captured(49, b"", "no route to host\n")
    (repository,) = status.gather(world.deployment).repositories
    assert (repository.as_of, repository.types) == (None, ())


def test_an_unusable_repository_is_a_cause(healthy: World, engine: FakePgbackrest) -> None:
    engine.info = make_info(FULL, DIFF, repositories=(RepositoryStatus(1, "aes-256-cbc", 99, "[FormatError] ??"),))
    found = status.gather(healthy.deployment)
    assert said(found) == [("repository:1", "critical", "repository 1: [FormatError] ??")]


def test_one_repository_out_of_reach_does_not_hide_the_other(
    tmp_path: Path, engine: FakePgbackrest, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(tmp_path, make_config(repositories=2))
    second = make_backup("20260301-020000F", repo=2)

    def capture(argv: tuple[str, ...], timeout_seconds: float) -> process.Captured:
        if "--repo=1" in argv:
            return process.Captured(-9, b"", "")
        info = make_info(second, repositories=(RepositoryStatus(2, "none", 0, "ok"),))
        return process.Captured(0, info_json(info), "")

    monkeypatch.setattr(process, "capture", capture)
    first, other = status.gather(world.deployment).repositories
    assert first.problem == "no answer within 8 s"
    assert (other.problem, other.backups) == ("", 1)
    world.deployment.store.close()


# --- what is wrong ----------------------------------------------------------------------------------------------------


def test_a_missing_backup_is_a_cause_with_its_command(healthy: World, engine: FakePgbackrest) -> None:
    engine.info = make_info(FULL)
    (cause,) = status.gather(healthy.deployment).causes
    assert (cause.key, cause.severity) == ("late:1:diff", "critical")
    assert cause.message.startswith("diff backup in repository 1: the last one is from 2026-03-01 02:00 UTC")
    assert cause.hint.endswith("`make backup-diff`")


def test_an_open_alarm_is_told_once_with_its_beginning(healthy: World, engine: FakePgbackrest) -> None:
    engine.info = make_info(FULL)
    began = NOON - timedelta(hours=3)
    Alarms(healthy.deployment.store).put(Alarm("late:1:diff", events.BACKUP_LATE, "critical", "it is late", "do"), began)
    (cause,) = status.gather(healthy.deployment).causes
    assert (cause.message, cause.since) == ("it is late", began)


def test_a_failed_last_run_is_a_cause_until_one_succeeds(healthy: World) -> None:
    ran(healthy, "failed", "full backup: pgbackrest exit code 49 (host-connect)")
    assert said(status.gather(healthy.deployment)) == [
        ("backup:1", "critical", "the last backup run failed: full backup: pgbackrest exit code 49 (host-connect)")
    ]
    ran(healthy, "succeeded")
    assert status.gather(healthy.deployment).causes == ()


def test_a_full_disk_is_a_cause(healthy: World, monkeypatch: pytest.MonkeyPatch) -> None:
    full = (Volume("data", (), 1_000_000_000, 100_000_000_000),)
    monkeypatch.setattr(look, "volumes", lambda _deployment: full)
    found = status.gather(healthy.deployment)
    assert any(cause.key.startswith("disk") for cause in found.causes)
    assert found.status != "ok"


def test_a_warning_is_told_and_keeps_the_promise(healthy: World) -> None:
    protection.judge(healthy.deployment)
    found = status.gather(healthy.deployment)
    assert (found.status, found.is_kept) == ("warning", True)
    assert [cause.key for cause in found.causes] == ["protection"]
    assert not found.protection.protected


def test_a_silent_supervisor_is_unknown(healthy: World) -> None:
    healthy.clock.advance(minutes=2)
    found = status.gather(healthy.deployment)
    assert (found.status, found.is_kept) == ("unknown", False)


# --- for programs -----------------------------------------------------------------------------------------------------


def test_a_snapshot_can_be_told_as_json_and_read_back(healthy: World, engine: FakePgbackrest) -> None:
    engine.info = make_info(FULL)
    found = status.gather(healthy.deployment)
    text = json.dumps(found.as_json())
    assert pydantic.TypeAdapter(Status).validate_json(text) == found
    told = json.loads(text)
    assert told["at"] == "2026-03-04T12:00:00+00:00"
    assert told["repositories"][0]["window"] == {
        "earliest": "2026-03-01T02:00:00+00:00",
        "latest": "2026-03-04T11:59:00+00:00",
        "continuity_checked": False,
    }
