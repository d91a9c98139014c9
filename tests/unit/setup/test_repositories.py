"""What each kind of repository means for pgBackRest and for the supervisor."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from contract import supervisor
from setup.policy import Connection, Policy
from setup.repositories import S3, Azure, Gcs, Posix, Repository, entry, options

HIDDEN = SecretStr("hunter2")


def policy(**changes: Any) -> Policy:
    return Policy(**{"encrypted": True, "bundle": True, "block": True, "retention_full": 7, "retention_diff": 4} | changes)


def posix(**changes: Any) -> Posix:
    return Posix(key=1, host_path="/srv/backups", policy=policy(**changes))


def cloud(**changes: Any) -> dict[str, Any]:
    return {"key": 2, "prefix": "/pgbackrest", "policy": policy(), "connection": Connection(**changes)}


def s3(**changes: Any) -> S3:
    place: dict[str, Any] = {
        "bucket": "b-1",
        "endpoint": "s3.example.com",
        "region": "r",
        "uri_style": "path",
        "key_type": "shared",
    }
    return S3(**cloud(**changes), **place, access_key=HIDDEN, secret_key=HIDDEN, token=HIDDEN, customer_key=HIDDEN)


def azure(**changes: Any) -> Azure:
    place: dict[str, Any] = {
        "account": "a",
        "container": "c",
        "endpoint": "blob.example.com",
        "uri_style": "path",
        "key_type": "sas",
    }
    return Azure(**cloud(**changes), **place, secret=HIDDEN)


def gcs(key_type: str = "service", **changes: Any) -> Gcs:
    return Gcs(**cloud(**changes), bucket="b-1", endpoint="storage.googleapis.com", key_type=key_type, secret=HIDDEN)


def test_posix_in_the_order_of_the_file() -> None:
    assert options(posix(), "secret") == (
        ("repo1-type", "posix"),
        ("repo1-path", "/var/lib/pgbackrest"),
        ("repo1-cipher-type", "aes-256-cbc"),
        ("repo1-cipher-pass", "secret"),
        ("repo1-bundle", "y"),
        ("repo1-block", "y"),
        ("repo1-retention-full", "7"),
        ("repo1-retention-diff", "4"),
        ("repo1-retention-archive-type", "full"),
        ("repo1-retention-archive", "7"),
    )


def test_retention_by_time_leaves_the_archive_to_pgbackrest() -> None:
    found = dict(options(posix(retention_full_type="time", retention_full=30), "secret"))
    assert {key: value for key, value in found.items() if "retention" in key} == {
        "repo1-retention-full-type": "time",
        "repo1-retention-full": "30",
        "repo1-retention-diff": "4",
    }


def test_without_encryption_there_is_no_passphrase() -> None:
    found = dict(options(posix(encrypted=False), None))
    assert found["repo1-cipher-type"] == "none"
    assert "repo1-cipher-pass" not in found


@pytest.mark.parametrize(("encrypted", "passphrase"), [(True, None), (False, "secret")])
def test_a_passphrase_belongs_to_an_encrypted_repository(encrypted: bool, passphrase: str | None) -> None:
    with pytest.raises(ValueError, match="a passphrase belongs to an encrypted repository") as caught:
        options(posix(encrypted=encrypted), passphrase)
    assert "secret" not in str(caught.value)


def test_block_is_not_mentioned_without_bundle() -> None:
    found = dict(options(posix(bundle=False, block=False), "secret"))
    assert found["repo1-bundle"] == "n"
    assert "repo1-block" not in found


def test_each_posix_repository_has_its_own_mount_point_and_volume() -> None:
    assert [Posix(key, None, policy()).directory for key in (1, 2, 4)] == [
        "/var/lib/pgbackrest",
        "/var/lib/pgbackrest2",
        "/var/lib/pgbackrest4",
    ]
    assert [Posix(key, None, policy()).location for key in (1, 3)] == [
        "docker volume backup-repo",
        "docker volume backup-repo3",
    ]


def test_what_the_supervisor_knows() -> None:
    assert entry(posix(retention_diff=3), "7 weeks", 42) == supervisor.Repository(
        key=1,
        type="posix",
        location="/srv/backups",
        encrypted=True,
        retention_full=7,
        retention_diff=3,
        retention_full_type="count",
        directory="/var/lib/pgbackrest",
        window="7 weeks",
        window_seconds=42,
    )
    assert entry(s3()).directory is None


@pytest.mark.parametrize(
    ("repository", "location"),
    [
        (s3(), "s3://b-1/pgbackrest at s3.example.com"),
        (s3(port="9000"), "s3://b-1/pgbackrest at s3.example.com:9000"),
        (azure(), "azure://c/pgbackrest in account a at blob.example.com"),
        (gcs(), "gs://b-1/pgbackrest at storage.googleapis.com"),
    ],
)
def test_a_location_is_for_people_to_read(repository: Repository, location: str) -> None:
    assert repository.location == location


@pytest.mark.parametrize("repository", [s3(), azure(), gcs(), gcs("token")])
def test_no_representation_shows_a_secret(repository: Repository) -> None:
    assert "hunter2" not in f"{repository!r} {entry(repository)!r} {repository.location} {repository.identity}"


def test_files_that_options_name_are_published_beside_them() -> None:
    with_authority = gcs(authorities="a certificate")
    assert with_authority.files() == {"keys/repo2-ca.pem": "a certificate", "keys/repo2-gcs.json": "hunter2"}
    found = dict(options(with_authority, "secret"))
    assert found["repo2-gcs-key"] == "/etc/pgbackrest/keys/repo2-gcs.json"
    assert found["repo2-storage-ca-file"] == "/etc/pgbackrest/keys/repo2-ca.pem"
    assert gcs("token").files() == {}
    assert dict(options(gcs("token"), "secret"))["repo2-gcs-key"] == "hunter2"
