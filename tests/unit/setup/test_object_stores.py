"""From what operators write to the repository that is meant, for each kind of object store."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from setup.places import Mounts
from setup.repositories import S3, Azure, Gcs, Repository
from setup.settings import Settings, effective_environment, read_settings

Read = Callable[..., Settings]

PAIR = {"AWS_ACCESS_KEY_ID": "hunter2-id", "AWS_SECRET_ACCESS_KEY": "hunter2-secret"}
S3_VARIABLES = PAIR | {"PGBACKREST_REPO1_TYPE": "s3", "AWS_S3_BUCKET": "bucket-1", "AWS_REGION": "eu-central-1"}
AZURE_VARIABLES = {
    "PGBACKREST_REPO1_TYPE": "azure",
    "AZURE_STORAGE_ACCOUNT": "account1",
    "AZURE_STORAGE_CONTAINER": "container-1",
    "AZURE_STORAGE_KEY": base64.b64encode(b"hunter2").decode(),
}
KEY = json.dumps(
    {
        "type": "service_account",
        "client_email": "a@b",
        "private_key": f"-----BEGIN PRIVATE KEY-----\n{base64.b64encode(b'0' + bytes([7]) + b'hunter2').decode()}\n"
        "-----END PRIVATE KEY-----",
        "token_uri": "https://c",
    }
)
GCS_VARIABLES = {"PGBACKREST_REPO1_TYPE": "gcs", "GCS_BUCKET": "bucket_1"}


def only(settings: Settings) -> Repository:
    (repository,) = settings.repositories
    return repository


def s3(read: Read, **changes: str) -> S3:
    repository = only(read(S3_VARIABLES | changes))
    assert isinstance(repository, S3)
    return repository


def azure(read: Read, **changes: str) -> Azure:
    given = {name: value for name, value in (AZURE_VARIABLES | changes).items() if value}
    repository = only(read(given))
    assert isinstance(repository, Azure)
    return repository


def certificate() -> str:
    """Return a self-signed certificate in PEM, made now."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def test_the_guides_s3_example(read: Read) -> None:
    found = s3(read)
    assert (found.bucket, found.region, found.endpoint) == ("bucket-1", "eu-central-1", "s3.eu-central-1.amazonaws.com")
    assert (found.prefix, found.uri_style, found.key_type) == ("/pgbackrest", "path", "shared")
    assert found.connection.verify_tls


def test_china_is_a_cloud_of_its_own(read: Read) -> None:
    assert s3(read, AWS_REGION="cn-north-1").endpoint == "s3.cn-north-1.amazonaws.com.cn"


@pytest.mark.parametrize(
    ("written", "host", "port"),
    [
        ("s3.example.com", "s3.example.com", None),
        ("https://S3.example.com", "s3.example.com", None),
        ("https://s3.example.com:9000/", "s3.example.com", "9000"),
        ("minio:9000", "minio", "9000"),
        ("192.0.2.7:9000", "192.0.2.7", "9000"),
    ],
)
def test_an_endpoint_with_or_without_scheme_and_port(read: Read, written: str, host: str, port: str | None) -> None:
    found = s3(read, AWS_S3_ENDPOINT=written)
    assert (found.endpoint, found.connection.port, found.uri_style) == (host, port, "path")


def test_own_names_say_the_same_as_short_ones(read: Read) -> None:
    own = {
        "PGBACKREST_REPO1_TYPE": "s3",
        "PGBACKREST_REPO1_S3_BUCKET": "bucket-1",
        "PGBACKREST_REPO1_S3_REGION": "eu-central-1",
        "PGBACKREST_REPO1_S3_KEY": "hunter2-id",
        "PGBACKREST_REPO1_S3_KEY_SECRET": "hunter2-secret",
    }
    assert read(own).repositories == read(S3_VARIABLES).repositories == read(S3_VARIABLES | own).repositories


def test_short_names_serve_the_first_repository_of_their_kind(read: Read) -> None:
    variables = {key: value for key, value in S3_VARIABLES.items() if key != "PGBACKREST_REPO1_TYPE"}
    variables |= {"PGBACKREST_REPO1_TYPE": "posix", "PGBACKREST_REPO1_PATH": "/srv", "PGBACKREST_REPO3_TYPE": "s3"}
    first, second = read(variables).repositories
    assert (first.key, first.type, second.key, second.type) == (1, "posix", 3, "s3")
    assert isinstance(second, S3)
    assert second.bucket == "bucket-1"


