"""Adopting and upgrading: never without being told to, both identities first, and nothing old is removed by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from backup.ownership import identity
from backup.ownership.cluster import GIGABYTE
from backup.pgbackrest import Cluster, RepositoryStatus
from contract.exits import Exit
from tests.unit.backup.fakes import SYSTEM_ID, FakePgbackrest, Reply, World, make_backup, make_info

OTHER = 7710600541747884186
OLD, NEW = make_backup("20260301-020000F"), make_backup("20260304-120000F", cluster_id=2)
BOTH = (Cluster(1, 1, SYSTEM_ID, 17), Cluster(1, 2, OTHER, 17))
HELD = (
    "holds 1 backup up to 20260301-020000F: all stay, and can be restored. It keeps 7 full backups; "
    "3 differential backups; WAL back to the oldest full backup; with every new full one the oldest goes"
)

Type = Callable[..., tuple[int, str, str]]


@pytest.fixture
def replaced(world: World, engine: FakePgbackrest) -> World:
    """A deployment with a backup, whose data volume was replaced."""
    identity.remember(world.deployment, world.postgres.server(), 2 * GIGABYTE)
    engine.info = make_info(OLD)
    world.postgres.system_id = OTHER
    return world


def upgraded(engine: FakePgbackrest, version: int = 17) -> Reply:
    clusters = (BOTH[0], Cluster(1, 2, OTHER, version))

    def change() -> None:
        engine.info = make_info(OLD, clusters=clusters)

    return Reply(does=change)


def backed_up(engine: FakePgbackrest) -> Reply:
    def change() -> None:
        engine.info = replace(engine.info, backups=(OLD, NEW))

    return Reply(does=change)


def writes(engine: FakePgbackrest) -> list[str]:
    return [verb for verb in engine.verbs if verb not in {"info", "repo-ls"}]


# --- adopt ------------------------------------------------------------------------------------------------------------


def test_without_the_flag_both_are_shown_and_nothing_is_changed(
    command: Type,
    replaced: World,
    engine: FakePgbackrest,
) -> None:
    code, out, err = command("adopt")
    assert code == Exit.NOT_CONFIRMED
    assert out.splitlines() == [
        "  running       system identifier 7710600541747884186, PostgreSQL 17, 30 MB",
        "  backed up     system identifier 7710425701430951955, PostgreSQL 17, 2.0 GB",
        f"  repository 1  {HELD}",
    ]
    assert err.startswith("not confirmed; nothing was changed\nHINT: bring the database of the backups back with")
    assert writes(engine) == []
    known = identity.remembered(replaced.deployment)
    assert known is not None
    assert known.system_id == SYSTEM_ID


def test_with_the_flag_the_stanza_is_changed_and_a_full_backup_taken_that_removes_nothing(
    command: Type,
    replaced: World,
    engine: FakePgbackrest,
) -> None:
    identity.guard(replaced.deployment, replaced.postgres.server(), engine.info)
    engine.script(upgraded(engine), Reply(), backed_up(engine))
    code, out, _ = command("adopt", "--i-know")
    assert code == Exit.OK
    assert writes(engine) == ["stanza-upgrade", "stanza-create", "backup"]
    (backup,) = (argv for argv in engine.ran if "backup" in argv)
    assert {"--type=full", "--repo=1", "--no-expire-auto"} <= set(backup)
    assert "Done: full backup 20260304-120000F, 1.5 s." in out.splitlines()
    known = identity.remembered(replaced.deployment)
    assert known is not None
    assert known.system_id == OTHER
    assert replaced.deployment.teller.alarms.raised() == ()


def test_an_emptied_database_is_adopted_without_a_change_of_the_stanza(
    command: Type,
    replaced: World,
    engine: FakePgbackrest,
) -> None:
    replaced.postgres.system_id = SYSTEM_ID
    engine.script(Reply(), Reply(does=engine.lists(OLD, make_backup("20260304-120000F"))))
    assert command("adopt", "--i-know")[0] == Exit.OK
    assert writes(engine) == ["stanza-create", "backup"]


def test_the_right_database_needs_no_adopting(
    command: Type,
    engine: FakePgbackrest,
) -> None:
    engine.info = make_info(OLD)
    code, out, _ = command("adopt", "--i-know")
    assert code == Exit.OK
    assert out.startswith("nothing to adopt: the backups are of the running database (system identifier ")
    assert writes(engine) == []


def test_a_stanza_that_cannot_be_changed_adopts_nothing(
    command: Type,
    replaced: World,
    engine: FakePgbackrest,
) -> None:
    engine.script(Reply(41, ("P00  ERROR: [041]: unable to open file",)))
    code, _, err = command("adopt", "--i-know")
    assert code == Exit.ANOTHER_CLUSTER
    assert "repository 1 is still of the other cluster, pgbackrest exit code 41 (file-open)" in err
    known = identity.remembered(replaced.deployment)
    assert known is not None
    assert known.system_id == SYSTEM_ID


def test_all_repositories_must_be_readable(
    command: Type,
    replaced: World,
    engine: FakePgbackrest,
) -> None:
    bad = RepositoryStatus(2, "none", 99, "[HostConnectError] timeout")
    engine.info = replace(engine.info, repositories=(*engine.info.repositories, bad))
    code, _, err = command("adopt", "--i-know")
    assert code == Exit.ANOTHER_CLUSTER
    assert err.startswith("repository 2 cannot be read: [HostConnectError] timeout")
    assert writes(engine) == []


def test_a_first_backup_that_fails_is_told_with_the_next_step(
    command: Type,
    replaced: World,
    engine: FakePgbackrest,
) -> None:
    engine.script(upgraded(engine), Reply(), Reply(64))
    code, _, err = command("adopt", "--i-know")
    assert code == Exit.BACKUP_FAILED
    assert err.splitlines()[-1].endswith("then `make backup`: the database is adopted, and not yet backed up")


def test_a_database_in_recovery_is_not_judged(
    command: Type,
    replaced: World,
    engine: FakePgbackrest,
) -> None:
    replaced.postgres.in_recovery = True
    assert command("adopt", "--i-know")[0] == Exit.DATABASE
    assert engine.ran == []


# --- stanza-upgrade ---------------------------------------------------------------------------------------------------


def test_after_pg_upgrade_the_new_version_is_backed_up(
    command: Type,
    replaced: World,
    engine: FakePgbackrest,
) -> None:
    replaced.postgres.version, replaced.postgres.size = "18.1", 2 * GIGABYTE
    engine.script(upgraded(engine, 18), Reply(), backed_up(engine))
    assert command("stanza-upgrade")[0] == Exit.OK
    assert ("pgbackrest", "--stanza=salespider", "--log-level-console=info", "stanza-upgrade") in engine.ran
    assert writes(engine) == ["stanza-upgrade", "stanza-create", "backup"]
    known = identity.remembered(replaced.deployment)
    assert known is not None
    assert (known.system_id, known.version) == (OTHER, 18)


@pytest.mark.parametrize(
    ("case", "version", "system_id", "size", "message"),
    [
        ("the same", "17.6", SYSTEM_ID, 2 * GIGABYTE, "stanza-upgrade: the backups are already of the running database"),
        ("another of that version", "17.6", OTHER, 2 * GIGABYTE, "stanza-upgrade refused: the running database is another"),
        ("an older one", "16.9", OTHER, 2 * GIGABYTE, "stanza-upgrade refused: the running database is of an older"),
        ("a new, empty one", "18.1", OTHER, 23_000_000, "stanza-upgrade refused: the new cluster is all but empty"),
    ],
)
def test_everything_else_is_refused(
    command: Type,
    replaced: World,
    engine: FakePgbackrest,
    case: str,
    version: str,
    system_id: int,
    size: int,
    message: str,
) -> None:
    replaced.postgres.version, replaced.postgres.system_id, replaced.postgres.size = version, system_id, size
    code, _, err = command("stanza-upgrade")
    assert (code, err.startswith(message)) == (Exit.ANOTHER_CLUSTER, True), (case, err)
    assert writes(engine) == []
