"""The queries of the product, on a real server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from backup.emergency import in_place
from backup.emergency.lever import Lever
from backup.postgres import DatabaseError
from tests.integration.site import Site, wait_until


def test_a_server_says_who_it_is_and_how_it_stands(site: Site) -> None:
    with site.deployment() as deployment:
        server = deployment.postgres.server()
    assert server.version.startswith("17.")
    assert server.system_id == int(site.control("Database system identifier"))
    assert (server.timeline, server.in_recovery, server.recovery_paused, server.archive_mode) == (1, False, False, "on")
    assert abs(server.now - datetime.now(UTC)) < timedelta(minutes=1)


def test_the_archiver_fails_until_there_is_a_stanza_and_then_catches_up(site: Site) -> None:
    with site.deployment() as deployment:
        postgres = deployment.postgres
        segment = postgres.switch_wal()
        wait_until(lambda: postgres.archiver().is_failing)
        assert postgres.archiver().last_archived_wal is None
        assert postgres.waiting_segments() >= 1
        site.create_stanza()
        site.sql("SELECT pg_reload_conf()")
        postgres.switch_wal()
        wait_until(lambda: (postgres.archiver().last_archived_wal or "") >= segment, 90.0)
        assert not postgres.archiver().is_failing


def test_a_setting_that_only_a_restart_applies_is_named(site: Site) -> None:
    with site.deployment() as deployment:
        assert deployment.postgres.settings_waiting_for_restart() == ()
        with (site.pgdata / "postgresql.conf").open("a") as file:
            file.write("max_connections = 77\nwork_mem = '5MB'\n")
        deployment.postgres.reload()
        wait_until(lambda: deployment.postgres.settings_waiting_for_restart() == ("max_connections",))
        assert site.sql("SHOW work_mem") == "5MB"


def test_the_version_beside_the_server_is_that_of_its_pgbackrest(site: Site) -> None:
    with site.deployment() as deployment:
        assert deployment.postgres.pgbackrest_version() == "pgBackRest 2.55.1"


def test_the_lever_takes_wal_away_and_its_end_brings_archiving_back(site: Site) -> None:
    with site.deployment() as deployment:
        postgres = deployment.postgres
        own = postgres.archive_command()
        for _ in range(3):
            newest = postgres.switch_wal()
        wait_until(lambda: postgres.newest_waiting() == newest)
        pulled = Lever(datetime.now(UTC), "000000010000000000000001", datetime.now(UTC))
        postgres.set_archive_command(pulled.command())
        wait_until(lambda: postgres.wal_reading().emergency == pulled)
        wait_until(lambda: postgres.waiting_segments() == 0, 90.0)
        postgres.checkpoint()
        assert postgres.newest_waiting() is None
        postgres.reset_archive_command()
        wait_until(lambda: postgres.archive_command() == own)


def test_a_lever_that_is_written_into_the_file_itself_is_taken_and_reset(site: Site) -> None:
    with site.deployment() as deployment:
        postgres = deployment.postgres
        pulled = Lever(datetime.now(UTC), None, None)
        in_place.write(site.pgdata, pulled)
        postgres.reload()
        wait_until(lambda: postgres.wal_reading().emergency == pulled)
        postgres.reset_archive_command()
        wait_until(lambda: postgres.wal_reading().emergency is None)


def test_only_what_a_dump_holds_is_counted(site: Site) -> None:
    with site.deployment() as deployment:
        before = deployment.postgres.dumped()[1]
        site.sql(
            "CREATE TABLE a (id int) PARTITION BY RANGE (id); CREATE TABLE a1 PARTITION OF a DEFAULT; CREATE TABLE b ()"
        )
        site.sql("CREATE VIEW v AS SELECT 1 AS one")
        assert deployment.postgres.dumped()[1] == before + 3


def test_a_server_that_is_down_is_one_line_and_a_hint(site: Site) -> None:
    site.stop()
    with site.deployment() as deployment, pytest.raises(DatabaseError) as error:
        deployment.postgres.server()
    assert error.value.message.startswith("database: ")
    assert "\n" not in error.value.message
    assert "docker logs salespider-postgres" in error.value.hint
