"""Several repositories, each asked alone: one that fails or is silent takes nobody else's answer with it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backup.keeping import losses, reach
from backup.pgbackrest import RepositoryStatus
from backup.process import Captured
from backup.showing import status
from backup.taking import jobs
from backup.watch import look
from tests.unit.backup.fakes import FakePgbackrest, World, make_backup, make_config, make_info

OLD, SECOND = make_backup("20260301-020000F"), make_backup("20260302-020000F", repo=2)


@pytest.fixture
def two(world: World, engine: FakePgbackrest) -> World:
    world.reconfigure(make_config(repositories=2))
    engine.info = make_info(OLD, SECOND)
    return world


def test_together_they_say_what_they_would_have_said_at_once(two: World, engine: FakePgbackrest) -> None:
    found = jobs.read_info(two.deployment)
    assert [(backup.repo, backup.label) for backup in found.backups] == [(1, OLD.label), (2, SECOND.label)]
    assert [repository.key for repository in found.repositories] == [1, 2]
    assert {cluster.repo for cluster in found.clusters} == {archive.repo for archive in found.archive} == {1, 2}
    assert len(engine.ran) == 2


@pytest.mark.parametrize(
    "answer", [Captured(-9, b"", ""), Captured(49, b"", "ERROR: [049]: timeout"), Captured(0, b"?", "")]
)
def test_one_that_fails_stands_there_as_unreadable(two: World, engine: FakePgbackrest, answer: Captured) -> None:
    engine.captured = {"--repo=1": answer}
    found = jobs.read_info(two.deployment)
    assert [(repository.key, repository.is_usable) for repository in found.repositories] == [(1, False), (2, True)]
    assert [backup.repo for backup in found.backups] == [2]
    assert [window.repo for window in reach.windows(found, None)] == [2]


def test_one_that_was_dead_earlier_in_an_operation_is_not_waited_for_again(two: World, engine: FakePgbackrest) -> None:
    engine.captured = {"--repo=1": Captured(49, b"", "ERROR: [049]: timeout")}
    earlier = jobs.read_info(two.deployment)
    engine.ran.clear()
    found = jobs.read_info(two.deployment, earlier=earlier)
    assert [argv for argv in engine.ran if "--repo=1" in argv] == []
    assert found == earlier


def test_only_when_nobody_answers_it_is_an_error(two: World, engine: FakePgbackrest) -> None:
    engine.info_answer = Captured(49, b"", "ERROR: [049]: timeout")
    with pytest.raises(jobs.RepositoryError, match="host-connect"):
        jobs.read_info(two.deployment)


def test_a_window_is_taken_over_by_the_next_one(two: World) -> None:
    both = make_info(OLD, SECOND)
    source = reach.source(reach.windows(both, None))
    assert source is not None
    assert source.repo == 1
    lost = make_info(SECOND, repositories=(RepositoryStatus(1, "none", 99, "gone"), both.repositories[1]))
    source = reach.source(reach.windows(lost, None))
    assert source is not None
    assert (source.repo, source.earliest) == (2, SECOND.stopped)


def test_a_repository_that_was_just_added_is_not_late(
    two: World, engine: FakePgbackrest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make deploy` shows the status while its first backup is under way."""
    monkeypatch.setattr(look, "volumes", lambda _deployment: ())
    two.clock.now = OLD.stopped + timedelta(hours=1)
    engine.info = make_info(OLD, repositories=(*make_info(OLD).repositories, RepositoryStatus(2, "none", 2, "no backup")))

    def late() -> list[str]:
        return [cause.key for cause in status.gather(two.deployment).causes if cause.key.startswith("late:2")]

    assert late() == [], "nobody has seen it yet"
    jobs_seen = jobs.read_info(two.deployment)
    losses.remember(two.deployment, jobs_seen)
    assert late() == []
    two.clock.advance(hours=3)
    assert late() == ["late:2:full"]
