"""A recovery that was killed in its last step begins again, and no other one does."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from backup import recovery_again
from backup.process import Captured

IN_RECOVERY = "in archive recovery"
SECOND, THIRD = "00000002.history", "00000003.history"


def controlled(monkeypatch: pytest.MonkeyPatch, state: str, timeline: int) -> None:
    said = f"Database cluster state:               {state}\nLatest checkpoint's TimeLineID:       {timeline}\n"
    answer = Captured(0, said.encode(), "")
    monkeypatch.setattr("backup.process.capture", lambda *_given: answer)


@pytest.fixture
def pgdata(tmp_path: Path) -> Path:
    (tmp_path / "pg_wal" / "archive_status").mkdir(parents=True)
    return tmp_path


def history(pgdata: Path, name: str, mark: str) -> None:
    (pgdata / "pg_wal" / name).write_text("1\t0/6000000\tno recovery target specified\n")
    if mark:
        (pgdata / "pg_wal" / "archive_status" / f"{name}.{mark}").touch()


@pytest.mark.parametrize("mark", ["ready", ""])
def test_killed_before_the_last_checkpoint_it_begins_again_without_the_unborn_timeline(
    pgdata: Path, monkeypatch: pytest.MonkeyPatch, mark: str
) -> None:
    history(pgdata, SECOND, mark)
    controlled(monkeypatch, IN_RECOVERY, 1)
    assert recovery_again.begin_again(pgdata)
    assert (pgdata / "recovery.signal").exists()
    assert [path.name for path in (pgdata / "pg_wal").rglob("*") if path.is_file()] == []


def test_killed_before_the_history_was_written_it_begins_again(pgdata: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    controlled(monkeypatch, IN_RECOVERY, 1)
    assert recovery_again.begin_again(pgdata)
    assert (pgdata / "recovery.signal").exists()


def test_a_history_out_of_the_archive_is_left(pgdata: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history(pgdata, SECOND, "done")
    history(pgdata, THIRD, "ready")
    controlled(monkeypatch, IN_RECOVERY, 1)
    assert recovery_again.begin_again(pgdata)
    assert (pgdata / "pg_wal" / SECOND).exists()
    assert not (pgdata / "pg_wal" / THIRD).exists()


def test_killed_behind_its_last_checkpoint_recovery_has_ended(pgdata: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control file still says recovery; the checkpoint is on the new timeline, where somebody may write next."""
    history(pgdata, SECOND, "ready")
    controlled(monkeypatch, IN_RECOVERY, 2)
    assert not recovery_again.begin_again(pgdata)
    assert (pgdata / "pg_wal" / SECOND).exists()
    assert not (pgdata / "recovery.signal").exists()


@pytest.mark.parametrize("state", ["in production", "shut down", "shut down in recovery", "in crash recovery", ""])
def test_a_cluster_that_is_not_in_recovery_is_left_alone(pgdata: Path, monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    history(pgdata, SECOND, "ready")
    controlled(monkeypatch, state, 1)
    assert not recovery_again.begin_again(pgdata)
    assert (pgdata / "pg_wal" / SECOND).exists()
    assert not (pgdata / "recovery.signal").exists()


@pytest.mark.parametrize("name", ["recovery.signal", "standby.signal"])
def test_a_recovery_that_goes_on_by_itself_is_left_alone(pgdata: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (pgdata / name).touch()
    history(pgdata, SECOND, "ready")
    controlled(monkeypatch, IN_RECOVERY, 1)
    assert not recovery_again.begin_again(pgdata)
    assert (pgdata / "pg_wal" / SECOND).exists()


def test_it_is_said_and_no_failure_is_passed_over(
    pgdata: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["recovery_again", str(pgdata)])
    controlled(monkeypatch, IN_RECOVERY, 1)
    assert recovery_again.main() == 0
    assert capsys.readouterr().out == "recovery was cut off at its end; it begins again\n"
    assert recovery_again.main() == 0
    assert capsys.readouterr().out == ""
    (pgdata / "recovery.signal").rename(pgdata / "pg_wal" / SECOND)
    (pgdata / "pg_wal" / SECOND).unlink()
    (pgdata / "pg_wal" / SECOND).mkdir()
    assert recovery_again.main() == 1
    assert "cannot begin again" in capsys.readouterr().out
