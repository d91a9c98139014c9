"""Backups fail for a while and then succeed again: one alarm, one recovery, and a record of every run."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Stack

BACKREST = ("pgbackrest", "--stanza=salespider")


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    """A running stack, and somebody who would be told."""
    stack = stacks.running()
    stack.listen()
    return stack


def told(stack: Stack) -> list[tuple[str, str]]:
    return [(message["event"], message["severity"]) for message in stack.messages()]


def test_three_failures_are_one_alarm(stack: Stack) -> None:
    stack.exec("backup", *BACKREST, "stop")
    for _ in range(3):
        result = stack.make("backup")
        assert result.code == 15, result.output
        assert "(stop)" in result.stderr
        assert "HINT: somebody ran `pgbackrest stop`: run `pgbackrest start` to allow work again" in result.stderr
    assert [alarm["key"] for alarm in stack.alarms()] == ["backup:1"]
    assert told(stack) == [("backup.failed", "critical")]


def test_the_next_success_is_one_recovery(stack: Stack) -> None:
    stack.exec("backup", *BACKREST, "start")
    for _ in range(2):
        result = stack.make("backup")
        assert result.code == 0, result.output
    assert stack.alarms() == []
    assert told(stack) == [
        ("backup.failed", "critical"),
        ("backup.succeeded", "info"),
        ("backup.recovered", "critical"),
        ("backup.succeeded", "info"),
    ]
    recovered = next(message for message in stack.messages() if message["event"] == "backup.recovered")
    assert recovered["resolved"] == 1
    assert stack.backups()[-2]["label"] in recovered["summary"]


def test_every_run_is_in_the_record(stack: Stack) -> None:
    runs = [(run["origin"], run["state"], run["exit_code"]) for run in stack.runs()]
    failed, succeeded = ("manual", "failed", 62), ("manual", "succeeded", 0)
    assert runs == [("first", "succeeded", 0), failed, failed, failed, succeeded, succeeded]
    assert all(run["tail"] for run in stack.runs())
    assert all(run["stored_bytes"] for run in stack.runs() if run["state"] == "succeeded")
