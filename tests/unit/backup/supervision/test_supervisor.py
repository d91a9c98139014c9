"""The loop's decisions, tick by tick, with a clock that moves when told to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from backup.deployment import BackupsOffError, ConfigurationError
from backup.ownership import identity
from backup.pgbackrest import RepositoryStatus
from backup.process import Captured
from backup.state.history import History
from backup.state.store import StoreError
from backup.supervision.runner import Job, Runner
from backup.supervision.supervisor import Supervisor
from backup.taking.jobs import Outcome
from backup.watch.outage import WORKS_AGAIN
from contract import events, paths
from contract.exits import Exit
from tests.unit.backup.fakes import FakePgbackrest, Reply, World, make_backup, make_config, make_info, make_world, runs_of

FULL = make_backup("20260301-020000F")


class InlineRunner(Runner):
    """Does a job when `work` is called, so that a test sees the supervisor while it is busy."""

    def __init__(self) -> None:
        super().__init__()
        self.job: Job | None = None
        self.outcome: Outcome | None = None
        self.submitted = 0

    def submit(self, job: Job) -> None:
        assert not self.is_busy
        self.is_busy = True
        self.submitted += 1
        self.job = job

    def work(self) -> Outcome:
        assert self.job is not None
        self.outcome, self.job = self.job(), None
        return self.outcome

    def collect(self) -> Outcome | None:
        if self.outcome is None:
            return None
        outcome, self.outcome, self.is_busy = self.outcome, None, False
        return outcome


class Scene:
    """A supervisor in its world."""

    def __init__(self, world: World, engine: FakePgbackrest) -> None:
        self.world = world
        self.engine = engine
        self.runner = InlineRunner()
        self.supervisor = Supervisor(world.deployment, self.runner)

    def tick(self, **later: float) -> str:
        self.world.clock.advance(**later)
        return self.supervisor.tick()

    def do(self, *replies: Reply) -> Outcome:
        """Let pgbackrest answer the job at hand."""
        self.engine.script(*replies)
        return self.runner.work()

    def settle(self) -> None:
        """Bring it to its daily work: stanza there, a full backup there."""
        self.engine.info = make_info(FULL)
        assert self.tick() == "creating the stanza"
        self.do(Reply())
        assert self.tick(seconds=1).startswith("idle; next: ")


@pytest.fixture
def scene(world: World, engine: FakePgbackrest) -> Scene:
    return Scene(world, engine)


# --- a first start ----------------------------------------------------------------------------------------------------


def test_a_first_start_creates_the_stanza_takes_a_full_backup_and_idles(scene: Scene) -> None:
    scene.engine.info = make_info()
    assert scene.tick() == "creating the stanza"
    assert scene.tick(seconds=1) == "creating the stanza"
    scene.do(Reply())
    assert scene.tick(seconds=1) == "taking the first full backup"
    assert scene.tick(seconds=1) == "taking the first full backup"
    scene.do(Reply(does=scene.engine.lists(FULL)))
    assert scene.tick(seconds=1) == "idle; next: diff backup at 2026-03-05 02:00:00 UTC"
    assert scene.runner.submitted == 2
    assert runs_of(scene.world.deployment.history) == [("full", "first", "succeeded")]


def test_a_second_start_takes_no_backup(scene: Scene) -> None:
    scene.settle()
    assert scene.runner.submitted == 1
    assert runs_of(scene.world.deployment.history) == []


def test_it_waits_for_the_database_and_asks_again_within_seconds(scene: Scene) -> None:
    scene.world.postgres.down = "connection refused"
    waiting = "waiting for the database (database: connection refused)"
    assert scene.tick() == waiting
    for _ in range(50):
        assert scene.tick(seconds=1) == waiting
    scene.world.postgres.down = ""
    assert scene.tick(seconds=1) == "creating the stanza"


@pytest.mark.parametrize(
    ("paused", "sentence"),
    [
        (False, "waiting for the database: it is in recovery"),
        (
            True,
            "waiting for the database: it is in recovery and is paused there: `SELECT pg_wal_replay_resume()` opens it",
        ),
    ],
)
def test_it_waits_for_the_end_of_recovery(scene: Scene, paused: bool, sentence: str) -> None:
    scene.world.postgres.in_recovery, scene.world.postgres.recovery_paused = True, paused
    assert scene.tick() == sentence
    assert scene.runner.submitted == 0


def test_it_waits_for_the_restart_that_switches_archiving_on(scene: Scene) -> None:
    scene.world.postgres.archive_mode = "off"
    assert scene.tick() == "waiting for the database: archiving is off until it is restarted, `make restart`"
    scene.world.postgres.archive_mode = "on"
    assert scene.tick(seconds=5) == "creating the stanza"


def test_beside_another_cluster_it_waits_with_an_alarm_until_that_is_over(scene: Scene) -> None:
    deployment, postgres = scene.world.deployment, scene.world.postgres
    identity.remember(deployment, postgres.server(), 30_000_000)
    postgres.system_id = 1
    for _ in range(3):
        assert scene.tick(seconds=60).startswith("waiting: the running database is another cluster than the one")
    assert [raised.alarm.key for raised in deployment.teller.alarms.raised()] == ["identity"]
    assert scene.runner.submitted == 0
    identity.adopted(deployment, postgres.server(), None)
    assert scene.tick(seconds=60) == "creating the stanza"
    assert deployment.teller.alarms.raised() == ()


def test_a_stanza_that_cannot_be_created_is_tried_again_with_growing_delays(scene: Scene) -> None:
    delays = []
    for expected in (2, 5, 15, 60, 300, 900, 3600, 3600):
        assert scene.tick() == "creating the stanza"
        with capture_logs() as logged:
            scene.do(Reply(56))
            assert scene.tick().startswith("creating the stanza; next attempt at ")
        assert [entry["event"] for entry in logged] == [events.STANZA_FAILED]
        assert scene.tick(seconds=expected - 1).startswith("creating the stanza; next attempt at ")
        scene.world.clock.advance(seconds=1)
        delays.append(expected)
    scene.engine.info = make_info(FULL)
    scene.tick()
    scene.do(Reply())
    assert scene.tick().startswith("idle")


def test_a_failed_first_backup_is_tried_again_after_a_delay(scene: Scene) -> None:
    scene.tick()
    scene.do(Reply())
    scene.tick()
    scene.do(Reply(42))
    assert scene.tick().startswith("idle; full backup (attempt 2: ")
    assert scene.tick(seconds=59).startswith("idle; full backup (attempt 2: ")
    assert scene.tick(seconds=14) == "taking the full backup again"
    scene.do(Reply(42))
    assert scene.tick(seconds=299).startswith("idle; full backup (attempt 3: ")
    assert scene.tick(seconds=62) == "taking the full backup again"
    scene.do(Reply(does=scene.engine.lists(FULL)))
    assert scene.tick().startswith("idle")
    assert [state for _, _, state in runs_of(scene.world.deployment.history)] == ["failed", "failed", "succeeded"]


def test_a_repository_that_cannot_be_asked_is_waited_for(scene: Scene) -> None:
    scene.tick()
    scene.do(Reply())
    scene.engine.info_answer = Captured(49, b"", "no route to host\n")
    said = "waiting for the repository (pgbackrest info: exit code 49 (host-connect): no route to host)"
    assert scene.tick() == said
    assert scene.tick(seconds=1) == f"{said}; next attempt at 2026-03-04 12:00:02 UTC"
    scene.engine.info_answer, scene.engine.info = None, make_info(FULL)
    assert scene.tick(seconds=1).startswith("idle")


# --- outages ----------------------------------------------------------------------------------------------------------


def test_when_archiving_works_again_the_stanza_is_tried_at_once(scene: Scene) -> None:
    for delay in (2, 5, 15, 60, 300, 900):
        scene.tick()
        scene.do(Reply(49))
        scene.tick()
        scene.world.clock.advance(seconds=delay)
    scene.tick()
    scene.do(Reply(49))
    assert scene.tick().startswith("creating the stanza; next attempt at 2026-03-04 13:")
    scene.world.clock.advance(seconds=60)
    scene.world.deployment.marks.put_moment(WORKS_AGAIN, scene.world.clock.now)
    assert scene.tick(seconds=1) == "creating the stanza"


def out_of_reach(repo: int) -> dict[str, Captured]:
    return {f"--repo={repo}": Captured(49, b"", "ERROR: [049]: unable to connect to 'store:443': Connection refused\n")}


@pytest.fixture
def two(tmp_path: Path, engine: FakePgbackrest) -> Iterator[Scene]:
    """Two repositories that hold a backup each, the second one out of reach."""
    world = make_world(tmp_path, make_config(repositories=2))
    engine.info = make_info(FULL, make_backup("20260301-020100F", repo=2))
    engine.info_files |= out_of_reach(2)
    engine.captured |= out_of_reach(2)
    published = world.deployment.volumes.config / paths.REPO_CONF
    published.parent.mkdir(parents=True, exist_ok=True)
    published.write_text("[global]\nrepo1-path=/one\nrepo2-path=/two\n")
    yield Scene(world, engine)
    world.deployment.store.close()


def test_a_repository_that_is_out_of_reach_at_the_start_does_not_hold_up_the_other_one(two: Scene) -> None:
    assert two.tick() == "creating the stanza"
    with capture_logs() as logged:
        two.do(Reply())
        assert two.tick(seconds=1).startswith("idle; next: ")
    assert events.REPOSITORY_REFUSED in [entry["event"] for entry in logged]
    created = next(argv for argv in two.engine.ran if "stanza-create" in argv)
    assert any(word.startswith("--config-include-path=") for word in created), created


def test_where_all_are_out_of_reach_nothing_is_created(two: Scene) -> None:
    two.engine.info_files |= out_of_reach(1)
    two.engine.captured |= out_of_reach(1)
    two.tick()
    assert two.do().state == "failed"
    assert "stanza-create" not in two.engine.verbs


def test_every_repository_without_a_full_backup_gets_one(tmp_path: Path, engine: FakePgbackrest) -> None:
    world = make_world(tmp_path, make_config(repositories=2))
    scene, second = Scene(world, engine), make_backup("20260304-120000F", repo=2)
    both = tuple(RepositoryStatus(key, "aes-256-cbc", 0, "ok") for key in (1, 2))
    engine.info = make_info(FULL, repositories=both)
    scene.tick()
    scene.do(Reply())
    assert scene.tick() == "taking the first full backup"
    scene.do(Reply(does=engine.lists(FULL, second)))
    assert "--repo=2" in next(argv for argv in engine.ran if "backup" in argv)
    assert scene.tick().startswith("idle")
    world.deployment.store.close()


def test_what_falls_due_during_the_first_backup_is_in_it(scene: Scene) -> None:
    scene.tick()
    scene.do(Reply())
    scene.tick()
    scene.do(Reply(does=scene.engine.lists(make_backup("20260305-030000F"))))
    assert scene.tick(hours=15) == "idle; next: diff backup at 2026-03-06 02:00:00 UTC"


# --- the schedule -----------------------------------------------------------------------------------------------------


def test_a_due_backup_is_taken_into_every_repository_one_after_the_other(scene: Scene) -> None:
    scene.settle()
    scene.world.republish(make_config(repositories=2), "2")
    second = make_backup("20260301-020000F", repo=2)
    scene.engine.info = make_info(FULL, second)
    assert scene.tick(seconds=1) == "creating the stanza"
    scene.do(Reply())
    assert scene.tick(seconds=1).startswith("idle; next: ")
    assert scene.tick(hours=14) == "taking the scheduled diff backup"
    label = "20260301-020000F_20260305-020001D"
    scene.do(Reply(does=scene.engine.lists(FULL, second, make_backup(label))))
    assert scene.tick(seconds=1) == "taking the scheduled diff backup"
    scene.do(Reply(does=scene.engine.lists(FULL, second, make_backup(label), make_backup(label, repo=2))))
    assert scene.tick(seconds=1) == "idle; next: diff backup at 2026-03-06 02:00:00 UTC"
    taken = [(run.repo, run.state) for run in scene.world.deployment.history.recent("backup")]
    assert taken == [(2, "succeeded"), (1, "succeeded")]


def test_a_due_backup_is_started_once(scene: Scene) -> None:
    scene.settle()
    with capture_logs() as logged:
        assert scene.tick(hours=14) == "taking the scheduled diff backup"
    due = [entry for entry in logged if entry["event"] == events.BACKUP_DUE]
    assert [(entry["type"], entry["due"]) for entry in due] == [("diff", "2026-03-05 02:00:00 UTC")]
    diff = make_backup("20260301-020000F_20260305-020001D")
    scene.do(Reply(does=scene.engine.lists(FULL, diff)))
    assert scene.tick(seconds=30) == "idle; next: diff backup at 2026-03-06 02:00:00 UTC"
    for _ in range(10):
        assert scene.tick(seconds=1) == "idle; next: diff backup at 2026-03-06 02:00:00 UTC"
    assert runs_of(scene.world.deployment.history) == [("diff", "schedule", "succeeded")]
    run = scene.world.deployment.history.last("backup")
    assert run is not None
    assert run.reason == "scheduled for 2026-03-05 02:00:00 UTC"


def test_after_a_success_the_next_runs_are_told(scene: Scene) -> None:
    scene.settle()
    scene.tick(hours=14)
    scene.do(Reply(does=scene.engine.lists(FULL, make_backup("20260301-020000F_20260305-020001D"))))
    with capture_logs() as logged:
        scene.tick()
    assert [(e["type"], e["at"]) for e in logged if e["event"] == events.SCHEDULE_NEXT] == [
        ("diff", "2026-03-06 02:00:00 UTC"),
        ("full", "2026-03-08 02:00:00 UTC"),
    ]


def test_a_backup_that_outlasts_the_next_due_time_is_told_and_not_doubled(scene: Scene) -> None:
    scene.settle()
    scene.tick(hours=14)
    with capture_logs() as logged:
        assert scene.tick(hours=25) == "taking the scheduled diff backup"
    assert [entry["event"] for entry in logged] == [events.BACKUP_DUE, events.BACKUP_MISSED, events.BACKUP_OVERLAP]
    scene.do(Reply(does=scene.engine.lists(FULL, make_backup("20260301-020000F_20260306-030000D"))))
    assert scene.tick().startswith("idle; next: diff backup at 2026-03-07")


def test_a_more_thorough_backup_that_falls_due_meanwhile_is_taken_next(scene: Scene) -> None:
    scene.settle()
    scene.tick(days=2, hours=13)
    scene.tick(minutes=1)
    scene.do(Reply(does=scene.engine.lists(FULL, make_backup("20260301-020000F_20260305-030000D"))))
    scene.tick()
    assert scene.tick(minutes=59) == "taking the scheduled diff backup"
    assert scene.tick(hours=24) == "taking the scheduled diff backup"
    scene.do(Reply(does=scene.engine.lists(FULL, make_backup("20260301-020000F_20260306-030000D"))))
    assert scene.tick(seconds=31) == "taking the scheduled full backup"


def test_what_fell_due_while_the_database_was_away_is_taken_when_it_is_back(scene: Scene) -> None:
    """Only after a change of the configuration is the database looked for again; the schedule goes on meanwhile."""
    scene.settle()
    scene.world.postgres.down = "connection refused"
    scene.world.republish(make_config(), "2")
    assert scene.tick(hours=15).startswith("waiting for the database")
    scene.world.postgres.down = ""
    assert scene.tick(seconds=5) == "creating the stanza"
    scene.do(Reply())
    assert scene.tick(seconds=30) == "taking the scheduled diff backup"


def test_the_schedule_is_read_in_the_zone_of_the_configuration(tmp_path: Path, engine: FakePgbackrest) -> None:
    world = make_world(tmp_path, make_config(zone="Europe/Berlin"))
    scene = Scene(world, engine)
    engine.info = make_info(FULL)
    scene.tick()
    scene.do(Reply())
    assert scene.tick() == "idle; next: diff backup at 2026-03-05 02:00:00 CET"
    world.deployment.store.close()


def test_an_empty_schedule_leaves_nothing_to_do(tmp_path: Path, engine: FakePgbackrest) -> None:
    world = make_world(tmp_path, make_config(full=None, diff=None))
    scene = Scene(world, engine)
    engine.info = make_info(FULL)
    scene.tick()
    scene.do(Reply())
    assert scene.tick() == "idle; nothing is scheduled"
    world.deployment.store.close()


# --- a changed configuration ------------------------------------------------------------------------------------------


def test_a_changed_configuration_is_read_the_database_reloaded_and_a_needed_restart_told(scene: Scene) -> None:
    scene.settle()
    scene.world.postgres.pending_restart = ("archive_mode", "max_connections")
    scene.world.republish(make_config(diff="0 5 * * *"), "2")
    with capture_logs() as logged:
        assert scene.tick() == "creating the stanza"
    assert [entry["event"] for entry in logged][:2] == [events.CONFIGURATION_CHANGED, events.CONFIGURATION_WAITS]
    assert logged[1]["settings"] == "archive_mode, max_connections"
    assert logged[1]["hint"] == "docker compose restart postgres"
    assert scene.world.postgres.reloads == 1
    scene.do(Reply())
    assert scene.tick() == "idle; next: diff backup at 2026-03-05 05:00:00 UTC"


def test_an_unchanged_configuration_is_left_alone(scene: Scene) -> None:
    scene.settle()
    scene.world.republish(make_config(diff="0 5 * * *"), "1")
    assert scene.tick() == "idle; next: diff backup at 2026-03-05 02:00:00 UTC"


def test_a_configuration_that_switches_backups_off_ends_the_supervisor(scene: Scene) -> None:
    scene.settle()
    scene.world.republish(make_config(mode="off"), "2")
    with pytest.raises(BackupsOffError) as off:
        scene.tick()
    assert off.value.message == "backups are off: PGBACKREST_REPO1_TYPE is none"
    assert off.value.exit_code is Exit.BACKUPS_OFF


def test_a_configuration_that_cannot_be_read_ends_it_as_well(scene: Scene) -> None:
    scene.world.republish(make_config(), "2")
    (scene.world.volumes.config / "supervisor.json").write_text("{}")
    with pytest.raises(ConfigurationError):
        scene.tick()


# --- a state that cannot be written -----------------------------------------------------------------------------------


def test_a_run_that_cannot_be_written_down_waits_and_is_not_lost(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.settle()
    assert scene.tick(hours=14) == "taking the scheduled diff backup"

    def full(*_args: object) -> int:
        raise StoreError("database or disk is full")

    with monkeypatch.context() as patched, capture_logs() as logged:
        patched.setattr(History, "begin", full)
        scene.runner.work()
        assert scene.tick(seconds=1).startswith("taking the scheduled diff backup; next attempt at ")
    assert events.STATE_UNREADABLE in [entry["event"] for entry in logged]
    assert scene.tick(seconds=2) == "taking the scheduled diff backup"
    scene.do(Reply(does=scene.engine.lists(FULL, make_backup("20260301-020000F_20260305-020001D"))))
    assert scene.tick(seconds=1).startswith("idle; next: ")
    assert runs_of(scene.world.deployment.history) == [("diff", "schedule", "succeeded")]
