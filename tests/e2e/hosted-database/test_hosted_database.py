"""The database is somebody else's: nothing of ours runs, everything says so, and contradictions are refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Stack, wait_until

HOSTED = "postgresql://shop:not-a-real-password@db.provider.example:5432/shop"


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    return stacks.new(DATABASE_URL=HOSTED)


def ended(stack: Stack, service: str) -> dict[str, Any]:
    return wait_until(lambda: found if (found := stack.state(service))["Status"] == "exited" else {}, 30, "its end")


@pytest.mark.parametrize("way", ["docker compose up", "make deploy"])
def test_no_container_keeps_running(stack: Stack, way: str) -> None:
    if way == "make deploy":
        result = stack.make("deploy")
        assert result.code == 0, result.output
        assert "db.provider.example" in result.output
        assert "not-a-real-password" not in result.output
    else:
        stack.up()
    for service in ("postgres", "backup"):
        state = ended(stack, service)
        assert state["ExitCode"] == 0
        assert stack.inspect(service)["RestartCount"] == 0
        assert "db.provider.example" in stack.logs(service)


def test_no_password_is_said(stack: Stack) -> None:
    for service in ("setup", "postgres", "backup"):
        assert "not-a-real-password" not in stack.logs(service)


def test_a_repository_beside_it_is_a_contradiction(stack: Stack) -> None:
    stack.configure(DATABASE_URL=HOSTED, PGBACKREST_REPO1_TYPE="posix")
    result = stack.make("deploy")
    assert result.code == 10, result.output
    assert "DATABASE_URL" in result.output
    assert "HINT:" in result.output


def test_its_own_database_is_not_hosted(stack: Stack) -> None:
    stack.configure(DATABASE_URL="postgresql://shop:secret@postgres:5432/salespider", BACKUP_CPU_LIMIT="2")
    result = stack.make("deploy")
    assert result.code == 0, result.output
    assert stack.is_open()
    assert stack.sql("SHOW archive_mode") == "off"
