"""A backup's end from outside: stopped or killed, it leaves nothing running, and the next one succeeds."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
from pathlib import Path

from backup.taking import jobs
from backup.taking.jobs import BackupRequest
from tests.integration.site import Site, wait_until

SLOWLY = {"compress-type": "bz2", "compress-level": "9", "process-max": "2"}


def make_data(site: Site) -> None:
    site.sql("CREATE TABLE big AS SELECT n, md5(n::text) || md5((n + 1)::text) AS text FROM generate_series(1, 600000) AS n")
    site.sql("CHECKPOINT")


def pgbackrest_processes() -> list[str]:
    """The command lines of every pgbackrest that works on a backup."""
    return list(_pgbackrests().values())


def pgbackrest_pids() -> list[int]:
    return list(_pgbackrests())


def _pgbackrests() -> dict[int, str]:
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"pgbackrest") and any(word in words for word in (b"backup", b"backup:local")):
            found[int(entry.name)] = b" ".join(words).decode()
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
    site.publish(SLOWLY)
    site.create_stanza()
    make_data(site)
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


def test_a_backup_whose_processes_are_killed_fails_and_the_next_one_succeeds(site: Site) -> None:
    site.publish(SLOWLY)
    site.create_stanza()
    make_data(site)

    def kill() -> None:
        wait_until(lambda: any("backup:local" in line for line in pgbackrest_processes()))
        for group in {os.getpgid(pid) for pid in pgbackrest_pids()}:
            os.killpg(group, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    outcome = site.back_up()
    killer.join()
    assert (outcome.state, outcome.exit_code, outcome.retryable) == ("failed", -signal.SIGKILL, True)
    assert pgbackrest_processes() == []
    site.publish({})
    assert site.back_up().state == "succeeded"
    with site.deployment() as deployment:
        runs = deployment.history.recent("backup")
        assert [run.state for run in runs] == ["succeeded", "failed"]
        assert deployment.teller.alarms.raised() == ()
