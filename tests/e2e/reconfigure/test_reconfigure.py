"""A changed .env reaches the running stack: no restart where none is needed, one that is announced where it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Stack, wait_until

SETTINGS = {"PGBACKREST_REPO1_TYPE": "posix", "BACKUP_CPU_LIMIT": "2"}


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    stack = stacks.new(**SETTINGS)
    result = stack.make("deploy")
    assert result.code == 0, result.output
    return stack


def lives(stack: Stack) -> dict[str, str]:
    return {service: stack.state(service)["StartedAt"] for service in ("postgres", "backup")}


def status(stack: Stack) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(stack.exec("backup", "salespider-backup", "status", "--output=json").stdout)
    return told


def test_schedule_and_retention_reach_the_running_supervisor(stack: Stack) -> None:
    before = lives(stack)
    stack.configure(**SETTINGS, BACKUP_SCHEDULE_FULL="17 4 * * *", BACKUP_SCHEDULE_DIFF="off", BACKUP_RETENTION_FULL="3")
    checked = stack.make("config-check")
    assert checked.code == 3, checked.output
    assert "repo1-retention-full=3" in checked.output
    result = stack.make("deploy")
    assert result.code == 0, result.output
    wait_until(lambda: "04:17:00" in stack.doing(), 30, "the new schedule")
    assert lives(stack) == before, "neither container was restarted"
    assert "repo1-retention-full=3" in stack.make("config").stdout
    (repository,) = status(stack)["repositories"]
    assert [kind["type"] for kind in repository["types"]] == ["full"]


def test_a_setting_that_can_be_reloaded_is(stack: Stack) -> None:
    before = lives(stack)
    stack.configure(**SETTINGS, POSTGRES_WORK_MEM="8MB")
    result = stack.make("deploy")
    assert result.code == 0, result.output
    wait_until(lambda: stack.sql("SHOW work_mem") == "8MB", 30, "the new value")
    assert lives(stack)["postgres"] == before["postgres"]


def test_a_setting_that_needs_a_restart_gets_one_and_is_named(stack: Stack) -> None:
    before = lives(stack)
    stack.configure(**SETTINGS, POSTGRES_MAX_CONNECTIONS="37")
    result = stack.make("deploy")
    assert result.code == 0, result.output
    assert "restarting the database: these settings need it: max_connections" in result.output
    assert stack.sql("SHOW max_connections") == "37"
    assert lives(stack)["postgres"] != before["postgres"]


def test_nothing_changed_is_nothing_touched(stack: Stack) -> None:
    before = lives(stack)
    assert stack.make("config-check").code == 0
    result = stack.make("deploy")
    assert result.code == 0, result.output
    assert "configuration unchanged" in result.output
    assert lives(stack) == before


def test_a_new_image_is_announced(stacks: Stacks) -> None:
    """The database goes away for a moment when its container is made anew; with the same image it is left alone."""
    stack = stacks.running()
    announced = "==> its image is a new one: the database is restarted with it"
    first, second = stack.make("deploy"), stack.make("deploy")
    assert (first.code, second.code) == (0, 0), first.output + second.output
    assert announced in first.stdout
    assert announced not in second.stdout
