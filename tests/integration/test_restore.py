"""The restore in place on a real cluster: the tail, a moment, a backup set, and the timelines that come of them."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backup.ledger.timelines import FIRST
from backup.ledger.wal import parse_lsn
from backup.restore.in_place import IncompleteError, InPlaceRestore, Restored, UndoneError
from backup.restore.planning import choosing, knowledge
from backup.restore.planning.plan import STOP_PRECISION, RefusedError, Wanted
from backup.restore.scene import Scene
from backup.taking import jobs
from tests.integration.site import BUNDLED, LocalServer, Site, wait_until


@pytest.fixture
def encrypted(tmp_path: Path, template: Path) -> Iterator[Site]:
    made = Site(tmp_path, BUNDLED)
    made.create(template)
    made.protect()
    yield made
    made.stop("immediate")


def restore(site: Site, wanted: Wanted, number: int = 1) -> Restored:
    """Do what the command does, with the site's server in the place of the container."""
    with site.deployment() as deployment:
        server = LocalServer(site, {"RESTORE_COMMAND_ATTEMPTS": "1"})
        steps = InPlaceRestore(Scene(deployment, server, print, lambda _line: None))
        info = jobs.read_info(deployment)
        steps.settle(info.present_cluster(1), waits_for_archive=wanted.verb == "pitr")
        plan, _ = choosing.planned(deployment, wanted, jobs.read_info(deployment), settled=True)
        return steps.run(plan, f"test-{number}")


def rows(site: Site) -> int:
    return int(site.sql("SELECT count(*) FROM entry"))


