"""`wal-status`: a table and JSON, with or without a database, and the exit code that says whether an alarm stands."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from backup import __main__ as entry
from backup.deployment import Deployment
from backup.watch.samples import Samples
from backup.watch.summary import WalStatus, summarize
from backup.watch.watcher import Watch
from contract.exits import Exit
from tests.consistency.source import rows
from tests.unit.backup.fakes import MEBIBYTE, NOON, SEGMENT, World, make_config, make_wal
from tests.unit.backup.watch.conftest import Disk

Type = Callable[..., tuple[int, str]]


@pytest.fixture
def command(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Type:
    """Type the command; return its exit code and what it printed."""
    monkeypatch.setattr(Deployment, "open", lambda *_args: world.deployment)

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["salespider-backup", "wal-status", *words])
        with pytest.raises(SystemExit) as left:
            sys.exit(entry.run())
        return int(left.value.code or 0), " ".join(capsys.readouterr().out.split())

    return run


def watch(world: World, *positions: int) -> None:
    """Look once a minute while the WAL grows to these positions, in mebibytes."""
    seconds = iter(range(0, 6000, 60))
    watching = Watch(lambda: float(next(seconds)))
    for position in positions:
        world.postgres.wal = make_wal(wal_position=position * MEBIBYTE)
        watching.once(world.deployment)
        world.clock.advance(minutes=1)


def test_before_the_first_look_the_rates_are_not_known(command: Type) -> None:
    code, out = command()
    assert code == Exit.OK
    assert "archiver working; last 000000010000000000000005 at 2026-03-04 11:59:00 UTC" in out
    assert "backlog nothing waits" in out
    assert "WAL rate not known now, not known at most in the last hour" in out
    assert "last look the supervisor has not looked yet" in out


def test_the_table_says_how_much_how_fast_and_how_long(command: Type, world: World) -> None:
    watch(world, 0, 60, 120)
    world.postgres.wal = make_wal(ready_segments=2, oldest_ready_seconds=75, pg_wal_bytes=5 * SEGMENT)
    code, out = command()
    assert code == Exit.OK
    assert "backlog 2 segments (33.6 MB), the oldest for 1 min 15 s" in out
    assert "WAL rate 1.0 MB/s now, 1.0 MB/s at most in the last hour" in out
    assert "pg_wal 83.9 MB" in out
    assert "if archiving stopped now 16 h 33 min, 16 h 33 min at that peak" in out  # (80 - 5) GB / (1 MiB/s x 1.2)
    assert "volume data 80.0 GB free of 100.0 GB, 20 % used; the same disk as log, state" in out
    assert "last look 1 min 0 s ago" in out


def test_an_alarm_stands_in_the_table_and_in_the_exit_code(command: Type, world: World, disk: Disk) -> None:
    watch(world, 0, 600)
    world.postgres.wal = make_wal(
        ready_segments=99, oldest_ready_seconds=3600, last_failed_wal="000000010000000000000006", last_failed_at=NOON
    )
    disk.free = 8 * 10**9
    code, out = command()
    assert code == Exit.CHECK_FAILED
    assert "archiver stalled; last 000000010000000000000005" in out
    assert "failed at 000000010000000000000006" in out
    assert "disk full in 3 min 58 s at the present rate" in out
    assert "critical archiving is behind: 99 WAL segments (1.7 GB) wait, the oldest for 1 h 0 min" in out
    assert "HINT: `make backup-check` names the reason" in out
    assert "critical the volume data (also log, state) is filling: 92 % used, 8.0 GB free; full in 3 min 58 s" in out


def test_without_a_database_the_disks_are_still_there(command: Type, world: World, disk: Disk) -> None:
    watch(world, 0, 60)
    world.postgres.down = "connection refused"
    disk.free = 20 * 10**9
    code, out = command()
    assert code == Exit.CHECK_FAILED, "because of the disk"
    assert "database unreachable: connection refused" in out
    assert "backlog not known" in out
    assert "80 % used" in out
    assert "WAL rate 1.0 MB/s now" in out


def test_a_database_that_is_away_is_an_alarm_after_minutes(command: Type, world: World) -> None:
    watch(world, 0)
    world.postgres.down = "connection refused"
    seconds = iter(range(0, 6000, 60))
    watching = Watch(lambda: float(next(seconds)))
    for _ in range(6):
        world.clock.advance(minutes=1)
        watching.once(world.deployment)
    code, out = command()
    assert code == Exit.CHECK_FAILED
    assert "critical the database cannot be reached (connection refused)" in out


def test_each_repository_is_listed_and_the_dead_one_with_its_reason(command: Type, world: World) -> None:
    world.reconfigure(make_config(repositories=2))
    assert "repository 1 takes WAL (/var/lib/pgbackrest1) repository 2 takes WAL (/var/lib/pgbackrest2)" in command()[1]
    out = world.volumes.archive_spool / "archive" / world.deployment.config.stanza / "out"
    out.mkdir(parents=True)
    (out / "000000010000000000000005.error").write_text(
        "104\nraised:\nrepo2: [HostConnectError] unable to connect to 'store:9': [111] Connection refused\n"
    )
    world.postgres.wal = make_wal(ready_segments=4, oldest_ready_seconds=60, last_failed_at=NOON)
    said = command()[1]
    assert "repository 1 takes WAL" in said
    assert "repository 2 takes no WAL (/var/lib/pgbackrest2): store:9 refuses the connection" in said
    (out / "000000010000000000000005.error").unlink()
    takers = [(taker["takes_wal"], taker["reason"]) for taker in answer(command)["repositories"]]
    assert takers == [(None, ""), (None, "")], "between two attempts nobody knows, and the supervisor has not looked"


def test_asking_keeps_nothing_and_tells_nobody(command: Type, world: World) -> None:
    watch(world, 0, 60)
    before = Samples(world.deployment.store).recent(world.clock.now, timedelta(hours=1))
    memory = world.deployment.marks.get("watch")
    world.postgres.wal = make_wal(ready_segments=99, oldest_ready_seconds=3600)
    command()
    assert Samples(world.deployment.store).recent(world.clock.now, timedelta(hours=1)) == before
    assert world.deployment.marks.get("watch") == memory
    assert world.deployment.teller.alarms.raised() == ()


def test_markup_in_what_the_server_says_is_text(command: Type, world: World) -> None:
    world.postgres.wal = make_wal(archive_command="[bold]true[/bold] [/]")
    watch(world)
    world.postgres.down = "[/red] [bold]"
    code, out = command()
    assert code == Exit.OK
    assert "[/red] [bold]" in out


def test_what_cannot_be_looked_at_says_so(command: Type) -> None:
    _, out = command()
    assert "volume repository1 cannot be looked at" in out


def test_a_supervisor_that_does_not_look_any_more_is_seen(command: Type, world: World) -> None:
    watch(world, 0, 60)
    world.clock.advance(minutes=10)
    _, out = command()
    assert "last look 11 min 0 s ago: the supervisor does not look any more" in out


# --- JSON -------------------------------------------------------------------------------------------------------------


def answer(command: Type) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(command("--output=json")[1])
    return found


def test_the_json_holds_the_same(command: Type, world: World) -> None:
    watch(world, 0, 60)
    world.postgres.wal = make_wal(ready_segments=4, oldest_ready_seconds=1200.5)
    found = answer(command)
    assert found["archiver"] == "stalled"
    assert (found["waiting_segments"], found["waiting_bytes"], found["oldest_waiting_seconds"]) == (4, 4 * SEGMENT, 1200.5)
    assert found["wal_rate"] == found["wal_rate_peak"] == MEBIBYTE
    assert found["last_archived_at"] == "2026-03-04T11:59:00+00:00"
    assert found["volumes"][0]["used_percent"] == 20.0
    alarm = found["alarms"][0]
    assert (alarm["key"], alarm["event"], alarm["severity"]) == ("archiver", "archiver.stalled", "warning")


def test_the_json_is_what_the_reference_says(command: Type, world: World) -> None:
    watch(world, 0, 60)
    world.postgres.wal = make_wal(ready_segments=4, oldest_ready_seconds=1200.5)
    found = answer(command)
    document = "docs/reference/wal-status.md"
    assert [row[0].strip("`") for row in rows(document, "## JSON")] == list(found)
    assert [row[0].strip("`") for row in rows(document, "### A repository")] == list(found["repositories"][0])
    assert [row[0].strip("`") for row in rows(document, "### A volume")] == list(found["volumes"][0])
    assert [row[0].strip("`") for row in rows(document, "### An alarm")] == list(found["alarms"][0])


def test_the_summary_is_for_others_as_well(world: World, tmp_path: Path) -> None:
    watch(world, 0, 60)
    found = summarize(world.deployment)
    assert isinstance(found, WalStatus)
    assert found.last_sample_at == world.clock.now - timedelta(minutes=1)
    assert found.alarms == ()
