"""A backup's proof and its end: damaged pages are a failure, and a stopped backup leaves nothing running."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path

from backup import jobs
from backup.jobs import BackupRequest
from contract.exits import Exit
from tests.integration.site import Site

PAGE = 8192


def test_a_damaged_page_makes_the_backup_a_failure_although_pgbackrest_ends_well(site: Site) -> None:
    site.protect()
    site.sql("CREATE TABLE victim AS SELECT n, repeat('x', 100) FROM generate_series(1, 1000) AS n")
    file = site.pgdata / site.sql("SELECT pg_relation_filepath('victim')")
    site.stop()
    with file.open("r+b") as pages:
        pages.seek(3 * PAGE + 4000)
        pages.write(b"damage")
    site.start()
    outcome = site.back_up("diff")
    assert (outcome.state, outcome.exit_code) == ("failed", Exit.BACKUP_FAILED)
    assert outcome.message == f"backup {outcome.label}: page checksum errors, the database's own files are damaged"
    with site.deployment() as deployment:
        info = jobs.read_info(deployment)
        run = deployment.history.last("backup")
    assert run is not None
    assert (run.state, run.label) == ("failed", outcome.label)
    assert [backup.has_errors for backup in info.backups] == [False, True]
    assert len(info.good()) == 1


def pgbackrest_processes() -> list[str]:
    """The command lines of every pgbackrest that works on a backup."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"pgbackrest") and any(word in words for word in (b"backup", b"backup:local")):
            found.append(b" ".join(words).decode())
    return found


def lock_is_free(file: Path) -> bool:
    """Pgbackrest removes the file of a lock that it gives back."""
    if not file.exists():
        return True
    with file.open("r+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_stopping_a_backup_ends_all_its_processes_and_frees_its_lock(site: Site) -> None:
    site.publish({"compress-type": "bz2", "compress-level": "9", "process-max": "2"})
    site.create_stanza()
    site.sql("CREATE TABLE big AS SELECT n, md5(n::text) || md5((n + 1)::text) AS text FROM generate_series(1, 600000) AS n")
    site.sql("CHECKPOINT")
    seen: list[str] = []
    with site.deployment() as deployment:

        def look_and_stop() -> None:
            for _ in range(2000):
                seen[:] = pgbackrest_processes()
                if any("backup:local" in line for line in seen):
                    break
                threading.Event().wait(0.01)
            deployment.stop.set()

        watcher = threading.Thread(target=look_and_stop)
        watcher.start()
        outcome = jobs.take_backup(deployment, BackupRequest("full", 1, "manual", "to be stopped"), 0.0)
        watcher.join()
        run = deployment.history.last("backup")
    assert any("backup:local" in line for line in seen)
    assert outcome.state == "interrupted"
    assert pgbackrest_processes() == []
    assert lock_is_free(site.lock / "salespider-backup-1.lock")
    assert run is not None
    assert run.state == "interrupted"
    assert site.back_up().state == "succeeded"
