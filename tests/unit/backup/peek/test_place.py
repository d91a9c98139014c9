"""Where a peek lies, that there is one, and what is removed."""

from __future__ import annotations

import pytest

from backup import oplock
from backup.peek import leftover, place
from backup.peek.place import PeekError
from backup.restore.swap import journal_file
from backup.restore.swap.journal import Journal
from contract.exits import Exit
from tests.unit.backup.fakes import NOON, World
from tests.unit.backup.restore.swap.test_journal import make_swap


def lying(world: World, name: str) -> None:
    directory = world.volumes.database / name
    (directory / "data" / "global").mkdir(parents=True)
    (directory / "data" / "global" / "pg_control").write_text("")


def names(world: World) -> list[str]:
    return sorted(path.name for path in world.volumes.database.iterdir())


def test_it_is_made_and_removed(world: World) -> None:
    made = place.at(world.volumes.database, NOON)
    made.make()
    assert names(world) == ["peek-20260304-120000"]
    assert {path.name for path in made.root.iterdir()} == {"data", "tablespaces"}
    assert made.data.stat().st_mode & 0o777 == 0o700
    made.remove()
    assert names(world) == []


def test_only_directories_of_peeks_are_tidied_away(world: World) -> None:
    for name in ("data", "restore-20260304-120000", "peek-20260304-120000", "peek-mine"):
        lying(world, name)
    assert place.tidy(world.volumes.database) == ("peek-20260304-120000",)
    assert names(world) == ["data", "peek-mine", "restore-20260304-120000"]


def test_a_second_one_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "PATIENCE_SECONDS", 0)
    assert not place.is_open(world.volumes)
    with place.hold(world.deployment):
        assert place.is_open(world.volumes)
        with pytest.raises(PeekError) as error, place.hold(world.deployment):
            pass
    assert error.value.exit_code == Exit.PEEK
    assert not place.is_open(world.volumes)


def test_a_peek_holds_up_no_backup(world: World) -> None:
    with (
        place.hold(world.deployment),
        oplock.hold(world.volumes.operation_lock, "full backup", patience_seconds=0, stop=world.stop, on_wait=print),
    ):
        place.require_no_restore(world.deployment)


def test_it_is_refused_during_a_restore_only(world: World) -> None:
    lock = world.volumes.operation_lock
    with (
        oplock.hold(lock, "restore (latest)", patience_seconds=0, stop=world.stop, on_wait=print),
        pytest.raises(PeekError) as error,
    ):
        place.require_no_restore(world.deployment)
    assert error.value.message.startswith("peek: a restore is under way: restore (latest) (since ")
    place.require_no_restore(world.deployment)


def test_it_is_refused_while_a_restore_is_half_done(world: World) -> None:
    journal_file.save(world.volumes.database, Journal(make_swap()))
    with pytest.raises(PeekError, match="half-done"):
        place.require_no_restore(world.deployment)


def alarms(world: World) -> list[str]:
    return [raised.alarm.key for raised in world.deployment.teller.alarms.raised()]


def test_what_a_killed_one_has_left_is_an_alarm_until_it_is_gone(world: World) -> None:
    leftover.look(world.deployment)
    assert alarms(world) == []
    lying(world, "peek-20260304-120000")
    with place.hold(world.deployment):
        leftover.look(world.deployment)
    assert alarms(world) == [], "an open one is no leftover"
    leftover.look(world.deployment)
    assert alarms(world) == ["peek"]
    place.tidy(world.volumes.database)
    leftover.look(world.deployment)
    assert alarms(world) == []
