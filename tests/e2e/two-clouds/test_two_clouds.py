"""Two clouds: every backup and segment goes to S3 and to Azure, each with a passphrase of its own; either restores alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Stack, wait_until

SALES = "SELECT count(*), max(id) FROM sale"


@dataclass(frozen=True)
class Clouds:
    """The shop, and where its backups go."""

    shop: Stack
    s3: Any
    azure: Any


@pytest.fixture(scope="module")
def clouds(stacks: Stacks) -> Clouds:
    shop = stacks.new()
    s3, azure = stacks.store("s3", shop), stacks.store("azure", shop)
    shop.configure(SETUP_BACKUP="true", BACKUP_CPU_LIMIT="2", **s3.variables(), **azure.variables(2))
    deployed = shop.make("deploy")
    assert deployed.code == 0, deployed.output
    shop.sql("CREATE TABLE sale AS SELECT id FROM generate_series(1, 1000) id")
    return Clouds(shop, s3, azure)


def kinds_in(shop: Stack, repo: int) -> list[str]:
    return [backup["type"] for backup in shop.backups() if backup["database"]["repo-key"] == repo]


def sell(shop: Stack) -> str:
    """Add a sale, and wait until both archives have it; return what the shop has then."""
    shop.sql("INSERT INTO sale SELECT max(id) + 1 FROM sale")
    segment = shop.sql("SELECT pg_walfile_name(pg_current_wal_lsn())")
    shop.sql("SELECT pg_switch_wal()")
    wait_until(lambda: all(archive["max"] >= segment for archive in shop.info()["archive"]), 60, "both archives")
    return shop.sql(SALES)


def restored_from(shop: Stack, repo: int) -> str:
    result = shop.make("restore-latest", CONFIRM="yes")
    assert result.code == 0, result.output
    assert f"repository {repo}" in result.output
    return shop.sql(SALES)


def test_every_backup_is_in_both_clouds(clouds: Clouds) -> None:
    shop = clouds.shop
    wait_until(lambda: kinds_in(shop, 2) == ["full"], 60, "the first backup in the second cloud")
    assert shop.make("backup-diff").code == 0
    assert kinds_in(shop, 1) == kinds_in(shop, 2) == ["full", "diff"]
    assert [(repo["cipher"], repo["status"]["code"]) for repo in shop.info()["repo"]] == [("aes-256-cbc", 0)] * 2
    checked = shop.make("backup-check")
    assert checked.code == 0, checked.output


def test_azure_restores_when_s3_is_gone(clouds: Clouds) -> None:
    sold = sell(clouds.shop)
    clouds.s3.stop()
    assert restored_from(clouds.shop, 2) == sold
    clouds.s3.start()


def test_s3_restores_when_azure_is_gone(clouds: Clouds) -> None:
    sold = sell(clouds.shop)
    clouds.azure.stop()
    assert restored_from(clouds.shop, 1) == sold
    clouds.azure.start()
