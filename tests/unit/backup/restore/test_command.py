"""The restore verbs: plan, ask, do, report, each with its exit code."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import pytest

from backup import __main__ as entry
from backup import oplock
from backup.deployment import Deployment
from backup.ownership import identity
from backup.peek import place
from backup.pgbackrest import Cluster
from backup.postgres import Server
from backup.restore import command as module
from backup.restore.beside import room
from backup.restore.in_place import Restored
from backup.restore.planning import choosing
from backup.restore.planning.plan import Plan, Wanted
from backup.restore.planning.window import Known
from backup.restore.swap import journal_file
from backup.restore.transaction import BesideRestore, Wish, request
from contract.exits import Exit
from tests.unit.backup.fakes import (
    SYSTEM_ID,
    FakeContainer,
    FakePgbackrest,
    Reply,
    World,
    make_backup,
    make_info,
    runs_of,
    wal_segment,
)
from tests.unit.backup.restore.swap.test_journal import make_swap
from tests.unit.backup.restore.swap.test_switch import make_cluster

FULL = make_backup("20260301-020000F")
COMMIT = (
    b"rmgr: Transaction len (rec/tot):     34/    34, tx:        746, lsn: 0/05000148, prev 0/05000110, "
    b"desc: COMMIT 2026-03-04 11:59:59.500000 UTC\n"
)
CURRENT = "000000010000000000000005"

Type = Callable[..., tuple[int, str, str]]


@pytest.fixture
def container(monkeypatch: pytest.MonkeyPatch) -> FakeContainer:
    made = FakeContainer()

    def connect(name: str) -> FakeContainer:
        made.name = name
        return made

    monkeypatch.setattr(module, "DatabaseContainer", connect)
    return made


@pytest.fixture
def command(beside: Type) -> Type:
    """Type a restore in place; return exit code and both streams."""
    return lambda *words: beside("--in-place", *words)


@pytest.fixture
def beside(
    world: World,
    engine: FakePgbackrest,
    container: FakeContainer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Type:
    """Type a restore, of a running database with one backup; return exit code and both streams."""
    engine.info, engine.wal_dump = make_info(FULL), COMMIT
    wal = world.volumes.pgdata / "pg_wal"
    wal.mkdir(parents=True)
    (wal / CURRENT).write_bytes(wal_segment(CURRENT))
    monkeypatch.setattr(Deployment, "open", lambda *_args: world.deployment)
    monkeypatch.setattr(module, "stop_on_signals", lambda _stop: None)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["salespider-backup", "restore", *words])
        code = entry.run()
        printed = capsys.readouterr()
        return int(code), printed.out, printed.err

    return run


def restored(world: World, *lines: str) -> Reply:
    """A pgbackrest that restores: the old WAL is gone afterwards."""
    return Reply(lines=lines, does=(world.volumes.pgdata / "pg_wal" / CURRENT).unlink)


# --- success ----------------------------------------------------------------------------------------------------------


def test_a_restore_tells_its_plan_its_steps_and_its_end(
    command: Type, world: World, engine: FakePgbackrest, container: FakeContainer
) -> None:
    world.postgres.timeline = 2
    engine.script(restored(world))
    code, out, err = command("--yes", "latest")
    assert (code, err) == (Exit.OK, "")
    lines = out.splitlines()
    assert lines[0] == "2026-03-04 12:00:00 UTC: restore (latest)"
    assert lines[1].startswith("  restore to  the latest state: ")
    assert f"==> the last WAL segment {CURRENT} is archived" in lines
    assert "==> stopping salespider-postgres" in lines
    assert lines[-2].startswith("RESTORED: the database is open since 2026-03-04 12:00:00 UTC on timeline 2; downtime ")
    assert lines[-1] == "Next: a backup of the restored database is taken by the supervisor now; see `make status`"
    assert container.calls == ["stop", "start"]


def test_a_restored_state_is_the_expected_one_however_small(command: Type, world: World, engine: FakePgbackrest) -> None:
    before = Server("17.6", SYSTEM_ID, 1, False, False, "on", world.clock())
    identity.remember(world.deployment, before, 5_000_000_000)
    assert identity.guard(world.deployment, before, engine.info) is not None
    engine.script(restored(world))
    code, out, _ = command("--yes", "backup", FULL.label)
    assert code == Exit.OK
    assert "HINT" not in out
    known = identity.remembered(world.deployment)
    assert known is not None
    assert known.database_bytes == world.postgres.size
    assert world.deployment.teller.alarms.raised() == ()


def test_a_restored_backup_of_an_earlier_cluster_stays_an_objection(
    command: Type, world: World, engine: FakePgbackrest
) -> None:
    clusters = (Cluster(1, 1, SYSTEM_ID, 17), Cluster(1, 2, 1, 17))
    engine.info = make_info(FULL, clusters=clusters)
    engine.script(restored(world))
    code, out, _ = command("--yes", "backup", FULL.label)
    assert code == Exit.OK
    assert "\nHINT: if the running one is right, `make adopt CONFIRM=yes`" in out
    assert [raised.alarm.key for raised in world.deployment.teller.alarms.raised()] == ["identity"]


def test_everything_that_was_told_is_in_the_log_file(command: Type, world: World, engine: FakePgbackrest) -> None:
    engine.script(restored(world, "P00   INFO: restore size = 22MB"))
    command("--yes", "latest")
    text = (world.volumes.log / "restore.log").read_text("utf-8")
    assert "restore (latest)" in text
    assert "P00   INFO: restore size = 22MB" in text
    assert "==> starting salespider-postgres; it recovers now" in text


def test_a_restore_is_recorded(command: Type, world: World, engine: FakePgbackrest) -> None:
    engine.script(restored(world))
    command("--yes", "backup", FULL.label)
    (run,) = world.deployment.history.recent("restore")
    assert (run.what, run.state, run.exit_code, run.label) == ("backup", "succeeded", 0, FULL.label)
    assert run.message.startswith("RESTORED: ")


def test_wal_that_is_kept_is_told(command: Type, world: World, engine: FakePgbackrest) -> None:
    engine.script(restored(world))
    _, out, _ = command("--yes", "pitr", "2026-03-04 11:00:00")
    kept = world.volumes.database / "old-wal-20260304-120000"
    assert f"WAL that the archive never saw is kept in {kept}" in out.splitlines()
    assert kept.is_dir()


def test_the_container_can_be_named_by_the_environment(
    command: Type, world: World, engine: FakePgbackrest, container: FakeContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTGRES_CONTAINER", "demo-postgres")
    engine.script(restored(world))
    _, out, _ = command("--yes", "latest")
    assert container.name == "demo-postgres"
    assert "==> stopping demo-postgres" in out


def test_the_plan_is_made_again_after_the_database_has_settled(
    command: Type, world: World, engine: FakePgbackrest, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = make_backup("20260301-020000F_20260304-115900D")

    def settle() -> str:
        engine.info = make_info(FULL, newer)
        return CURRENT

    monkeypatch.setattr(world.postgres, "switch_wal", settle)
    engine.script(restored(world))
    command("--yes", "latest")
    assert f"--set={newer.label}" in next(argv for argv in engine.ran if "restore" in argv)


# --- the question -----------------------------------------------------------------------------------------------------


def test_without_a_terminal_and_without_yes_nothing_happens(
    command: Type, world: World, engine: FakePgbackrest, container: FakeContainer
) -> None:
    code, out, err = command("latest")
    assert code == Exit.NOT_CONFIRMED
    assert err == "not confirmed; nothing was changed\nHINT: answer y, or run it with CONFIRM=yes\n"
    assert "  is lost     nothing that is readable" in out.splitlines()
    assert container.calls == []
    assert "restore" not in engine.verbs
    assert runs_of(world.deployment.history) == []


@pytest.mark.parametrize(("answer", "code"), [("y\n", Exit.OK), ("n\n", Exit.NOT_CONFIRMED), ("\n", Exit.NOT_CONFIRMED)])
def test_at_a_terminal_the_answer_decides(
    command: Type, world: World, engine: FakePgbackrest, monkeypatch: pytest.MonkeyPatch, answer: str, code: Exit
) -> None:
    terminal = io.StringIO(answer)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    engine.script(restored(world))
    assert command("latest")[0] == code


# --- refusals and failures --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("backup", "20200101-000000F"), "restore refused: there is no backup set '20200101-000000F'"),
        (("pitr", "2020-01-01 00:00:00"), "restore refused: the target 2020-01-01 00:00:00 UTC lies before the end"),
        (("pitr", "tomorrow"), "restore refused: TARGET is not a time: 'tomorrow'"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_stops(
    command: Type, container: FakeContainer, words: tuple[str, ...], message: str
) -> None:
    code, _, err = command("--yes", *words)
    assert code == Exit.RESTORE_REFUSED
    assert err.startswith(message)
    assert "\nHINT: " in err
    assert container.calls == []


def test_a_failure_before_the_first_byte_is_exit_code_17_and_recorded(
    command: Type, world: World, engine: FakePgbackrest, container: FakeContainer
) -> None:
    engine.script(Reply(75))
    code, _, err = command("--yes", "latest")
    assert code == Exit.RESTORE_UNDONE
    assert "the old database runs again" in err
    (run,) = world.deployment.history.recent("restore")
    assert (run.state, run.exit_code) == ("failed", Exit.RESTORE_UNDONE)
    assert container.running


def test_a_failure_half_way_is_exit_code_18_and_recorded(
    command: Type, world: World, engine: FakePgbackrest, container: FakeContainer
) -> None:
    engine.script(Reply(42, does=restored(world).does))
    code, _, err = command("--yes", "latest")
    assert code == Exit.RESTORE_INCOMPLETE
    assert "THE DATABASE IS DOWN" in err
    (run,) = world.deployment.history.recent("restore")
    assert (run.state, run.exit_code) == ("failed", Exit.RESTORE_INCOMPLETE)


def test_an_unforeseen_error_is_recorded_too(
    command: Type, world: World, engine: FakePgbackrest, container: FakeContainer
) -> None:
    def explode() -> None:
        raise ZeroDivisionError

    container.on_stop = explode
    with pytest.raises(ZeroDivisionError):
        command("--yes", "latest")
    (run,) = world.deployment.history.recent("restore")
    assert (run.state, run.exit_code, run.message) == ("failed", Exit.UNEXPECTED, "ended by an unforeseen error")


def test_while_another_operation_goes_on_the_restore_waits_and_says_so(
    command: Type, world: World, engine: FakePgbackrest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOCK_PATIENCE_SECONDS", 0.05)
    with oplock.hold(world.volumes.operation_lock, "restore (pitr)", patience_seconds=0, stop=world.stop, on_wait=print):
        code, out, err = command("--yes", "latest")
    assert code == Exit.BUSY
    assert out.startswith("waiting for the restore (pitr) (since ")
    assert err.startswith("operation lock: held by restore (pitr)")
    assert engine.ran == []


@contextmanager
def backup_running(world: World) -> Iterator[oplock.End]:
    with oplock.hold_giving_way(
        world.volumes.operation_lock, "full backup (schedule)", patience_seconds=0, stop=threading.Event(), on_wait=print
    ) as end:
        yield end


def test_a_restore_goes_ahead_of_a_backup(
    command: Type, world: World, engine: FakePgbackrest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oplock, "POLL_SECONDS", 0.01)
    engine.script(restored(world))
    with ExitStack() as backup:
        end = backup.enter_context(backup_running(world))

        def give_way() -> None:
            if end.wait(10):
                backup.close()

        thread = threading.Thread(target=give_way)
        thread.start()
        code, out, _ = command("--yes", "latest")
        thread.join()
    assert out.startswith("the full backup (schedule) (since ")
    assert "is running; a restore goes first, and a backup follows it\n" in out
    assert end.gave_way
    assert code == Exit.OK


def test_a_backup_is_not_stopped_without_a_word(command: Type, world: World, engine: FakePgbackrest) -> None:
    with backup_running(world) as end:
        code, _, err = command("latest")
        assert not end.is_set()
    assert code == Exit.NOT_CONFIRMED
    assert err.startswith("not confirmed; nothing was changed")
    assert engine.ran == []


def test_the_removal_of_old_databases_waits_for_a_backup(
    command: Type, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOCK_PATIENCE_SECONDS", 0.05)
    with backup_running(world) as end:
        code, out, _ = command("--yes", "cleanup")
        assert not end.is_set()
    assert (code, out[:12]) == (Exit.BUSY, "waiting for ")


def test_a_restore_is_refused_while_a_peek_is_open(
    command: Type, world: World, engine: FakePgbackrest, container: FakeContainer
) -> None:
    with place.hold(world.deployment):
        code, _, err = command("--yes", "latest")
    assert code == Exit.RESTORE_REFUSED
    assert "HINT: `make peek-close` ends it" in err
    assert (engine.ran, container.calls) == ([], [])


def test_in_place_refuses_a_target_that_only_the_dead_databases_disk_holds(
    command: Type, engine: FakePgbackrest, container: FakeContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not used there, and that would show when the files are overwritten."""
    planned = choosing.planned

    def from_the_disk(*given: Any, **named: Any) -> tuple[Plan, Known]:
        made, known = planned(*given, **named)
        return replace(made, needs_tail=True), known

    monkeypatch.setattr(choosing, "planned", from_the_disk)
    code, _, err = command("--yes", "latest")
    assert code == Exit.RESTORE_REFUSED
    assert "the target lies in WAL that the archive never saw" in err
    assert container.calls == []