def test_a_role_of_the_machine_needs_no_keys_and_leaves_the_applications_alone(read: Read) -> None:
    found = s3(read, PGBACKREST_REPO1_S3_KEY_TYPE="auto", PGBACKREST_REPO1_S3_ROLE="backup")
    assert (found.access_key, found.secret_key, found.role) == (None, None, "backup")


def test_a_web_identity(read: Read) -> None:
    arn = "arn:aws:iam::123456789012:role/backup"
    found = s3(read, PGBACKREST_REPO1_S3_KEY_TYPE="web-id", AWS_ROLE_ARN=arn)
    assert (found.key_type, found.access_key) == ("web-id", None)


def test_a_preset_fills_in_and_gives_way(read: Read) -> None:
    found = s3(read, PGBACKREST_REPO1_S3_PRESET="wasabi", AWS_REGION="eu-central-2")
    assert found.endpoint == "s3.eu-central-2.wasabisys.com"
    assert s3(read, PGBACKREST_REPO1_S3_PRESET="wasabi", AWS_S3_ENDPOINT="s3.example.com").endpoint == "s3.example.com"


def test_a_storages_own_authority_is_published(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text(certificate())
    found = s3(read, PGBACKREST_REPO1_STORAGE_CA_FILE=str(file))
    assert found.files() == {"keys/repo1-ca.pem": file.read_text()}


def test_azure(read: Read) -> None:
    found = azure(read)
    assert (found.endpoint, found.uri_style, found.key_type) == ("blob.core.windows.net", "host", "shared")


@pytest.mark.parametrize(
    ("endpoint", "style"),
    [
        ("blob.core.usgovcloudapi.net", "host"),
        ("blob.core.chinacloudapi.cn", "host"),
        ("azurite.example.com:10000", "path"),
        ("localhost", "path"),
    ],
)
def test_azures_other_clouds_and_emulators(read: Read, endpoint: str, style: str) -> None:
    assert azure(read, PGBACKREST_REPO1_AZURE_ENDPOINT=endpoint).uri_style == style


def test_a_shared_access_signature(read: Read) -> None:
    found = azure(read, AZURE_STORAGE_KEY="", AZURE_STORAGE_SAS_TOKEN="?sv=2022-11-02&sig=hunter2")
    assert (found.key_type, found.secret.get_secret_value()) == ("sas", "sv=2022-11-02&sig=hunter2")
    own = {"PGBACKREST_REPO1_AZURE_KEY_TYPE": "sas", "PGBACKREST_REPO1_AZURE_KEY": "sv=2022-11-02&sig=hunter2"}
    assert azure(read, AZURE_STORAGE_KEY="", **own) == found


def gcs(variables: dict[str, str], mounts: Mounts | None = None) -> Gcs:
    with patch.dict(os.environ, GCS_VARIABLES | variables, clear=True):
        repository = only(read_settings(4, mounts))
    assert isinstance(repository, Gcs)
    return repository


def test_a_key_of_google_in_each_of_its_forms(tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    file.write_text(KEY + "\n")
    inline = gcs({"GCS_KEY_JSON": KEY})
    assert inline.files() == {"keys/repo1-gcs.json": KEY + "\n"}
    assert gcs({"GCS_KEY": "/srv/key.json"}, Mounts(gcs_key=file)) == inline
    assert gcs({"PGBACKREST_REPO1_GCS_KEY": KEY}) == inline
    assert gcs({"PGBACKREST_REPO1_GCS_KEY_FILE": str(file)}) == inline
    assert gcs({"GCS_KEY_JSON_FILE": str(file)}) == inline


def test_google_without_a_key() -> None:
    found = gcs({"PGBACKREST_REPO1_GCS_KEY_TYPE": "auto", "GCS_KEY_JSON": KEY})
    assert (found.secret, found.files()) == (None, {})


def test_a_token_of_google(tmp_path: Path) -> None:
    found = gcs({"PGBACKREST_REPO1_GCS_KEY_TYPE": "token", "PGBACKREST_REPO1_GCS_KEY": "hunter2"})
    assert dict(found.place())["gcs-key"] == "hunter2"


def test_the_effective_environment_has_the_content_of_every_file(tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    file.write_text(KEY)
    (tmp_path / "region").write_text("eu-central-1\n")
    given = {
        "GCS_KEY": "/srv/key.json",
        "AWS_REGION_FILE": str(tmp_path / "region"),
        "BACKUP_RETENTION_FULL": "3",
        "APP": "x",
    }
    with patch.dict(os.environ, given, clear=True):
        found = effective_environment(Mounts(gcs_key=file))
    assert found == {"GCS_KEY_JSON": KEY, "AWS_REGION": "eu-central-1", "BACKUP_RETENTION_FULL": "3"}
