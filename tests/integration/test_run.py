"""What a run is, with the real programs: each wrong state said before it begins, each lack of proof a failure."""

from __future__ import annotations

import fcntl
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from backup import process
from backup.taking import jobs, live, preflight
from backup.taking.jobs import BackupRequest, Outcome
from contract import events
from contract.exits import Exit
from tests.integration.site import BUNDLED, ENCRYPTED, PLAIN, Site

PAGE = 8192
SMALL_DISK = Path("/run/small-repository")
"""A file system of 24 MB; the compose file of these tests mounts it."""


def damage(site: Site, table: str, *pages: int) -> str:
    """Write into these pages of a table behind the server's back; return the file's name."""
    name = site.sql(f"SELECT pg_relation_filepath('{table}')")
    site.stop()
    with (site.pgdata / name).open("r+b") as file:
        for page in pages:
            file.seek(page * PAGE + 4000)
            file.write(b"damage")
    site.start()
    return name


def make_table(site: Site, name: str, rows: int = 1000) -> None:
    site.sql(f"CREATE TABLE {name} AS SELECT n, repeat('x', 100) FROM generate_series(1, {rows}) AS n")
    site.sql("CHECKPOINT")


def labels(site: Site) -> list[str]:
    with site.deployment() as deployment:
        return [backup.label for backup in jobs.read_info(deployment).backups]


# --- damaged pages ----------------------------------------------------------------------------------------------------


def test_a_damaged_page_is_a_failure_that_names_its_file_although_pgbackrest_ends_well(site: Site) -> None:
    site.protect()
    make_table(site, "victim")
    file = damage(site, "victim", 3)
    outcome = site.back_up("diff")
    assert (outcome.state, outcome.exit_code, outcome.retryable) == ("failed", Exit.BACKUP_FAILED, False)
    assert outcome.message == (
        f"backup {outcome.label}: page checksum errors in 1 file: {file}; the database's own files are damaged"
    )
    with site.deployment() as deployment:
        info = jobs.read_info(deployment)
        run = deployment.history.last("backup")
        assert [raised.alarm.key for raised in deployment.teller.alarms.raised()] == ["backup:1"]
    assert run is not None
    assert (run.state, run.label, run.retryable) == ("failed", outcome.label, False)
    assert [backup.has_errors for backup in info.backups] == [False, True]


@pytest.mark.parametrize("options", [PLAIN, BUNDLED], ids=["plain", "bundled"])
def test_several_damaged_pages_in_several_files_are_named_too(site: Site, options: dict[str, str]) -> None:
    """Over which pgbackrest 2.55.1 crashes, when the database is large enough."""
    site.publish(options)
    site.create_stanza()
    for table in ("one", "two"):
        make_table(site, table)
    make_table(site, "large", 600_000)
    files = sorted((damage(site, "one", 2, 4, 5), damage(site, "two", 1, 3)))
    outcome = site.back_up()
    assert outcome.message == (
        f"backup {outcome.label}: page checksum errors in 2 files: {', '.join(files)}; the database's own files are damaged"
    ), outcome.tail
    assert outcome.attempts in (1, 2)


def test_damaged_backups_never_push_out_a_good_one(site: Site) -> None:
    """Retention keeps two full backups here, and pgbackrest itself would count these."""
    site.publish(BUNDLED)
    good = [site.protect(), site.back_up().label]
    make_table(site, "victim")
    damage(site, "victim", 3)
    for _ in range(3):
        assert site.back_up().state == "failed"
    assert set(good) <= set(labels(site))


# --- the proof --------------------------------------------------------------------------------------------------------


