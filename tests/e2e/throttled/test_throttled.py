"""A store that refuses a tenth of all requests as too many: everything ends well all the same, and nothing is lost."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.ledger import Ledger
from tests.e2e.stack import Stack, wait_until
from tests.stores.store import ObjectStore

WAITING = "SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'"
SETTINGS = {
    "SETUP_BACKUP": "true",
    "BACKUP_SCHEDULE_DIFF": "off",
    "BACKUP_RETENTION_FULL": "1",
    "BACKUP_CPU_LIMIT": "2",
}


class Site:
    """A stack, and its only repository."""

    def __init__(self, stacks: Stacks) -> None:
        self.stack: Stack = stacks.new()
        self.store: ObjectStore = stacks.store("s3", self.stack, gate=True)
        self.stack.configure(**SETTINGS, **self.store.variables())

    def archived(self) -> None:
        """Wait until everything committed is in the store."""
        self.stack.sql("SELECT pg_switch_wal()")
        wait_until(lambda: self.stack.sql(WAITING) == "0", 180, "an empty backlog")

    def restored_from_the_store_alone(self) -> None:
        self.stack.docker("stop", "postgres")
        self.stack.in_helper("find /data -mindepth 1 -delete", {"/data": self.stack.volume("postgres-data")})
        result = self.stack.make("restore-latest", CONFIRM="yes")
        assert result.code == 0, result.output


@pytest.fixture
def site(stacks: Stacks) -> Site:
    return Site(stacks)


def test_a_tenth_answered_with_503(site: Site) -> None:
    """pgbackrest itself tries again: nobody notices."""
    site.store.fail(503, share=0.1)
    site.stack.start()
    with Ledger(site.stack, rows_a_second=20) as ledger:
        for target in ("backup-incr", "backup"):
            result = site.stack.make(target)
            assert result.code == 0, result.output
    site.archived()
    assert [backup["type"] for backup in site.stack.backups()] == ["full"], "retention has removed the first chain"
    site.restored_from_the_store_alone()
    assert ledger.missing(site.stack) == []
    assert site.stack.alarms() == []
