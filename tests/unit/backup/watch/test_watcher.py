"""The watcher: what it keeps, what it tells, and that it neither dies of a failure nor hides its death."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from backup.state.store import Store
from backup.watch.outage import WORKS_AGAIN
from backup.watch.samples import Samples
from backup.watch.verdicts import Verdict
from backup.watch.watcher import Watch, Watcher
from contract import events
from contract.supervisor import Thresholds
from tests.unit.backup.fakes import MEBIBYTE, NOON, SEGMENT, World, make_wal
from tests.unit.backup.watch.conftest import Disk

GIGABYTE = 10**9
STUCK: dict[str, Any] = {"last_failed_wal": "000000010000000000000006", "last_failed_at": NOON, "failed_count": 3}


class Scene:
    """A watch in its world; the clock that is never set goes with the other unless told otherwise."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.seconds = 0.0
        self.watch = Watch(lambda: self.seconds)

    def look(self, **later: float) -> Verdict:
        later = later or {"minutes": 1}
        self.world.clock.advance(**later)
        self.seconds += timedelta(**later).total_seconds()
        return self.watch.once(self.world.deployment)

    def restart(self) -> None:
        self.seconds = 0.0
        self.watch = Watch(lambda: self.seconds)

    @property
    def samples(self) -> Samples:
        return Samples(self.world.deployment.store)

    @property
    def alarms(self) -> dict[str, str]:
        return {raised.alarm.key: raised.alarm.severity for raised in self.world.deployment.teller.alarms.raised()}


@pytest.fixture
def scene(world: World) -> Scene:
    return Scene(world)


def stick(world: World, segments: int, minutes: float) -> None:
    world.postgres.wal = make_wal(ready_segments=segments, oldest_ready_seconds=minutes * 60, **STUCK)


def test_each_look_is_kept_with_its_rate(scene: Scene) -> None:
    scene.look()
    scene.world.postgres.wal = make_wal(wal_position=6 * SEGMENT + 60 * MEBIBYTE)
    scene.look()
    first, second = scene.samples.recent(scene.world.clock.now, timedelta(hours=1))
    assert (first.wal_rate, first.wal_rate_smoothed) == (None, None)
    assert (second.wal_rate, second.wal_rate_smoothed) == (MEBIBYTE, MEBIBYTE)
    assert second.at - first.at == timedelta(minutes=1)
    assert (second.volumes[0].name, second.volumes[0].also) == ("data", ("log", "state"))
    assert second.volumes[0].used_percent == pytest.approx(20)


def test_the_rate_outlives_a_restart_and_the_time_without_a_supervisor(scene: Scene) -> None:
    scene.look()
    scene.world.postgres.wal = make_wal(wal_position=6 * SEGMENT + 60 * MEBIBYTE)
    scene.look()
    scene.restart()
    scene.world.postgres.wal = make_wal(wal_position=6 * SEGMENT + 60 * MEBIBYTE + 600 * MEBIBYTE)
    scene.look(minutes=5)
    last = scene.samples.last(scene.world.clock.now)
    assert last is not None
    assert last.wal_rate == 2 * MEBIBYTE
    assert last.wal_rate_smoothed is not None
    assert MEBIBYTE < last.wal_rate_smoothed < 2 * MEBIBYTE


def test_a_clock_that_is_set_does_not_touch_the_rate(scene: Scene) -> None:
    scene.look()
    for number, jump in enumerate((timedelta(days=1), -timedelta(days=2), timedelta(0)), start=1):
        scene.world.clock.now += jump
        scene.world.postgres.wal = make_wal(wal_position=6 * SEGMENT + number * 60 * MEBIBYTE)
        scene.look()
        last = scene.samples.last(scene.world.clock.now)
        assert last is not None
        assert last.wal_rate_smoothed == MEBIBYTE


