"""The guard: nothing is written beside another cluster, the alarm is raised once, and it ends when that is over."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from backup.ownership import identity
from backup.ownership.cluster import GIGABYTE
from backup.postgres import Server
from backup.taking import jobs
from backup.taking.jobs import BackupRequest
from contract import events
from contract.exits import Exit
from tests.unit.backup.fakes import SYSTEM_ID, FakePgbackrest, Reply, World, make_backup, make_info, runs_of

OTHER = 7710600541747884186
OLD = make_backup("20260301-020000F")
NEW = make_backup("20260304-120000F")
FULL = BackupRequest("full", 1, "schedule", "scheduled")


def server(world: World) -> Server:
    return world.postgres.server()


def alarms(world: World) -> list[str]:
    return [raised.alarm.key for raised in world.deployment.teller.alarms.raised()]


def test_a_proven_backup_is_what_is_remembered_and_its_size_is_refreshed(world: World, engine: FakePgbackrest) -> None:
    assert identity.remembered(world.deployment) is None
    for size in (3 * GIGABYTE, GIGABYTE // 2):
        engine.script(Reply(does=engine.lists(OLD, make_backup(NEW.label, database_bytes=size))))
        engine.info, world.postgres.size = make_info(OLD), size
        assert jobs.take_backup(world.deployment, FULL, 0.0).state == "succeeded"
        known = identity.remembered(world.deployment)
        assert known is not None
        assert (known.system_id, known.version, known.database_bytes) == (SYSTEM_ID, 17, size)
        assert known.at == world.clock.now


def test_a_failed_backup_is_not_remembered(world: World, engine: FakePgbackrest) -> None:
    engine.script(Reply(51))
    jobs.take_backup(world.deployment, FULL, 0.0)
    assert identity.remembered(world.deployment) is None


def test_a_backup_whose_database_is_gone_at_its_end_is_remembered_all_the_same(world: World, engine: FakePgbackrest) -> None:
    def ends() -> None:
        engine.lists(NEW)()
        world.postgres.down = "the database system is shutting down"

    engine.script(Reply(does=ends))
    assert jobs.take_backup(world.deployment, FULL, 0.0).state == "succeeded"
    known = identity.remembered(world.deployment)
    assert known is not None
    assert known.system_id == SYSTEM_ID


@pytest.mark.parametrize("remembered", [True, False])
def test_no_backup_is_taken_of_another_cluster(world: World, engine: FakePgbackrest, remembered: bool) -> None:
    """With the memory of the last backup, and with the repository's word alone after the state was lost."""
    engine.info = make_info(OLD)
    if remembered:
        identity.remember(world.deployment, server(world), 2 * GIGABYTE)
    world.postgres.system_id = OTHER
    for _ in range(20):
        outcome = jobs.take_backup(world.deployment, FULL, 0.0)
        assert (outcome.state, outcome.exit_code) == ("failed", Exit.ANOTHER_CLUSTER)
    assert set(engine.verbs) == {"info"}
    assert alarms(world) == ["identity"]
    assert len(runs_of(world.deployment.history)) == 20
    known = identity.remembered(world.deployment)
    assert (known.system_id if known else None) == (SYSTEM_ID if remembered else None)


def test_no_stanza_is_created_beside_another_cluster(world: World, engine: FakePgbackrest) -> None:
    engine.info = make_info(OLD)
    world.postgres.system_id = OTHER
    outcome = jobs.create_stanza(world.deployment, print)
    assert (outcome.state, outcome.exit_code) == ("failed", Exit.ANOTHER_CLUSTER)
    assert "make restore-latest" in outcome.hint
    assert engine.verbs == ["info"]


def test_a_database_that_cannot_be_asked_is_no_permission(world: World, engine: FakePgbackrest) -> None:
    world.postgres.down = "the database system is starting up"
    outcome = jobs.take_backup(world.deployment, FULL, 0.0)
    assert (outcome.state, outcome.exit_code) == ("failed", Exit.DATABASE)
    assert engine.verbs == []
    assert alarms(world) == ["backup:1"]


def test_the_alarm_is_told_once_with_both_identities_and_its_end_once(world: World) -> None:
    info = make_info(OLD)
    with capture_logs() as logged:
        world.postgres.system_id = OTHER
        for _ in range(3):
            assert identity.guard(world.deployment, server(world), info) is not None
        assert alarms(world) == ["identity"]
        world.postgres.system_id = SYSTEM_ID
        for _ in range(2):
            assert identity.guard(world.deployment, server(world), info) is None
    assert [entry["event"] for entry in logged] == [events.IDENTITY_ALARM, events.IDENTITY_RECOVERED]
    assert (logged[0]["system_id"], logged[0]["expected_system_id"]) == (str(OTHER), str(SYSTEM_ID))
    assert alarms(world) == []


def test_judging_alone_tells_nothing(world: World) -> None:
    world.postgres.system_id = OTHER
    with capture_logs() as logged:
        assert identity.objection(world.deployment, server(world), make_info(OLD)) is not None
    assert (logged, alarms(world)) == ([], [])


def test_a_glance_needs_the_memory_alone(world: World) -> None:
    assert identity.glance(world.deployment, server(world)) is None
    identity.remember(world.deployment, server(world), 2 * GIGABYTE)
    assert identity.glance(world.deployment, server(world)) is None, "it does not ask for the size"
    world.postgres.system_id = OTHER
    found = identity.glance(world.deployment, server(world))
    assert found is not None
    assert found.reason == "another"


def test_an_emptied_database_is_objected_to_until_a_restore_has_said_that_it_is_right(
    world: World, engine: FakePgbackrest
) -> None:
    identity.remember(world.deployment, server(world), 2 * GIGABYTE)
    engine.info = make_info(make_backup(OLD.label, database_bytes=2 * GIGABYTE))
    found = identity.guard(world.deployment, server(world), engine.info)
    assert found is not None
    assert found.reason == "emptied"
    identity.restored(world.deployment, server(world))
    assert identity.guard(world.deployment, server(world), engine.info) is None


def test_a_restore_of_another_cluster_is_not_taken_for_the_expected_one(world: World) -> None:
    identity.remember(world.deployment, server(world), 2 * GIGABYTE)
    world.postgres.system_id = OTHER
    identity.restored(world.deployment, server(world))
    known = identity.remembered(world.deployment)
    assert known is not None
    assert known.system_id == SYSTEM_ID
