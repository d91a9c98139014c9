"""Watching a real server: figures that agree with its files, an archive that fails and comes back, a server that hangs."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from backup.postgres import DatabaseError
from backup.watch.samples import Samples
from backup.watch.summary import summarize
from backup.watch.watcher import Watch
from contract import events
from tests.integration.site import Site, wait_until

MANY = 4096
"""Segments in pg_wal: 64 GB that wait."""


def ready_files(site: Site) -> list[Path]:
    return sorted((site.pgdata / "pg_wal" / "archive_status").glob("*.ready"))


def pg_wal_bytes(site: Site) -> int:
    return sum(file.stat().st_size for file in (site.pgdata / "pg_wal").iterdir() if file.is_file())


@contextmanager
def unreadable(directory: Path) -> Iterator[None]:
    """Take all rights to a directory away, as a lost mount or a wrong owner would."""
    directory.chmod(0)
    try:
        yield
    finally:
        directory.chmod(0o750)


def backdate(files: list[Path], seconds: float) -> None:
    for file in files:
        os.utime(file, (time.time() - seconds,) * 2)


def test_a_look_agrees_with_the_servers_files(site: Site) -> None:
    with site.deployment() as deployment, unreadable(site.repository):
        for _ in range(3):
            deployment.postgres.switch_wal()
        backdate(ready_files(site)[:1], 1000)
        reading = deployment.postgres.wal_reading()
        assert reading.ready_segments == len(ready_files(site)) == 3
        assert reading.oldest_ready_seconds == pytest.approx(1000, abs=5)
        assert reading.pg_wal_bytes == pg_wal_bytes(site)
        assert reading.segment_bytes == 16 * 1024 * 1024
        assert reading.wal_position // reading.segment_bytes == 4
        assert reading.wal_position == int(site.sql("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"))
        assert reading.system_id == int(site.control("Database system identifier"))
        assert reading.is_archiving_configured


def test_an_archive_that_fails_is_a_stall_and_its_return_is_told_with_what_was_caught_up(site: Site) -> None:
    site.create_stanza()
    site.switch_wal()
    with site.deployment() as deployment:
        watch, postgres = Watch(), deployment.postgres
        assert watch.once(deployment).archiver == "working"
        with unreadable(site.repository):
            for _ in range(5):
                postgres.switch_wal()
            wait_until(lambda: postgres.wal_reading().is_failing, 60)
            assert watch.once(deployment).archiver == "failing", "not late yet"
            backdate(ready_files(site), 900)
            assert watch.once(deployment).archiver == "stalled"
            (raised,) = deployment.teller.alarms.raised()
            assert (raised.alarm.key, raised.alarm.event) == ("archiver", events.ARCHIVER_STALLED)
            assert raised.alarm.message.startswith(
                "archiving is behind: 5 WAL segments (83.9 MB) wait, the oldest for 15 min"
            )
            status = summarize(deployment)
            assert (status.archiver, status.waiting_segments) == ("stalled", len(ready_files(site)))
            assert [alarm.key for alarm in status.alarms] == ["archiver"]
        site.sql("SELECT pg_reload_conf()")
        postgres.switch_wal()
        wait_until(lambda: not ready_files(site), 90)
        verdict = watch.once(deployment)
        assert verdict.archiver == "working"
        (over,) = (over for over in verdict.over if over.key == "archiver")
        assert over.summary.startswith("archiving works again after 15 min")
        assert over.summary.endswith("6 WAL segments (100.7 MB) caught up")
        assert deployment.teller.alarms.raised() == ()
        assert summarize(deployment).alarms == ()
        kept = Samples(deployment.store).last(deployment.now())
        assert kept is not None
        assert kept.wal is not None
        assert kept.wal.ready_segments == 0


def test_a_command_that_archives_to_nowhere_is_seen_although_the_server_counts_it(site: Site) -> None:
    site.sql("ALTER SYSTEM SET archive_command = '/bin/true'")
    site.sql("SELECT pg_reload_conf()")
    with site.deployment() as deployment:
        segment = deployment.postgres.switch_wal()
        wait_until(lambda: (deployment.postgres.archiver().last_archived_wal or "") >= segment)
        seconds = iter((0.0, 60.0))
        watch = Watch(lambda: next(seconds))
        watch.once(deployment)
        a_minute_later = deployment.now() + timedelta(minutes=1)
        verdict = watch.once(replace(deployment, now=lambda: a_minute_later))
        assert verdict.archiver == "off"
        (standing,) = (standing for standing in verdict.standing if standing.key == "archiver")
        assert standing.severity == "critical"
        assert "archive_command is '/bin/true'" in standing.message


def test_a_server_in_recovery_is_looked_at_as_well(site: Site) -> None:
    site.stop()
    (site.pgdata / "standby.signal").touch()
    site.start()
    with site.deployment() as deployment:
        reading = deployment.postgres.wal_reading()
        assert reading.in_recovery
        assert Watch().once(deployment).archiver == "unknown"
        assert summarize(deployment).database == "in recovery"


def test_a_server_that_is_down_leaves_the_disks(site: Site) -> None:
    with site.deployment() as deployment:
        site.stop()
        status = summarize(deployment)
        assert status.database == "unreachable"
        assert status.volumes[0].name == "data"
        assert status.volumes[0].free_bytes


def test_a_server_that_hangs_does_not_hang_the_watcher(site: Site) -> None:
    postmaster = int((site.pgdata / "postmaster.pid").read_text().split()[0])
    with site.deployment() as deployment:
        os.kill(postmaster, signal.SIGSTOP)
        try:
            began = time.monotonic()
            with pytest.raises(DatabaseError):
                deployment.postgres.wal_reading()
            assert time.monotonic() - began < 10
        finally:
            os.kill(postmaster, signal.SIGCONT)


def test_a_large_backlog_costs_little(site: Site) -> None:
    """The server lists its directories: one `stat` a file."""
    for number in range(1000, 1000 + MANY):
        name = f"{1:08X}{number // 256:08X}{number % 256:08X}"
        (site.pgdata / "pg_wal" / name).touch()
        (site.pgdata / "pg_wal" / "archive_status" / f"{name}.done").touch()
    with site.deployment() as deployment:
        deployment.postgres.wal_reading()
        began = time.perf_counter()
        deployment.postgres.wal_reading()
        took = time.perf_counter() - began
    print(f"a look with {MANY} segments in pg_wal: {took * 1000:.0f} ms")
    assert took < 1
