"""What Docker is told: whether the supervisor lives and backups succeed, from local state alone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backup import health
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


def test_health_asks_neither_database_nor_repository(healthy: World, engine: FakePgbackrest) -> None:
    healthy.postgres.down = "gone"
    assert health.problems(healthy.deployment.history, healthy.deployment.now()) == []
    assert engine.ran == []


def test_a_supervisor_without_a_sign_of_life_is_unhealthy_after_a_minute(healthy: World) -> None:
    healthy.clock.advance(seconds=60)
    assert health.problems(healthy.deployment.history, healthy.deployment.now()) == []
    healthy.clock.advance(seconds=1)
    assert health.problems(healthy.deployment.history, healthy.deployment.now()) == [SILENT]


def test_before_the_first_backup_it_is_unhealthy_and_says_what_goes_on(world: World) -> None:
    assert health.problems(world.deployment.history, world.deployment.now()) == [SILENT, "no backup yet (starting)"]
    world.deployment.history.beat("creating the stanza", NOON)
    assert health.problems(world.deployment.history, world.deployment.now()) == ["no backup yet (creating the stanza)"]


def test_a_failed_run_is_unhealthy_and_an_interrupted_one_is_not(healthy: World) -> None:
    ran(healthy, "interrupted")
    assert health.problems(healthy.deployment.history, healthy.deployment.now()) == []
    ran(healthy, "failed", "it broke")
    assert health.problems(healthy.deployment.history, healthy.deployment.now()) == ["the last backup run failed: it broke"]
