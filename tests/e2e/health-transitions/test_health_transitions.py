"""Health follows the promise: not yet, kept, broken with its cause, kept again; by command, over HTTP, and for Docker."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pydantic
import pytest

from backup.showing.snapshot import Status
from tests.e2e.conftest import Stacks
from tests.e2e.stack import Stack, wait_until

ASK = """
import json, sys, urllib.error, urllib.request
request = urllib.request.Request("http://127.0.0.1:8080" + sys.argv[1], headers={"Accept": sys.argv[2]})
try:
    answer = urllib.request.urlopen(request, timeout=5)
except urllib.error.HTTPError as refused:
    answer = refused
print(json.dumps([answer.status, answer.read().decode()]))
"""


@dataclass(frozen=True)
class Answer:
    """What the supervisor answered over HTTP."""

    status: int
    body: str


def ask(stack: Stack, path: str, accept: str = "*/*") -> Answer:
    return Answer(*json.loads(stack.exec("backup", "python3", "-c", ASK, path, accept).stdout))


def healthcheck(stack: Stack) -> tuple[int, str]:
    result = stack.exec("backup", "salespider-backup", "healthcheck", check=False)
    return result.code, result.output


def for_docker(stack: Stack) -> str:
    status: str = stack.state("backup")["Health"]["Status"]
    return status


def is_kept(stack: Stack) -> bool:
    return healthcheck(stack)[0] in {0, 1} and ask(stack, "/healthz").status == 200


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    return stacks.new(PGBACKREST_REPO1_TYPE="posix")


def test_before_the_first_backup_the_promise_is_not_kept(stack: Stack) -> None:
    """Nothing listens yet, or it says why nothing can be restored; Docker waits."""
    stack.up()
    code, output = healthcheck(stack)
    assert code in {2, 3} or stack.has_backup(), output
    assert for_docker(stack) == "starting" or stack.has_backup()


def test_with_the_first_backup_it_is_kept(stack: Stack) -> None:
    """What is only a warning, the missing recovery kit, is told and breaks nothing."""
    wait_until(stack.has_backup, 60, "the first backup")
    wait_until(lambda: is_kept(stack), 30, "a kept promise")
    assert ask(stack, "/readyz").status == 200
    wait_until(lambda: for_docker(stack) == "healthy", 45, "a healthy container")


def test_a_repository_that_cannot_be_read_breaks_it_and_the_cause_is_told_everywhere(stack: Stack) -> None:
    """The command, HTTP and Docker agree, and status still comes."""
    stack.in_repository("chmod 0000 .")
    assert stack.make("backup").code != 0
    code, output = healthcheck(stack)
    assert code == 2, output
    assert "CRITICAL: " in output
    assert "Permission denied" in output
    answer = ask(stack, "/healthz", "application/json")
    assert answer.status == 503
    told: dict[str, Any] = json.loads(answer.body)
    assert told["status"] == "critical"
    assert any("Permission denied" in cause["message"] for cause in told["causes"])
    assert ask(stack, "/readyz").status == 200, "the backups of before are still there"
    status = stack.exec("backup", "salespider-backup", "status", "--output=json", check=False)
    assert status.code == 20
    known = pydantic.TypeAdapter(Status).validate_json(status.stdout)
    assert known.repositories[0].problem
    assert known.repositories[0].types[0].last is not None, "what was known of it"
    wait_until(lambda: for_docker(stack) == "unhealthy", 100, "an unhealthy container")
    checks = stack.state("backup")["Health"]["Log"]
    assert "Permission denied" in checks[-1]["Output"]


def test_repaired_it_is_kept_again(stack: Stack) -> None:
    """Facts end the alarm: the next good backup."""
    stack.in_repository("chmod 0750 .")
    result = stack.make("backup")
    assert result.code == 0, result.output
    wait_until(lambda: is_kept(stack), 100, "a kept promise")
    wait_until(lambda: for_docker(stack) == "healthy", 45, "a healthy container")


def test_the_log_is_one_object_a_line(stack: Stack) -> None:
    """What Docker collects is no terminal."""
    lines = [json.loads(line) for line in stack.logs("backup").splitlines()]
    assert {"supervisor.started", "supervisor.doing", "backup.succeeded", "pgbackrest.line"} <= {
        line["event"] for line in lines
    }


def test_the_log_files_of_the_guide_are_there(stack: Stack) -> None:
    """One for each type of backup that has run."""
    assert stack.make("backup-diff").code == 0
    for name in ("backup-full.log", "backup-diff.log"):
        log = stack.exec("backup", "cat", f"/var/log/pgbackrest/{name}").stdout
        assert "new backup label = " in log


def test_no_kind_of_asking_is_let_in_but_reading(stack: Stack) -> None:
    """Other paths are 404, and the port is not published on the host by itself."""
    assert ask(stack, "/").status == 404
    assert not stack.inspect("backup")["NetworkSettings"]["Ports"]
