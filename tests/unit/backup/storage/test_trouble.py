"""What pgbackrest prints becomes one sentence and one hint. The texts were printed by 2.55.1, and are shortened."""

from __future__ import annotations

from pathlib import Path

import pytest

from backup.storage.place import Place
from backup.storage.trouble import clock_off, describe, explain

SAID = Path(__file__).parent / "said"

KEYS = "AWS_ACCESS_KEY_ID (or PGBACKREST_REPO1_S3_KEY)"
SECRET = "AWS_SECRET_ACCESS_KEY (or PGBACKREST_REPO1_S3_KEY_SECRET)"

CASES = [
    ("s3-unknown-key", "the store does not know the access key (InvalidAccessKeyId)", KEYS, False),
    ("s3-sig", "the secret key does not belong to the access key (SignatureDoesNotMatch)", SECRET, False),
    ("s3-head-key", "the store refuses the key, or does not allow it to read (HTTP 403)", SECRET, False),
    ("s3-expired", "the session token has expired (ExpiredToken)", "AWS_SESSION_TOKEN", False),
    ("s3-no-bucket", "there is no such bucket (NoSuchBucket)", "AWS_S3_BUCKET (or PGBACKREST_REPO1_S3_BUCKET)", False),
    ("s3-may-not-read", "the access key is not allowed to read there (AccessDenied)", "rights", False),
    ("s3-may-not-write", "the access key is not allowed to write there (AccessDenied)", "rights", False),
    ("s3-skew", "this host's clock is too far from the store's (RequestTimeTooSkewed)", "timedatectl", False),
    (
        "s3-region",
        "the bucket is not in this region, it is in eu-central-1 (AuthorizationHeaderMalformed)",
        "AWS_REGION (or PGBACKREST_REPO1_S3_REGION)",
        False,
    ),
    ("s3-other-region", "the bucket is not in this region", "AWS_REGION", False),
    ("s3-archived", "what is needed lies in an archive tier and cannot be read", "lifecycle rule", False),
    ("s3-slow-down", "the store has a temporary failure (HTTP 503)", "nothing to do", True),
    ("s3-internal-error", "the store has a temporary failure (HTTP 500)", "nothing to do", True),
    ("too-many-requests", "the store has a temporary failure (HTTP 429)", "nothing to do", True),
    ("azure-key", "the store refuses the key of the account (AuthenticationFailed)", "AZURE_STORAGE_KEY", False),
    ("azure-head", "the store refuses the key, or does not allow it to read (HTTP 403)", "AZURE_STORAGE_KEY", False),
    ("azure-expired", "the shared access signature has expired", "AZURE_STORAGE_SAS_TOKEN", False),
    ("azure-clock", "this host's clock is too far from the store's", "timedatectl", False),
    ("azure-head-container", "there is no such container (ContainerNotFound)", "AZURE_STORAGE_CONTAINER", False),
    ("azure-may-not", "the key or token is not allowed to read there", "rights", False),
    ("azure-firewall", "the storage account does not let this host in", "firewall", False),
    ("azure-busy", "the store has a temporary failure (HTTP 503)", "nothing to do", True),
    ("gcs-token", "the store does not accept the key", "GCS_KEY", False),
    ("gcs-may-not", "the service account is not allowed to read there", "rights", False),
    ("gcs-no-bucket", "there is no such bucket", "GCS_BUCKET", False),
    ("gcs-404", "there is no such bucket (HTTP 404)", "GCS_BUCKET", False),
    ("gcs-rate", "the store has a temporary failure", "nothing to do", True),
    ("refused", "store.lab:9 refuses the connection", "whether the store is running", True),
    ("silent", "store.lab:9446 does not answer in time", "firewalls", True),
    ("no-address", "the name nowhere.invalid has no address", "resolve names", True),
    ("no-tls", "what answers there speaks no TLS", "correct the port", False),
    ("tls-expired", "the store's certificate has expired", "renew it", False),
    ("tls-other-name", "the store's certificate is not for store.lab", "give the store a certificate", False),
    ("tls-unknown-authority", "the store's certificate is signed by an authority that is not known here", "CA_FILE", False),
    ("tls-no-file", "the file with the store's certificate authority cannot be read", "STORAGE_CA_FILE", False),
]


def said(name: str) -> tuple[str, int]:
    code, _, text = (SAID / f"{name}.txt").read_text("utf-8").partition("\n")
    return text, int(code)


def kind(name: str) -> str:
    found = name.partition("-")[0]
    return found if found in ("s3", "azure", "gcs") else ""


@pytest.mark.parametrize(("name", "sentence", "hint", "may_pass"), CASES, ids=[case[0] for case in CASES])
def test_what_is_said_of_a_failure(name: str, sentence: str, hint: str, may_pass: bool) -> None:
    text, code = said(name)
    found = explain(text, code, Place(1, kind(name), "there"))
    assert found is not None
    assert found.sentence.startswith(f"repository 1 (there): {sentence}")
    assert hint in found.hint
    assert found.may_pass is may_pass
    assert "\n" not in found.sentence + found.hint


def test_every_recorded_text_is_a_case() -> None:
    assert {file.stem for file in SAID.glob("*.txt")} == {case[0] for case in CASES}


@pytest.mark.parametrize("name", [case[0] for case in CASES])
def test_the_service_is_told_by_the_text_alone(name: str) -> None:
    """The state of asynchronous archiving names no repository."""
    text, code = said(name)
    alone, known = describe(text, code), describe(text, code, Place(None, kind(name)))
    assert alone == known


def test_the_last_lines_of_a_log_are_enough() -> None:
    text, code = said("s3-unknown-key")
    tail = "\n".join(f"2026-11-21 15:00:00.000 P00  {line}" for line in text.splitlines()[-3:])
    found = explain(tail, code, Place(2, "s3", "s3://b/p"))
    assert found is not None
    assert found.hint == "correct AWS_ACCESS_KEY_ID (or PGBACKREST_REPO2_S3_KEY) in .env, then `make deploy`"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", 0),
        ("ERROR: [055]: unable to open missing file '/p/archive.info' for read", 55),
        ("ERROR: [095]: cipher header invalid", 95),
        ("ERROR: [047]: unable to create path '/var/lib/pgbackrest/backup': [13] Permission denied", 47),
        ("ERROR: [050]: unable to acquire lock on file '/tmp/x.lock': Resource temporarily unavailable", 50),
        ("ERROR: [082]: WAL segment 000000010000000000000001 was not archived before the 60000ms timeout", 82),
        (
            "ERROR: [056]: unable to connect to 'dbname=postgres port=5432': could not connect to server: Connection timed",
            27,
        ),
    ],
)
def test_other_failures_are_left_to_others(text: str, code: int) -> None:
    assert explain(text, code, Place(1, "s3", "there")) is None


def test_which_way_the_clock_is_off() -> None:
    assert clock_off(1200).sentence.startswith("this host's clock is 20 minutes ahead of the store's")
    assert clock_off(-1200).sentence.startswith("this host's clock is 20 minutes behind the store's")
