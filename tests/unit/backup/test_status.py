"""What is known now: everything that cannot be asked is a problem with a next step, never an exception."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from backup import process, status
from backup.pgbackrest import RepositoryStatus
from backup.state.history import Beginning, Ending, State
from tests.unit.backup.fakes import NOON, FakePgbackrest, World, make_backup, make_info

FULL = make_backup("20260301-020000F")
DIFF = make_backup("20260301-020000F_20260304-020000D")
SILENT = "the supervisor gives no sign of life; see `docker logs salespider-backup`"


@pytest.fixture
def healthy(world: World, engine: FakePgbackrest) -> World:
    engine.info = make_info(FULL, DIFF)
    world.deployment.history.beat("idle; next: diff backup", NOON)
    ran(world, "succeeded")
    return world


def ran(world: World, state: State, message: str = "") -> None:
    history = world.deployment.history
    number = history.begin(Beginning("backup", "full", 1, "schedule", "scheduled"), NOON - timedelta(hours=1))
    history.end(number, Ending(state, 0, None, message), NOON)


def test_all_is_as_promised(healthy: World) -> None:
    found = status.gather(healthy.deployment)
    assert found.problems == ()
    assert found.doing == "idle; next: diff backup"
    assert found.server is not None
    (repository,) = found.repositories
    assert repository.window is not None
    assert repository.window.earliest == FULL.stopped
    assert repository.window.latest == NOON - timedelta(minutes=1)
    assert [verdict.kind for verdict in repository.freshness] == ["full", "diff"]
    assert found.last_run is not None


def test_a_snapshot_can_be_told_as_json(healthy: World) -> None:
    told = json.loads(json.dumps(status.gather(healthy.deployment).as_json()))
    assert told["at"] == "2026-03-04T12:00:00+00:00"
    assert told["problems"] == []
    (repository,) = told["repositories"]
    assert repository["window"] == {
        "repo": 1,
        "earliest": "2026-03-01T02:00:00+00:00",
        "latest": "2026-03-04T11:59:00+00:00",
    }
    assert repository["freshness"][1]["latest"]["label"] == DIFF.label


def test_a_database_that_is_down_is_a_problem_and_the_rest_is_told_all_the_same(healthy: World) -> None:
    healthy.postgres.down = "connection refused"
    found = status.gather(healthy.deployment)
    assert found.problems == (
        (
            "database: connection refused; "
            "see whether it runs and what it says: `make status`, `docker logs salespider-postgres`"
        ),
    )
    assert (found.server, found.archiver, found.waiting_segments) == (None, None, None)
    (repository,) = found.repositories
    assert repository.window is not None
    assert repository.window.latest == DIFF.stopped


def test_a_repository_that_cannot_be_asked_is_a_problem(healthy: World, engine: FakePgbackrest) -> None:
    engine.info_answer = process.Captured(49, b"", "no route to host\n")
    assert status.gather(healthy.deployment).problems == (
        (
            "pgbackrest info: exit code 49 (host-connect): no route to host; "
            "the repository's host cannot be reached: check name and network"
        ),
    )


def test_an_unusable_repository_is_a_problem(healthy: World, engine: FakePgbackrest) -> None:
    engine.info = make_info(FULL, DIFF, repositories=(RepositoryStatus(1, "aes-256-cbc", 99, "[FormatError] ??"),))
    assert status.gather(healthy.deployment).problems == ("repository 1: [FormatError] ??",)


def test_a_missing_backup_is_a_problem(healthy: World, engine: FakePgbackrest) -> None:
    engine.info = make_info(FULL)
    assert status.gather(healthy.deployment).problems == (
        "diff in repository 1: the last one is from 2026-03-01 02:00 UTC, but one was due at 2026-03-04 02:00 UTC",
    )


@pytest.mark.parametrize(
    ("case", "archived_ago", "failed_ago", "problems"),
    [
        ("never failed", 60, None, ()),
        ("failed once, long ago", 60, 3600, ()),
        (
            "the latest attempt failed",
            3600,
            60,
            ("archiving fails at 000000010000000000000006; see `docker logs salespider-postgres`",),
        ),
        (
            "nothing was ever archived",
            None,
            60,
            ("archiving fails at 000000010000000000000006; see `docker logs salespider-postgres`",),
        ),
    ],
)
def test_an_archiver_fails_when_its_latest_attempt_did(
    healthy: World, case: str, archived_ago: int | None, failed_ago: int | None, problems: tuple[str, ...]
) -> None:
    healthy.postgres.archived_at = None if archived_ago is None else NOON - timedelta(seconds=archived_ago)
    healthy.postgres.failed_at = None if failed_ago is None else NOON - timedelta(seconds=failed_ago)
    assert status.gather(healthy.deployment).problems == problems, case


def test_a_failed_last_run_is_a_problem_until_one_succeeds(healthy: World) -> None:
    ran(healthy, "failed", "full backup: pgbackrest exit code 49 (host-connect)")
    assert status.gather(healthy.deployment).problems == (
        "the last backup run failed: full backup: pgbackrest exit code 49 (host-connect)",
    )
    ran(healthy, "succeeded")
    assert status.gather(healthy.deployment).problems == ()
