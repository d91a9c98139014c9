"""The restore beside on a real cluster: the proof tells the truth, the swap keeps both, and nothing committed is lost."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from backup.ledger import wal
from backup.restore import aftercare, branches, tablespaces, transaction
from backup.restore.beside.build import SideRestore
from backup.restore.beside.catching_up import WORTH_BYTES
from backup.restore.beside.proof import control
from backup.restore.container import Condition
from backup.restore.in_place import InPlaceRestore, Restored
from backup.restore.planning import choosing
from backup.restore.planning.plan import STOP_PRECISION, Wanted
from backup.restore.planning.refusal import RefusedError
from backup.restore.scene import Scene
from backup.restore.swap.outcome import PutBackError
from backup.restore.swap.switch import Switch
from backup.restore.transaction import Back, BesideRestore, Wish
from backup.taking import jobs
from tests.integration.site import BUNDLED, LocalServer, Site, wait_until


@pytest.fixture
def site(tmp_path: Path, template: Path) -> Iterator[Site]:
    made = Site(tmp_path, BUNDLED)
    made.create(template)
    made.protect()
    made.sql("CREATE TABLE entry (n serial)")
    yield made
    made.stop("immediate")


def restore(site: Site, wanted: Wanted, number: int = 1, *, check_indexes: bool = False) -> Restored:
    """Do what the command does, with the site's server in the place of the container."""
    with site.deployment() as deployment:
        server = LocalServer(site, {"RESTORE_COMMAND_ATTEMPTS": "1"})
        info = jobs.read_info(deployment)
        steps = InPlaceRestore(Scene(deployment, server, print, lambda _line: None))
        steps.settle(info.present_cluster(1), waits_for_archive=wanted.verb == "pitr")
        info = jobs.read_info(deployment)
        plan, _ = choosing.planned(deployment, wanted, info, settled=True)
        of = info.cluster_of(plan.backup)
        assert of is not None
        wish = Wish(plan, of.system_id, branches.newest_timeline(info), check_indexes)
        return BesideRestore(Scene(deployment, server, print, print)).run(wish, f"20260304-12000{number}", "a test")


def undo(site: Site, number: int) -> Restored:
    with site.deployment() as deployment:
        server = LocalServer(site)
        kept = transaction.undoable(deployment, aftercare.kept_clusters(site.volume))
        newest = branches.newest_timeline(jobs.read_info(deployment))
        swap = transaction.way_back(deployment, Back(kept, newest, (1,), deployment.zone), f"20260304-12000{number}", server)
        return transaction.restored(Switch(Scene(deployment, server, print, print)).finish(swap))


def fill(site: Site, count: int) -> None:
    """Commit so many rows, each in a transaction of its own."""
    site.sql(f"DO $$ BEGIN FOR i IN 1..{count} LOOP INSERT INTO entry DEFAULT VALUES; COMMIT; END LOOP; END $$")


def rows(site: Site) -> int:
    return int(site.sql("SELECT count(*) FROM entry"))


def timeline(site: Site) -> int:
    return int(site.sql("SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"), 16)


def moment(site: Site) -> datetime:
    """Return the present moment, as soon as it is one that can be restored: a backup's end is known to the second only."""
    with site.deployment() as deployment:
        earliest = jobs.read_info(deployment).backups[0].stopped + STOP_PRECISION
    wait_until(lambda: datetime.now(UTC) > earliest)
    return datetime.now(UTC)


