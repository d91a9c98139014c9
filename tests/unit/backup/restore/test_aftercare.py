"""What restores leave: kept until a backup since is good and their days are over, and told while it is half-done."""

from __future__ import annotations

import fcntl
from datetime import timedelta
from pathlib import Path

import pytest

from backup.due.agenda import Agenda
from backup.restore import aftercare, standing, tidying
from backup.restore.swap import journal, journal_file, orphan
from backup.restore.swap.journal import Journal, Kept, Step
from backup.state.history import Beginning, Ending
from contract import events
from tests.unit.backup.fakes import World
from tests.unit.backup.restore.swap.test_journal import make_swap

NAME = "previous-20260304-110000"


def keep(world: World, name: str = NAME) -> Path:
    """A cluster that a restore has replaced just now."""
    volume = world.volumes.database
    (volume / name / "global").mkdir(parents=True)
    (volume / name / "global" / "pg_control").touch()
    present = journal_file.load(volume)
    journal_file.save(volume, present.keeping(Kept(name, world.clock().timestamp(), "latest")))
    return volume / name


def back_up(world: World, what: str = "full", state: str = "succeeded") -> None:
    world.clock.advance(minutes=1)
    history = world.deployment.history
    run = history.begin(Beginning("backup", what, 1, "restore", "a test"), world.clock())
    history.end(run, Ending(state, 0, "x", ""), world.clock())  # type: ignore[arg-type]  # the words are States


# --- how long ---------------------------------------------------------------------------------------------------------


def test_it_stays_until_a_backup_has_succeeded(world: World) -> None:
    directory = keep(world)
    world.clock.advance(days=30)
    back_up(world, state="failed")
    (verdict,) = aftercare.verdicts(world.deployment, before_their_time=True)
    assert "no backup has succeeded since" in verdict.reason
    tidying.tidy(world.deployment)
    assert directory.exists()


def test_a_backup_from_before_is_none_since(world: World) -> None:
    back_up(world)
    world.clock.advance(minutes=1)
    keep(world)
    world.clock.advance(days=30)
    assert aftercare.verdicts(world.deployment)[0].reason != ""


def test_it_stays_for_its_days_and_goes_then(world: World) -> None:
    directory = keep(world)
    back_up(world)
    assert aftercare.verdicts(world.deployment)[0].reason == "until 2026-03-11 12:00:00 UTC"
    assert not tidying.is_due(world.deployment)
    world.clock.advance(days=7)
    assert tidying.is_due(world.deployment)
    assert tidying.tidy(world.deployment).state == "succeeded"
    assert not directory.exists()
    assert journal_file.load(world.volumes.database) == Journal()


def test_asked_for_it_goes_before(world: World) -> None:
    keep(world)
    back_up(world)
    assert [v.kept.name for v in tidying.remove_due(world.deployment, before_their_time=True)] == [NAME]
    assert list(world.volumes.database.iterdir()) == []


def test_one_that_no_journal_names_is_kept_from_the_change_of_its_name(world: World) -> None:
    (world.volumes.database / NAME).mkdir()
    (kept,) = aftercare.kept_clusters(world.volumes.database)
    assert kept.name == NAME
    assert kept.since > 1_700_000_000


def test_what_a_swap_is_about_is_not_judged(world: World) -> None:
    swap = make_swap()
    (world.volumes.database / swap.incoming).mkdir()
    journal_file.update(world.volumes.database, swap)
    assert aftercare.kept_clusters(world.volumes.database) == ()


def test_under_a_restore_nothing_is_removed(world: World) -> None:
    directory = keep(world)
    back_up(world)
    world.clock.advance(days=8)
    with world.volumes.operation_lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert tidying.tidy(world.deployment).state == "interrupted"
    assert directory.exists()


# --- tablespaces ------------------------------------------------------------------------------------------------------


def tablespace(world: World, cluster: str, of: str) -> Path:
    place = world.volumes.database / f"tablespaces-{of}" / "fast"
    place.mkdir(parents=True, exist_ok=True)
    links = world.volumes.database / cluster / "pg_tblspc"
    links.mkdir(parents=True)
    (links / "16400").symlink_to(place)
    return place


def test_a_directory_of_tablespaces_goes_with_the_last_cluster_that_points_to_it(world: World) -> None:
    keep(world)
    used, unused = tablespace(world, "data", "2"), tablespace(world, NAME, "1")
    back_up(world)
    tidying.remove_due(world.deployment, before_their_time=True)
    assert used.exists()
    assert not unused.parent.exists()


# --- the full backup after it -----------------------------------------------------------------------------------------


