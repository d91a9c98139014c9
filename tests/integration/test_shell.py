"""Every shell script passes shellcheck. The repository is mounted at /src for this."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.site import program

SOURCE = Path("/src")
PLACES = ("scripts/*", ".ci/run", "config/postgres/entrypoint", "config/postgres/restore-command", "config/backup/*")


def shell_scripts() -> list[Path]:
    files = [file for place in PLACES for file in sorted(SOURCE.glob(place)) if file.is_file()]
    return [file for file in files if b"sh" in file.read_bytes().split(b"\n", 1)[0]]


def test_the_repository_is_there_to_be_looked_at() -> None:
    assert len(shell_scripts()) >= 7, "mount the repository read-only at /src"


@pytest.mark.parametrize("file", shell_scripts(), ids=lambda file: str(file.relative_to(SOURCE)))
def test_a_shell_script_has_no_findings(file: Path) -> None:
    found = program("shellcheck", "--external-sources", str(file))
    assert (found.returncode, found.stdout) == (0, "")
