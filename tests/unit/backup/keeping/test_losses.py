"""A repository that lost its backups is an alarm that names it, until it is whole again; whoever looks first notices it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from backup.keeping import losses
from backup.pgbackrest import Info, RepositoryStatus
from backup.process import Captured
from backup.state.lost import Lost
from backup.taking.jobs import BackupRequest, create_stanza, take_backup
from contract import events
from tests.unit.backup.fakes import NOON, FakePgbackrest, Reply, World, make_backup, make_config, make_info

OLD = make_backup("20260201-020000F")
SECOND = make_backup("20260225-020000F", repo=2)
NEW = make_backup("20260304-120100F")
BOTH = tuple(RepositoryStatus(key, "none", 0, "ok") for key in (1, 2))
EMPTY = (RepositoryStatus(1, "none", 1, "missing stanza path"), BOTH[1])


@pytest.fixture
def two(tmp_path: Path, engine: FakePgbackrest) -> Iterator[World]:
    """Two repositories, each with a backup, which the state knows of."""
    config = make_config(repositories=2)
    weeks = [each.model_copy(update={"window_seconds": 14 * 86_400}) for each in config.repositories]
    world = make_world_of(tmp_path, config.model_copy(update={"repositories": tuple(weeks)}))
    engine.info = make_info(OLD, SECOND)
    losses.remember(world.deployment, engine.info)
    yield world
    world.deployment.store.close()


def make_world_of(tmp_path: Path, config: object) -> World:
    from tests.unit.backup.fakes import make_world  # noqa: PLC0415 its name is a fixture's elsewhere

    return make_world(tmp_path, config)  # type: ignore[arg-type]  # a configuration


def alarms(world: World) -> dict[str, str]:
    return {raised.alarm.key: raised.alarm.message for raised in world.deployment.teller.alarms.raised()}


def told(world: World) -> list[str]:
    rows = world.deployment.store.rows("SELECT event FROM message ORDER BY id")
    return [row["event"] for row in rows if row["event"].startswith("repository.")]


def after(world: World, **by: float) -> None:
    world.clock.advance(**by)
    losses.judge(world.deployment)


def emptied(*backups: object) -> Info:
    return make_info(SECOND, repositories=EMPTY)


def test_as_long_as_all_is_there_nobody_is_asked_more_than_once_an_hour(two: World, engine: FakePgbackrest) -> None:
    for _ in range(120):
        after(two, minutes=1)
    assert alarms(two) == {}
    assert len(engine.ran) == 2 * 2


def test_an_emptied_repository_is_named_with_what_it_held_and_what_still_protects(
    two: World, engine: FakePgbackrest
) -> None:
    engine.info = emptied()
    after(two, hours=1)
    assert alarms(two) == {
        "repository:1": (
            "repository 1 (/var/lib/pgbackrest1) has lost its backups: it held 1 good backup, back to 2026-02-01 02:00 UTC; "
            "repository 2 reaches back to 2026-02-25 02:00 UTC"
        )
    }
    assert two.deployment.marks.get(losses.WITHOUT_STANZA) == [1]
    for _ in range(30):
        after(two, minutes=1)
    raised = two.deployment.teller.alarms.raised()
    assert [(each.alarm.event, each.alarm.severity) for each in raised] == [(events.REPOSITORY_LOST, "critical")]


def test_a_new_backup_in_it_does_not_end_the_alarm_but_the_old_ones_do(two: World, engine: FakePgbackrest) -> None:
    engine.info = emptied()
    after(two, hours=1)
    engine.info = make_info(NEW, SECOND)
    after(two, hours=1)
    assert "repository:1" in alarms(two)
    engine.info = make_info(OLD, NEW, SECOND)  # the right disk is mounted again
    after(two, hours=1)
    assert alarms(two) == {}


def test_it_ends_when_the_new_window_is_as_long_as_promised(two: World, engine: FakePgbackrest) -> None:
    engine.info = emptied()
    after(two, hours=1)
    engine.info = make_info(NEW, SECOND)
    after(two, days=13)
    assert "repository:1" in alarms(two)
    after(two, days=2)
    assert alarms(two) == {}


def test_it_ends_when_the_operator_knows_about_it(two: World, engine: FakePgbackrest) -> None:
    engine.info = emptied()
    after(two, hours=1)
    assert losses.acknowledge(two.deployment, 1) is not None
    after(two, minutes=1)
    assert alarms(two) == {}
    assert losses.acknowledge(two.deployment, 1) is None


def test_it_ends_when_the_repository_is_retired(two: World, engine: FakePgbackrest) -> None:
    engine.info = emptied()
    after(two, hours=1)
    config = two.deployment.config
    two.reconfigure(config.model_copy(update={"repositories": config.repositories[1:]}))
    engine.info = make_info(SECOND, repositories=BOTH[1:])
    after(two, minutes=1)
    assert alarms(two) == {}
    assert Lost(two.deployment.store).losses() == {}


def test_one_that_was_given_another_place_is_not_lost(two: World, engine: FakePgbackrest) -> None:
    """Setup tells about that, and refuses it where it can look."""
    config = two.deployment.config
    moved = config.repositories[0].model_copy(update={"location": "/srv/elsewhere"})
    two.reconfigure(config.model_copy(update={"repositories": (moved, config.repositories[1])}))
    engine.info = emptied()
    after(two, hours=1)
    assert alarms(two) == {}


def test_the_creation_of_the_stanza_notices_it_before_it_hides_it(two: World, engine: FakePgbackrest) -> None:
    """A restart of everything: the emptied repository gets its stanza, a full backup, and the alarm all the same."""
    engine.info = emptied()
    engine.script(Reply())
    assert create_stanza(two.deployment, print).state == "succeeded"
    engine.info = make_info(NEW, SECOND)
    losses.remember(two.deployment, engine.info)
    after(two, minutes=1)
    assert "repository:1" in alarms(two)


def test_so_does_a_backup_that_fails_for_it(two: World, engine: FakePgbackrest) -> None:
    engine.info = emptied()
    request = BackupRequest("diff", 1, "schedule", "scheduled for now")
    outcome = take_backup(two.deployment, request, 0)
    assert (outcome.state, outcome.retryable) == ("failed", True), "the supervisor creates the stanza, then it is taken"
    after(two, minutes=1)
    assert "repository:1" in alarms(two)


def test_nothing_is_lost_where_nothing_ever_was(two: World, engine: FakePgbackrest) -> None:
    two.deployment.marks.put("backups.known", None)
    engine.info = emptied()
    losses.remember(two.deployment, engine.info)
    after(two, hours=2)
    assert alarms(two) == {}


# --- out of reach -----------------------------------------------------------------------------------------------------


def unreadable(message: str) -> Info:
    return make_info(SECOND, repositories=(RepositoryStatus(1, "none", 99, message), BOTH[1]))


def test_one_that_does_not_answer_is_an_alarm_after_as_long_as_a_backup_may_be_late(
    two: World, engine: FakePgbackrest
) -> None:
    engine.info = unreadable("[HostConnectError] timeout connecting")
    after(two, minutes=61)
    assert alarms(two) == {}
    for _ in range(130):
        after(two, minutes=1)
    assert "repository:1" in alarms(two)
    message = alarms(two)["repository:1"]
    assert message.startswith("repository 1 (/var/lib/pgbackrest1) has not been readable since 2026-03-04 13:01 UTC")
    assert message.endswith("back to 2026-02-01 02:00 UTC; repository 2 reaches back to 2026-02-25 02:00 UTC")
    engine.info = make_info(OLD, SECOND)
    after(two, minutes=6)
    assert alarms(two) == {}


def test_one_whose_store_says_that_it_is_gone_is_an_alarm_at_once(two: World, engine: FakePgbackrest) -> None:
    engine.info = unreadable("[ProtocolError] HTTP request failed with 404 (Not Found): <Code>NoSuchBucket</Code>")
    after(two, minutes=61)
    assert alarms(two)["repository:1"].startswith("repository 1 (/var/lib/pgbackrest1) is gone: ")


def test_a_repository_that_swallows_the_question_is_one_that_does_not_answer(two: World, engine: FakePgbackrest) -> None:
    engine.captured = {"--repo=1": Captured(-9, b"", "")}
    after(two, minutes=61)
    for _ in range(150):
        after(two, minutes=1)
    assert "no answer within 8 s" in alarms(two)["repository:1"]


def test_what_lasts_is_looked_at_every_five_minutes(two: World, engine: FakePgbackrest) -> None:
    engine.info = emptied()
    after(two, hours=1)
    before = len(engine.ran)
    for _ in range(60):
        after(two, minutes=1)
    assert 20 <= len(engine.ran) - before <= 26


def test_what_is_known_survives_another_release(two: World) -> None:
    """Holdings without a count, as they were written before."""
    kept = two.deployment.marks.get("backups.known")
    for each in kept.values():
        del each["count"], each["location"]
    two.deployment.marks.put("backups.known", kept)
    lost = replace(make_info(SECOND), repositories=EMPTY)
    losses.remember(two.deployment, lost)
    (loss,) = Lost(two.deployment.store).losses().values()
    assert (loss.repo, loss.count, loss.at) == (1, 1, NOON)
    assert loss.at - loss.earliest > timedelta(days=30)