# --- beside, and the verbs around it ----------------------------------------------------------------------------------


def test_a_restore_beside_is_the_default_and_tells_its_room(
    beside: Type, world: World, container: FakeContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Wish] = []

    def run(_self: BesideRestore, wish: Wish, _restore_id: str, _to: str) -> Restored:
        asked.append(wish)
        return Restored(world.postgres.server(), None, 0, (), 1.4)

    monkeypatch.setattr(BesideRestore, "run", run)
    make_cluster(world.volumes.database / "x", "live")
    (world.volumes.database / "x" / "global").rename(world.volumes.pgdata / "global")
    code, out, err = beside("--yes", "--amcheck", "latest")
    assert (code, err) == (Exit.OK, "")
    assert [(wish.system_id, wish.newest_timeline, wish.check_indexes) for wish in asked] == [(SYSTEM_ID, 1, True)]
    assert "  how         beside: " in out
    assert "make restore-undo" in out
    (run_row,) = world.deployment.history.recent("restore")
    assert run_row.downtime_seconds == 1.4
    assert (run_row.restored_to or "").startswith("the latest state")
    assert container.calls == []


def test_without_room_it_is_refused_before_anything_is_asked(
    beside: Type, container: FakeContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "RESERVE_BYTES", 10**15)
    code, out, err = beside("--yes", "latest")
    assert code == Exit.RESTORE_REFUSED
    assert "IN_PLACE=yes" in err
    assert "  space " in out
    assert container.calls == []