def kill(site: Site) -> None:
    """End the server as a power cut would."""
    postmaster = int((site.pgdata / "postmaster.pid").read_text().splitlines()[0])
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    for process in (postmaster, *map(int, children)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    wait_until(lambda: not site.is_running)


def cut_off(site: Site) -> None:
    site.sql("ALTER SYSTEM SET archive_command = 'false # pgbackrest'")
    site.sql("SELECT pg_reload_conf()")


def archives_all(site: Site) -> bool:
    return site.sql("SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'") == "0"


def in_volume(site: Site) -> list[str]:
    return sorted(path.name for path in site.volume.iterdir())


def test_the_latest_state_takes_the_place_of_the_running_one(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.sql("CREATE EXTENSION amcheck")
    fill(site, 100)
    restored = restore(site, Wanted("latest"), check_indexes=True)
    assert (rows(site), timeline(site)) == (100, 2)
    assert restored.downtime_seconds < 20
    told = capsys.readouterr().out
    assert "pg_amcheck looks through" in told
    assert "could not check everything" not in told
    assert in_volume(site) == ["data", "previous-20260304-120001", "restore-journal.json"]
    assert site.sql("SHOW archive_mode") == "on"


def test_what_is_written_during_the_restore_is_replayed_before_the_swap(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The database that starts has hardly anything left to replay: this, and nothing else, is downtime."""
    left: list[int] = []
    restore_files, start = SideRestore._restore, LocalServer.start

    def writing_meanwhile(self: SideRestore, *given: Any) -> None:
        restore_files(self, *given)
        site.sql("CREATE TABLE ballast AS SELECT repeat(md5(i::text), 30) FROM generate_series(1, 150000) i")

    def noting(self: LocalServer) -> Condition:
        redo = control(site.pgdata)["Latest checkpoint's REDO location"]
        left.append(wal.end_of(max(site.archived_segments()), 16 << 20) - wal.parse_lsn(redo))
        return start(self)

    monkeypatch.setattr(SideRestore, "_restore", writing_meanwhile)
    monkeypatch.setattr(LocalServer, "start", noting)
    restore(site, Wanted("latest"))
    assert "of WAL were written meanwhile" in capsys.readouterr().out
    assert 0 <= left[0] < WORTH_BYTES
    assert site.sql("SELECT count(*) FROM ballast") == "150000"


def test_after_a_crash_with_the_archive_cut_off_no_committed_row_is_lost_and_the_archive_gets_all(site: Site) -> None:
    fill(site, 100)
    site.switch_wal()
    cut_off(site)
    fill(site, 50)
    site.sql("SELECT pg_switch_wal()")
    before_the_end = moment(site)
    fill(site, 50)
    kill(site)
    restored = restore(site, Wanted("latest"))
    assert restored.segments_fed >= 2
    assert rows(site) == 200
    site.switch_wal()
    wait_until(lambda: archives_all(site))
    restore(site, Wanted("pitr", at=before_the_end), 2)
    assert rows(site) == 150, "the salvaged interval itself can be restored to any moment"


def test_a_moment_that_only_the_dead_database_knows_can_be_restored(site: Site) -> None:
    """It lies in WAL that the archive never saw, and that the killed cluster still has."""
    fill(site, 100)
    site.switch_wal()
    cut_off(site)
    fill(site, 50)
    inside = moment(site)
    fill(site, 50)
    kill(site)
    restore(site, Wanted("pitr", at=inside))
    assert rows(site) == 150
    undo(site, 2)
    assert rows(site) == 200


def test_an_undo_brings_back_the_old_rows_and_a_later_restore_what_was_written_then(site: Site) -> None:
    fill(site, 100)
    before = moment(site)
    fill(site, 20)
    restore(site, Wanted("pitr", at=before))
    assert rows(site) == 100
    fill(site, 3)
    wait_until(lambda: archives_all(site))
    undo(site, 2)
    assert (rows(site), timeline(site)) == (120, 3)
    fill(site, 7)
    restore(site, Wanted("latest"), 3)
    assert (rows(site), timeline(site)) == (127, 4)


def test_a_killed_cluster_can_be_brought_back_too(site: Site) -> None:
    fill(site, 100)
    before = moment(site)
    fill(site, 20)
    site.switch_wal()
    fill(site, 1)
    kill(site)
    restore(site, Wanted("pitr", at=before))
    assert rows(site) == 100
    wait_until(lambda: archives_all(site))
    undo(site, 2)
    assert rows(site) == 121


def test_a_backup_with_a_damaged_file_is_not_swapped_in(site: Site) -> None:
    fill(site, 100)
    bundles = [file for file in site.repository.rglob("bundle/*") if file.is_file()]
    for file in bundles:
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 0xFF
        file.chmod(0o640)
        file.write_bytes(bytes(content))
    with pytest.raises(PutBackError) as back:
        restore(site, Wanted("latest"))
    assert back.value.message.endswith("the old database was not touched")
    assert (rows(site), timeline(site)) == (100, 1)
    assert in_volume(site) == ["data"]


def test_an_archive_that_cannot_be_read_is_no_end_of_it(site: Site) -> None:
    before = set(site.archived_segments())
    fill(site, 100)
    site.switch_wal()
    later = [file for name, file in site.archived_segments().items() if name not in before]
    for file in later:
        file.chmod(0)
    with pytest.raises(PutBackError) as back:
        restore(site, Wanted("latest"))
    assert "the repository could not be read" in back.value.message
    assert (rows(site), timeline(site)) == (100, 1)
    assert in_volume(site) == ["data"]


def test_a_standby_gets_what_its_primary_had_later_and_the_server_is_asked_to_have_it_too(site: Site) -> None:
    """Raised after the backup, which does not know: the proof is begun again with more, and the old database comes back."""
    site.sql("ALTER SYSTEM SET max_connections = 321")
    site.stop()
    site.start()
    fill(site, 100)
    with pytest.raises(PutBackError) as back:
        restore(site, Wanted("latest"))
    assert "max_connections = 100 is a lower setting" in back.value.message
    assert back.value.message.endswith("the old database runs again")
    assert (rows(site), timeline(site)) == (100, 1)
    assert in_volume(site) == ["data"]


def test_an_empty_volume_is_filled(site: Site) -> None:
    fill(site, 100)
    site.switch_wal()
    site.stop("immediate")
    site.pgdata.rename(site.root / "lost")
    restore(site, Wanted("latest"))
    assert rows(site) == 100
    assert in_volume(site) == ["data"]


def test_a_tablespace_that_was_made_after_the_backup_is_not_written_into(site: Site) -> None:
    """Replaying its making would write into the files of the live one: recovery stops before, and a later backup works."""
    fill(site, 10)
    before = moment(site)
    fill(site, 10)
    site.switch_wal()
    place = site.volume / "fast"
    place.mkdir()
    site.sql(f"CREATE TABLESPACE fast LOCATION '{place}'")
    site.sql("CREATE TABLE quick TABLESPACE fast AS SELECT generate_series(1, 100) AS id")
    site.sql("UPDATE quick SET id = id + 1000")
    site.sql("CHECKPOINT")  # whoever replays it writes its buffers into the files
    after = moment(site)
    site.sql("UPDATE quick SET id = id + 1000")
    site.sql("CHECKPOINT")
    files = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    for wanted in (Wanted("pitr", at=after), Wanted("latest")):
        with pytest.raises(PutBackError, match="a tablespace is made between this backup and the target"):
            restore(site, wanted)
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == files
    assert site.sql("SELECT min(id), max(id) FROM quick") == "2001|2100"
    with site.deployment() as deployment, pytest.raises(RefusedError, match="was made after backup"):
        tablespaces.require_restorable(deployment, jobs.read_info(deployment).backups[0])
    restore(site, Wanted("pitr", at=before), 2)
    assert (rows(site), site.sql("SELECT to_regclass('quick')")) == (10, ""), "before it there is nothing to make"
    undo(site, 3)
    assert site.sql("SELECT min(id), max(id) FROM quick") == "2001|2100"
    assert site.back_up("full").state == "succeeded"
    restore(site, Wanted("latest"), 4)
    assert site.sql("SELECT min(id), max(id) FROM quick") == "2001|2100"