def test_without_its_last_wal_segment_a_backup_is_no_success(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.publish(ENCRYPTED)
    site.create_stanza()
    run = process.run

    def run_and_lose(argv: tuple[str, ...], on_line: Callable[[str], None], limits: process.Limits) -> process.Finished:
        finished = run(argv, on_line, limits)
        with site.deployment() as deployment:
            stop = jobs.read_info(deployment).backups[-1].wal_stop
        assert stop is not None
        site.archived_segments()[stop].unlink()
        return finished

    monkeypatch.setattr(process, "run", run_and_lose)
    outcome = site.back_up()
    assert (outcome.state, outcome.exit_code, outcome.retryable) == ("failed", Exit.BACKUP_FAILED, True)
    assert outcome.message.startswith(f"backup {outcome.label}: its last WAL segment 0000000100000000")
    assert outcome.message.endswith(" is not in the archive of repository 1")
    monkeypatch.undo()
    assert site.back_up().state == "succeeded"


# --- before it begins -------------------------------------------------------------------------------------------------


def refused(site: Site) -> tuple[str, int, bool]:
    """Take a backup that must not begin: pgbackrest has not been asked for one."""
    begun: list[str] = []
    with site.deployment() as deployment, capture_logs() as logged:
        outcome = jobs.take_backup(deployment, BackupRequest("full", 1, "manual", "a test"), 0.0)
    begun = [entry["line"] for entry in logged if "backup command begin" in str(entry.get("line"))]
    assert (outcome.state, begun) == ("failed", [])
    return outcome.message, outcome.exit_code, outcome.retryable


def test_a_database_that_is_down_and_one_in_recovery_and_one_without_archiving(site: Site) -> None:
    site.create_stanza()
    site.stop()
    message, code, retryable = refused(site)
    assert message.startswith("database: ")
    assert "connection to server on socket" in message
    assert (code, retryable) == (Exit.DATABASE, True)

    (site.pgdata / "standby.signal").touch()
    site.start()
    assert refused(site) == ("the database is in recovery, so it is no primary to back up", Exit.DATABASE, True)
    site.stop()
    (site.pgdata / "standby.signal").unlink()

    with (site.pgdata / "postgresql.conf").open("a") as file:
        file.write("archive_mode = off\n")
    site.start()
    message = "archiving is off in the running database, so no backup would be complete"
    assert refused(site) == (message, Exit.DATABASE, False)


def test_a_repository_that_is_emptied_locked_or_of_another_passphrase(site: Site) -> None:
    site.publish(ENCRYPTED)
    site.create_stanza()
    site.publish({**ENCRYPTED, "repo1-cipher-pass": "another-passphrase-of-the-tests"})
    message, code, retryable = refused(site)
    assert message == (
        f"repository 1 ({site.repository}): the passphrase does not open it, it was encrypted with another one"
    )
    assert (code, retryable) == (Exit.REPOSITORY, False)

    site.publish(ENCRYPTED)
    site.repository.chmod(0)
    message, code, _ = refused(site)
    site.repository.chmod(0o750)
    assert message.startswith(f"repository 1 ({site.repository}): pgbackrest exit code ")
    assert "Permission denied" in message
    assert code == Exit.REPOSITORY

    for path in site.repository.iterdir():
        shutil.rmtree(path)
    assert refused(site) == ("repository 1 holds no stanza salespider", Exit.REPOSITORY, True)


def test_a_store_that_does_not_answer_is_told_within_seconds(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "IO_SECONDS", 1)
    site.create_stanza()
    store = {"repo1-type": "s3", "repo1-path": "/x", "repo1-s3-bucket": "bucket", "repo1-s3-region": "nowhere"}
    keys = {"repo1-s3-endpoint": "127.0.0.1:9", "repo1-s3-key": "a", "repo1-s3-key-secret": "b"}
    site.publish({**store, **keys, "repo1-s3-uri-style": "path"})
    with site.deployment() as deployment:
        outcome = jobs.take_backup(deployment, BackupRequest("full", 1, "manual", "a test"), 0.0)
        (run,) = deployment.history.recent("backup")
    assert (outcome.state, outcome.exit_code, outcome.retryable) == ("failed", Exit.REPOSITORY, True)
    assert "refuses the connection" in outcome.message
    assert run.finished is not None
    assert (run.finished - run.started).total_seconds() < preflight.ANSWER_SECONDS


# --- space ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def small(site: Site) -> Iterator[Site]:
    """A site whose repository has a disk of 24 MB."""
    site.repository = SMALL_DISK
    site.publish({"archive-timeout": "5"})
    yield site
    for path in SMALL_DISK.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def fill(leaving: int) -> Path:
    filling = SMALL_DISK / "filling"
    filling.unlink(missing_ok=True)
    with filling.open("wb") as file:
        file.write(b"x" * max(shutil.disk_usage(SMALL_DISK).free - leaving, 0))
    return filling


def test_a_repository_that_fills_up_is_a_failure_and_space_its_end(small: Site) -> None:
    small.create_stanza()
    filling = fill(leaving=2_000_000)
    outcome = small.back_up()
    assert (outcome.state, outcome.exit_code, outcome.retryable) == ("failed", 64, True)
    assert outcome.hint == "check the free space of the repository"
    fill(leaving=0)
    message, code, retryable = refused(small)
    assert re.fullmatch(rf"repository 1 \({SMALL_DISK}\): 0\.\d MB free", message), message
    assert (code, retryable) == (Exit.REPOSITORY, True)
    filling.unlink()
    assert small.back_up().state == "succeeded"
    stored = _last(small)
    fill(leaving=stored // 3)
    message, code, retryable = refused(small)
    assert message.startswith(f"repository 1 ({SMALL_DISK}): ")
    assert " MB free, and a full backup takes about " in message
    assert (code, retryable) == (Exit.REPOSITORY, True)
    filling.unlink()
    with small.deployment() as deployment:
        assert [run.state for run in deployment.history.recent("backup")] == ["failed", "succeeded", "failed", "failed"]


def _last(site: Site) -> int:
    with site.deployment() as deployment:
        return jobs.read_info(deployment).backups[-1].repository_bytes


# --- while it runs ----------------------------------------------------------------------------------------------------


def test_a_lock_that_is_busy_for_a_while_is_waited_for(site: Site) -> None:
    site.create_stanza()
    lock = site.lock / "salespider-backup-1.lock"
    outcomes: list[Outcome] = []
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        runner = threading.Thread(target=lambda: outcomes.append(site.back_up()))
        runner.start()
        threading.Event().wait(2.0)
        assert outcomes == []
    runner.join()
    (outcome,) = outcomes
    assert (outcome.state, outcome.attempts) == ("succeeded", 1), outcome


def test_progress_is_told_in_bytes_while_it_runs(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.publish({"compress-type": "bz2", "compress-level": "9", "process-max": "1"})
    site.create_stanza()
    make_table(site, "large", 300_000)
    monkeypatch.setattr(live, "display", lambda request: live.Log(request.repo, every_seconds=0.05))
    with site.deployment() as deployment, capture_logs() as logged:
        outcome = jobs.take_backup(deployment, BackupRequest("full", 1, "schedule", "a test"), 0.0)
    assert outcome.state == "succeeded"
    told = [entry for entry in logged if entry["event"] == events.BACKUP_PROGRESS]
    assert told, "nothing was told"
    done = [entry["bytes_done"] for entry in told]
    assert done == sorted(done)
    assert 0 < done[-1] <= told[-1]["bytes_total"]
    assert outcome.sizes is not None
    assert told[-1]["bytes_total"] == pytest.approx(outcome.sizes.database, rel=0.01)


def test_a_diff_without_a_full_backup_is_a_full_one(site: Site) -> None:
    site.create_stanza()
    outcome = site.back_up("diff")
    assert (outcome.state, outcome.kind) == ("succeeded", "full")
    assert outcome.message.endswith(" (full instead of diff: the repository holds no full backup)")
    assert site.back_up("diff").kind == "diff"
