"""Nothing but `docker compose up -d` in a fresh checkout: it runs; and a .env later turns the backups on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import ROOT, Stack, wait_until


@pytest.fixture(scope="module")
def stack(stacks: Stacks, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """What Compose needs of a fresh checkout, which has no .env."""
    checkout: Path = tmp_path_factory.mktemp("checkout")
    shutil.copy(ROOT / "docker-compose.yml", checkout)
    shutil.copytree(ROOT / "config", checkout / "config")
    (checkout / "secrets").mkdir()
    return stacks.of_checkout(checkout)


def test_up_without_any_setting_and_then_with_backups(stack: Stack) -> None:
    """The default is a database without backups; three lines in .env and another `up` give it backups."""
    stack.up()
    wait_until(stack.is_open, 60, "the database")
    stack.sql("CREATE TABLE sale AS SELECT id FROM generate_series(1, 10) id")
    assert stack.sql("SHOW archive_mode") == "off"
    wait_until(lambda: stack.state("backup")["Status"] == "exited", 30, "the end of a supervisor without work")
    assert stack.state("backup")["ExitCode"] == 0

    stack.configure(PGBACKREST_REPO1_TYPE="posix", BACKUP_CPU_LIMIT="2")
    stack.start()
    assert stack.sql("SHOW archive_mode") == "on"
    assert stack.sql("SELECT count(*) FROM sale") == "10"
    assert [backup["type"] for backup in stack.backups()] == ["full"]
