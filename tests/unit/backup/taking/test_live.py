"""Live progress: what whoever waits gets to see, and that nothing of it stands in the way of other lines."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from backup.taking import live, transfer
from backup.taking.outcome import BackupRequest
from backup.taking.transfer import Pace, Transfer
from contract import events
from tests.unit.backup.fakes import World

HALF = transfer.pace(Transfer(50_000_000, 100_000_000), 5.0)
RUNNING = '{"execId":"1-a","pctCplt":5000,"pid":1,"sz":100000000,"szCplt":50000000}'


@dataclass
class Seen:
    """A display that remembers, and tells when it was shown something."""

    every_seconds: float = 0.01
    paces: list[Pace] = field(default_factory=list)
    shown: threading.Event = field(default_factory=threading.Event)
    cleared: int = 0

    def show(self, pace: Pace) -> None:
        self.paces.append(pace)
        self.shown.set()

    def clear(self) -> None:
        self.cleared += 1


def test_what_the_lock_file_says_is_shown_while_the_backup_runs(tmp_path: Path) -> None:
    lock, seen = tmp_path / "x-backup-1.lock", Seen()
    with live.watched(lock, seen):
        lock.write_text(RUNNING)
        assert seen.shown.wait(10)
    assert seen.paces[0].transfer == Transfer(50_000_000, 100_000_000)
    assert seen.cleared == 1
    shown = len(seen.paces)
    assert not [thread for thread in threading.enumerate() if thread.name == "progress"]
    assert len(seen.paces) == shown


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b'{"execId":"1-a","pid":1}'])
def test_what_cannot_be_read_is_waited_for(tmp_path: Path, content: bytes) -> None:
    lock, seen = tmp_path / "x-backup-1.lock", Seen()
    with live.watched(lock, seen):
        assert not seen.shown.wait(0.05)
        lock.write_bytes(content)
        assert not seen.shown.wait(0.05)
        lock.write_text(RUNNING)
        assert seen.shown.wait(10)


def test_what_a_killed_backup_left_behind_is_not_shown(tmp_path: Path) -> None:
    lock, seen = tmp_path / "x-backup-1.lock", Seen()
    lock.write_text(RUNNING)
    os.utime(lock, (1.0, 1.0))
    with live.watched(lock, seen):
        assert not seen.shown.wait(0.1)


def test_the_lock_file_lies_beside_the_operation_lock(world: World) -> None:
    assert live.lock_file(world.deployment, 2).name == "salespider-backup-2.lock"
    assert live.lock_file(world.deployment, 2).parent == world.volumes.operation_lock.parent


def test_the_schedule_gets_an_event_a_minute_with_the_numbers() -> None:
    shown_on = live.display(BackupRequest("full", 2, "schedule", ""))
    assert shown_on.every_seconds == 60.0
    with capture_logs() as logged:
        shown_on.show(HALF)
    assert logged == [
        {
            "event": events.BACKUP_PROGRESS,
            "log_level": "info",
            "message": "50%, 50.0 MB of 100.0 MB, 10.0 MB/s, about 5 s left",
            "repo": 2,
            "bytes_done": 50_000_000,
            "bytes_total": 100_000_000,
            "bytes_per_second": 10_000_000,
            "seconds_left": 5,
        }
    ]


def test_at_a_terminal_one_line_is_written_again_and_again_and_erased_for_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    shown_on = live.display(BackupRequest("full", 1, "manual", ""))
    shown_on.clear()
    shown_on.show(HALF)
    shown_on.clear()
    shown_on.clear()
    assert capsys.readouterr().out == f"\r\x1b[K    backup: {HALF}\r\x1b[K"


def test_without_a_terminal_it_is_a_line_every_few_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    shown_on = live.display(BackupRequest("full", 1, "manual", ""))
    shown_on.show(HALF)
    shown_on.clear()
    assert capsys.readouterr().out == f"    backup: {HALF}\n"
    assert 1 < shown_on.every_seconds < 10


def test_a_terminal_that_is_gone_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_text: str) -> None:
        raise BrokenPipeError

    shown_on = live.display(BackupRequest("full", 1, "manual", ""))
    monkeypatch.setattr("sys.stdout.write", gone)
    shown_on.show(HALF)
