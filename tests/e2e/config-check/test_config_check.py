"""Whatever is wrong in .env is said on one screen, in our words, before Compose reads the file; and nothing is started."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Stack

WRONG = """\
PGBACKREST_REPO1_TYPE=posx
BACKUP_RETENTION_FUL=7
BACKUP_SCHEDULE_FULL="61 2 * * 0"
BACKUP_MEMORY_LIMIT=512
BACKUP_CPU_LIMIT=half
POSTGRES_PORT=70000
TZ=Mars/Phobos
POSTGRES_PASSWORD=pa$$word
"""


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    stack = stacks.new()
    stack.env_file.write_text(WRONG)
    return stack


@pytest.mark.parametrize(("target", "code"), [("deploy", 10), ("config-check", 2)])
def test_everything_is_said_at_once_and_nothing_is_made(stack: Stack, target: str, code: int) -> None:
    result = stack.make(target)
    assert result.code == code, result.output
    for line in WRONG.splitlines():
        assert f"{line.split('=')[0]}: " in result.output, line
    assert "did you mean BACKUP_RETENTION_FULL?" in result.output
    assert result.output.count("HINT:") >= len(WRONG.splitlines())
    assert "pa$$word" not in result.output
    label = f"label=com.docker.compose.project={stack.project}"
    assert stack.run("docker", "ps", "--all", "--quiet", "--filter", label).stdout == ""
    assert stack.run("docker", "volume", "ls", "--quiet", "--filter", label).stdout == ""


def test_a_right_one_is_shown_with_its_secrets_masked_and_changes_nothing(stack: Stack) -> None:
    stack.configure(PGBACKREST_REPO1_TYPE="posix", POSTGRES_PASSWORD="never-to-be-shown")
    result = stack.make("config-check")
    assert result.code == 3, result.output
    assert "repo1-type=posix" in result.output
    assert "POSTGRES_PASSWORD=***" in result.output
    assert "never-to-be-shown" not in result.output
    assert stack.in_helper("ls -A /c", {"/c": stack.config_volume}) == ""
