"""The swap with real directories: what happens to the old cluster when the new one does not open as it must."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from backup.ledger.wal import parse_lsn
from backup.restore import aftercare
from backup.restore.in_place import IncompleteError
from backup.restore.scene import Scene as Doors
from backup.restore.swap import journal, journal_file, switch
from backup.restore.swap.journal import Journal, Kept, Swap
from backup.restore.swap.outcome import GO_ON, Accepted, LeftError, PutBackError
from backup.restore.swap.switch import Switch
from contract.exits import Exit
from tests.unit.backup.fakes import FakeContainer, FakePgbackrest, World, wal_segment

ID = "20260304-120000"
SEGMENT = "000000010000000000000005"
FORK = "0/6000000"


def make_cluster(directory: Path, name: str) -> None:
    for folder in ("global", "pg_wal/archive_status"):
        (directory / folder).mkdir(parents=True)
    (directory / "global" / "pg_control").write_text(name)
    (directory / "PG_VERSION").write_text("17\n")
    (directory / "who").write_text(name)
    (directory / "postgresql.auto.conf").write_text("work_mem = '8MB'\narchive_mode = 'off'\nrestore_command = 'x'\n")


class Scene:
    """A running database, and a proven cluster beside it."""

    def __init__(self, world: World, engine: FakePgbackrest) -> None:
        self.world, self.engine = world, engine
        self.volume = world.volumes.database
        self.container = FakeContainer()
        self.said: list[str] = []
        make_cluster(self.volume / "data", "old")
        make_cluster(self.volume / journal.restored_name(ID), "new")
        (self.volume / "data" / "pg_wal" / SEGMENT).write_bytes(wal_segment(SEGMENT))
        self.fork = FORK
        self.container.on_start = self.promote

    def promote(self) -> None:
        """What recovery does: the new cluster begins a timeline."""
        data = self.volume / "data"
        if (data / "recovery.signal").exists():
            self.world.postgres.timeline += 1
            name = f"{self.world.postgres.timeline:08X}.history"
            (data / "pg_wal" / name).write_text(f"1\t{self.fork}\tno recovery target specified\n")
            (data / "recovery.signal").unlink()

    def swap(self, **given: object) -> Swap:
        values: dict[str, object] = {
            "id": ID, "verb": "latest", "request": "latest", "step": "building", "incoming": journal.restored_name(ID),
            "outgoing": journal.previous_name(ID), "had_data": True, "was_running": True, "began": 1.0,
            "proven_lsn": parse_lsn(FORK), "keeps_tail": True, "keeps_all": True, "repositories": (1,),
        }  # fmt: skip
        made = Swap(**{**values, **given})  # type: ignore[arg-type]  # a test's own values
        journal_file.update(self.volume, made)
        return made

    def switch(self) -> Switch:
        return Switch(Doors(self.world.deployment, self.container, self.said.append, self.said.append))

    def who(self, name: str = "data") -> str | None:
        file = self.volume / name / "who"
        return file.read_text() if file.exists() else None


@pytest.fixture
def scene(world: World, engine: FakePgbackrest) -> Scene:
    return Scene(world, engine)


def accepted(found: tuple[Swap, Accepted | None] | None) -> Accepted | None:
    assert found is not None
    return found[1]


# --- forwards ---------------------------------------------------------------------------------------------------------


def test_the_new_cluster_takes_its_place_and_the_old_one_is_kept(scene: Scene) -> None:
    done = scene.switch().finish(scene.swap())
    assert (scene.who(), scene.who(f"previous-{ID}")) == ("new", "old")
    assert scene.container.calls == ["stop", "start"]
    assert scene.world.postgres.checkpoints == 1
    assert done.segments_fed == 1
    assert done.server.timeline == 2
    (kept,) = journal_file.load(scene.volume).kept
    assert (kept.name, kept.replaced_by) == (f"previous-{ID}", "latest")
    assert aftercare.wanted_backup(scene.world.deployment, 1) == "full"


def test_the_new_cluster_archives(scene: Scene) -> None:
    scene.switch().finish(scene.swap())
    assert (scene.volume / "data" / "postgresql.auto.conf").read_text() == "work_mem = '8MB'\nrestore_command = 'x'\n"


def test_wal_that_only_the_old_cluster_had_is_recovered_from_and_archived(scene: Scene) -> None:
    done = scene.switch().finish(scene.swap())
    assert done.handed_over == 1
    assert (scene.volume / "data" / "pg_wal" / "archive_status" / f"{SEGMENT}.ready").exists()


def test_the_end_of_a_backup_wants_nothing_of_the_old_wal(scene: Scene) -> None:
    done = scene.switch().finish(scene.swap(keeps_tail=False, keeps_all=False, verb="backup"))
    assert (done.segments_fed, done.handed_over) == (0, 0)
    assert not (scene.volume / "data" / "pg_wal" / SEGMENT).exists()


def test_an_empty_volume_is_filled(scene: Scene) -> None:
    (scene.volume / "data").rename(scene.volume.parent / "gone")
    scene.switch().finish(scene.swap(had_data=False))
    assert scene.who() == "new"
    assert journal_file.load(scene.volume) == Journal()


# --- the way back -----------------------------------------------------------------------------------------------------


def test_a_recovery_that_ends_too_early_is_not_accepted(scene: Scene) -> None:
    """The old one comes back on a timeline of its own: the archive knows that of the rejected one."""
    scene.fork = "0/5FFFFFF"
    with pytest.raises(PutBackError) as back:
        scene.switch().finish(scene.swap())
    assert back.value.message == (
        "recovery ended at 0/5FFFFFF, before 0/6000000, which was reached in the proof; the old database runs again"
    )
    assert back.value.exit_code is Exit.RESTORE_UNDONE
    assert scene.who() == "old"
    assert "recovery_target_timeline = 'current'" in (scene.volume / "data" / "postgresql.auto.conf").read_text()
    assert scene.world.postgres.timeline == 3
    present = journal_file.load(scene.volume)
    assert present.swap is None
    assert [kept.name for kept in present.kept] == [f"restore-{ID}"], "it was open for writes, so it is not thrown away"


def test_a_server_that_dies_in_recovery_makes_room_for_the_old_one(scene: Scene) -> None:
    scene.world.postgres.down = "connection refused"
    starts = iter([True, False])

    def start() -> None:
        scene.container.dies_after_start = next(starts)
        if not scene.container.dies_after_start:
            scene.world.postgres.down = ""

    scene.container.on_start = start
    scene.container.lines = ("restore-command: the archive cannot be read (archive-get 07, exit code 49)",)
    with pytest.raises(PutBackError) as back:
        scene.switch().finish(scene.swap())
    assert back.value.message == "recovery: the repository could not be read; the old database runs again"
    assert scene.who() == "old"
    assert not (scene.volume / "data" / "recovery.signal").exists(), "no timeline was begun, so none is needed"
    assert sorted(path.name for path in scene.volume.iterdir()) == ["data"]


def test_a_repository_that_dies_after_the_proof_is_not_waited_for(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The restore_command would be patient for minutes, and there is an old database that can serve."""
    monkeypatch.setattr(switch, "PROGRESS_SECONDS", 0.0)
    scene.world.postgres.in_recovery = True
    starts = iter([False, True])

    def start() -> None:
        scene.world.postgres.in_recovery = not next(starts)

    scene.container.on_start = start
    scene.container.lines = (
        "restore-command: archive-get 07 failed with exit code 49 (attempt 1 of 6), trying again in 1 s",
    )
    with pytest.raises(PutBackError) as back:
        scene.switch().finish(scene.swap())
    assert back.value.message.endswith("cannot be read now; the old database runs again")
    assert scene.who() == "old"


