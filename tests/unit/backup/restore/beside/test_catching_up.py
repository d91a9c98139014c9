"""Catching up with the live database before the swap: only when it is worth it, and never an obstacle."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backup.postgres import Replay
from backup.restore.beside import catching_up
from backup.restore.beside.catching_up import WORTH_BYTES, CatchUp
from backup.restore.beside.proof import Proven
from tests.unit.backup.fakes import NOON, SYSTEM_ID, FakePostgres, World

SEGMENT_BYTES = 16 << 20
PROVEN = Proven(0, NOON, 3)


class Live(FakePostgres):
    """A database that goes on writing: `writes` says how much it writes during each round."""

    def __init__(self, written: int, *writes: int) -> None:
        super().__init__()
        self.position, self.redo, self._writes = written, 0, list(writes)
        self.archives = True

    def redo_lsn(self) -> int:
        self._answer()
        return self.redo

    def checkpoint(self) -> None:
        super().checkpoint()
        self.redo = self.position

    def switch_wal(self) -> str:
        segment = f"0000000100000000{self.position // SEGMENT_BYTES:08X}"
        self.position = (self.position // SEGMENT_BYTES + 1) * SEGMENT_BYTES
        if self.archives:
            self.archived = segment
        self.end = self.position
        self.position += self._writes.pop(0) if self._writes else 0
        return segment


class Standby(FakePostgres):
    """A standby that replays what is archived when it looks; it looks again when it is told to."""

    def __init__(self, live: Live) -> None:
        super().__init__()
        self._live, self.position = live, 0

    def reload(self) -> None:
        super().reload()
        self.position = self._live.end

    def replay(self) -> Replay:
        self._answer()
        return Replay(True, "/x", SYSTEM_ID, self.position, NOON, is_paused=False, has_all=True)


def catch_up(world: World, live: Live, standby: Standby | None = None) -> list[str]:
    said: list[str] = []
    live.wal = replace(live.wal, segment_bytes=SEGMENT_BYTES)
    deployment = replace(world.deployment, postgres=live)
    CatchUp(deployment, standby or Standby(live), said.append)(PROVEN, lambda: True)
    return said


@pytest.fixture(autouse=True)
def at_its_position(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Live, "wal_reading", lambda self: replace(self.wal, wal_position=self.position))


def test_little_is_left_for_the_downtime(world: World) -> None:
    live = Live(WORTH_BYTES - 1)
    assert catch_up(world, live) == []
    assert (live.checkpoints, live.switches) == (0, 0)


def test_much_is_replayed_before_it_from_a_new_checkpoint_on(world: World) -> None:
    live = Live(1 << 30)
    standby = Standby(live)
    said = catch_up(world, live, standby)
    assert said == ["1.1 GB of WAL were written meanwhile; they are replayed before the swap, too"]
    assert live.checkpoints == 1
    assert standby.position >= live.redo, "the checkpoint is among what was replayed"


def test_it_goes_on_while_much_is_written_and_ends_after_a_few_rounds(world: World) -> None:
    assert len(catch_up(world, Live(1 << 30, 1 << 29))) == 2
    assert len(catch_up(world, Live(1 << 30, *[1 << 30] * 9))) == catching_up.MOST_ROUNDS


def test_an_archive_that_does_not_take_it_is_not_waited_for_for_ever(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catching_up, "ROUND_SECONDS", 0.01)
    live = Live(1 << 30)
    live.archives, live.archived = False, None
    assert len(catch_up(world, live)) == 1


def test_a_server_that_does_not_answer_is_no_obstacle(world: World) -> None:
    live = Live(1 << 30)
    live.down = "gone"
    assert catch_up(world, live) == ["what was written meanwhile is replayed after the swap (database: gone)"]


def test_a_standby_that_has_ended_is_left_to_the_proof(world: World) -> None:
    live = Live(1 << 30)
    live.wal = replace(live.wal, segment_bytes=SEGMENT_BYTES)
    standby = Standby(live)
    CatchUp(replace(world.deployment, postgres=live), standby, lambda _line: None)(PROVEN, lambda: False)
    assert standby.reloads == 0
