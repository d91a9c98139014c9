"""Targets other than a time, on a real cluster: a transaction, a position, a name, and just before them."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime

import pytest

from backup.postgres import Postgres
from backup.restore.planning import choosing
from backup.restore.planning.plan import RefusedError, Wanted
from backup.taking import jobs
from tests.integration.site import Site
from tests.integration.test_restore import encrypted, fill, restore, rows

__all__ = ["encrypted"]


def planned(site: Site, wanted: Wanted) -> str:
    with site.deployment() as deployment:
        return choosing.planned(deployment, wanted, jobs.read_info(deployment), settled=True)[0].backup.kind


@pytest.mark.parametrize(("exclusive", "left"), [(False, 101), (True, 100)])
def test_a_transaction_starts_from_the_last_backup_before_its_end(encrypted: Site, exclusive: bool, left: int) -> None:
    fill(encrypted, 100)
    encrypted.back_up("incr")
    xid = encrypted.sql("INSERT INTO entry DEFAULT VALUES RETURNING pg_current_xact_id()")
    encrypted.switch_wal()
    encrypted.back_up("diff")
    fill(encrypted, 10)
    encrypted.switch_wal()
    wanted = Wanted("pitr", kind="xid", value=xid, is_exclusive=exclusive)
    assert planned(encrypted, wanted) == "incr"
    restore(encrypted, wanted)
    assert rows(encrypted) == left


def test_a_name_is_found_in_the_archive_and_reached(encrypted: Site) -> None:
    fill(encrypted, 100)
    encrypted.sql("SELECT pg_create_restore_point('before the mistake')")
    fill(encrypted, 10)
    encrypted.switch_wal()
    encrypted.back_up("diff")
    wanted = Wanted("pitr", kind="name", value="before the mistake")
    assert planned(encrypted, wanted) == "full"
    restore(encrypted, wanted)
    assert rows(encrypted) == 100


def test_a_point_of_the_product_is_on_the_disk_and_says_where_it_lies(encrypted: Site) -> None:
    with encrypted.deployment() as deployment:
        server = deployment.postgres.server()
        postgres: Postgres = deployment.postgres
        system_id, lsn, timeline, _ = postgres.restore_point("a-point")
        assert (system_id, timeline, postgres.written_timeline()) == (server.system_id, 1, 1)
        assert encrypted.sql(f"SELECT '{lsn}'::pg_lsn <= pg_current_wal_flush_lsn()") == "t", "on the disk"


def test_a_position_is_reached_exactly(encrypted: Site) -> None:
    fill(encrypted, 100)
    lsn = encrypted.sql("SELECT pg_current_wal_lsn()")
    fill(encrypted, 10)
    restore(encrypted, Wanted("pitr", kind="lsn", value=lsn, is_exclusive=True))
    assert rows(encrypted) == 100


@pytest.mark.parametrize(("kind", "value"), [("xid", "4000000"), ("name", "never made")])
def test_what_was_never_there_is_refused_before_anything_stops(encrypted: Site, kind: str, value: str) -> None:
    fill(encrypted, 100)
    encrypted.switch_wal()
    with pytest.raises(RefusedError, match=r"is not in the archive \(the last \d+ segments were searched\)"):
        planned(encrypted, Wanted("pitr", kind=kind, value=value))  # type: ignore[arg-type]


def test_on_a_blank_host_the_archive_is_looked_into_as_well(encrypted: Site) -> None:
    """archive-get asks the data directory for its identity; without one the segments are read as files."""
    fill(encrypted, 100)
    encrypted.sql("SELECT pg_create_restore_point('before the mistake')")
    xid = encrypted.sql("INSERT INTO entry DEFAULT VALUES RETURNING pg_current_xact_id()")
    encrypted.switch_wal()
    encrypted.stop()
    shutil.rmtree(encrypted.pgdata)
    for kind, value in (("name", "before the mistake"), ("xid", xid)):
        assert planned(encrypted, Wanted("pitr", kind=kind, value=value)) == "full"  # type: ignore[arg-type]
        with pytest.raises(RefusedError, match=r"is not in the archive \(the last [1-9]\d* segments were searched\)"):
            planned(encrypted, Wanted("pitr", kind=kind, value="4000000"))  # type: ignore[arg-type]
    with pytest.raises(RefusedError, match="lies after the last transaction in the archive"):
        planned(encrypted, Wanted("pitr", at=datetime.now(UTC)))
    restore(encrypted, Wanted("pitr", kind="name", value="before the mistake"))
    assert rows(encrypted) == 100
