"""The restore in place: before the first byte it can be undone, after it the message says how to go on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from backup.emergency import begin
from backup.pgbackrest import Cluster, RestoreTarget
from backup.restore import in_place, tail
from backup.restore.container import ContainerError
from backup.restore.in_place import IncompleteError, InPlaceRestore, Restored, UndoneError
from backup.restore.planning.plan import Plan, Wanted
from backup.restore.scene import Scene as Doors
from contract.exits import Exit
from tests.unit.backup.fakes import (
    NOON,
    SYSTEM_ID,
    FakeContainer,
    FakePgbackrest,
    Reply,
    World,
    make_backup,
    make_config,
    make_world,
    wal_segment,
)

BACKUP = make_backup("20260301-020000F")
LATEST = Plan(Wanted("latest"), BACKUP, RestoreTarget("default"), 1)
PITR = Plan(Wanted("pitr", at=NOON), BACKUP, RestoreTarget("time", NOON), 1)
CURRENT = "000000010000000000000005"
ONLY_COPY = wal_segment(CURRENT, b"the only copy")
BEFORE = "000000010000000000000004"
ID = "20260304-120000"


class Scene:
    """A running database, and a restore of it."""

    def __init__(self, world: World, engine: FakePgbackrest) -> None:
        self.world, self.engine = world, engine
        self.container = FakeContainer()
        self.said: list[str] = []
        self.logged: list[str] = []
        self.steps = InPlaceRestore(Doors(world.deployment, self.container, self.said.append, self.logged.append))
        wal = self.pgdata / "pg_wal"
        (wal / "archive_status").mkdir(parents=True)
        (wal / CURRENT).write_bytes(ONLY_COPY)
        (self.pgdata / "postmaster.pid").write_text("1\n")
        self.container.on_stop = lambda: (self.pgdata / "postmaster.pid").unlink(missing_ok=True)

    @property
    def pgdata(self) -> Path:
        return self.world.volumes.pgdata

    def kept(self) -> list[str]:
        return sorted(path.name for path in self.world.volumes.database.iterdir() if path != self.pgdata)

    def overwrite(self) -> None:
        """What a restore does to the old files."""
        for entry in (self.pgdata / "pg_wal").iterdir():
            if entry.is_file():
                entry.unlink()
        (self.pgdata / "PG_VERSION").write_text("17\n")

    def run(self, plan: Plan = LATEST, reply: Reply | None = None) -> Restored:
        self.engine.script(reply or Reply(does=self.overwrite))
        return self.steps.run(plan, ID)


@pytest.fixture
def scene(world: World, engine: FakePgbackrest) -> Scene:
    return Scene(world, engine)


# --- success ----------------------------------------------------------------------------------------------------------


def test_a_restore_to_the_latest_state_stops_restores_feeds_the_tail_and_opens(scene: Scene) -> None:
    scene.world.postgres.timeline = 2
    scene.container.lines = ("… last completed transaction was at log time 2026-03-04 11:59:58.1+00",)
    restored = scene.run()
    assert scene.container.calls == ["stop", "start"]
    assert (restored.server.timeline, restored.segments_fed, restored.kept) == (2, 1, ())
    assert restored.last_transaction == "2026-03-04 11:59:58.1+00"
    assert (scene.pgdata / "pg_wal" / CURRENT).read_bytes() == ONLY_COPY
    assert scene.kept() == []
    assert scene.said == [
        "stopping salespider-postgres",
        "restoring backup 20260301-020000F",
        "files restored in 1.5 s",
        "1 WAL segments that never reached the archive are given to recovery",
        "starting salespider-postgres; it recovers now",
    ]


def test_the_command_names_the_backup_and_the_wrapper_around_archive_get(scene: Scene) -> None:
    scene.run(PITR)
    assert scene.engine.ran[1:] == [
        (
            "pgbackrest",
            "--stanza=salespider",
            "--repo=1",
            "--set=20260301-020000F",
            "--delta",
            "--log-level-console=detail",
            "--type=time",
            "--target=2026-03-04 12:00:00.000000+00",
            "--target-action=promote",
            '--recovery-option=restore_command=/usr/local/bin/pgbackrest-restore-command %f "%p"',
            "restore",
        )
    ]


def test_a_restore_to_a_moment_keeps_the_wal_that_nobody_else_has(scene: Scene) -> None:
    restored = scene.run(PITR)
    assert restored.segments_fed == 0
    assert restored.kept == (str(scene.world.volumes.database / f"old-wal-{ID}"),)
    assert (scene.world.volumes.database / f"old-wal-{ID}" / CURRENT).read_bytes() == ONLY_COPY
    assert not (scene.pgdata / "pg_wal" / CURRENT).exists()


def test_an_empty_volume_is_filled(scene: Scene) -> None:
    for path in sorted(scene.pgdata.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    scene.pgdata.rmdir()

    def fill() -> None:
        assert scene.pgdata.stat().st_mode & 0o777 == 0o700
        (scene.pgdata / "pg_wal").mkdir()

    scene.container.running = False
    assert scene.run(LATEST, Reply(does=fill)).segments_fed == 0
    assert scene.kept() == []


def test_it_waits_while_the_database_recovers_or_refuses_connections(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["the database system is starting up", "recovery", "recovery", ""])
    waits = scene.world.stop.wait

    def wait(timeout: float | None = None) -> bool:
        answer = next(answers)
        scene.world.postgres.in_recovery = answer == "recovery"
        scene.world.postgres.down = "" if answer == "recovery" else answer
        return waits(timeout)

    monkeypatch.setattr(scene.world.stop, "wait", wait)
    monkeypatch.setattr(in_place, "PROGRESS_SECONDS", 0.0)
    scene.run()
    assert scene.said[-3:] == ["still recovering"] * 3


def test_the_tail_of_an_earlier_attempt_is_used_as_well(scene: Scene) -> None:
    earlier = scene.world.volumes.database / "salvage-20260304-110000"
    earlier.mkdir()
    (earlier / BEFORE).write_bytes(wal_segment(BEFORE))
    restored = scene.run()
    assert restored.segments_fed == 2
    assert (scene.pgdata / "pg_wal" / BEFORE).read_bytes() == wal_segment(BEFORE)
    assert scene.kept() == []


# --- the pid file -----------------------------------------------------------------------------------------------------


def test_a_stale_pid_file_is_removed_only_after_the_container_is_down(scene: Scene) -> None:
    present: list[bool] = []
    scene.container.on_stop = lambda: present.append((scene.pgdata / "postmaster.pid").exists())

    def restore() -> None:
        present.append((scene.pgdata / "postmaster.pid").exists())
        scene.overwrite()

    scene.run(LATEST, Reply(does=restore))
    assert present == [True, False]


def test_a_container_that_does_not_stop_is_the_end_and_its_pid_file_stays(scene: Scene) -> None:
    scene.container.refuses_to_stop = True
    with pytest.raises(ContainerError, match="does not stop"):
        scene.run()
    assert (scene.pgdata / "postmaster.pid").exists()
    assert scene.engine.verbs == []
    assert scene.kept() == []


# --- failure before the first byte ------------------------------------------------------------------------------------

REFUSED = Reply(75, ("P00  ERROR: [075]: no backup set found to restore",))


def test_a_failure_before_the_first_byte_starts_the_old_database_again(scene: Scene) -> None:
    with pytest.raises(UndoneError) as undone:
        scene.run(LATEST, REFUSED)
    assert undone.value.message == (
        "restore: pgbackrest exit code 75 (backup-set-invalid): [075]: no backup set found to restore; "
        "nothing was overwritten and the old database runs again"
    )
    assert undone.value.hint == "list what there is with `make backup-info`"
    assert undone.value.exit_code is Exit.RESTORE_UNDONE
    assert scene.container.calls == ["stop", "start"]
    assert scene.kept() == []
    assert (scene.pgdata / "pg_wal" / CURRENT).read_bytes() == ONLY_COPY


def test_a_stop_before_the_first_byte_is_undone_too(scene: Scene) -> None:
    with pytest.raises(UndoneError, match=r"exit code 63 \(term\)"):
        scene.run(LATEST, Reply(63, stopped_by="stop"))
    assert scene.container.running


def test_an_old_wal_that_cannot_be_kept_is_undone(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object, stopped_cleanly: bool) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tail, "keep", full)
    with pytest.raises(UndoneError) as undone:
        scene.run()
    assert undone.value.message.startswith("the old pg_wal cannot be kept (No space left on device); nothing was")
    assert undone.value.hint == "check the database volume's disk"
    assert scene.container.calls == ["stop", "start"]
    assert scene.engine.verbs == []


def test_what_an_earlier_attempt_kept_stays_when_this_one_is_undone(scene: Scene) -> None:
    earlier = scene.world.volumes.database / "salvage-20260304-110000"
    earlier.mkdir()
    (earlier / CURRENT).touch()
    with pytest.raises(UndoneError):
        scene.run(LATEST, REFUSED)
    assert scene.kept() == ["salvage-20260304-110000"]


# --- failure after the first byte -------------------------------------------------------------------------------------


def test_a_failure_after_the_first_byte_leaves_the_database_down_and_the_tail_kept(scene: Scene) -> None:
    with pytest.raises(IncompleteError) as incomplete:
        scene.run(LATEST, Reply(42, ("P00  ERROR: [042]: unable to read '/var/lib/pgbackrest/…'",), does=scene.overwrite))
    assert incomplete.value.message == (
        "restore: pgbackrest exit code 42 (file-read): [042]: unable to read '/var/lib/pgbackrest/…'; THE DATABASE IS DOWN"
    )
    assert incomplete.value.hint == (
        "check the disk under the named path; then run the same restore again, it goes on where this one stopped"
    )
    assert incomplete.value.exit_code is Exit.RESTORE_INCOMPLETE
    assert scene.container.calls == ["stop"]
    assert scene.kept() == [f"salvage-{ID}"]
    assert (scene.world.volumes.database / f"salvage-{ID}" / CURRENT).read_bytes() == ONLY_COPY


def test_a_failed_restore_of_an_empty_volume_has_no_old_database_to_start(scene: Scene) -> None:
    for path in sorted(scene.pgdata.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    with pytest.raises(IncompleteError):
        scene.run(LATEST, REFUSED)
    assert scene.container.calls == ["stop"]


def test_a_second_attempt_after_a_half_done_one_brings_back_the_tail(scene: Scene) -> None:
    with pytest.raises(IncompleteError):
        scene.run(LATEST, Reply(63, does=scene.overwrite))
    scene.engine.script(Reply(does=scene.overwrite))
    assert scene.steps.run(LATEST, "20260304-130000").segments_fed == 1
    assert (scene.pgdata / "pg_wal" / CURRENT).read_bytes() == ONLY_COPY
    assert scene.kept() == []


# --- recovery that dies -----------------------------------------------------------------------------------------------

DIAGNOSES = [
    (
        "no commit after the target",
        (
            "LOG:  redo done at 0/5000110",
            "FATAL:  recovery ended before configured recovery target was reached",
        ),
        "recovery: no transaction after the target was found in the archive; THE DATABASE IS DOWN",
        "bring back the latest state, which is the same data: make restore-latest",
    ),
    (
        "the archive could not be read",
        (
            "restore-command: the archive cannot be read (archive-get 07, exit code 49); recovery stops here",
            'FATAL:  could not restore file "07" from archive: command not executable',
        ),
        "recovery: the repository could not be read; THE DATABASE IS DOWN",
        "make the repository reachable, then `docker start salespider-postgres`: recovery goes on where it stopped",
    ),
    (
        "a lower setting",
        (
            "FATAL:  recovery aborted because of insufficient parameter settings",
            "DETAIL:  max_connections = 100 is a lower setting than on the primary server, where its value was 321.",
        ),
        (
            "recovery: a setting is lower than when this WAL was written (max_connections = 100 is a lower setting than on "
            "the primary server, where its value was 321); THE DATABASE IS DOWN"
        ),
        "raise it (POSTGRES_MAX_CONNECTIONS, or the file of POSTGRES_EXTRA_CONFIG), `make deploy`, and restore again",
    ),
    (
        "anything else, with its reason",
        ("LOG:  starting", "2026-03-04 12:00:00 UTC [1] PANIC:  could not locate a valid checkpoint record  ", "LOG:  x"),
        (
            "recovery: PostgreSQL ended (2026-03-04 12:00:00 UTC [1] PANIC:  could not locate a valid checkpoint record); "
            "THE DATABASE IS DOWN"
        ),
        "the backups are untouched; choose another target or backup set: make backup-info",
    ),
    (
        "without a word",
        (),
        "recovery: PostgreSQL ended (no reason in its log); THE DATABASE IS DOWN",
        "the backups are untouched; choose another target or backup set: make backup-info",
    ),
]


@pytest.mark.parametrize(("case", "lines", "message", "hint"), DIAGNOSES, ids=[row[0] for row in DIAGNOSES])
def test_a_recovery_that_dies_is_explained_by_its_log(
    scene: Scene, case: str, lines: tuple[str, ...], message: str, hint: str
) -> None:
    scene.world.postgres.down = "connection refused"
    scene.container.dies_after_start = True
    scene.container.lines = lines
    with pytest.raises(IncompleteError) as incomplete:
        scene.run()
    assert (incomplete.value.message, incomplete.value.hint) == (message, hint)
    assert scene.container.calls == ["stop", "start", "stop"]
    assert scene.logged == [f"postgres: {line}" for line in lines]
    assert scene.kept() == [f"salvage-{ID}"]


def test_a_container_that_died_and_was_started_again_by_docker_counts_as_dead(scene: Scene) -> None:
    scene.world.postgres.in_recovery = True

    def restart_policy() -> None:
        scene.container.starts += 1

    scene.container.on_start = restart_policy
    with pytest.raises(IncompleteError):
        scene.run()
    assert scene.container.calls == ["stop", "start", "stop"]


def test_a_stop_while_recovery_goes_on_leaves_it_going(scene: Scene) -> None:
    scene.container.on_start = scene.world.stop.set
    with pytest.raises(IncompleteError) as incomplete:
        scene.run()
    assert incomplete.value.message.startswith("stopped waiting for the end of recovery, which goes on by itself")
    assert incomplete.value.hint == "watch it with `make status` and `make logs`"
    assert scene.container.running


# --- settling the running database ------------------------------------------------------------------------------------


def settle(scene: Scene, *, complete: bool = True) -> None:
    scene.steps.settle(Cluster(1, 1, SYSTEM_ID, 17), waits_for_archive=complete)


def test_the_last_wal_is_ended_and_waited_for(scene: Scene) -> None:
    settle(scene)
    assert scene.said == [f"the last WAL segment {CURRENT} is archived"]


@pytest.mark.parametrize(
    ("last", "arrived"),
    [
        ("000000010000000000000006", True),
        (f"{CURRENT}.00000028.backup", True),
        ("000000010000000000000004", False),
        (None, False),
    ],
)
def test_a_segment_has_arrived_when_it_or_a_later_one_was_archived(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, last: str | None, arrived: bool
) -> None:
    monkeypatch.setattr(in_place, "ARCHIVE_PATIENCE_SECONDS", 0.01)
    scene.world.postgres.archived = last
    settle(scene, complete=False)
    assert scene.said == [
        f"the last WAL segment {CURRENT} is {'archived' if arrived else 'NOT archived; it is kept and used'}"
    ]


def test_what_does_not_arrive_is_left_to_the_plan(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """An old target needs none of it."""
    monkeypatch.setattr(in_place, "ARCHIVE_PATIENCE_SECONDS", 0.01)
    scene.world.postgres.archived = None
    settle(scene)
    assert scene.said == [f"the last WAL segment {CURRENT} is NOT archived; the plan is made without it"]
    assert scene.container.calls == []


def test_a_checkpoint_comes_before_the_last_segment_so_that_recovery_begins_late(scene: Scene) -> None:
    settle(scene)
    assert (scene.world.postgres.switches, scene.world.postgres.checkpoints_before_switch) == (1, 1)


def test_with_a_dead_repository_the_archive_that_is_read_decides(scene: Scene) -> None:
    """The server calls nothing archived that has not reached all repositories."""
    scene.world.postgres.archived, asked = None, list[str]()

    def is_stored(segment: str) -> bool:
        asked.append(segment)
        return len(asked) > 2

    scene.steps.settle(Cluster(1, 1, SYSTEM_ID, 17), waits_for_archive=True, is_stored=is_stored)
    assert asked == [CURRENT] * 3
    assert scene.said == [f"the last WAL segment {CURRENT} is archived"]


def test_with_a_dead_repository_the_latest_state_is_not_waited_for(scene: Scene) -> None:
    scene.world.postgres.archived = None
    scene.steps.settle(Cluster(1, 1, SYSTEM_ID, 17), waits_for_archive=False, is_stored=lambda _segment: False)
    assert scene.said == [f"the last WAL segment {CURRENT} is NOT archived; it is kept and used"]


@pytest.mark.parametrize(("readable", "calls"), [((1, 2), ["stop", "start"]), ((1,), ["stop soon", "start"])])
def test_the_archiver_of_a_dead_repository_is_not_waited_for_long(
    tmp_path: Path, engine: FakePgbackrest, readable: tuple[int, ...], calls: list[str]
) -> None:
    scene = Scene(make_world(tmp_path, make_config(repositories=2)), engine)
    scene.run(replace(LATEST, repositories=readable))
    assert scene.container.calls == calls


@pytest.mark.parametrize("complete", [True, False])
def test_a_database_that_does_not_run_is_taken_as_it_is(scene: Scene, complete: bool) -> None:
    scene.container.running = False
    settle(scene, complete=complete)
    assert scene.said == ["the database is not running; what its WAL holds is kept and used as it is"]


def test_a_database_that_cannot_be_asked_is_taken_as_it_is(scene: Scene) -> None:
    scene.world.postgres.down = "recovery is in progress"
    settle(scene)
    assert scene.said == ["the database cannot be asked to archive its last WAL (database: recovery is in progress)"]


def test_the_wal_of_another_cluster_is_not_waited_for(scene: Scene) -> None:
    scene.world.postgres.system_id, scene.world.postgres.archived = 1, None
    settle(scene)
    assert scene.said == ["the running database is another one (system identifier 1) than the backup is of"]


def test_a_restore_is_named_by_its_time() -> None:
    assert in_place.restore_id(NOON) == ID


def test_in_a_wal_emergency_nothing_counts_as_archived(scene: Scene) -> None:
    begin.pull(scene.world.deployment, "operator", scene.world.postgres.wal)
    settle(scene)
    assert scene.said == ["a WAL emergency is on since 2026-03-04 12:00:00 UTC: the last WAL is NOT archived"]
