"""What the watcher, the supervisor and everybody who shows something make of a WAL emergency."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from backup import oplock
from backup.due.agenda import Agenda
from backup.emergency import begin, lever, waiting
from backup.emergency.gap import Gap
from backup.pgbackrest import ArchiveRange
from backup.state.gaps import Gaps
from backup.taking import preflight
from backup.taking.preflight import NotReadyError
from backup.watch.verdicts import Verdict
from backup.watch.watcher import Watch
from contract import events
from contract.exits import Exit
from contract.supervisor import Thresholds
from tests.unit.backup.fakes import NOON, FakePgbackrest, World, make_backup, make_config, make_info, make_wal
from tests.unit.backup.watch import conftest as disks

STUCK: dict[str, Any] = {"last_failed_wal": "000000010000000000000006", "last_failed_at": NOON, "failed_count": 3}
BEFORE_IT = "000000010000000000000019"
Type = Callable[..., tuple[int, str, str]]
disk = disks.disk


class Scene:
    """A watcher in its world."""

    def __init__(self, world: World) -> None:
        self.world, self.seconds = world, 0.0
        self.watch = Watch(lambda: self.seconds)

    def look(self) -> Verdict:
        self.world.clock.advance(minutes=1)
        self.seconds += 60.0
        return self.watch.once(self.world.deployment)

    def stick(self) -> None:
        self.world.postgres.wal = make_wal(ready_segments=20, oldest_ready_seconds=3600.0, **STUCK)

    @property
    def alarms(self) -> dict[str, str]:
        return {raised.alarm.key: raised.alarm.severity for raised in self.world.deployment.teller.alarms.raised()}

    @property
    def gaps(self) -> Gaps:
        return Gaps(self.world.deployment.store)


@pytest.fixture
def scene(world: World) -> Scene:
    return Scene(world)


def with_valve(world: World, percent: int) -> None:
    world.reconfigure(make_config().model_copy(update={"thresholds": Thresholds(emergency_free_percent=percent)}))


# --- the watcher ------------------------------------------------------------------------------------------------------


def test_it_is_a_state_of_its_own_and_takes_the_place_of_the_stall(scene: Scene) -> None:
    scene.stick()
    assert scene.look().archiver == "stalled"
    assert "archiver" in scene.alarms
    begin.pull(scene.world.deployment, "operator", scene.world.postgres.wal)
    verdict = scene.look()
    assert verdict.archiver == "emergency"
    assert scene.alarms == {"wal-emergency": "critical"}
    (standing,) = [each for each in verdict.standing if each.key == "wal-emergency"]
    assert "WAL EMERGENCY since 2026-03-04 12:01:00 UTC, an operator's decision" in standing.message
    assert "make wal-resume" in standing.hint


def test_it_is_told_again_every_day(scene: Scene) -> None:
    begin.pull(scene.world.deployment, "operator", scene.world.postgres.wal)
    scene.look()
    raised = scene.world.deployment.teller.alarms.raised()[0]
    scene.world.clock.advance(days=1)
    scene.look()
    assert scene.world.deployment.teller.alarms.raised()[0].told_at > raised.told_at


def test_a_lever_that_nobody_has_written_down_is_written_down(scene: Scene) -> None:
    """The command was killed between the lever and the record, or the state was lost."""
    pulled = lever.Lever(NOON - timedelta(hours=5), None, NOON - timedelta(hours=6), "valve")
    scene.world.postgres.wal = make_wal(archive_command=pulled.command())
    scene.look()
    assert scene.gaps.all() == (Gap(NOON - timedelta(hours=6), NOON - timedelta(hours=5)),)


def test_after_a_restore_or_a_reset_by_hand_the_backup_is_what_is_missing(scene: Scene) -> None:
    begin.pull(scene.world.deployment, "operator", scene.world.postgres.wal)
    scene.look()
    scene.world.postgres.reset_archive_command()
    scene.look()
    assert scene.gaps.pending(1) is not None
    assert scene.alarms == {"wal-emergency": "critical"}
    (raised,) = scene.world.deployment.teller.alarms.raised()
    assert "before the next backup" in raised.alarm.message


def test_when_the_backup_is_there_it_is_over(scene: Scene) -> None:
    begin.pull(scene.world.deployment, "operator", scene.world.postgres.wal)
    scene.world.postgres.reset_archive_command()
    scene.look()
    gap = scene.gaps.pending(1)
    assert gap is not None
    scene.gaps.learn(make_info(make_backup("20260304-150000F", annotations=gap.annotations())))
    scene.look()
    assert scene.alarms == {}


def test_it_keeps_out_of_the_way_of_a_command(scene: Scene) -> None:
    begin.pull(scene.world.deployment, "operator", scene.world.postgres.wal)
    scene.world.postgres.reset_archive_command()
    with held(scene.world):
        scene.look()
        assert scene.gaps.pending(1) is None
    scene.look()
    assert scene.gaps.pending(1) is not None


def held(world: World) -> Any:
    return oplock.hold(
        world.volumes.emergency_lock, "a command", patience_seconds=0, stop=world.stop, on_wait=lambda _holder: None
    )


# --- the valve --------------------------------------------------------------------------------------------------------


def test_the_valve_warns_then_opens_then_stays_open(scene: Scene, disk: disks.Disk) -> None:
    with_valve(scene.world, 10)
    scene.stick()
    disk.free = 14 * 10**9
    scene.look()
    assert scene.alarms["wal-valve"] == "critical"
    disk.free = 9 * 10**9
    scene.look()
    pulled = lever.read(scene.world.postgres.archive_command())
    assert pulled is not None
    assert pulled.by == "valve"
    assert scene.world.postgres.checkpoints == 1
    disk.free = 80 * 10**9
    scene.look()
    assert scene.look().archiver == "emergency"
    assert "wal-emergency" in scene.alarms
    assert "wal-valve" not in scene.alarms


def test_without_a_valve_nothing_is_given_up(scene: Scene, disk: disks.Disk) -> None:
    scene.stick()
    disk.free = 0
    scene.look()
    assert lever.read(scene.world.postgres.archive_command()) is None


def test_a_server_that_refuses_the_valve_ends_nothing(
    scene: Scene, disk: disks.Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_valve(scene.world, 10)
    scene.stick()
    disk.free = 0
    monkeypatch.setattr(scene.world.postgres, "checkpoint", lambda: scene.world.postgres.__setattr__("down", "gone"))
    scene.look()
    scene.world.postgres.down = ""
    assert scene.look().archiver == "emergency"


# --- the supervisor ---------------------------------------------------------------------------------------------------


def test_backups_wait_for_the_resume(scene: Scene) -> None:
    deployment = scene.world.deployment
    assert waiting.for_resume(deployment) == ""
    begin.pull(deployment, "operator", scene.world.postgres.wal)
    assert "all backups are taken after `make wal-resume`" in waiting.for_resume(deployment)
    scene.gaps.release(NOON, [1], NOON)
    with held(scene.world):
        assert waiting.for_resume(deployment) == "waiting for `make wal-resume` to take its backups"
    assert waiting.for_resume(deployment) == ""


def test_the_backup_that_is_missing_is_taken_by_itself(world: World, engine: FakePgbackrest) -> None:
    engine.info = make_info(make_backup())
    begin.pull(world.deployment, "operator", world.postgres.wal)
    agenda = Agenda(world.deployment)
    agenda.look_at(engine.info)
    assert agenda.next(NOON) is None
    Gaps(world.deployment.store).release(NOON, [1], NOON)
    request = agenda.next(NOON)
    assert request is not None
    assert (request.kind, request.origin) == ("full", "resume")


def test_a_backup_by_hand_is_refused(world: World, engine: FakePgbackrest) -> None:
    engine.info = make_info(make_backup())
    begin.pull(world.deployment, "operator", world.postgres.wal)
    with pytest.raises(NotReadyError) as refused:
        preflight.look(world.deployment, 1)
    assert (refused.value.exit_code, refused.value.retryable) == (Exit.EMERGENCY, True)
    assert "`make wal-resume`" in refused.value.hint


# --- the commands -----------------------------------------------------------------------------------------------------


def test_the_plan_asks_and_changes_nothing(world: World, engine: FakePgbackrest, command: Type) -> None:
    world.postgres.wal = make_wal(ready_segments=20, oldest_ready_seconds=3600.0, **STUCK)
    code, out, err = command("wal-emergency", "plan", "--directory", "dumps", "--free", "10000000000")
    assert code == Exit.NOT_CONFIRMED
    assert "  is freed    about 335.5 MB of WAL" in out
    assert "  local dump  fits: a dump of a database of 30.0 MB" in out
    assert "CONFIRM=yes" in err
    assert lever.read(world.postgres.archive_command()) is None
    assert command("wal-emergency", "plan", "--yes")[0] == Exit.OK


def test_it_is_pulled_and_may_be_pulled_again(world: World, engine: FakePgbackrest, command: Type) -> None:
    world.postgres.wal = make_wal(ready_segments=20, oldest_ready_seconds=3600.0, **STUCK)
    code, out, _ = command("wal-emergency", "pull")
    assert code == Exit.OK
    assert "until `make wal-resume`" in out
    code, out, _ = command("wal-emergency", "plan", "--yes")
    assert code == Exit.OK
    assert "the WAL emergency is on since 2026-03-04 12:00:00 UTC" in out
    assert command("wal-emergency", "pull")[0] == Exit.OK


def test_the_better_way_is_shown_and_nothing_done(world: World, engine: FakePgbackrest, command: Type) -> None:
    world.reconfigure(make_config(repositories=2))
    archive = (ArchiveRange(1, "17-1", None, None), ArchiveRange(2, "17-1", BEFORE_IT, BEFORE_IT))
    engine.info = make_info(make_backup(), make_backup(repo=2), archive=archive)
    world.postgres.wal = make_wal(ready_segments=20, oldest_ready_seconds=3600.0, **STUCK)
    code, out, err = command("wal-emergency", "plan", "--yes")
    assert code == Exit.EMERGENCY
    assert out.splitlines()[0].strip().startswith("BETTER")
    assert "receives all WAL" in err
    assert command("wal-emergency", "pull")[0] == Exit.EMERGENCY
    assert lever.read(world.postgres.archive_command()) is None
    assert command("wal-emergency", "pull", "--override")[0] == Exit.OK


def test_two_commands_do_not_meet(world: World, engine: FakePgbackrest, command: Type) -> None:
    world.deployment = replace(world.deployment)
    world.stop.set()  # no patience
    with held(world):
        assert command("wal-emergency", "pull")[0] == Exit.BUSY
        assert command("wal-resume")[0] == Exit.BUSY


def test_without_an_emergency_there_is_nothing_to_resume(world: World, engine: FakePgbackrest, command: Type) -> None:
    code, out, _ = command("wal-resume")
    assert (code, out) == (Exit.OK, "nothing to resume: no WAL emergency is on\n")


def test_every_screen_shows_the_gap(world: World, engine: FakePgbackrest, command: Type) -> None:
    told = Gap(NOON - timedelta(hours=6), NOON - timedelta(hours=5))
    engine.info = make_info(make_backup("20260304-100000F", annotations=told.annotations()))
    assert "no moment after 2026-03-04 06:00:00 UTC can be restored before" in command("info")[1]
    Gaps(world.deployment.store).learn(engine.info)
    assert "no moment after 2026-03-04 06:00:00 UTC" in command("history")[1]
    assert '"recovery_gaps": [\n    {\n      "since": "2026-03-04T06:00:00+00:00"' in command("history", "--output=json")[1]
    assert "no recovery    to a moment from 2026-03-04 06:00:00 UTC to 2026-03-04 10:00:00 UTC" in command("status")[1]


def test_the_end_is_told_once(scene: Scene) -> None:
    begin.pull(scene.world.deployment, "operator", scene.world.postgres.wal)
    scene.world.postgres.reset_archive_command()
    scene.look()
    gap = scene.gaps.pending(1)
    assert gap is not None
    scene.gaps.learn(make_info(make_backup("20260304-150000F", annotations=gap.annotations())))
    over: list[str] = []
    teller = scene.world.deployment.teller
    object.__setattr__(teller, "tell", lambda notice, **_given: over.append(notice.event))
    scene.look()
    scene.look()
    assert over == [events.WAL_RESUMED]


def test_while_archiving_works_the_command_refuses(world: World, engine: FakePgbackrest, command: Type) -> None:
    for verb in (("plan", "--yes"), ("pull", "--override")):
        code, _, err = command("wal-emergency", *verb)
        assert (code, "archiving works; nothing waits" in err) == (Exit.EMERGENCY, True)
    assert lever.read(world.postgres.archive_command()) is None
