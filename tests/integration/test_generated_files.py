"""What setup generates is taken by the real programs without one complaint.

The files are the golden copies, which another test compares with what setup renders; they name the real places, so
these tests use those instead of a temporary directory.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from backup import newcluster, pgbackrest, process
from backup.deployment import Deployment
from backup.showing import checks, status
from backup.taking import jobs
from backup.taking.jobs import BackupRequest
from contract import paths
from tests.integration.site import must, program, wait_until

GOLDEN = Path(__file__).parents[1] / "consistency" / "golden"
CONFIG_FILE = paths.CONFIG / paths.POSTGRESQL_CONF
LOG = paths.DATABASE_VOLUME / "server.log"


def empty(directory: Path) -> None:
    for entry in directory.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def publish(case: str) -> None:
    shutil.copytree(GOLDEN / case, paths.CONFIG, dirs_exist_ok=True, copy_function=shutil.copyfile)


@pytest.fixture
def places() -> Iterator[None]:
    """The container's own directories, empty before and after."""
    every = (paths.CONFIG, paths.DATABASE_VOLUME, paths.REPOSITORY, paths.STATE, paths.LOG, paths.LOCK, paths.SPOOL)
    for directory in every:
        empty(directory)
    yield
    program("pg_ctl", "-D", str(paths.PGDATA), "--wait", "--mode=immediate", "stop")
    for directory in every:
        empty(directory)


def start(template: Path) -> None:
    """Start a server as the entrypoint does: with the generated file, and the data directory on the command line."""
    shutil.copytree(template, paths.PGDATA)
    paths.PGDATA.chmod(0o700)
    must("pg_ctl", "-D", str(paths.PGDATA), "-l", str(LOG), "--wait", "start", "-o", f"-c config_file={CONFIG_FILE}")


def sql(query: str) -> str:
    return must("psql", "-XqAt", f"--host={paths.SOCKET}", "--username=postgres", "-c", query).strip()


@pytest.mark.parametrize(("case", "archive_mode"), [("none", "off"), ("posix", "on")])
def test_the_server_takes_every_generated_setting(places: None, template: Path, case: str, archive_mode: str) -> None:
    publish(case)
    start(template)
    assert sql("SHOW archive_mode") == archive_mode
    assert sql("SHOW data_directory") == str(paths.PGDATA)
    for view in ("pg_file_settings", "pg_hba_file_rules", "pg_ident_file_mappings"):
        assert sql(f"SELECT count(*) > 0 AND bool_and(error IS NULL) FROM {view}") == "t", view
    assert sql("SELECT count(*) FROM pg_file_settings WHERE NOT applied") == "0"
    complaints = [line for line in LOG.read_text().splitlines() if "WARNING" in line or "ERROR" in line]
    assert complaints == []


def test_pgbackrest_takes_every_generated_option_and_a_backup_succeeds(
    places: None, template: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish("posix")
    assert newcluster.examine(paths.CONFIG) is None
    start(template)
    lines: list[str] = []
    deployment = Deployment.open()
    try:
        assert jobs.create_stanza(deployment, lines.append).state == "succeeded"
        for kind in ("full", "diff"):
            request = BackupRequest("full" if kind == "full" else "diff", 1, "manual", "a test")
            outcome = jobs.take_backup(deployment, request, 0.0)
            assert outcome.state == "succeeded", outcome
        info = jobs.read_info(deployment)
        lines += jobs.raw_info(deployment, as_json=False).decode().splitlines()
        assert [repository.cipher for repository in info.repositories] == ["aes-256-cbc"]
        archive_get = ("pgbackrest", "--stanza=salespider", "archive-get", "0000000100000000000000FE", "/tmp/none")
        lines += process.capture(archive_get, 30).stdout.decode().splitlines()
        lines += process.capture(pgbackrest.list_history_files("salespider", 1, "17-1"), 30).stdout.decode().splitlines()
        findings = {finding.name: finding for finding in checks.run_all(deployment)}
        assert all(finding.good for finding in findings.values()), findings
        known = status.gather(deployment)
        assert [cause.key for cause in known.causes] == ["supervisor"]
    finally:
        deployment.store.close()
    lines += capsys.readouterr().out.splitlines()
    lines += LOG.read_text().splitlines()
    assert [line for line in lines if "WARN" in line] == []


def test_a_restore_by_hand_uses_the_safe_restore_command(places: None, template: Path) -> None:
    """What the guide prints: no option but the stanza; the rest is in the generated file."""
    publish("posix")
    start(template)
    deployment = Deployment.open()
    jobs.create_stanza(deployment, print)
    assert jobs.take_backup(deployment, BackupRequest("full", 1, "manual", "a test"), 0.0).state == "succeeded"
    deployment.store.close()
    sql("CREATE TABLE after_backup AS SELECT generate_series(1, 10) AS n")
    must("pg_ctl", "-D", str(paths.PGDATA), "--wait", "--mode=fast", "stop")
    printed = must("pgbackrest", "--stanza=salespider", "restore")
    assert "WARN" not in printed
    settings = (paths.PGDATA / "postgresql.auto.conf").read_text()
    assert f"restore_command = '{paths.RESTORE_COMMAND} %f \"%p\"'" in settings
    must("pg_ctl", "-D", str(paths.PGDATA), "-l", str(LOG), "--wait", "start", "-o", f"-c config_file={CONFIG_FILE}")
    wait_until(lambda: sql("SELECT pg_is_in_recovery()") == "f")
    assert sql("SELECT count(*) FROM after_backup") == "10"
