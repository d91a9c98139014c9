"""Whatever settings are accepted, real pgBackRest and real PostgreSQL load what is rendered from them without one warning.

The same examples as in the unit test of rendering; here the programs themselves read the files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as run_with
from pydantic import SecretStr

from contract import paths
from setup.passphrase import Secrets
from setup.render import render
from setup.repositories import is_encrypted
from setup.settings import read_settings
from tests.integration.site import program
from tests.integration.test_rendered_configuration import complaints, empty, repositories, use_a_real_key
from tests.unit.setup.test_any_configuration import Asked, questions

EXAMPLES = 60
ANY_COMMAND = (
    "archive-push",
    "--no-archive-async",
    "--io-timeout=100ms",
    "--log-level-console=info",
    "/nowhere/0000000100000000000000FE",
)


@pytest.fixture(scope="module", autouse=True)
def nothing_left() -> Iterator[None]:
    """Leave no configuration behind: the other tests write their own into the same place."""
    yield
    empty(paths.CONFIG)


def publish(asked: Asked) -> None:
    with patch.dict(os.environ, asked.variables, clear=True):
        settings = read_settings(8)
    passphrases = {
        repository.key: SecretStr("a passphrase") for repository in settings.repositories if is_encrypted(repository)
    }
    empty(paths.CONFIG)
    for path, text in render(settings, Secrets(passphrases, SecretStr("a password"))).items():
        place = paths.CONFIG / path
        place.parent.mkdir(exist_ok=True)
        place.write_text(text, encoding="utf-8")
    use_a_real_key()


@run_with(
    deadline=None,
    database=None,
    max_examples=EXAMPLES,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(asked=questions())
def test_the_programs_load_whatever_is_accepted(template: Path, asked: Asked) -> None:
    publish(asked)
    if (paths.CONFIG / paths.REPO_CONF).exists():
        assert repositories()
        assert complaints(*ANY_COMMAND) == []
    for name in ("shared_buffers", "archive_command"):
        configuration = f"config_file={paths.CONFIG / paths.POSTGRESQL_CONF}"
        server = program("postgres", "-C", name, "-D", str(template), "-c", configuration)
        assert (server.returncode, server.stderr) == (0, ""), name
