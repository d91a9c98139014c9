"""What is wrong with a store is found at deploy, within seconds: one sentence, one hint, and nothing is published."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Result, Stack
from tests.stores.store import ObjectStore

GUIDE = {"SETUP_BACKUP": "true", "BACKUP_SCHEDULE_DIFF": "off", "BACKUP_CPU_LIMIT": "2"}
SECONDS = 60.0
"""For images, configuration and the check; pgbackrest alone takes minutes to tell that a store is away."""


def deploy(stack: Stack, store: ObjectStore, changes: dict[str, str], **given: str) -> Result:
    """Deploy with the store's variables and changes to them; an empty one is left out."""
    variables = {**GUIDE, **store.variables(), **changes}
    stack.configure(**{name: value for name, value in variables.items() if value})
    return stack.make("deploy", **given)


def assert_refused(stack: Stack, store: ObjectStore, changes: dict[str, str], *said: str) -> None:
    """Deploying ends with 14 and says this, soon; what was published before still is."""
    before = published(stack)
    started = time.monotonic()
    result = deploy(stack, store, changes)
    assert result.code == 14, result.output
    assert time.monotonic() - started < SECONDS
    for words in said:
        assert words in result.stderr
    assert result.stderr.count("HINT:") == 1
    assert "deploy: nothing was changed" in result.stderr
    assert published(stack) == before


def published(stack: Stack) -> str:
    if not stack.run("docker", "volume", "ls", "--quiet", "--filter", f"name={stack.config_volume}").stdout:
        return ""
    return stack.in_helper("cat /c/manifest.json 2>/dev/null || true", {"/c": stack.config_volume})


def examined(stack: Stack) -> dict[str, Any]:
    """Return the steps of `storage-check` on the first repository, by name."""
    result = stack.exec("backup", "salespider-backup", "storage-check", "--output=json", check=False)
    (found,) = json.loads(result.stdout)
    return {step["name"]: step for step in found["steps"]}


# --- S3 ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    """A stack that is not deployed yet."""
    return stacks.new()


@pytest.fixture(scope="module")
def store(stacks: Stacks, stack: Stack) -> ObjectStore:
    """A bucket behind a gate."""
    store: ObjectStore = stacks.store("s3", stack, gate=True)
    return store


PLACE = "s3://salespider-backups/pgbackrest at s3.store.test:8334"
WRONG = [
    (
        {"AWS_ACCESS_KEY_ID": "AKIANOBODY"},
        f"repository 1 ({PLACE}): the store does not know the access key (InvalidAccessKeyId)",
        "HINT: correct AWS_ACCESS_KEY_ID (or PGBACKREST_REPO1_S3_KEY) in .env, then `make deploy`",
    ),
    (
        {"AWS_SECRET_ACCESS_KEY": "not-the-secret"},
        "the secret key does not belong to the access key (SignatureDoesNotMatch)",
        "HINT: correct AWS_SECRET_ACCESS_KEY (or PGBACKREST_REPO1_S3_KEY_SECRET) in .env, then `make deploy`",
    ),
    (
        {"AWS_S3_BUCKET": "not-there"},
        "there is no such bucket (NoSuchBucket)",
        "HINT: create it, or correct AWS_S3_BUCKET (or PGBACKREST_REPO1_S3_BUCKET) in .env, then `make deploy`",
    ),
    (
        {"PGBACKREST_REPO1_STORAGE_CA_FILE": ""},
        "the store's certificate is signed by an authority that is not known here",
        "HINT: name the file with its authority's certificate in PGBACKREST_REPO1_STORAGE_CA_FILE in .env",
    ),
    (
        {"AWS_S3_ENDPOINT": "s3.elsewhere.test:8334"},
        "the store's certificate is not for s3.elsewhere.test, but for s3.store.test",
        "HINT: write the name in the certificate into AWS_S3_ENDPOINT (or PGBACKREST_REPO1_S3_ENDPOINT) in .env",
    ),
    (
        {"AWS_S3_ENDPOINT": "s3.store.test:9"},
        "s3.store.test:9 refuses the connection",
        "HINT: check whether the store is running, and the port in AWS_S3_ENDPOINT (or PGBACKREST_REPO1_S3_ENDPOINT)",
    ),
]


@pytest.mark.parametrize(("changes", "sentence", "hint"), WRONG, ids=[next(iter(case[0])) for case in WRONG])
def test_a_first_deployment_ends_with_one_sentence(
    stack: Stack, store: ObjectStore, changes: dict[str, str], sentence: str, hint: str
) -> None:
    assert_refused(stack, store, changes, sentence, hint)
    assert published(stack) == ""
    assert stack.run("docker", "ps", "--all", "--quiet", "--filter", f"name={stack.container('postgres')}").stdout == ""


def test_a_clock_that_is_off(stack: Stack, store: ObjectStore) -> None:
    store.skew(20)
    assert_refused(
        stack, store, {}, "this host's clock is 20 minutes behind the store's", "HINT: set this host's clock right"
    )
    store.heal()


