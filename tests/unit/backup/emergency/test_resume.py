"""The way back: refused while a repository is dead, undone when WAL does not arrive, ended by a full backup in each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from backup.emergency import begin, lever, resume
from backup.emergency.resume import StaysError
from backup.process import Captured
from backup.state.gaps import Gaps
from contract.errors import ProductError
from tests.unit.backup.fakes import NOON, FakePgbackrest, Reply, World, make_backup, make_config, make_info, make_wal

LABEL = "20260304-130000F"


@pytest.fixture
def said() -> list[str]:
    return []


def pulled(world: World) -> lever.Lever:
    found = begin.pull(world.deployment, "operator", world.postgres.wal)
    world.clock.advance(hours=1)
    world.postgres.switched = "000000010000000000000006"
    world.postgres.archived = "000000010000000000000006"
    return found


def annotated(world: World, label: str = LABEL, repo: int = 1) -> object:
    gap = Gaps(world.deployment.store).all()[0]
    return make_backup(label, repo=repo, annotations=gap.annotations())


def taking(engine: FakePgbackrest, world: World, *labels: str) -> None:
    """Let each backup that is taken be listed, with the annotations that it was asked to have."""

    def take(label: str, repo: int) -> Callable[[], None]:
        def change() -> None:
            written = tuple(
                tuple(word.removeprefix("--annotation=").split("=", 1))
                for word in engine.ran[-1]
                if word.startswith("--annotation=")
            )
            new = make_backup(label, repo=repo, annotations=written)
            engine.info = make_info(*engine.info.backups, new)

        return change

    engine.script(*(Reply(does=take(label, repo)) for repo, label in enumerate(labels, 1)))


def test_there_is_nothing_to_resume(world: World, engine: FakePgbackrest, said: list[str]) -> None:
    assert resume.resume(world.deployment, said.append) is None
    assert engine.verbs == []


def test_it_ends_with_a_full_backup_that_tells_of_the_gap(world: World, engine: FakePgbackrest, said: list[str]) -> None:
    pulled(world)
    taking(engine, world, LABEL)
    found = resume.resume(world.deployment, said.append)
    assert found is not None
    assert (found.label, found.until) == (LABEL, NOON + timedelta(hours=1))
    assert "pgbackrest" in world.postgres.archive_command()
    (taken,) = [argv for argv in engine.ran if "backup" in argv]
    assert "--type=full" in taken
    assert f"--annotation=wal-gap-began={NOON.isoformat()}" in taken
    assert Gaps(world.deployment.store).current() is None
    assert world.deployment.teller.alarms.raised() == ()


def test_the_archive_tells_where_the_gap_begins(world: World, engine: FakePgbackrest, said: list[str]) -> None:
    pulled(world)
    taking(engine, world, LABEL)
    commit = "rmgr: Transaction len (rec/tot): 34/34, tx: 738, desc: COMMIT 2026-03-04 11:42:0{}.123456 UTC; inval\n"
    engine.wal_dump = (commit.format(4) + commit.format(5)).encode()
    found = resume.resume(world.deployment, said.append)
    assert found is not None
    assert found.since == datetime(2026, 3, 4, 11, 42, 5, 123456, tzinfo=UTC)


def test_when_nobody_knows_what_was_archived_last_the_repository_does(
    world: World, engine: FakePgbackrest, said: list[str]
) -> None:
    world.postgres.wal = make_wal(last_archived_wal=None, last_archived_at=None)
    engine.wal_dump = b"desc: COMMIT 2026-03-04 11:42:05.123456 UTC\n"
    pulled(world)
    taking(engine, world, LABEL)
    found = resume.resume(world.deployment, said.append)
    assert found is not None
    assert found.since == datetime(2026, 3, 4, 11, 42, 5, 123456, tzinfo=UTC)
    assert [argv[-2] for argv in engine.ran if "archive-get" in argv] == [engine.info.archive[0].last]


def test_without_a_commit_it_looks_further_back(world: World, engine: FakePgbackrest, said: list[str]) -> None:
    pulled(world)
    taking(engine, world, LABEL)
    found = resume.resume(world.deployment, said.append)
    assert found is not None
    assert found.since == NOON - timedelta(minutes=1)
    asked = [argv[-2] for argv in engine.ran if "archive-get" in argv]
    assert asked[:3] == ["000000010000000000000005", "000000010000000000000004", "000000010000000000000003"]


def test_a_dead_repository_leaves_everything_as_it_is(world: World, engine: FakePgbackrest, said: list[str]) -> None:
    before = pulled(world)
    engine.info_files["archive/salespider/archive.info"] = Captured(49, b"", "[HostConnectError] no route")
    with pytest.raises(StaysError, match="the WAL emergency goes on"):
        resume.resume(world.deployment, said.append)
    assert lever.read(world.postgres.archive_command()) == before
    assert engine.ran == []


def test_wal_that_does_not_arrive_pulls_the_lever_again(world: World, engine: FakePgbackrest, said: list[str]) -> None:
    before = pulled(world)
    world.postgres.archived = "000000010000000000000005"
    with pytest.raises(StaysError, match="000000010000000000000006 does not arrive"):
        resume.resume(world.deployment, said.append)
    assert lever.read(world.postgres.archive_command()) == before
    current = Gaps(world.deployment.store).current()
    assert current is not None
    assert not current.is_released


def test_every_repository_gets_its_backup(world: World, engine: FakePgbackrest, said: list[str]) -> None:
    world.reconfigure(make_config(repositories=2))
    engine.info = make_info(make_backup("20260301-020000F"), make_backup("20260301-030000F", repo=2))
    pulled(world)
    taking(engine, world, LABEL, "20260304-133000F")
    found = resume.resume(world.deployment, said.append)
    assert found is not None
    assert found.label == LABEL
    assert Gaps(world.deployment.store).current() is None


def test_killed_after_the_lever_it_goes_on_with_the_backup(world: World, engine: FakePgbackrest, said: list[str]) -> None:
    pulled(world)
    world.postgres.reset_archive_command()
    taking(engine, world, LABEL)
    found = resume.resume(world.deployment, said.append)
    assert found is not None
    assert found.label == LABEL
    assert resume.resume(world.deployment, said.append) is None


def test_a_backup_that_fails_leaves_the_gap_open(world: World, engine: FakePgbackrest, said: list[str]) -> None:
    pulled(world)
    engine.script(Reply(exit_code=103))
    with pytest.raises(ProductError) as failed:
        resume.resume(world.deployment, said.append)
    assert "the supervisor tries again by itself" in failed.value.hint
    gap = Gaps(world.deployment.store).pending(1)
    assert gap is not None
    assert gap.is_released