def test_there_is_nothing_to_undo(beside: Type, world: World, container: FakeContainer) -> None:
    """Neither is a cluster that was rejected, nor what is left of one."""
    make_cluster(world.volumes.database / "restore-20260303-120000", "rejected")
    (world.volumes.database / "previous-20260303-110000").mkdir()
    code, _, err = beside("--yes", "undo")
    assert code == Exit.RESTORE_REFUSED
    assert "there is nothing to undo" in err
    assert container.calls == []


def test_an_undo_that_is_not_confirmed_changes_nothing(beside: Type, world: World, container: FakeContainer) -> None:
    make_cluster(world.volumes.database / "previous-20260303-120000", "older")
    code, out, _ = beside("undo")
    assert code == Exit.NOT_CONFIRMED
    assert "previous-20260303-120000" in out
    assert container.calls == []
    assert not (world.volumes.database / journal_file.NAME).exists()


def test_an_undo_swaps_and_is_recorded(beside: Type, world: World, container: FakeContainer) -> None:
    kept = world.volumes.database / "previous-20260303-120000"
    make_cluster(kept, "older")

    def promote() -> None:
        world.postgres.timeline = 2
        (world.volumes.pgdata / "pg_wal" / "00000002.history").write_text("1\t0/9000000\tx\n")

    container.on_start = promote
    code, out, err = beside("--yes", "undo")
    assert (code, err) == (Exit.OK, "")
    assert (world.volumes.pgdata / "who").read_text() == "older"
    assert world.deployment.history.recent("restore")[0].what == "undo"
    assert "RESTORED: " in out


