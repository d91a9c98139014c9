"""Every command line that the product builds is accepted by the real pgbackrest, and its answers are understood."""

from __future__ import annotations

import pytest

from backup import pgbackrest, process
from backup.ledger import archive
from backup.taking import evidence, jobs
from tests.integration.conftest import MakeSite
from tests.integration.site import BUNDLED, ENCRYPTED, PLAIN, STANZA, Options, Site

WARNING = "WARN: configuration file contains"


@pytest.fixture(scope="module", params=[PLAIN, ENCRYPTED, BUNDLED], ids=["plain", "encrypted", "bundled in blocks"])
def protected(request: pytest.FixtureRequest, make_site: MakeSite) -> tuple[Site, Options]:
    """A site with a full, a differential and an incremental backup."""
    options: Options = request.param
    made = make_site(options)
    made.protect()
    for kind in ("diff", "incr"):
        made.sql(f"CREATE TABLE before_{kind} AS SELECT generate_series(1, 1000) AS n")
        assert made.back_up("diff" if kind == "diff" else "incr").state == "succeeded"
    return made, options


def test_info_is_read_whole(protected: tuple[Site, Options]) -> None:
    site, options = protected
    with site.deployment() as deployment:
        info = jobs.read_info(deployment)
    cipher = options.get("repo1-cipher-type", "none")
    assert info.repositories == (pgbackrest.RepositoryStatus(1, cipher, 0, "ok"),)
    full, diff, incr = info.backups
    assert [backup.kind for backup in info.backups] == ["full", "diff", "incr"]
    assert (full.prior, diff.prior, incr.prior) == (None, full.label, diff.label)
    for backup in info.backups:
        assert not backup.has_errors
        assert 0 < backup.repository_bytes < backup.copied_bytes <= backup.database_bytes
        assert backup.started <= backup.stopped
        assert backup.wal_start is not None
        assert backup.wal_stop is not None
        assert backup.lsn_stop is not None
        assert backup.lsn_stop.startswith("0/")
    (archive,) = info.archive
    assert (archive.repo, archive.id, archive.first) == (1, "17-1", "000000010000000000000001")
    assert archive.last is not None
    assert archive.first is not None
    assert full.wal_start is not None
    assert archive.first < full.wal_start < archive.last
    assert info.system_ids == (int(site.control("Database system identifier")),)


def test_the_label_of_the_outcome_is_the_one_in_the_list_and_on_the_disk(protected: tuple[Site, Options]) -> None:
    site, _ = protected
    with site.deployment() as deployment:
        listed = jobs.read_info(deployment).labels(1)
        recorded = {run.label for run in deployment.history.recent("backup")}
    on_disk = {entry.name for entry in (site.repository / "backup" / STANZA).iterdir() if entry.name[0] == "2"}
    assert listed == recorded == on_disk


def test_creating_the_stanza_again_changes_nothing(protected: tuple[Site, Options]) -> None:
    protected[0].create_stanza()


def test_check_tells_which_segment_arrived(protected: tuple[Site, Options]) -> None:
    site, _ = protected
    finished, lines = site.pgbackrest(pgbackrest.check(STANZA))
    assert finished.ok, lines
    segment = evidence.archived_segment(lines)
    assert segment in site.archived_segments()
    assert not [line for line in lines if "WARN" in line]


def test_info_as_text_names_every_backup(protected: tuple[Site, Options]) -> None:
    site, _ = protected
    with site.deployment() as deployment:
        text = jobs.raw_info(deployment, as_json=False).decode()
        assert all(backup.label in text for backup in jobs.read_info(deployment).backups)


def test_an_archive_without_a_promotion_has_no_history_files(protected: tuple[Site, Options]) -> None:
    answer = process.capture(pgbackrest.list_history_files(STANZA, 1, "17-1"), 30)
    assert (answer.exit_code, archive.listing(answer.stdout)) == (0, {})


def test_a_history_file_that_is_not_there_is_an_error(protected: tuple[Site, Options]) -> None:
    answer = process.capture(pgbackrest.read_history_file(STANZA, 1, "17-1", "00000002.history"), 30)
    assert pgbackrest.meaning(answer.exit_code).name == "file-missing"


def test_the_version_is_the_one_this_was_written_for() -> None:
    assert process.capture(pgbackrest.version(), 10).stdout == b"pgBackRest 2.55.1\n"


def test_a_variable_in_the_environment_cannot_disturb(
    protected: tuple[Site, Options], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGBACKREST_REPO1_TYPE", "none")
    monkeypatch.setenv("PGBACKREST_SURPRISE", "1")
    site, _ = protected
    with site.deployment() as deployment:
        assert jobs.read_info(deployment).backups