def test_a_database_that_was_away_leaves_the_rate_as_it_was_and_then_counts_on(scene: Scene) -> None:
    scene.look()
    scene.world.postgres.wal = make_wal(wal_position=6 * SEGMENT + 60 * MEBIBYTE)
    scene.look()
    scene.world.postgres.down = "connection refused"
    scene.look()
    last = scene.samples.last(scene.world.clock.now)
    assert last is not None
    assert (last.wal, last.wal_rate, last.wal_rate_smoothed) == (None, None, MEBIBYTE)
    assert last.problem == "connection refused"
    scene.world.postgres.down = ""
    scene.world.postgres.wal = make_wal(wal_position=6 * SEGMENT + 180 * MEBIBYTE)
    scene.look()
    last = scene.samples.last(scene.world.clock.now)
    assert last is not None
    assert last.wal_rate == MEBIBYTE


def test_a_stall_is_an_alarm_and_its_end_is_told(scene: Scene) -> None:
    scene.look()
    stick(scene.world, 12, 11)
    with capture_logs() as logged:
        scene.look()
        scene.look()
        scene.restart()
        scene.look()
        assert scene.alarms == {"archiver": "warning"}
        scene.world.postgres.wal = make_wal(
            last_archived_wal="000000010000000000000011", last_archived_at=NOON + timedelta(1)
        )
        scene.look()
        scene.look()
    told = [(entry["event"], entry["message"]) for entry in logged]
    assert [event for event, _ in told] == [events.ARCHIVER_STALLED, events.ARCHIVER_RECOVERED]
    assert "12 WAL segments (201.3 MB) wait, the oldest for 11 min 0 s" in told[0][1]
    assert "12 WAL segments (201.3 MB) caught up" in told[1][1]
    assert scene.alarms == {}


def test_a_disk_that_fills_is_told_at_each_threshold(scene: Scene, disk: Disk) -> None:
    """Three gigabytes a minute into a disk of ten terabytes, half a terabyte of it in reserve, with nothing archived."""
    config = scene.world.deployment.config
    config = config.model_copy(update={"thresholds": Thresholds(disk_percent=99)})
    scene.world = replace(scene.world, deployment=replace(scene.world.deployment, config=config))
    disk.total = 10_000 * GIGABYTE
    stick(scene.world, 100, 30)
    scene.look()
    with capture_logs() as logged:
        for hours in (30, 23.5, 22, 5.5, 0.5, 0.4):
            disk.free = round((500 + hours * 180 * 1.2) * GIGABYTE)
            wal = scene.world.postgres.wal
            scene.world.postgres.wal = replace(wal, wal_position=wal.wal_position + 3 * GIGABYTE)
            scene.look()
    told = [(entry["log_level"], entry["message"]) for entry in logged if entry["event"] == events.DISK_FILLING]
    assert [level for level, _ in told] == ["warning", "warning", "error"]
    assert [message.partition("full in ")[2].partition(" at")[0] for _, message in told] == [
        "23 h 30 min",
        "5 h 30 min",
        "30 min 0 s",
    ]


def test_a_database_that_is_away_for_minutes_is_an_alarm(scene: Scene) -> None:
    scene.world.postgres.down = "connection refused"
    for _ in range(5):
        scene.look()
    assert scene.alarms == {}
    scene.look()
    assert scene.alarms == {"database": "critical"}
    scene.world.postgres.down = ""
    scene.look()
    assert scene.alarms == {}


def test_the_time_without_a_supervisor_says_nothing_about_the_database(scene: Scene) -> None:
    scene.world.postgres.down = "connection refused"
    scene.look()
    scene.restart()
    scene.look(hours=5)
    assert scene.alarms == {}


def test_a_stall_that_ended_while_nobody_looked_is_told_with_all_that_is_known(scene: Scene) -> None:
    stick(scene.world, 12, 11)
    scene.look()
    scene.restart()
    scene.world.postgres.wal = make_wal(last_archived_wal="000000010000000000000011", last_archived_at=NOON + timedelta(1))
    with capture_logs() as logged:
        scene.look()
    assert [entry["message"] for entry in logged] == [
        "archiving works again after 12 min 0 s; 12 WAL segments (201.3 MB) caught up"
    ]