def kill(site: Site) -> None:
    """End the server as a power cut would."""
    postmaster = int((site.pgdata / "postmaster.pid").read_text().splitlines()[0])
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    for process in (postmaster, *map(int, children)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    wait_until(lambda: not site.is_running)


def moment(site: Site) -> datetime:
    """Return the present moment, as soon as it is one that can be restored: a backup's end is known to the second only."""
    with site.deployment() as deployment:
        earliest = jobs.read_info(deployment).backups[0].stopped + STOP_PRECISION
    wait_until(lambda: datetime.now(UTC) > earliest)
    return datetime.now(UTC)


def fill(site: Site, count: int) -> None:
    """Commit so many rows, each in a transaction of its own."""
    site.sql("CREATE TABLE IF NOT EXISTS entry (n serial)")
    site.sql(f"DO $$ BEGIN FOR i IN 1..{count} LOOP INSERT INTO entry DEFAULT VALUES; COMMIT; END LOOP; END $$")


# --- the latest state -------------------------------------------------------------------------------------------------


def test_the_latest_state_of_a_running_database_comes_back_on_a_new_timeline(encrypted: Site) -> None:
    fill(encrypted, 100)
    restored = restore(encrypted, Wanted("latest"))
    assert rows(encrypted) == 100
    assert (restored.segments_fed, restored.kept) == (0, ())
    assert encrypted.sql("SELECT pg_walfile_name(pg_current_wal_lsn())")[:8] == "00000002"


def test_after_a_crash_with_the_archive_cut_off_no_committed_row_is_lost(encrypted: Site) -> None:
    fill(encrypted, 100)
    encrypted.switch_wal()
    encrypted.sql("ALTER SYSTEM SET archive_command = 'false # pgbackrest'")
    encrypted.sql("SELECT pg_reload_conf()")
    fill(encrypted, 50)
    encrypted.sql("SELECT pg_switch_wal()")
    fill(encrypted, 50)
    kill(encrypted)
    assert (encrypted.pgdata / "postmaster.pid").exists()
    restored = restore(encrypted, Wanted("latest"))
    assert restored.segments_fed >= 2
    assert rows(encrypted) == 200
    assert [path.name for path in encrypted.volume.iterdir()] == ["data"]


def test_after_an_orderly_stop_with_the_archive_cut_off_no_committed_row_is_lost(encrypted: Site) -> None:
    fill(encrypted, 100)
    encrypted.sql("ALTER SYSTEM SET archive_command = 'false # pgbackrest'")
    encrypted.sql("SELECT pg_reload_conf()")
    fill(encrypted, 50)
    encrypted.stop()
    assert restore(encrypted, Wanted("latest")).segments_fed >= 1
    assert rows(encrypted) == 150


def test_a_lost_data_directory_comes_back_from_the_repository_alone(encrypted: Site) -> None:
    fill(encrypted, 100)
    encrypted.switch_wal()
    encrypted.stop("immediate")
    encrypted.pgdata.rename(encrypted.root / "lost")
    restore(encrypted, Wanted("latest"))
    assert rows(encrypted) == 100
    assert encrypted.pgdata.stat().st_mode & 0o777 == 0o700


# --- a moment and a backup set ----------------------------------------------------------------------------------------


def test_a_moment_brings_back_what_was_dropped_after_it(encrypted: Site) -> None:
    fill(encrypted, 100)
    before = moment(encrypted)
    encrypted.sql("DROP TABLE entry")
    restore(encrypted, Wanted("pitr", at=before))
    assert rows(encrypted) == 100
    assert encrypted.sql("SELECT pg_is_in_recovery()") == "f"


def test_a_moment_after_the_last_commit_is_reached_because_the_restore_writes_one(encrypted: Site) -> None:
    fill(encrypted, 100)
    restore(encrypted, Wanted("pitr", at=moment(encrypted)))
    assert rows(encrypted) == 100


def test_a_backup_set_brings_back_its_own_state(encrypted: Site) -> None:
    fill(encrypted, 100)
    label = encrypted.back_up("diff").label
    fill(encrypted, 100)
    restore(encrypted, Wanted("backup", label=label))
    assert rows(encrypted) == 100


# --- timelines --------------------------------------------------------------------------------------------------------


def test_the_newest_branch_is_read_from_the_encrypted_archive_and_followed(encrypted: Site) -> None:
    with encrypted.deployment() as deployment:
        assert knowledge.gather(deployment, Wanted("latest"), jobs.read_info(deployment)).branch == FIRST
    fill(encrypted, 100)
    before = moment(encrypted)
    fill(encrypted, 11)
    abandoned = encrypted.back_up("diff").label
    restore(encrypted, Wanted("pitr", at=before))
    wait_until(lambda: list((encrypted.repository / "archive").rglob("00000002.history*")) != [])
    fill(encrypted, 7)
    encrypted.switch_wal()
    with encrypted.deployment() as deployment:
        plan, known = choosing.planned(deployment, Wanted("latest"), jobs.read_info(deployment))
        branch = known.branch
    assert (branch.timeline, list(branch.left_at)) == (2, [1])
    assert 0 < branch.left_at[1] < parse_lsn(encrypted.sql("SELECT pg_current_wal_lsn()"))
    assert plan.backup.label != abandoned
    restore(encrypted, Wanted("latest"), 2)
    assert rows(encrypted) == 107


# --- failures ---------------------------------------------------------------------------------------------------------


def test_a_restore_that_pgbackrest_refuses_leaves_the_old_database_running(encrypted: Site) -> None:
    fill(encrypted, 100)
    manifest = next(encrypted.repository.rglob("*F/backup.manifest"))
    with encrypted.deployment() as deployment:
        server = LocalServer(encrypted)
        steps = InPlaceRestore(Scene(deployment, server, print, lambda _line: None))
        plan, _ = choosing.planned(deployment, Wanted("latest"), jobs.read_info(deployment))
        manifest.chmod(0)
        manifest.with_name("backup.manifest.copy").chmod(0)
        with pytest.raises(UndoneError):
            steps.run(plan, "test-1")
    assert rows(encrypted) == 100
    assert encrypted.sql("SELECT pg_walfile_name(pg_current_wal_lsn())")[:8] == "00000001"
    assert [path.name for path in encrypted.volume.iterdir()] == ["data"]


def test_an_archive_that_cannot_be_read_during_recovery_is_diagnosed_and_gone_on_from(encrypted: Site) -> None:
    before = set(encrypted.archived_segments())
    fill(encrypted, 100)
    encrypted.switch_wal()
    later = [file for name, file in encrypted.archived_segments().items() if name not in before]
    encrypted.stop()
    for file in later:
        file.chmod(0)
    with pytest.raises(IncompleteError) as incomplete:
        restore(encrypted, Wanted("latest"))
    assert incomplete.value.message == "recovery: the repository could not be read; THE DATABASE IS DOWN"
    for file in later:
        file.chmod(0o640)
    encrypted.start(wait=False)
    wait_until(encrypted.is_open)
    assert rows(encrypted) == 100


def test_a_moment_behind_the_last_commit_in_the_archive_is_refused_before_anything_stops(encrypted: Site) -> None:
    fill(encrypted, 100)
    encrypted.switch_wal()
    encrypted.stop()
    with pytest.raises(RefusedError, match=r"lies after the last transaction in the archive"):
        restore(encrypted, Wanted("pitr", at=moment(encrypted)))
    restore(encrypted, Wanted("latest"), 2)
    assert rows(encrypted) == 100


def test_a_tablespace_younger_than_the_backup_would_keep_later_rows(encrypted: Site) -> None:
    """Why `backup.restore.tablespaces` refuses it: this goes around that, and the moment that comes back never was."""
    place = encrypted.volume / "fast"
    place.mkdir()
    encrypted.sql(f"CREATE TABLESPACE fast LOCATION '{place}'")
    encrypted.sql("CREATE TABLE quick TABLESPACE fast AS SELECT 1 AS id")
    inside = moment(encrypted)
    encrypted.sql("CREATE TABLE later ()")  # recovery ends before this is committed
    encrypted.sql("INSERT INTO quick SELECT generate_series(2, 2000)")
    encrypted.sql("VACUUM (FREEZE) quick")
    encrypted.sql("CHECKPOINT")
    restore(encrypted, Wanted("pitr", at=inside))
    assert encrypted.sql("SELECT count(*) > 1 FROM quick") == "t", "pages that the WAL does not speak of yet are still there"
