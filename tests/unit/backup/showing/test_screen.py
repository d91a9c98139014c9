"""The one screen that says how things are."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from rich.console import Console

from backup import process
from backup.keeping import losses
from backup.ownership import protection
from backup.showing import screen, status
from backup.state.alarms import Alarm, Alarms
from backup.watch import look
from backup.watch.readings import Volume
from contract import events
from tests.unit.backup.fakes import NOON, FakePgbackrest, World, make_backup, make_info

FULL = make_backup("20260304-110000F")


@pytest.fixture
def shown(world: World, engine: FakePgbackrest, monkeypatch: pytest.MonkeyPatch) -> World:
    volumes = (Volume("data", ("repository1",), 60_000_000_000, 100_000_000_000),)
    monkeypatch.setattr(look, "volumes", lambda _deployment: volumes)
    engine.info = make_info(FULL)
    world.deployment.history.beat("idle; next: diff backup at 2026-03-05 02:00:00 UTC", NOON)
    losses.remember(world.deployment, engine.info)
    return world


def lines(world: World) -> list[str]:
    out = Console(file=io.StringIO(), width=160, highlight=False, soft_wrap=True)
    screen.print_status(out, status.gather(world.deployment), world.deployment.config)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue().splitlines()


def test_it_fits_one_screen(shown: World) -> None:
    found = lines(shown)
    for line in (
        "supervisor     idle; next: diff backup at 2026-03-05 02:00:00 UTC",
        "database       PostgreSQL 17.6, open, timeline 1",
        "archiver       working; last 000000010000000000000005, 1 min 0 s ago; 0 waiting",
        "disk           data (also repository1) 40 % used, 60.0 GB free",
        "  window       2026-03-04 11:00:00 UTC … 2026-03-04 11:59:00 UTC (continuity not checked), 1 backups",
        "  full backup  last 2026-03-04 11:00:00 UTC; next 2026-03-08 02:00:00 UTC",
        "               20260304-110000F: took 1.0 s, 30.0 MB/s, 30.0 MB of 30.0 MB copied, 4.0 MB stored (7.5 : 1)",
        "  diff backup  last 2026-03-04 11:00:00 UTC; next 2026-03-05 02:00:00 UTC",
    ):
        assert line in found
    assert found[-1] == "All is as promised."
    assert len(found) < 24
    assert len([line for line in found if FULL.label in line]) == 1, "a backup that counts twice is told once"


def test_an_alarm_is_told_with_its_age_and_the_next_step(shown: World) -> None:
    alarm = Alarm("archiver", events.BACKUP_FAILED, "critical", "archiving fails [082]", "see `make wal-status`")
    Alarms(shown.deployment.store).put(alarm, NOON - timedelta(hours=2))
    found = lines(shown)
    assert found[-2:] == [
        "CRITICAL       archiving fails [082] (since 2026-03-04 10:00:00 UTC, 2 h 0 min)",
        "               HINT: see `make wal-status`",
    ]
    assert "All is as promised." not in found


def test_a_missing_recovery_kit_is_told_once(shown: World) -> None:
    protection.judge(shown.deployment)
    found = [line for line in lines(shown) if "not protected" in line]
    assert found == ["WARNING        not protected against loss of this host: no recovery kit has been made and verified"]


def test_what_cannot_be_asked_is_told(shown: World, engine: FakePgbackrest) -> None:
    shown.postgres.down = "connection refused"
    engine.info_answer = process.Captured(-9, b"", "")
    found = lines(shown)
    assert "database       not reachable" in found
    assert "  now          not known; as of 2026-03-04 12:00:00 UTC" in found
    assert "CRITICAL       repository 1: no answer within 8 s" in found


def test_an_empty_repository_restores_nothing(shown: World, engine: FakePgbackrest) -> None:
    engine.info = make_info()
    assert "  window       nothing can be restored yet" in lines(shown)
