"""The verbs of a peek as far as no server is needed: what is refused, with which code, and that nothing is left then."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from backup import oplock, process
from backup.peek import command as module
from backup.peek import place
from backup.peek.keeper import Keeper
from backup.process import Captured
from contract.exits import Exit
from tests.unit.backup.fakes import FakePgbackrest, Reply, World, make_backup, make_config, make_info

FULL = make_backup("20260301-020000F")
GB = 1_000_000_000

Type = Callable[..., tuple[int, str, str]]


@pytest.fixture
def peek(
    world: World, engine: FakePgbackrest, command: Type, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """Type a verb, with one backup in the repository and 10 GB free of 20."""
    engine.info = make_info(FULL)
    monkeypatch.setattr(place, "PATIENCE_SECONDS", 0)
    monkeypatch.setattr(module, "SCRATCH", tmp_path / "scratch")
    monkeypatch.setattr(module, "Keeper", lambda deployment, write: Keeper(deployment, write, tmp_path / "scratch"))
    free(monkeypatch, 10 * GB)
    return lambda *words: command("peek", *words)


def free(monkeypatch: pytest.MonkeyPatch, free_bytes: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(total=20 * GB, used=0, free=free_bytes))


def left(world: World) -> list[Path]:
    return list(world.volumes.database.glob("peek-*"))


def test_a_copy_that_fails_leaves_nothing(peek: Type, world: World, engine: FakePgbackrest) -> None:
    engine.script(Reply(exit_code=49, lines=("P00  ERROR: [049]: unable to connect",)))
    code, out, err = peek("open")
    assert code == Exit.PEEK
    assert out.splitlines()[0] == "2026-03-04 12:00:00 UTC: peek"
    assert "  peek at  the end of the archive" in out
    assert err.startswith("peek: the copy failed: pgbackrest exit code 49 (host-connect)")
    assert "\nHINT: " in err
    assert left(world) == []
    assert not place.is_open(world.volumes)


def test_the_copy_is_one_that_touches_nothing_of_the_live_database(peek: Type, world: World, engine: FakePgbackrest) -> None:
    engine.script(Reply(exit_code=49))
    peek("open", "--backup-set", FULL.label)
    (argv,) = [argv for argv in engine.ran if argv[-1] == "restore"]
    directory = world.volumes.database / "peek-20260304-120000"
    assert f"--pg1-path={directory}/data" in argv
    assert f"--tablespace-map-all={directory}/tablespaces" in argv
    assert {"--archive-mode=off", "--no-delta", f"--set={FULL.label}"} <= set(argv)
    assert [word for word in argv if word.startswith(("--spool-path=/var", "--lock-path=/var"))] == []


def test_it_warns_of_a_repository_that_it_goes_without(
    peek: Type, world: World, engine: FakePgbackrest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of two archives cannot be listed: the peek is of the other one, and says so; by its number it is an error."""
    world.reconfigure(make_config(repositories=2))
    second = make_backup("20260303-020000F", repo=2, lsn_start="0/9000028", lsn_stop="0/9000100")
    engine.info = make_info(FULL, second)

    def capture(argv: tuple[str, ...], timeout_seconds: float) -> Captured:
        is_denied = {"--recurse", "--repo=2"} <= set(argv)
        return Captured(53, b"", "") if is_denied else engine.capture(argv, timeout_seconds)

    monkeypatch.setattr(process, "capture", capture)
    engine.script(Reply(exit_code=49))
    world.postgres.down = "it is not running"
    _, out, _ = peek("open")
    (restore,) = [argv for argv in engine.ran if argv[-1] == "restore"]
    assert "--repo=1" in restore
    assert "  WARNING  repository 2 is left out, it cannot be read: the archive cannot be listed (path-open); " in out
    assert "this is NOT the latest state" in out
    code, _, err = peek("open", "--repo=2")
    assert (code, err.splitlines()[0]) == (Exit.REPOSITORY, "the archive cannot be listed (path-open)")


def test_without_room_nothing_is_copied(
    peek: Type, world: World, engine: FakePgbackrest, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, 1 * GB)
    code, _, err = peek("open")
    assert code == Exit.PEEK
    assert "the database's volume has 1.0 GB free" in err
    assert left(world) == []
    assert "restore" not in engine.verbs


def test_a_volume_that_fills_up_ends_the_copy(
    peek: Type, world: World, engine: FakePgbackrest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_on() -> None:
        free(monkeypatch, 1 * GB - 1)
        assert engine.limits[-1].stop.wait(0), "pgbackrest is ended"

    engine.script(Reply(exit_code=63, stopped_by="stop", does=write_on))
    code, _, err = peek("open")
    assert code == Exit.PEEK
    assert err == (
        "peek: not opened: the database's volume was getting full, and the space belongs to the live database\n"
        "HINT: free some space on the database's volume\n"
    )
    assert left(world) == []


def test_what_a_killed_one_has_left_goes_first(peek: Type, world: World, engine: FakePgbackrest) -> None:
    (world.volumes.database / "peek-20260101-000000" / "data").mkdir(parents=True)
    engine.script(Reply(exit_code=49))
    _, out, _ = peek("open")
    assert out.splitlines()[0] == "peek-20260101-000000 is removed: a peek that was killed has left it"
    assert left(world) == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--target", "2999-01-01 00:00:00"), Exit.RESTORE_REFUSED),
        (("--target", "nonsense"), Exit.RESTORE_REFUSED),
        (("--backup-set", "20240101-120000F"), Exit.RESTORE_REFUSED),
        (("--target", "2026-03-02 00:00:00", "--backup-set", FULL.label), Exit.USAGE),
        (("--hours", "0"), Exit.USAGE),
        (("--hours", "169"), Exit.USAGE),
    ],
)
def test_what_cannot_be_shown_is_refused(
    peek: Type, world: World, engine: FakePgbackrest, words: tuple[str, ...], code: Exit
) -> None:
    assert peek("open", *words)[0] == code
    assert left(world) == []
    assert "restore" not in engine.verbs


def test_while_one_is_open_there_is_no_other_and_nothing_is_tidied(peek: Type, world: World) -> None:
    open_one = world.volumes.database / "peek-20260304-110000"
    open_one.mkdir()
    with place.hold(world.deployment):
        for verb in ("open", "tidy"):
            code, _, err = peek(verb)
            assert code == Exit.PEEK
            assert err.endswith("HINT: `make peek-psql` looks into it, `make peek-close` ends it\n")
    assert open_one.exists()
    code, out, _ = peek("tidy")
    assert (code, out) == (Exit.OK, "removed: peek-20260304-110000\n")


def test_while_a_restore_is_under_way_there_is_none(peek: Type, world: World) -> None:
    with oplock.hold(world.volumes.operation_lock, "restore (latest)", patience_seconds=0, stop=world.stop, on_wait=print):
        code, _, err = peek("open")
    assert code == Exit.PEEK
    assert "a restore is under way" in err


@pytest.mark.parametrize("words", [("psql",), ("export", "sale"), ("export-check", "sale", "--file=f", "--container=c")])
def test_before_it_is_open_there_is_nothing_to_look_into(peek: Type, words: tuple[str, ...]) -> None:
    code, _, err = peek(*words)
    assert code == Exit.PEEK
    assert err == "peek: it is not open yet\nHINT: wait for `make peek` to say that it is\n"