def test_the_right_configuration_is_deployed(stack: Stack, store: ObjectStore) -> None:
    result = deploy(stack, store, {})
    assert result.code == 0, result.output
    assert ": reached, written to, read back and cleared in" in result.stdout
    steps = examined(stack)
    expected = ["name", "connection", "TLS", "clock", "latency", "credentials", "list", "write", "read back", "throughput"]
    assert list(steps) == [*expected, "delete", "identity", "versioning", "object lock", "lifecycle"]
    assert {step["state"] for step in steps.values()} == {"ok"}, steps
    assert stack.make("storage-check").code == 0
    assert [key for key in listed(store) if "storage-check" in key] == []


def listed(store: ObjectStore) -> list[str]:
    answer = store.client().list_objects_v2(Bucket=store.bucket)  # type: ignore[attr-defined]
    return [entry["Key"] for entry in answer.get("Contents", ())]


def test_versioning_without_an_end_is_worth_a_warning(stack: Stack, store: ObjectStore) -> None:
    client = store.client()  # type: ignore[attr-defined]
    client.put_bucket_versioning(Bucket=store.bucket, VersioningConfiguration={"Status": "Enabled"})
    versioning = examined(stack)["versioning"]
    assert (versioning["state"], versioning["seen"]) == ("warning", "on, and noncurrent versions are kept for ever")
    assert "HINT: versioning: add a lifecycle rule that deletes noncurrent versions" in stack.make("storage-check").stdout
    client.put_bucket_versioning(Bucket=store.bucket, VersioningConfiguration={"Status": "Suspended"})


def test_a_wrong_key_does_not_replace_one_that_works(stack: Stack, store: ObjectStore) -> None:
    started, segments = stack.state("postgres")["StartedAt"], archived(stack)
    assert_refused(stack, store, {"AWS_SECRET_ACCESS_KEY": "not-the-secret"}, "SignatureDoesNotMatch")
    assert stack.state("postgres")["StartedAt"] == started
    assert stack.make("backup-incr").code == 0
    assert archived(stack) > segments


def archived(stack: Stack) -> int:
    return int(stack.sql("SELECT archived_count FROM pg_stat_archiver"))


def test_a_store_in_use_that_is_away_is_a_warning(stack: Stack, store: ObjectStore) -> None:
    store.stop()
    started = time.monotonic()
    result = deploy(stack, store, {})
    assert "WARNING: going on without it" in result.stdout, result.output
    assert time.monotonic() - started < SECONDS
    assert stack.is_open()
    seen = stack.make("storage-check")
    assert seen.code == 14
    assert "does not answer as a store does" in seen.stderr
    store.start()


def test_a_backup_says_the_same_sentence_at_night(stack: Stack, store: ObjectStore) -> None:
    store.forbid()  # type: ignore[attr-defined]
    result = stack.make("backup-incr")
    assert "the store does not know the access key (InvalidAccessKeyId)" in result.stderr, result.output
    assert "HINT: correct AWS_ACCESS_KEY_ID" in result.stderr
    (alarm,) = [alarm for alarm in stack.alarms() if alarm["key"] == "backup:1"]
    assert "InvalidAccessKeyId" in alarm["message"]
    assert alarm["hint"].startswith("correct AWS_ACCESS_KEY_ID (or PGBACKREST_REPO1_S3_KEY) in .env")


# --- Azure and Google -------------------------------------------------------------------------------------------------


def test_azure(stacks: Stacks) -> None:
    stack = stacks.new()
    store = stacks.store("azure", stack)
    key = "d3Jvbmcta2V5LXdyb25nLWtleQ=="
    assert_refused(
        stack, store, {"AZURE_STORAGE_KEY": key}, "or not with this key (AuthorizationFailure)", "AZURE_STORAGE_KEY"
    )
    missing = {"AZURE_STORAGE_CONTAINER": "not-there"}
    assert_refused(stack, store, missing, "there is no such container (ContainerNotFound)", "AZURE_STORAGE_CONTAINER")
    yesterday = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    token = {"AZURE_STORAGE_KEY": "", "AZURE_STORAGE_SAS_TOKEN": f"sv=2021-08-06&sr=c&sp=rwdl&se={yesterday}&sig=AAAA"}
    expired = deploy(stack, store, token)
    assert (expired.code, "expired at" in expired.stderr) == (10, True), expired.output
    assert deploy(stack, store, {}).code == 0
    steps = examined(stack)
    assert (steps["identity"]["seen"], steps["object lock"]["seen"]) == ("account salespider, with its key", "none")
    assert {step["state"] for step in steps.values()} == {"ok", "skipped"}, steps


def test_google(stacks: Stacks) -> None:
    stack = stacks.new()
    store = stacks.store("gcs", stack)
    assert_refused(stack, store, {"GCS_BUCKET": "not-there"}, "there is no such bucket", "GCS_BUCKET")
    assert deploy(stack, store, {}).code == 0
    steps = examined(stack)
    assert steps["identity"]["seen"] == "the holder of a token"
    assert {step["state"] for step in steps.values()} == {"ok"}, steps
