"""Two clouds and a directory: every backup and segment goes to all three, and each of them restores alone.

The directory is not encrypted: what can be read in it shows that looking for it in the clouds would find it.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Stack, wait_until

MARKER = f"readable-{uuid.uuid4().hex}"
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
    directory = {"PGBACKREST_REPO3_TYPE": "posix", "PGBACKREST_REPO3_CIPHER_TYPE": "none"}
    shop.configure(SETUP_BACKUP="true", BACKUP_CPU_LIMIT="2", **s3.variables(), **azure.variables(2), **directory)
    deployed = shop.make("deploy")
    assert deployed.code == 0, deployed.output
    shop.sql(f"CREATE TABLE sale AS SELECT id, '{MARKER}' AS note FROM generate_series(1, 1000) id")
    return Clouds(shop, s3, azure)


def kinds_in(shop: Stack, repo: int) -> list[str]:
    return [backup["type"] for backup in shop.backups() if backup["database"]["repo-key"] == repo]


def sell(shop: Stack) -> str:
    """Add a sale, and wait until all archives have it; return what the shop has then."""
    shop.sql("INSERT INTO sale SELECT max(id) + 1 FROM sale")
    segment = shop.sql("SELECT pg_walfile_name(pg_current_wal_lsn())")
    shop.sql("SELECT pg_switch_wal()")
    wait_until(lambda: all(archive["max"] >= segment for archive in shop.info()["archive"]), 60, "all archives")
    return shop.sql(SALES)


def settle(shop: Stack) -> None:
    """Wait until every repository has the backup that follows a restore: none is at work when the next store goes away."""

    def is_done() -> bool:
        runs = shop.runs()
        restored = max(run["finished_at"] or 0.0 for run in runs if run["kind"] == "restore")
        backups = [run for run in runs if run["kind"] == "backup" and run["started_at"] > restored]
        taken = {run["repo"] for run in backups if run["state"] == "succeeded"}
        return taken == {1, 2, 3} and shop.doing(restored).startswith("idle")

    wait_until(is_done, 300, "a backup in each repository")


def restored_from(shop: Stack, repo: int) -> str:
    result = shop.make("restore-latest", CONFIRM="yes")
    assert result.code == 0, result.output
    assert f"repository {repo}" in result.output
    return shop.sql(SALES)


def test_every_backup_is_in_all_three(clouds: Clouds) -> None:
    shop = clouds.shop
    assert kinds_in(shop, 1) == kinds_in(shop, 2) == kinds_in(shop, 3) == ["full"], "deploy waits for all of them"
    for repo in (1, 2, 3):
        shop.exec("backup", "salespider-backup", "backup", "--type=diff", f"--repo={repo}")
    assert kinds_in(shop, 1) == kinds_in(shop, 2) == kinds_in(shop, 3) == ["full", "diff"]
    assert [repo["status"]["code"] for repo in shop.info()["repo"]] == [0, 0, 0]
    checked = shop.make("backup-check")
    assert checked.code == 0, checked.output


def test_only_the_directory_can_be_read(clouds: Clouds) -> None:
    looking = f"grep -rlaF {MARKER} {{}} || true"
    assert clouds.shop.in_helper(looking.format("/repository"), {"/repository": clouds.shop.volume("backup-repo3")})
    assert clouds.s3.sh(looking.format("/data")) == ""
    assert clouds.azure.sh(looking.format("/data")) == ""
    assert [repo["cipher"] for repo in clouds.shop.info()["repo"]] == ["aes-256-cbc", "aes-256-cbc", "none"]


def test_azure_restores_when_s3_is_gone(clouds: Clouds) -> None:
    sold = sell(clouds.shop)
    clouds.s3.stop()
    assert restored_from(clouds.shop, 2) == sold


def test_the_directory_restores_when_both_are_gone(clouds: Clouds) -> None:
    clouds.s3.start()
    settle(clouds.shop)
    sold = sell(clouds.shop)
    clouds.s3.stop()
    clouds.azure.stop()
    assert restored_from(clouds.shop, 3) == sold


def test_s3_restores_what_was_sold_since(clouds: Clouds) -> None:
    clouds.s3.start()
    clouds.azure.start()
    settle(clouds.shop)
    sold = sell(clouds.shop)
    clouds.azure.stop()
    assert restored_from(clouds.shop, 1) == sold
    clouds.azure.start()
