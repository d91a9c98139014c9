"""What was promised is held against what is there, and an alarm is raised for what is not."""

from __future__ import annotations

from structlog.testing import capture_logs

from backup.deployment import Deployment
from backup.keeping import losses
from backup.ownership import identity
from backup.supervision import promises
from contract import events
from tests.unit.backup.fakes import FakePgbackrest, World, make_backup, make_info


def keys(deployment: Deployment) -> list[str]:
    return sorted(raised.alarm.key for raised in deployment.teller.alarms.raised())


def test_a_deployment_without_a_kit_is_told_and_nothing_else_is_wrong(world: World) -> None:
    losses.remember(world.deployment, make_info(make_backup("20260304-020000F")))
    promises.look(world.deployment)
    assert keys(world.deployment) == ["protection"]


def test_a_backup_that_is_missing_is_told(world: World, engine: FakePgbackrest) -> None:
    engine.info = make_info(make_backup("20260304-020000F"))
    losses.remember(world.deployment, engine.info)
    world.clock.advance(days=8)
    world.deployment.marks.put_moment("backups.asked", world.clock.now)
    promises.look(world.deployment)
    assert {"late:1:full", "late:1:diff"} <= set(keys(world.deployment))


def test_a_cluster_that_was_replaced_is_told_before_anything_is_due(world: World) -> None:
    server = world.postgres.server()
    identity.remember(world.deployment, server, 30_000_000)
    world.postgres.system_id = 1
    promises.look(world.deployment)
    assert "identity" in keys(world.deployment)


def test_a_database_that_is_down_is_for_others_to_tell(world: World) -> None:
    world.postgres.down = "connection refused"
    promises.look(world.deployment)
    assert "identity" not in keys(world.deployment)


def test_a_state_that_cannot_be_read_is_said_and_does_not_end_the_thread(world: World) -> None:
    world.deployment.store.write("DROP TABLE IF EXISTS alarm")
    world.deployment.teller.alarms  # noqa: B018 made, so that its table is not made again
    world.deployment.store.write("DROP TABLE alarm")
    with capture_logs() as logged:
        promises.look(world.deployment)
    assert events.STATE_UNREADABLE in [entry["event"] for entry in logged]
