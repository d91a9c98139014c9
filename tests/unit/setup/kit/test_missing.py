"""What is said to be missing from a kit, by the kind of repository."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from setup.kit import contents
from setup.kit.missing import missing
from setup.passphrase import Secrets
from setup.repository_key import Need

S3 = {"PGBACKREST_REPO1_TYPE": "s3"}
AZURE = {"PGBACKREST_REPO1_TYPE": "azure"}
GCS = {"PGBACKREST_REPO1_TYPE": "gcs"}
EXPIRES = "that lasts; the present one expires: what is in the kit may be too old by then"


@pytest.mark.parametrize(
    ("environment", "lines"),
    [
        ({"PGBACKREST_REPO1_TYPE": "posix"}, []),
        (S3 | {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}, []),
        (
            S3 | {"PGBACKREST_REPO1_S3_KEY_TYPE": "web-id", "AWS_WEB_IDENTITY_DIRECTORY": "/srv/token"},
            ["the web identity token in /srv/token, which lasts for hours; put a new one there before the restore"],
        ),
        (S3 | {"PGBACKREST_REPO1_S3_KEY_TYPE": "auto"}, ["the role of the machine, by which it is reached"]),
        (GCS | {"PGBACKREST_REPO1_GCS_KEY_TYPE": "auto"}, ["the role of the machine, by which it is reached"]),
        (S3 | {"AWS_SESSION_TOKEN": "x"}, [f"a session token {EXPIRES}"]),
        (S3 | {"PGBACKREST_REPO1_S3_TOKEN": "x"}, [f"a session token {EXPIRES}"]),
        (AZURE | {"AZURE_STORAGE_KEY": "x"}, []),
        (AZURE | {"AZURE_STORAGE_SAS_TOKEN": "x"}, [f"a shared access signature {EXPIRES}"]),
        (AZURE | {"PGBACKREST_REPO1_AZURE_KEY_TYPE": "sas"}, [f"a shared access signature {EXPIRES}"]),
        (GCS | {"PGBACKREST_REPO1_GCS_KEY_TYPE": "token"}, [f"an access token {EXPIRES}"]),
        (GCS | {"GCS_KEY_JSON": "x", "AWS_SESSION_TOKEN": "x"}, []),
    ],
)
def test_what_is_missing(environment: dict[str, str], lines: list[str]) -> None:
    needs = [Need(1, False, "somewhere")]
    kit = contents.contents(needs, Secrets({}, SecretStr("x")), environment, {}, datetime(2026, 3, 4, tzinfo=UTC))
    assert list(missing(kit)) == [f"not in the kit, repository 1: {line}" for line in lines]


def test_the_application_s_token_serves_the_first_repository_only() -> None:
    environment = S3 | {"PGBACKREST_REPO1_S3_KEY_TYPE": "shared", "PGBACKREST_REPO2_TYPE": "s3", "AWS_SESSION_TOKEN": "x"}
    needs = [Need(1, False, "somewhere"), Need(2, False, "elsewhere")]
    kit = contents.contents(needs, Secrets({}, SecretStr("x")), environment, {}, datetime(2026, 3, 4, tzinfo=UTC))
    assert list(missing(kit)) == [f"not in the kit, repository 1: a session token {EXPIRES}"]
