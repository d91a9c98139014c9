"""What a verb loads: the supervisor lives for months in little memory, and somebody waits for the others."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.consistency.source import ROOT

PROGRAM = """
import sys
import click
from backup.cli import main
main.get_command(click.Context(main), sys.argv[1])
print(*sorted(sys.modules))
"""
FOR_A_TERMINAL = {"rich", "pygments", "backup.showing.report"}
FOR_RESTORES = {"docker", "requests", "backup.restore.command"}
EVERYTHING = {"pydantic", "psycopg", "structlog", "asyncio", "http"}


@pytest.mark.parametrize(
    ("verb", "not_loaded"),
    [
        ("supervise", {*FOR_A_TERMINAL, *FOR_RESTORES}),
        ("status", {*FOR_RESTORES, "tenacity", "rich.traceback", "http", "backup.taking.jobs"}),
        ("history", {*FOR_RESTORES, "tenacity", "rich.traceback", "http", "backup.taking.jobs"}),
        ("healthcheck", {*FOR_A_TERMINAL, *FOR_RESTORES, *EVERYTHING}),
    ],
)
def test_a_verb_does_not_load_what_only_others_need(verb: str, not_loaded: set[str]) -> None:
    done = subprocess.run((sys.executable, "-c", PROGRAM, verb), cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "backup.commands" in loaded
    assert not_loaded & loaded == set()
