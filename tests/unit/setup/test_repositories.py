"""What each kind of repository means for pgBackRest and for the supervisor."""

from __future__ import annotations

from typing import Any

import pytest

from contract import supervisor
from setup.repositories import Disabled, Policy, Posix, entry, is_encrypted, options


def posix(**changes: Any) -> Posix:
    policy: dict[str, Any] = {
        "encrypted": True,
        "bundle": True,
        "block": True,
        "retention_full": 7,
        "retention_diff": 4,
    } | changes
    return Posix(key=1, host_path="/srv/backups", policy=Policy(**policy))


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


def test_what_the_supervisor_knows() -> None:
    assert entry(posix(retention_diff=3)) == supervisor.Repository(
        key=1, type="posix", location="/srv/backups", encrypted=True, retention_full=7, retention_diff=3
    )


def test_without_a_host_path_the_location_is_the_volume() -> None:
    repository = Posix(1, None, posix().policy)
    assert repository.location == "docker volume backup-repo"


def test_disabled_means_nothing_at_all() -> None:
    disabled = Disabled("because")
    assert options(disabled, None) == ()
    assert entry(disabled) is None
    assert not is_encrypted(disabled)