def test_a_container_that_does_not_stop_leaves_everything_as_it_is(scene: Scene) -> None:
    scene.container.refuses_to_stop = True
    with pytest.raises(PutBackError):
        scene.switch().finish(scene.swap())
    assert scene.who() == "old"
    assert sorted(path.name for path in scene.volume.iterdir()) == ["data"]


def test_an_old_database_that_does_not_open_again_is_said_to_be_down(scene: Scene) -> None:
    scene.world.postgres.down = "connection refused"
    scene.container.dies_after_start = True
    with pytest.raises(IncompleteError) as down:
        scene.switch().finish(scene.swap())
    assert "THE DATABASE IS DOWN" in down.value.message
    assert down.value.hint == GO_ON
    assert scene.who() == "old"


def test_a_stop_on_request_during_recovery_puts_the_old_one_back(scene: Scene) -> None:
    scene.container.on_start = scene.world.stop.set
    with pytest.raises(PutBackError):
        scene.switch().finish(scene.swap())
    assert scene.who() == "old"
    assert scene.container.running


# --- taken up again ---------------------------------------------------------------------------------------------------


def between(scene: Scene) -> Swap:
    """Killed between the two renames."""
    scene.container.running = False
    (scene.volume / "data").rename(scene.volume / journal.previous_name(ID))
    (scene.volume / journal.restored_name(ID) / "recovery.signal").touch()
    return scene.swap(step="swapping", stopped=1.0)


def test_nothing_to_take_up(scene: Scene) -> None:
    assert scene.switch().resume(same_request=True) is None


def test_the_same_command_finishes_what_was_cut_off(scene: Scene) -> None:
    between(scene)
    assert accepted(scene.switch().resume(same_request=True)) is not None
    assert (scene.who(), scene.who(f"previous-{ID}")) == ("new", "old")


def test_another_command_puts_the_old_one_back(scene: Scene) -> None:
    between(scene)
    assert accepted(scene.switch().resume(same_request=False)) is None
    assert scene.who() == "old"
    assert sorted(path.name for path in scene.volume.iterdir()) == ["data"]
    assert scene.container.running


def test_a_new_cluster_that_is_open_already_is_kept_whatever_is_asked(scene: Scene) -> None:
    between(scene)
    (scene.volume / journal.restored_name(ID)).rename(scene.volume / "data")
    scene.swap(step="starting", stopped=1.0)
    scene.container.start()
    assert accepted(scene.switch().resume(same_request=False)) is not None
    assert scene.who() == "new"