def test_what_only_root_may_fill_is_not_free(scene: Scene, disk: Disk) -> None:
    disk.reserved = 5 * 10**9
    scene.look()
    last = scene.samples.last(scene.world.clock.now)
    assert last is not None
    assert last.volumes[0].free_bytes == pytest.approx(80 * 10**9, abs=10_000)
    assert last.volumes[0].used_percent == pytest.approx(20)


def test_an_alarm_that_nobody_remembers_ends_with_the_facts(scene: Scene) -> None:
    stick(scene.world, 12, 11)
    scene.look()
    scene.world.deployment.marks.put("watch", None)
    scene.restart()
    scene.world.postgres.wal = make_wal()
    scene.look()
    assert scene.alarms == {}


def test_a_store_that_cannot_be_written_is_logged_and_alarms_are_told_all_the_same(scene: Scene, tmp_path: Path) -> None:
    scene.look()
    scene.world.deployment.store.write("PRAGMA query_only = ON")
    stick(scene.world, 12, 11)
    with capture_logs() as logged:
        scene.look()
    scene.world.deployment.store.write("PRAGMA query_only = OFF")
    assert {events.ARCHIVER_STALLED, events.SAMPLE_LOST} <= {entry["event"] for entry in logged}


def test_a_repository_in_an_object_store_has_no_volume(scene: Scene, tmp_path: Path) -> None:
    (posix,) = scene.world.deployment.config.repositories
    here = posix.model_copy(update={"directory": str(tmp_path)})
    away = posix.model_copy(update={"key": 2, "type": "s3"})
    gone = posix.model_copy(update={"key": 3, "directory": str(tmp_path / "gone")})
    config = scene.world.deployment.config.model_copy(update={"repositories": (here, away, gone)})
    verdict_of = scene.watch.once(replace(scene.world.deployment, config=config))
    assert verdict_of.safe_hours is None
    last = scene.samples.last(scene.world.clock.now)
    assert last is not None
    assert [volume.title for volume in last.volumes] == ["data (also repository1, log, state)", "repository3"]
    assert last.volumes[1].free_bytes is None


# --- the thread -------------------------------------------------------------------------------------------------------


def until(condition: Any) -> None:
    for _ in range(500):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("not within 5 s")


def test_it_looks_at_once_and_again_and_ends_when_told(world: World) -> None:
    stop = threading.Event()
    watcher = Watcher(lambda: world.deployment, stop, interval_seconds=0.02)
    watcher.start()
    count = "SELECT count(*) FROM sample"
    until(lambda: world.deployment.store.rows("SELECT name FROM sqlite_master WHERE name = 'sample'"))
    until(lambda: world.deployment.store.rows(count)[0][0] >= 1)
    world.clock.advance(minutes=1)
    until(lambda: world.deployment.store.rows(count)[0][0] >= 2)
    assert watcher.is_alive()
    stop.set()
    watcher.finish(5)
    assert not watcher.is_alive()
    assert watcher.failure is None


def test_the_deployment_in_force_is_asked_for_at_each_look(world: World) -> None:
    stop, given = threading.Event(), list[int]()

    def supply() -> Any:
        given.append(1)
        if len(given) == 3:
            stop.set()
        return world.deployment

    watcher = Watcher(supply, stop, interval_seconds=0.02)
    watcher.start()
    watcher.finish(5)
    assert len(given) == 3


def test_what_nobody_foresaw_ends_the_thread_with_the_error_kept_and_logged(world: World) -> None:
    def supply() -> Any:
        raise ZeroDivisionError

    watcher = Watcher(supply, threading.Event())
    with capture_logs() as logged:
        watcher.start()
        watcher.finish(5)
    assert not watcher.is_alive()
    assert isinstance(watcher.failure, ZeroDivisionError)
    assert [(entry["event"], entry["thread"]) for entry in logged] == [(events.SUPERVISOR_THREAD_DIED, "watcher")]


