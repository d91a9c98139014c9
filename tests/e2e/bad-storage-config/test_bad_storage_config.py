"""What is wrong with a store is found at deploy, within seconds: one sentence, one hint, and nothing is published."""

from __future__ import annotations

import time

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Result, Stack
from tests.stores.store import ObjectStore

GUIDE = {"SETUP_BACKUP": "true", "BACKUP_SCHEDULE_DIFF": "off", "BACKUP_CPU_LIMIT": "2"}
SECONDS = 60.0
"""Images, configuration and the check; pgbackrest alone would need minutes for a store that is away."""


def deploy(stack: Stack, changes: dict[str, str], store: ObjectStore, **given: str) -> tuple[Result, float]:
    """Deploy with the store's variables and changes to them; return how that ended, and after how many seconds."""
    stack.configure(**{**GUIDE, **store.variables(), **changes})
    started = time.monotonic()
    return stack.make("deploy", **given), time.monotonic() - started


def published(stack: Stack) -> str:
    return stack.in_helper("ls /c; cat /c/manifest.json 2>/dev/null || true", {"/c": stack.config_volume})


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    return stacks.new()


@pytest.fixture(scope="module")
def store(stacks: Stacks, stack: Stack) -> ObjectStore:
    """A bucket behind a gate."""
    store: ObjectStore = stacks.store("s3", stack, gate=True)
    return store


WRONG = [
    (
        "the access key",
        {"AWS_ACCESS_KEY_ID": "AKIANOBODY"},
        "the store does not know the access key (InvalidAccessKeyId)",
        "correct AWS_ACCESS_KEY_ID (or PGBACKREST_REPO1_S3_KEY) in .env",
    ),
    (
        "the secret key",
        {"AWS_SECRET_ACCESS_KEY": "not-the-secret"},
        "the secret key does not belong to the access key (SignatureDoesNotMatch)",
        "correct AWS_SECRET_ACCESS_KEY (or PGBACKREST_REPO1_S3_KEY_SECRET) in .env",
    ),
    (
        "the bucket",
        {"AWS_S3_BUCKET": "not-there"},
        "there is no such bucket (NoSuchBucket)",
        "create it, or correct AWS_S3_BUCKET (or PGBACKREST_REPO1_S3_BUCKET) in .env",
    ),
    (
        "the certificate's authority",
        {"PGBACKREST_REPO1_STORAGE_CA_FILE": ""},
        "the store's certificate is signed by an authority that is not known here",
        "name the file with its authority's certificate in PGBACKREST_REPO1_STORAGE_CA_FILE in .env",
    ),
    (
        "the port",
        {"PGBACKREST_REPO1_STORAGE_PORT": "9"},
        "refuses the connection",
        "STORAGE_CHECK=no make deploy",
    ),
]


@pytest.mark.parametrize(("what", "changes", "sentence", "hint"), WRONG, ids=[case[0] for case in WRONG])
def test_a_first_deployment_ends_with_one_sentence(
    stack: Stack, store: ObjectStore, what: str, changes: dict[str, str], sentence: str, hint: str
) -> None:
    result, seconds = deploy(stack, changes, store)
    print(result.output)
    assert result.code == 14, result.output
    assert "repository 1 (s3://" in result.stderr
    assert sentence in result.stderr
    assert hint in result.stderr
    assert published(stack) == ""
    assert stack.run("docker", "ps", "--all", "--quiet", "--filter", f"name={stack.container('postgres')}").stdout == ""
    assert seconds < SECONDS