def test_the_supervisor_takes_a_full_backup_at_once_and_once(world: World) -> None:
    back_up(world)
    world.clock.advance(days=1, minutes=1)
    aftercare.ask_for_backup(world.deployment)
    agenda = Agenda(world.deployment)
    request = agenda.next(world.clock())
    assert request is not None
    assert (request.kind, request.repo, request.origin) == ("full", 1, "restore")
    back_up(world, state="failed")
    assert aftercare.wanted_backup(world.deployment, 1) == "full"
    back_up(world)
    assert agenda.next(world.clock()) is None


def test_many_restores_in_a_day_push_no_full_backup_out(world: World) -> None:
    """The second one takes a differential backup: what is kept by number must go on reaching as far back."""
    taken = []
    for _ in range(4):
        world.clock.advance(hours=1)
        aftercare.ask_for_backup(world.deployment)
        kind = aftercare.wanted_backup(world.deployment, 1)
        assert kind is not None
        taken.append(kind)
        back_up(world, kind)
        assert aftercare.wanted_backup(world.deployment, 1) is None
    assert taken == ["full", "diff", "diff", "diff"]


# --- cut off ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "severity", "words"),
    [
        ("building", "warning", "before it changed anything"),
        ("swapping", "critical", "THE DATABASE IS DOWN"),
        ("reverting", "critical", "THE DATABASE IS DOWN"),
        ("starting", "critical", "it may run already"),
    ],
)
def test_a_restore_that_nobody_carries_on_is_an_alarm(world: World, step: Step, severity: str, words: str) -> None:
    journal_file.update(world.volumes.database, make_swap(step=step))
    orphan.look(world.deployment)
    (raised,) = world.deployment.teller.alarms.raised()
    assert (raised.alarm.key, raised.alarm.event, raised.alarm.severity) == ("restore", events.RESTORE_CUT_OFF, severity)
    assert words in raised.alarm.message
    assert any(words in line for line in standing.lines(world.deployment))
    journal_file.update(world.volumes.database, None)
    orphan.look(world.deployment)
    assert world.deployment.teller.alarms.raised() == ()


def test_a_database_that_was_put_back_and_not_started_is_critical(world: World) -> None:
    """Killed on the way back, before the old database was started: its names are right, and nobody serves."""
    journal_file.update(world.volumes.database, make_swap(step="building", stopped=1.0))
    orphan.look(world.deployment)
    (raised,) = world.deployment.teller.alarms.raised()
    assert raised.alarm.severity == "critical"
    assert "may be down" in raised.alarm.message


def test_a_restore_that_is_carried_out_is_none(world: World) -> None:
    journal_file.update(world.volumes.database, make_swap(step="swapping"))
    with world.volumes.operation_lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        orphan.look(world.deployment)
        assert standing.lines(world.deployment) == [f"restore {make_swap().id} (latest) is under way: swapping"]
    assert world.deployment.teller.alarms.raised() == ()


def test_a_journal_that_cannot_be_read_is_an_alarm(world: World) -> None:
    (world.volumes.database / journal_file.NAME).write_text("{")
    orphan.look(world.deployment)
    assert [raised.alarm.severity for raised in world.deployment.teller.alarms.raised()] == ["critical"]
    with pytest.raises(journal_file.JournalError):
        journal_file.load(world.volumes.database)


def test_standing_names_what_is_kept_and_the_last_restore(world: World) -> None:
    keep(world)
    history = world.deployment.history
    run = history.begin(Beginning("restore", "pitr", 1, "manual", "a test"), world.clock())
    began = world.clock()
    world.clock.advance(seconds=90)
    ending = Ending("succeeded", 0, "x", "", restored_to="2026-03-04 11:00:00 UTC", downtime_seconds=1.4)
    history.end(run, ending, world.clock())
    assert began + timedelta(seconds=90) == world.clock()
    assert standing.lines(world.deployment) == [
        "no restore is under way",
        f"kept: {NAME}, replaced by latest (no backup has succeeded since; `make backup` takes one)",
        (
            "last restore: pitr to 2026-03-04 11:00:00 UTC, succeeded at 2026-03-04 12:00:00 UTC, took 1 min 30 s, "
            "downtime 1.4 s"
        ),
    ]


# --- the journal's file -----------------------------------------------------------------------------------------------


def test_an_empty_journal_has_no_file(tmp_path: Path) -> None:
    journal_file.save(tmp_path, Journal(make_swap()))
    assert journal_file.load(tmp_path).swap == make_swap()
    journal_file.save(tmp_path, Journal())
    assert list(tmp_path.iterdir()) == []


def test_the_entrypoint_understands_the_steps_that_hold_it() -> None:
    script = (Path(__file__).parents[4] / "config/postgres/entrypoint").read_text("utf-8")
    assert f"({'|'.join(sorted(journal.HOLDING, reverse=True))})" in script
    assert journal_file.NAME in script