def test_what_was_cut_off_is_settled_first_and_the_same_request_ends_there(
    beside: Type, world: World, container: FakeContainer
) -> None:
    """Killed between the two renames."""
    volume = world.volumes.database
    swap = make_swap(step="swapping", request=request(Wanted("latest")), stopped=1.0)
    world.volumes.pgdata.rename(volume / swap.outgoing)
    make_cluster(volume / swap.incoming, "new")
    journal_file.update(volume, swap)
    container.running = False

    def promote() -> None:
        world.postgres.timeline = 2
        (world.volumes.pgdata / "pg_wal" / "00000002.history").write_text("1\t0/9000000\tx\n")

    container.on_start = promote
    code, out, _ = beside("latest")
    assert code == Exit.NOT_CONFIRMED
    assert not world.volumes.pgdata.exists()
    code, out, err = beside("--yes", "latest")
    assert (code, err) == (Exit.OK, "")
    assert "was cut off; it is finished now" in out
    assert (world.volumes.pgdata / "who").read_text() == "new"
    assert container.calls == ["start"]


def test_status_changes_nothing_and_needs_no_docker(beside: Type, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DatabaseContainer", None)
    journal_file.update(world.volumes.database, make_swap(step="swapping"))
    code, out, _ = beside("status")
    assert code == Exit.OK
    assert "THE DATABASE IS DOWN" in out


def test_cleanup_says_what_stays_and_why(beside: Type, world: World) -> None:
    make_cluster(world.volumes.database / "previous-20260303-120000", "older")
    code, out, _ = beside("--yes", "cleanup")
    assert code == Exit.OK
    assert "kept: previous-20260303-120000 (no backup has succeeded since" in out
    assert (world.volumes.database / "previous-20260303-120000").exists()
