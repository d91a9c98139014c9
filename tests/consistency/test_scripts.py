"""What the scripts must not do; the rest of their style is shellcheck's, in the integration tests."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.consistency.source import ROOT

SCRIPTS = [
    path
    for path in sorted([*(ROOT / "scripts").iterdir(), *(ROOT / "config").rglob("*"), ROOT / ".ci" / "run"])
    if path.is_file() and path.read_bytes().startswith(b"#!") and b"sh" in path.read_bytes().splitlines()[0]
]


def test_there_are_scripts() -> None:
    assert len(SCRIPTS) > 10


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_no_pipe_ends_before_its_writer(script: Path) -> None:
    """`grep -q` leaves at the first hit: with pipefail the writer's SIGPIPE is then the answer, now and then."""
    text = script.read_text("utf-8")
    assert not (re.search(r"pipefail", text) and re.search(r"\|\s*grep\s+-\w*q", text))


@pytest.mark.parametrize("printed", ["", "echo; "], ids=["nothing", "an empty line"])
def test_a_container_that_is_missing_is_called_that(tmp_path: Path, printed: str) -> None:
    """`docker inspect` of a container that is not there prints an empty line in some versions, and nothing in others."""
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\n{printed}exit 1\n")
    docker.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PROJECT": "shop"}
    done = subprocess.run(
        [ROOT / "scripts" / "in-backup", "status"], env=environment, capture_output=True, text=True, check=False
    )
    said = "there is no container shop-backup\nHINT: start the stack with make deploy\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)
