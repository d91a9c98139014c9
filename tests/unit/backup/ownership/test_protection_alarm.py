"""A missing recovery kit is told, once a day at most, and breaks nothing."""

from __future__ import annotations

from structlog.testing import capture_logs

from backup import health
from backup.ownership import protection
from backup.state.history import Heartbeat
from contract import events, paths
from contract.exits import HealthExit
from contract.protection import VerifiedKit
from tests.unit.backup.fakes import NOON, World


def verify_a_kit(world: World) -> None:
    present = protection.present(world.deployment)
    kit = VerifiedKit(verified_at=NOON, fingerprints=present)
    (world.volumes.config / paths.PROTECTION_JSON).write_text(kit.model_dump_json(), "utf-8")


def told(world: World, minutes: int) -> list[str]:
    """What is logged in so many minutes with a look in each."""
    with capture_logs() as logged:
        for _ in range(minutes):
            protection.judge(world.deployment)
            world.clock.advance(minutes=1)
    return [entry["event"] for entry in logged]


def test_it_is_told_once_a_day_until_a_kit_is_verified(world: World) -> None:
    assert told(world, 24 * 60) == [events.PROTECTION_MISSING]
    assert told(world, 24 * 60) == [events.PROTECTION_MISSING]
    verify_a_kit(world)
    assert told(world, 24 * 60) == [events.PROTECTION_PRESENT]


def test_with_a_kit_there_is_nothing_to_tell(world: World) -> None:
    verify_a_kit(world)
    assert told(world, 60) == []


def test_it_is_a_warning_that_keeps_the_promise(world: World) -> None:
    protection.judge(world.deployment)
    causes = health.examine(world.deployment.store, NOON).causes
    assert [cause.severity for cause in causes if cause.key == "protection"] == ["warning"]
    alarms = health.known(world.deployment.store).alarms
    kept = health.judge(health.Known(Heartbeat(NOON, "idle"), alarms, last_run=None, has_backup=True), NOON)
    assert (kept.level, kept.is_kept) == (HealthExit.WARNING, True)