@pytest.mark.parametrize(("now", "seconds"), [(0.0, 60.0), (10.0, 50.0), (44.0, 16.0), (50.0, 70.0), (59.9, 60.1)])
def test_looks_are_aligned_to_the_minute(world: World, now: float, seconds: float) -> None:
    watcher = Watcher(lambda: world.deployment, threading.Event())
    assert watcher._until_next(1_800_000_000 + now) == pytest.approx(seconds)


def test_a_store_that_is_no_more_does_not_end_the_thread(world: World, tmp_path: Path) -> None:
    store = Store(tmp_path / "other.sqlite")
    deployment = replace(world.deployment, store=store)
    _ = deployment.teller
    store.close()
    with capture_logs() as logged:
        Watch().once(deployment)
    assert events.SAMPLE_LOST in {entry["event"] for entry in logged}


# --- an outage --------------------------------------------------------------------------------------------------------


def complain(
    world: World,
    text: str = "104\nraised:\nrepo1: [HostConnectError] unable to connect to 'store:9': [111] Connection refused\n",
) -> Path:
    """Leave an error file in the spool, as archiving does."""
    out = world.volumes.archive_spool / "archive" / world.deployment.config.stanza / "out"
    out.mkdir(parents=True, exist_ok=True)
    file = out / "000000010000000000000006.error"
    file.write_text(text)
    return file


def test_what_the_spool_says_for_a_moment_is_in_the_alarm(scene: Scene) -> None:
    stick(scene.world, 5, 30)
    scene.look()
    assert scene.watch.is_behind
    file = complain(scene.world)
    scene.watch.glance(scene.world.deployment)
    file.unlink()
    scene.watch.glance(scene.world.deployment)
    scene.look()
    (raised,) = scene.world.deployment.teller.alarms.raised()
    assert "repository 1 (/var/lib/pgbackrest1) takes no WAL: store:9 refuses the connection" in raised.alarm.message


def test_what_is_said_before_archiving_is_late_is_known_when_it_is(scene: Scene) -> None:
    """The first attempt may end between the look at which something waits and the one at which that is a failure."""
    scene.look()
    assert not scene.watch.is_behind
    scene.world.postgres.wal = make_wal(ready_segments=1, oldest_ready_seconds=20.0)
    scene.look()
    assert scene.watch.is_behind
    complain(scene.world)
    scene.watch.glance(scene.world.deployment)
    stick(scene.world, 5, 30)
    scene.look()
    assert scene.alarms == {"archiver": "warning"}
    assert scene.watch.once(scene.world.deployment).memory.refusals is not None


def test_the_moment_at_which_archiving_works_again_is_kept(scene: Scene) -> None:
    marks = scene.world.deployment.marks
    stick(scene.world, 5, 1)
    scene.look()
    assert marks.moment(WORKS_AGAIN) is None
    scene.restart()
    scene.world.postgres.down = "connection refused"
    scene.look()
    scene.world.postgres.down = ""
    scene.look()
    assert marks.moment(WORKS_AGAIN) is None, "it still fails"
    scene.world.postgres.wal = make_wal(last_archived_at=scene.world.clock.now)
    scene.look()
    assert marks.moment(WORKS_AGAIN) == scene.world.clock.now
    scene.look()
    assert marks.moment(WORKS_AGAIN) == scene.world.clock.now - timedelta(minutes=1), "once"


def test_an_idle_server_is_made_to_archive_something_every_quarter_of_an_hour(scene: Scene) -> None:
    postgres = scene.world.postgres
    switches = []
    for _ in range(46):
        scene.look()
        switches.append(postgres.switches)
    assert switches[-1] == 3
    assert switches[12] == 0
    postgres.down = "connection refused"
    scene.look(minutes=30)
    assert postgres.switches == 3
