"""`.env.example` is the reference of the variables: it names every one there is, none that is not, and true defaults."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final
from unittest.mock import patch

import pytest

from setup import dotenv
from setup.compose import SHARED_WITH_COMPOSE
from setup.presets import preset
from setup.repositories import AZURE_ENDPOINT, GCS_ENDPOINT
from setup.settings import read_settings
from setup.variables import RepositoryVariables, Variables, known_variables, secret_variables

ROOT: Final = Path(__file__).parents[2]
TEXT: Final = (ROOT / ".env.example").read_text(encoding="utf-8")
ASSIGNMENT: Final = re.compile(r"^#([A-Z][A-Z0-9_]*)=(.*)$", re.MULTILINE)
NAMES: Final = [name for name, _ in ASSIGNMENT.findall(TEXT)]
VALUES: Final = dotenv.parse(ASSIGNMENT.sub(r"\1=\2", TEXT), known_variables(), secret_variables()).values
COMPOSE_FILES: Final = [ROOT / "docker-compose.yml", *(ROOT / "config" / "compose").glob("*.yml")]
COMPOSE_TEXT: Final = "".join(file.read_text(encoding="utf-8") for file in COMPOSE_FILES)
COMPOSE: Final = dict(re.findall(r"\$\{([A-Z0-9_]+)(?::[-+]([^}]*))?\}", COMPOSE_TEXT))

DEPENDS: Final = {
    "PGBACKREST_PROCESS_MAX": "4",
    "PGBACKREST_COMPRESS_LEVEL": "1",
    "PGBACKREST_REPO1_BLOCK": "true",
    "PGBACKREST_REPO1_S3_PRESET": "aws",
    "PGBACKREST_REPO1_S3_URI_STYLE": preset(None).uri_style,
    "PGBACKREST_REPO1_AZURE_ENDPOINT": AZURE_ENDPOINT,
    "PGBACKREST_REPO1_AZURE_URI_STYLE": "host",
    "PGBACKREST_REPO1_AZURE_KEY_TYPE": "shared",
    "PGBACKREST_REPO1_GCS_ENDPOINT": GCS_ENDPOINT,
    "PGBACKREST_REPO1_STORAGE_UPLOAD_CHUNK_SIZE": "16MiB",
    "PGBACKREST_REPO1_RETENTION_FULL": "7",
    "PGBACKREST_REPO1_RETENTION_FULL_TYPE": "count",
    "PGBACKREST_REPO1_RETENTION_DIFF": "4",
    "POSTGRES_LOG_MIN_DURATION_STATEMENT": "off",
}
"""Unset in the models, because the default depends on something else, or kept there in PostgreSQL's notation."""

NO_DEFAULT: Final = {"POSTGRES_PORT", "BACKUP_HTTP_PORT", "AWS_ROLE_ARN"}

FOR_TESTS: Final = {"COMPOSE_PROJECT_NAME", "CONFIG_VOLUME", "ENV_FILE", "IMAGE_TAG"}
"""What Compose or a second stack on the same host needs; no setting of the product."""

MOUNTED_ANYWAY: Final = {"GCS_KEY": "./secrets", **{f"PGBACKREST_REPO{key}_PATH": "" for key in range(1, 5)}}
"""What Compose mounts where nothing is named; setup does not take it for a value."""

WHOLE_DEPLOYMENT: Final = [
    name
    for name in known_variables()
    if name.startswith(("BACKUP_", "POSTGRES_", "PGBACKREST_")) and "_REPO" not in name and name != "POSTGRES_EXTRA_CONFIG"
]
KINDS: Final = {
    "posix": ("SETUP_BACKUP", "PGBACKREST_REPO1_PATH"),
    "s3": ("AWS_S3_BUCKET", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
           "AWS_S3_ENDPOINT", "PGBACKREST_REPO1_S3_PRESET", "PGBACKREST_REPO1_S3_URI_STYLE",
           "PGBACKREST_REPO1_S3_KEY_TYPE", "PGBACKREST_REPO1_S3_KMS_KEY_ID", "PGBACKREST_REPO1_STORAGE_HOST",
           "PGBACKREST_REPO1_STORAGE_PORT", "PGBACKREST_REPO1_STORAGE_UPLOAD_CHUNK_SIZE"),
    "azure": ("AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_CONTAINER", "AZURE_STORAGE_KEY", "PGBACKREST_REPO1_AZURE_ENDPOINT",
              "PGBACKREST_REPO1_AZURE_URI_STYLE", "PGBACKREST_REPO1_AZURE_KEY_TYPE"),
}  # fmt: skip


def without_number(name: str) -> str:
    """Return the name with every repository's number taken for 1."""
    return re.sub(r"^PGBACKREST_REPO[2-4]_", "PGBACKREST_REPO1_", name)