def opened(scene: Scene) -> None:
    """Everything was killed; the new cluster has come back by itself and takes writes, and nobody has accepted it."""
    between(scene)
    (scene.volume / journal.restored_name(ID)).rename(scene.volume / "data")
    scene.swap(step="starting", stopped=1.0)
    scene.container.start()


@pytest.mark.parametrize(
    "trouble",
    [lambda scene: scene.world.stop.set(), lambda scene: setattr(scene.container, "on_start", scene.container.stop)],
)
def test_a_new_cluster_that_has_taken_writes_is_not_taken_away_when_it_fails(
    scene: Scene, trouble: Callable[[Scene], None]
) -> None:
    opened(scene)
    trouble(scene)
    with pytest.raises(LeftError) as left:
        scene.switch().resume(same_request=True)
    assert left.value.exit_code is Exit.RESTORE_INCOMPLETE
    assert (scene.who(), scene.who(f"previous-{ID}")) == ("new", "old")
    present = journal_file.load(scene.volume).swap
    assert present is not None
    assert present.step == "starting"


def test_one_that_has_taken_writes_and_fails_makes_room_when_the_old_one_is_asked_for(scene: Scene) -> None:
    opened(scene)
    runs = iter([False, True])
    scene.container.on_start = lambda: setattr(scene.container, "running", next(runs))
    with pytest.raises(PutBackError):
        scene.switch().resume(same_request=False, gives_up=True)
    assert (scene.who(), scene.who(f"restore-{ID}")) == ("old", "new")
    assert [kept.name for kept in journal_file.load(scene.volume).kept] == [f"restore-{ID}"]


def test_a_new_cluster_that_opens_while_it_is_being_stopped_is_kept(scene: Scene) -> None:
    """It was recovering when the other command looked, and was open when it was down."""
    between(scene)
    (scene.volume / journal.restored_name(ID)).rename(scene.volume / "data")
    scene.swap(step="starting", stopped=1.0)
    scene.container.running = True
    scene.container.on_stop = scene.promote
    assert accepted(scene.switch().resume(same_request=False)) is not None
    assert (scene.who(), scene.who(f"previous-{ID}")) == ("new", "old")


def test_what_was_only_built_is_removed_and_the_database_is_left_alone(scene: Scene) -> None:
    (scene.volume / journal.tablespaces_name(ID)).mkdir()
    scene.swap()
    assert accepted(scene.switch().resume(same_request=True)) is None
    assert scene.container.calls == []
    assert sorted(path.name for path in scene.volume.iterdir()) == ["data"]


def test_what_was_only_proven_is_removed_also_where_there_have_been_restores_before(scene: Scene) -> None:
    """The standby has fetched the histories of earlier timelines out of the archive."""
    (scene.volume / journal.restored_name(ID) / "pg_wal" / "00000002.history").write_text(f"1\t{FORK}\tan earlier restore\n")
    scene.swap()
    assert accepted(scene.switch().resume(same_request=True)) is None
    assert sorted(path.name for path in scene.volume.iterdir()) == ["data"]


def test_names_that_were_moved_by_hand_are_not_touched(scene: Scene) -> None:
    swap = between(scene)
    (scene.volume / swap.outgoing).rename(scene.volume / "elsewhere")
    with pytest.raises(IncompleteError):
        scene.switch().resume(same_request=True)
    assert scene.who(swap.incoming) == "new"
    assert scene.who("elsewhere") == "old"


# --- undo -------------------------------------------------------------------------------------------------------------


def test_a_kept_cluster_comes_back_on_a_timeline_of_its_own(scene: Scene) -> None:
    (scene.volume / journal.restored_name(ID)).rename(scene.volume / "previous-20260303-120000")
    journal_file.save(scene.volume, Journal(None, (Kept("previous-20260303-120000", 1.0, "pitr"),)))
    swap = scene.swap(verb="undo", request="undo", incoming="previous-20260303-120000", keeps_tail=False)
    scene.switch().finish(swap)
    assert (scene.who(), scene.who(f"previous-{ID}")) == ("new", "old")
    text = (scene.volume / "data" / "postgresql.auto.conf").read_text()
    assert "recovery_target_timeline = 'current'" in text
    assert [kept.name for kept in journal_file.load(scene.volume).kept] == [f"previous-{ID}"]


def test_an_undo_that_fails_loses_no_kept_cluster(scene: Scene) -> None:
    (scene.volume / journal.restored_name(ID)).rename(scene.volume / "previous-20260303-120000")
    journal_file.save(scene.volume, Journal(None, (Kept("previous-20260303-120000", 1.0, "pitr"),)))
    swap = scene.swap(verb="undo", request="undo", incoming="previous-20260303-120000", keeps_tail=False)
    scene.container.on_start = scene.world.stop.set
    with pytest.raises(PutBackError):
        scene.switch().finish(swap)
    assert (scene.who(), scene.who("previous-20260303-120000")) == ("old", "new")
    assert [kept.name for kept in journal_file.load(scene.volume).kept] == ["previous-20260303-120000"]
