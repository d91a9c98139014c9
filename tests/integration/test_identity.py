"""Another cluster behind the backups, with the real programs: refused, then restored over or adopted; nothing is lost."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from backup import pgbackrest
from backup.keeping import retention
from backup.ownership import adopt, identity
from backup.ownership.cluster import GIGABYTE
from backup.restore.planning.plan import Wanted
from backup.taking import jobs
from contract.exits import Exit
from contract.supervisor import BackupType
from tests.integration.site import BUNDLED, STANZA, Site, must
from tests.integration.test_restore import restore


@pytest.fixture(scope="module")
def other_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cluster of another system identifier."""
    directory = tmp_path_factory.mktemp("other") / "data"
    must("initdb", f"--pgdata={directory}", "--username=postgres", "--encoding=UTF8", "--data-checksums",
         "--auth=trust", "--no-sync", "--no-instructions")  # fmt: skip
    return directory


@pytest.fixture
def replaced(tmp_path: Path, template: Path, other_template: Path) -> Iterator[Site]:
    """Two full backups, as many as are kept, and a fresh cluster in the place of the one they are of."""
    made = Site(tmp_path, BUNDLED)
    made.create(template)
    made.protect()
    made.sql("CREATE TABLE entry AS SELECT n FROM generate_series(1, 100) AS n")
    assert made.back_up().state == "succeeded"
    made.sql("INSERT INTO entry VALUES (101)")
    made.switch_wal()
    replace_cluster(made, other_template)
    yield made
    made.stop("immediate")


def replace_cluster(site: Site, template: Path) -> None:
    site.stop()
    shutil.rmtree(site.pgdata)
    site.create(template)
    site.sql("CREATE TABLE stranger (); SELECT pg_switch_wal()")


def files(site: Site) -> dict[str, bytes]:
    return {str(f.relative_to(site.repository)): f.read_bytes() for f in site.repository.rglob("*") if f.is_file()}


def labels(site: Site) -> list[str]:
    with site.deployment() as deployment:
        return [backup.label for backup in jobs.read_info(deployment).backups]


def alarms(site: Site) -> list[str]:
    with site.deployment() as deployment:
        return [raised.alarm.key for raised in deployment.teller.alarms.raised()]


@pytest.mark.parametrize("state_is_lost", [False, True])
def test_nothing_in_the_repository_is_touched(replaced: Site, state_is_lost: bool) -> None:
    if state_is_lost:
        for file in replaced.root.glob("history.sqlite*"):
            file.unlink()
    before = files(replaced)
    kinds: tuple[BackupType, ...] = ("full", "diff", "incr")
    for kind in kinds:
        outcome = replaced.back_up(kind)
        assert (outcome.state, outcome.exit_code) == ("failed", Exit.ANOTHER_CLUSTER)
    with replaced.deployment() as deployment:
        assert jobs.create_stanza(deployment, print).exit_code == Exit.ANOTHER_CLUSTER
        assert retention.expire(deployment, 1, jobs.read_info(deployment), print).state == "refused"
    assert files(replaced) == before
    assert alarms(replaced) == ["identity", "retention:1"]


def test_pgbackrest_alone_would_go_on_removing_beside_another_cluster(replaced: Site) -> None:
    """Why the guard stands before `expire` as well: of all commands it is the one that asks no database."""
    codes = [
        replaced.pgbackrest(argv)[0].exit_code
        for argv in (pgbackrest.stanza_create(STANZA), pgbackrest.backup(STANZA, 1, "full"), pgbackrest.expire(STANZA, 1))
    ]
    assert [pgbackrest.meaning(code).name for code in codes[:2]] == ["file-invalid", "backup-mismatch"]
    assert codes[2] == 0


def test_restoring_the_latest_state_ends_it(replaced: Site) -> None:
    replaced.back_up()
    restored = restore(replaced, Wanted("latest"))
    assert restored.segments_fed == 0, "the other cluster's WAL has no business here"
    assert replaced.sql("SELECT count(*) FROM entry") == "101"
    with replaced.deployment() as deployment:
        identity.restored(deployment, deployment.postgres.server())
    assert replaced.back_up("diff").state == "succeeded"
    assert alarms(replaced) == []
    replaced.sql("CHECKPOINT")
    replaced.switch_wal()  # the archiver works


def test_adopting_keeps_every_backup_and_each_can_be_restored(replaced: Site) -> None:
    replaced.back_up()
    before = labels(replaced)
    assert len(before) == 2
    with replaced.deployment() as deployment:
        standing = adopt.look(deployment)
        assert standing.objection is not None
        assert standing.expected is not None
        now = adopt.adopt(deployment, print)
        assert now.system_id == standing.seen.system_id != standing.expected.system_id
        (outcome,) = adopt.first_backups(deployment, print)
        assert outcome.state == "succeeded", outcome
        forecast = retention.forecast(deployment, deployment.config.repositories[0], jobs.read_info(deployment), None)
    assert labels(replaced) == [*before, outcome.label], "two are kept, and adopting has removed none"
    assert forecast.removal.backups == (before[0],), "which the next expire will"
    assert alarms(replaced) == []
    assert replaced.back_up("diff").state == "succeeded"
    restore(replaced, Wanted("backup", label=before[1]))
    assert replaced.sql("SELECT count(*) FROM entry") == "100"
    assert replaced.back_up().exit_code == Exit.ANOTHER_CLUSTER, "the restored one is another again"
    with replaced.deployment() as deployment:
        back = adopt.adopt(deployment, print)
        (outcome,) = adopt.first_backups(deployment, print)
    assert back.system_id == standing.expected.system_id
    assert outcome.state == "succeeded", outcome


def test_an_emptied_database_of_the_same_identifier_is_refused(site: Site) -> None:
    site.protect()
    with site.deployment() as deployment:
        identity.remember(deployment, deployment.postgres.server(), 3 * GIGABYTE)
    outcome = site.back_up()
    assert outcome.exit_code == Exit.ANOTHER_CLUSTER
    assert outcome.message.startswith("the running database is all but empty where there was much more (running: ")
    with site.deployment() as deployment:
        adopt.adopt(deployment, print)
    assert site.back_up().state == "succeeded"
