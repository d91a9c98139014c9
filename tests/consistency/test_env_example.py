"""`.env.example` is the reference of the variables: it names every one there is, none that is not, and true defaults."""

from __future__ import annotations

import os
import re
from pathlib import Path
from unittest.mock import patch

import pytest

from setup.repositories import Posix
from setup.settings import COMPOSE_VARIABLES, SHARED_WITH_COMPOSE, Variables, known_variables, read_settings

ROOT = Path(__file__).parents[2]
ASSIGNMENT = re.compile(r'^#?([A-Z][A-Z0-9_]*)="?(.*?)"?$', re.MULTILINE)
EXAMPLE = ASSIGNMENT.findall((ROOT / ".env.example").read_text(encoding="utf-8"))
COMPOSE = dict(re.findall(r"\$\{([A-Z0-9_]+)(?::-([^}]*))?\}", (ROOT / "docker-compose.yml").read_text(encoding="utf-8")))

NOT_THE_DEFAULT = {
    "SETUP_BACKUP",
    "PGBACKREST_REPO1_TYPE",
    "PGBACKREST_REPO1_PATH",
    "BACKUP_RETENTION_DIFF",
    "POSTGRES_PASSWORD",
    "PGBACKREST_REPO1_CIPHER_PASS",
}
DEPENDS = {"PGBACKREST_PROCESS_MAX": "4", "PGBACKREST_COMPRESS_LEVEL": "1", "PGBACKREST_REPO1_BLOCK": "true"}
"""Unset in `Variables`, because the default depends on something else."""

FOR_TESTS = {"COMPOSE_PROJECT_NAME", "CONFIG_VOLUME", "ENV_FILE", "IMAGE_TAG"}
"""What Compose or a second stack on the same host needs; no setting of the product."""


def default_text(name: str) -> str:
    """Return a variable's default as an operator would write it."""
    if name in COMPOSE_VARIABLES:
        return COMPOSE_VARIABLES[name]
    default = Variables.model_fields[name.lower()].default
    if default is None:
        return "off" if name.startswith("BACKUP_SCHEDULE_") else DEPENDS[name]
    return str(default).lower() if isinstance(default, bool) else str(default)


def test_both_know_the_same_variables_each_once() -> None:
    assert sorted(name for name, _ in EXAMPLE) == list(known_variables())


@pytest.mark.parametrize(("name", "value"), [pair for pair in EXAMPLE if pair[0] not in NOT_THE_DEFAULT])
def test_it_shows_the_default(name: str, value: str) -> None:
    assert value == default_text(name)


def test_it_is_accepted_as_it_stands_and_with_everything_uncommented() -> None:
    with patch.dict(os.environ, {}, clear=True):
        assert read_settings(4).mode == "off"
    with patch.dict(os.environ, dict(EXAMPLE), clear=True):
        settings = read_settings(4)
    assert settings.mode == "backups"
    (repository,) = settings.repositories
    assert isinstance(repository, Posix)
    assert repository.policy.retention_diff == 3
    assert settings.warnings == ()


def test_three_lines_together_are_the_posix_example() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    first = lines.index("#SETUP_BACKUP=true")
    assert lines[first + 1 : first + 3] == [
        "#PGBACKREST_REPO1_TYPE=posix",
        "#PGBACKREST_REPO1_PATH=/var/lib/pgbackrest",
    ]


def test_compose_reads_what_settings_say_it_reads() -> None:
    assert set(COMPOSE) - FOR_TESTS == set(SHARED_WITH_COMPOSE)


@pytest.mark.parametrize("name", sorted(SHARED_WITH_COMPOSE - {"PGBACKREST_REPO1_PATH"}))
def test_compose_has_the_same_defaults(name: str) -> None:
    assert COMPOSE[name] == default_text(name)


def test_those_that_compose_reads_are_marked() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    marked = {name for block in text.split("(compose)")[1:] for name in SHARED_WITH_COMPOSE if name in block}
    assert marked == set(SHARED_WITH_COMPOSE)
