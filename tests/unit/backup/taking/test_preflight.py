"""Preflight: each thing that would make a backup fail is said before it begins, with the next step."""

from __future__ import annotations

import shutil
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from backup import process
from backup.pgbackrest import Cluster, RepositoryStatus
from backup.taking import preflight
from backup.taking.preflight import NotReadyError
from contract.exits import Exit
from contract.supervisor import BackupType, RepositoryType
from tests.unit.backup.fakes import FakePgbackrest, World, make_backup, make_config, make_info

FULL = make_backup("20260301-020000F", database_bytes=30_000_000, repository_bytes=10_000_000)
Usage = namedtuple("Usage", "total used free")  # noqa: PYI024 the standard library's own


def refusal(world: World, repo: int = 1) -> NotReadyError:
    with pytest.raises(NotReadyError) as refused:
        preflight.look(world.deployment, repo)
    return refused.value


def said(error: NotReadyError) -> tuple[str, str, Exit, bool]:
    return error.message, error.hint, error.exit_code, error.retryable


def test_what_is_ready_is_seen_with_server_list_and_size(world: World, engine: FakePgbackrest) -> None:
    engine.info = make_info(FULL)
    ready = preflight.look(world.deployment, 1)
    assert (ready.server, ready.info, ready.database_bytes) == (world.postgres.server(), engine.info, world.postgres.size)
    assert engine.ran == [
        ("pgbackrest", "--stanza=salespider", "--repo=1", "--output=json", "--log-level-console=off",
         "--log-level-stderr=warn", "info"),
    ]  # fmt: skip


def test_a_database_that_is_down(world: World, engine: FakePgbackrest) -> None:
    world.postgres.down = "connection refused"
    message, hint, code, retryable = said(refusal(world))
    assert (message, code, retryable) == ("database: connection refused", Exit.DATABASE, True)
    assert "docker logs salespider-postgres" in hint
    assert engine.ran == []


@pytest.mark.parametrize(
    ("paused", "hint"),
    [(False, "wait for its end"), (True, "it is paused: `SELECT pg_wal_replay_resume()` opens it")],
)
def test_a_database_in_recovery(world: World, engine: FakePgbackrest, paused: bool, hint: str) -> None:
    world.postgres.in_recovery, world.postgres.recovery_paused = True, paused
    message = "the database is in recovery, so it is no primary to back up"
    assert said(refusal(world)) == (message, hint, Exit.DATABASE, True)


def test_archiving_that_is_off_waits_for_somebody(world: World, engine: FakePgbackrest) -> None:
    world.postgres.archive_mode = "off"
    assert said(refusal(world)) == (
        "archiving is off in the running database, so no backup would be complete",
        "restart the database: `make restart`",
        Exit.DATABASE,
        False,
    )


@pytest.mark.parametrize(
    ("case", "answer", "message", "retryable"),
    [
        (
            "no answer",
            process.Captured(-9, b"", ""),
            "repository 1 (/var/lib/pgbackrest1): no answer within 25 s",
            True,
        ),
        (
            "no connection",
            process.Captured(49, b"", "ERROR: [049]: unable to connect\n"),
            "repository 1 (/var/lib/pgbackrest1): pgbackrest exit code 49 (host-connect): ERROR: [049]: unable to connect",
            True,
        ),
        (
            "another passphrase",
            process.Captured(95, b"", "ERROR: [095]: unable to flush\n"),
            "repository 1 (/var/lib/pgbackrest1): the passphrase does not open it, it was encrypted with another one",
            False,
        ),
    ],
)
def test_a_repository_that_does_not_open(
    world: World, engine: FakePgbackrest, case: str, answer: process.Captured, message: str, retryable: bool
) -> None:
    engine.info_files = {"--repo=1": answer}
    found = refusal(world)
    assert (found.message, found.exit_code, found.retryable) == (message, Exit.REPOSITORY, retryable), case
    assert engine.ran == []


@pytest.mark.parametrize("code", [1, 3])
def test_a_repository_without_the_stanza(world: World, engine: FakePgbackrest, code: int) -> None:
    engine.info = make_info(repositories=(RepositoryStatus(1, "none", code, "missing stanza"),))
    assert said(refusal(world)) == (
        "repository 1 holds no stanza salespider",
        "was it emptied? the supervisor creates the stanza again within minutes; see `make status`",
        Exit.REPOSITORY,
        True,
    )


