"""The restore beside: what pgbackrest is told, what ends it, and that the live database is left alone by every failure."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from backup.pgbackrest import RestoreTarget
from backup.restore.beside import engine, proof
from backup.restore.beside.build import Meter, SpaceWatch
from backup.restore.beside.catching_up import CatchUp
from backup.restore.beside.engine import Beside, Source
from backup.restore.beside.proof import Case, Proven, UnprovenError, Visit
from backup.restore.in_place import Restored
from backup.restore.planning.plan import Plan, Wanted
from backup.restore.scene import Scene as Doors
from backup.restore.swap import journal_file
from backup.restore.swap.journal import Journal
from backup.restore.swap.outcome import PutBackError
from backup.restore.transaction import BesideRestore, Wish
from contract.exits import Exit
from tests.unit.backup.fakes import NOON, SYSTEM_ID, FakePgbackrest, Reply, World, make_backup
from tests.unit.backup.restore.swap.test_switch import FORK, Scene, make_cluster

ID = "20260304-130000"
LATEST = Plan(Wanted("latest"), make_backup("20260301-020000F"), RestoreTarget("default"), 1, (1,))
PITR = Plan(Wanted("pitr", at=NOON), LATEST.backup, RestoreTarget("time", NOON), 1, (1,))


# --- what pgbackrest is told ------------------------------------------------------------------------------------------


def test_nothing_of_the_live_cluster_is_named() -> None:
    source = Source(2, "20260301-020000F", RestoreTarget("time", NOON), engine.restore_command((2, 1)))
    argv = engine.restore_beside("shop", source, Beside("/v/restore-1", "/v/tablespaces-1", "/tmp/x"))
    assert argv[-1] == "restore"
    for option in (
        "--pg1-path=/v/restore-1",
        "--tablespace-map-all=/v/tablespaces-1",
        "--spool-path=/tmp/x/spool",
        "--lock-path=/tmp/x/lock",
        "--archive-mode=off",
        "--no-delta",
        "--repo=2",
        '--recovery-option=restore_command=/usr/local/bin/pgbackrest-restore-command %f "%p" 2 1',
    ):
        assert option in argv
    assert "--force" not in argv


def test_only_what_was_cut_off_may_find_files() -> None:
    source = Source(1, "20260301-020000F", RestoreTarget("default"), "x")
    again = engine.restore_beside("shop", source, Beside("/a", "/b", "/c"), goes_on=True)
    assert "--delta" in again
    assert "--no-delta" not in again


# --- space and progress -----------------------------------------------------------------------------------------------


def usage(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    total = 10**12
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(total, total - free, free))


@pytest.mark.parametrize(("free", "full"), [(10**9, False), (10**7, True)])
def test_a_disk_that_runs_full_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, full: bool) -> None:
    usage(monkeypatch, free)
    watch = SpaceWatch(tmp_path, threading.Event())
    assert watch.wait(0.001) is full
    assert watch.is_full is full


def test_a_stop_ends_it_and_is_not_taken_for_a_full_disk(tmp_path: Path) -> None:
    stop = threading.Event()
    watch = SpaceWatch(tmp_path, stop)
    stop.set()
    assert watch.wait(0.001)
    assert not watch.is_full


def test_files_become_bytes_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 10.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    said: list[str] = []
    meter = Meter(1_000_000_000, said.append)
    meter.line("P00   INFO: restore command begin")
    meter.line("2026-03-04 12:00:00.000 P01 DETAIL: restore file /v/restore-1/base/1/2 (8KB, 10.00%)")
    meter.line("2026-03-04 12:00:09.000 P01 DETAIL: restore file /v/restore-1/base/1/3 (1GB, 50.00%) checksum 0a")
    assert said == [
        "P00   INFO: restore command begin",
        "    restore: 50%, 500.0 MB of 1.0 GB, 50.0 MB/s, about 10 s left",
    ]


# --- all of it --------------------------------------------------------------------------------------------------------


@pytest.fixture
def scene(world: World, engine: FakePgbackrest) -> Scene:
    """A running database, nothing beside it."""
    made = Scene(world, engine)
    shutil.rmtree(made.volume / "restore-20260304-120000")
    return made


def restored_files(scene: Scene) -> None:
    make_cluster(scene.volume / f"restore-{ID}" / "x", "new")
    for path in (scene.volume / f"restore-{ID}" / "x").iterdir():
        path.rename(scene.volume / f"restore-{ID}" / path.name)


def run(scene: Scene, plan: Plan = LATEST, reply: Reply | None = None) -> Restored:
    scene.engine.script(reply or Reply(does=lambda: restored_files(scene)))
    steps = BesideRestore(Doors(scene.world.deployment, scene.container, scene.said.append, scene.said.append))
    return steps.run(Wish(plan, SYSTEM_ID, 1), ID, "the latest state")


def proves(monkeypatch: pytest.MonkeyPatch, lsn: str = FORK, visits: list[Visit] | None = None) -> list[Case]:
    cases: list[Case] = []
    visits = [] if visits is None else visits

    def prove(_self: proof.Proof, case: Case, visit: Visit) -> Proven:
        cases.append(case)
        visits.append(visit)
        high, low = lsn.split("/")
        return Proven((int(high, 16) << 32) + int(low, 16), NOON, 3)

    monkeypatch.setattr(proof.Proof, "prove", prove)
    return cases


def test_the_database_is_stopped_only_after_the_proof(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = proves(monkeypatch)
    prove = proof.Proof.prove

    def noted(self: proof.Proof, case: Case, visit: Visit) -> Proven:
        scene.container.calls.append("prove")
        return prove(self, case, visit)

    monkeypatch.setattr(proof.Proof, "prove", noted)
    restored = run(scene)
    assert scene.container.calls == ["prove", "stop", "start"]
    assert cases == [Case(scene.volume / f"restore-{ID}", SYSTEM_ID, False)]
    assert scene.who() == "new"
    assert restored.server.timeline == 2
    assert journal_file.load(scene.volume).swap is None


@pytest.mark.parametrize(
    ("plan", "down", "catches_up"),
    [
        (LATEST, False, True),
        (PITR, False, False),
        (LATEST, True, False),
        (replace(LATEST, repositories=()), False, False),  # a dead repository: nothing of it is known to be archived
    ],
)
def test_only_the_running_database_is_caught_up_with(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, plan: Plan, down: bool, catches_up: bool
) -> None:
    visits: list[Visit] = []
    proves(monkeypatch, visits=visits)
    scene.container.running = not down
    run(scene, plan)
    assert [isinstance(visit, CatchUp) for visit in visits] == [catches_up]


def test_another_running_database_is_not_caught_up_with(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    visits: list[Visit] = []
    proves(monkeypatch, visits=visits)
    scene.world.postgres.system_id = 1
    with contextlib.suppress(PutBackError):
        run(scene)
    assert [isinstance(visit, CatchUp) for visit in visits] == [False]


def test_a_target_must_lie_before_the_end_of_the_archive(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = proves(monkeypatch)
    run(scene, PITR)
    assert cases[0].has_target


def test_what_is_not_proven_is_removed_and_nothing_was_stopped(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def unproven(_self: object, _case: Case, _visit: Visit) -> Proven:
        raise UnprovenError("the archive ends before the target", "another one")

    monkeypatch.setattr(proof.Proof, "prove", unproven)
    with pytest.raises(PutBackError) as back:
        run(scene, PITR)
    assert back.value.message == "proof: the archive ends before the target; the old database was not touched"
    assert back.value.exit_code is Exit.RESTORE_UNDONE
    assert scene.container.calls == []
    assert [path.name for path in scene.volume.iterdir()] == ["data"]


def test_what_pgbackrest_refuses_leaves_nothing(scene: Scene) -> None:
    with pytest.raises(PutBackError) as back:
        run(scene, reply=Reply(75))
    assert back.value.message == "restore: pgbackrest exit code 75 (backup-set-invalid); the old database was not touched"
    assert scene.container.calls == []
    assert [path.name for path in scene.volume.iterdir()] == ["data"]


def test_a_full_disk_is_named(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    usage(monkeypatch, 10**7)

    def look() -> None:
        scene.engine.limits[-1].stop.wait(0)

    watched = Reply(63, stopped_by="stop", does=look)
    with pytest.raises(PutBackError) as back:
        run(scene, reply=watched)
    assert back.value.message.startswith("restore: the database's volume ran full")
    assert journal_file.load(scene.volume) == Journal()


def test_a_database_that_is_down_gives_its_wal_to_the_proof(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    proves(monkeypatch)
    scene.container.running = False
    restored = run(scene)
    assert restored.segments_fed == 1
    assert any("never reached the archive" in line for line in scene.said[:-1])
    assert scene.container.running
