"""The command itself: what it becomes, with real small programs, and what it says when it cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from backup import process
from backup.cloud import __main__ as cloud
from contract import paths
from contract.errors import ProductError
from contract.exits import Exit

REPO_CONF = "[global]\nrepo1-type=s3\nrepo1-s3-key-type=shared\nrepo1-s3-key=ACCESS\nrepo1-s3-endpoint=s3.example.com\n"


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / paths.REPO_CONF
    file.parent.mkdir()
    file.write_text(REPO_CONF)
    monkeypatch.setattr(paths, "CONFIG", tmp_path)
    monkeypatch.setattr(cloud, "_REAL", tmp_path)
    return file


def test_a_program_that_was_not_built_in_is_named_with_the_variable(configuration: Path) -> None:
    with pytest.raises(ProductError) as caught:
        cloud.main("aws", "", ("s3", "ls"))
    assert caught.value.exit_code == Exit.CONFIGURATION
    assert "BACKUP_CLOUD_CLI=aws" in caught.value.hint


def test_the_program_gets_the_arguments_as_they_are(configuration: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    become: list[tuple[tuple[str, ...], str | None]] = []
    monkeypatch.setattr(process, "become", lambda argv, told: become.append((argv, told["AWS_ACCESS_KEY_ID"])))
    real = configuration.parents[1] / "aws"
    real.touch()
    cloud.main("aws", "1", ("s3", "ls", "s3://a b"))
    assert become == [((str(real), "s3", "ls", "s3://a b"), "ACCESS")]


def test_without_a_configuration_it_says_how_to_get_one(configuration: Path) -> None:
    configuration.unlink()
    with pytest.raises(ProductError, match="run setup again"):
        cloud.main("gsutil", "", ("ls",))


def test_a_process_becomes_another_with_other_variables() -> None:
    script = (
        "from backup import process;"
        "process.become(('sh', '-c', 'echo ${KEPT-none} ${SET-none} ${GONE-none} $1; exit 7', 'sh', 'a b'),"
        " {'SET': 'set', 'GONE': None})"
    )
    environment = {**os.environ, "KEPT": "kept", "GONE": "there"}
    done = subprocess.run((sys.executable, "-c", script), env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (7, "kept set none a b\n")