def test_a_repository_that_cannot_be_listed(world: World, engine: FakePgbackrest) -> None:
    engine.info = make_info(repositories=(RepositoryStatus(1, "none", 99, "[PathOpenError] Permission denied"),))
    found = refusal(world)
    assert (found.message, found.retryable) == ("repository 1: [PathOpenError] Permission denied", True)
    engine.info_answer = process.Captured(32, b"", "ERROR: [032]: not allowed\n")
    found = refusal(world)
    assert found.message == "pgbackrest info: exit code 32 (option-invalid-value): ERROR: [032]: not allowed"
    assert not found.retryable


def test_another_cluster_is_refused_and_an_alarm(world: World, engine: FakePgbackrest) -> None:
    engine.info = make_info(FULL, clusters=(Cluster(1, 1, 4711, 17),))
    found = refusal(world)
    assert (found.exit_code, found.retryable) == (Exit.ANOTHER_CLUSTER, False)
    assert found.message.startswith("the running database is another cluster than the one the backups are of")
    assert [raised.alarm.key for raised in world.deployment.teller.alarms.raised()] == ["identity"]


def test_a_repository_that_is_not_configured(world: World, engine: FakePgbackrest) -> None:
    assert said(refusal(world, 3)) == (
        "repository 3 is not configured",
        "there is 1; another one needs PGBACKREST_REPO3_TYPE in .env, then `make deploy`",
        Exit.CONFIGURATION,
        False,
    )


def test_another_repository_that_is_out_of_reach_does_not_matter(world: World, engine: FakePgbackrest) -> None:
    world.reconfigure(make_config(repositories=2))
    engine.info_files = {"--repo=2": process.Captured(49, b"", "ERROR: [049]\n")}
    assert preflight.look(world.deployment, 1).info.repositories == make_info().repositories


# --- space ------------------------------------------------------------------------------------------------------------


def warning(world: World, kind: BackupType = "full") -> str | None:
    return preflight.require_room(world.deployment, preflight.look(world.deployment, 1), 1, kind)


def with_room(world: World, engine: FakePgbackrest, free: int, kind: RepositoryType = "posix") -> pytest.MonkeyPatch:
    engine.info = make_info(FULL)
    repository = replace_repository(world, kind)
    patch = pytest.MonkeyPatch()
    patch.setattr(shutil, "disk_usage", lambda path: {repository: Usage(10**9, 10**9 - free, free)}[path])
    return patch


def replace_repository(world: World, kind: RepositoryType) -> Path:
    config, place = world.deployment.config, Path("/mnt/backups")
    (repository,) = config.repositories
    changed = repository.model_copy(update={"type": kind, "directory": str(place)})
    world.reconfigure(config.model_copy(update={"repositories": (changed,)}))
    return place


@pytest.mark.parametrize(
    ("free", "warned"),
    [
        (12_000_000, None),
        (11_000_000, "repository 1 (/var/lib/pgbackrest1): 11.0 MB free, and a full backup takes about 12.0 MB"),
    ],
)
def test_a_backup_that_may_not_fit_is_warned_of(world: World, engine: FakePgbackrest, free: int, warned: str | None) -> None:
    patch = with_room(world, engine, free)
    assert warning(world) == warned
    patch.undo()


def test_a_backup_that_surely_does_not_fit_is_refused(world: World, engine: FakePgbackrest) -> None:
    patch = with_room(world, engine, 4_900_000)
    with pytest.raises(NotReadyError) as refused:
        warning(world)
    patch.undo()
    message = "repository 1 (/var/lib/pgbackrest1): 4.9 MB free, and a full backup takes about 12.0 MB"
    hint = "free or add space, or keep fewer backups: BACKUP_RETENTION_FULL in .env, then `make deploy`"
    assert said(refused.value) == (message, hint, Exit.REPOSITORY, True)


def test_a_full_disk_is_refused_for_the_smallest_backup(world: World, engine: FakePgbackrest) -> None:
    patch = with_room(world, engine, 0)
    with pytest.raises(NotReadyError, match=r"repository 1 \(/var/lib/pgbackrest1\): 0\.0 MB free\n"):
        warning(world, "diff")
    patch.undo()


def test_an_object_store_is_not_asked_for_space(world: World, engine: FakePgbackrest) -> None:
    patch = with_room(world, engine, 0, "s3")
    assert warning(world) is None
    patch.undo()


def test_a_directory_that_cannot_be_looked_at_is_no_lack_of_space(world: World, engine: FakePgbackrest) -> None:
    engine.info = make_info(FULL)
    world.reconfigure(replace(world.deployment, config=make_config()).config)
    assert warning(world) is None