def base(name: str) -> str:
    """Return the variable that a line is about: NAME_FILE is about NAME."""
    return name if name in known_variables() else name.removesuffix("_FILE")


def comment_above(name: str) -> str:
    """Return the comment that a variable's line stands under, perhaps with others."""
    lines = TEXT.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith(f"#{name}="))
    while ASSIGNMENT.match(lines[at]):
        at -= 1
    first = at
    while first >= 0 and lines[first].startswith("#") and not ASSIGNMENT.match(lines[first]):
        first -= 1
    return "\n".join(lines[first + 1 : at + 1])


def default_text(name: str) -> str:
    """Return a variable's default as an operator would write it."""
    if name in DEPENDS:
        return DEPENDS[name]
    field = name.lower()
    if field in Variables.model_fields:
        default = Variables.model_fields[field].default
    else:
        default = RepositoryVariables.model_fields[field.removeprefix("pgbackrest_repo1_")].default
    if default is None and name.startswith("BACKUP_SCHEDULE_"):
        return "off"
    return str(default).lower() if isinstance(default, bool) else str(default)


def test_both_know_the_same_variables() -> None:
    assert {without_number(base(name)) for name in NAMES} == {without_number(name) for name in known_variables()}


def test_each_stands_there_once() -> None:
    assert sorted(NAMES) == sorted(set(NAMES))


@pytest.mark.parametrize("name", NAMES)
def test_it_shows_the_default_or_says_that_it_does_not(name: str) -> None:
    above = re.sub(r"\n# *", " ", comment_above(name))
    if "Not a default" in above or "Not defaults" in above or "The default is 4." in above:
        return
    if without_number(name) == "PGBACKREST_REPO1_PATH":
        assert VALUES[name] == "/pgbackrest"
        return
    if not re.match(r"PGBACKREST_REPO[2-4]_", name):  # those are examples, and say so where they begin
        assert VALUES[base(name)] == default_text(base(name))


def test_every_line_says_why() -> None:
    assert [name for name in NAMES if len(comment_above(name)) < len("# (compose) x") and not comment_above(name)] == []


def test_it_is_accepted_as_it_stands() -> None:
    assert dotenv.parse(TEXT, known_variables(), secret_variables()) == dotenv.Parsed({}, ())
    with patch.dict(os.environ, {}, clear=True):
        assert read_settings(4).mode == "off"


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_its_values_are_accepted(kind: str) -> None:
    names = [*WHOLE_DEPLOYMENT, *KINDS[kind]]
    variables = {name: VALUES[name] for name in names} | {"PGBACKREST_REPO1_TYPE": kind}
    with patch.dict(os.environ, variables, clear=True):
        settings = read_settings(4)
    assert settings.mode == "backups"
    (repository,) = settings.repositories
    assert (repository.type, repository.policy.retention_diff) == (kind, 3)
    # the valve is warned of whatever its value
    assert [warning.where for warning in settings.warnings] == ["BACKUP_WAL_EMERGENCY_FREE_PERCENT"]


def test_a_repository_of_each_kind_is_accepted_together() -> None:
    variables = {name: VALUES[name] for name in NAMES if re.match(r"PGBACKREST_REPO[23]_(?!PATH)", name)}
    variables |= {"PGBACKREST_REPO1_TYPE": "posix", "PGBACKREST_REPO1_PATH": "/srv/backups"}
    with patch.dict(os.environ, variables, clear=True):
        assert [repository.type for repository in read_settings(4).repositories] == ["posix", "s3", "azure"]


def test_three_lines_together_are_the_posix_example() -> None:
    lines = TEXT.splitlines()
    first = lines.index("#SETUP_BACKUP=true")
    assert lines[first + 1 : first + 3] == [
        "#PGBACKREST_REPO1_TYPE=posix",
        "#PGBACKREST_REPO1_PATH=/var/lib/pgbackrest",
    ]


def test_compose_reads_what_settings_say_it_reads() -> None:
    assert set(COMPOSE) - FOR_TESTS == set(SHARED_WITH_COMPOSE)


@pytest.mark.parametrize("name", sorted(SHARED_WITH_COMPOSE - set(MOUNTED_ANYWAY) - NO_DEFAULT))
def test_compose_has_the_same_defaults(name: str) -> None:
    assert COMPOSE[name] == default_text(name)


def test_those_that_compose_reads_are_marked() -> None:
    # The first path stands in the example of three lines; its mark is in the list below that.
    marked = {name for name in NAMES if "(compose)" in comment_above(name)} | {"PGBACKREST_REPO1_PATH"}
    assert marked == set(SHARED_WITH_COMPOSE)
    assert "PGBACKREST_REPO1_PATH  (compose)" in TEXT
