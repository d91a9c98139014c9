"""A store far away, 50 ms there and back, over a line that loses one packet in a hundred: slower, and no less whole."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.ledger import Ledger
from tests.e2e.stack import Stack, wait_until
from tests.stores.store import ObjectStore

WAITING = "SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'"
SEGMENT_BYTES = 16 << 20
ROWS = 400
ROWS_A_SECOND = 20.0
ROW_BYTES = 250_000
"""Of noise: 5 MB of WAL in a second, a segment every three or four."""


class Site:
    """The stack, its only repository, and what has been acknowledged."""

    def __init__(self, stacks: Stacks) -> None:
        self.stack: Stack = stacks.new()
        self.store: ObjectStore = stacks.store("s3", self.stack, gate=True)
        self.stack.configure(SETUP_BACKUP="true", BACKUP_CPU_LIMIT="2", **self.store.variables())
        self.store.slow(50)
        self.store.lose(0.01)
        self.ledger = Ledger(self.stack, ROWS_A_SECOND, filler_bytes=ROW_BYTES)

    def waiting(self) -> int:
        return int(self.stack.sql(WAITING))


@pytest.fixture(scope="module")
def site(stacks: Stacks) -> Site:
    return Site(stacks)


def test_it_is_deployed_as_any_other(site: Site) -> None:
    site.stack.start()
    assert [backup["type"] for backup in site.stack.backups()] == ["full"]


def test_archiving_keeps_up_with_five_megabytes_a_second(site: Site) -> None:
    with site.ledger as ledger:
        site.ledger.wait_for(ROWS // 2, 120)
        half_way = site.waiting()
        ledger.wait_for(ROWS // 2, 120)
        assert site.waiting() <= half_way + 2, "the backlog does not grow"
        assert site.stack.make("backup-incr").code == 0
    site.stack.sql("SELECT pg_switch_wal()")
    wait_until(lambda: site.waiting() == 0, 60, "an empty backlog")
    archived = int(site.stack.sql("SELECT archived_count FROM pg_stat_archiver"))
    assert archived * SEGMENT_BYTES > ROWS * ROW_BYTES
    assert site.stack.sql("SELECT failed_count FROM pg_stat_archiver") == "0"


def test_everything_comes_back_from_the_store_alone(site: Site) -> None:
    site.stack.docker("stop", "postgres")
    site.stack.in_helper("find /data -mindepth 1 -delete", {"/data": site.stack.volume("postgres-data")})
    result = site.stack.make("restore-latest", CONFIRM="yes")
    assert result.code == 0, result.output
    assert len(site.ledger.acknowledged) >= ROWS
    assert site.ledger.missing(site.stack) == []
    assert site.stack.alarms() == []
