"""The proof before a new cluster is created, against repositories in every condition."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from backup import newcluster
from tests.integration.conftest import MakeSite
from tests.integration.site import BUNDLED, ENCRYPTED, PLAIN, STANZA, Options, Site


@pytest.fixture(scope="module")
def full(make_site: MakeSite) -> Site:
    """A site whose repository holds one backup, encrypted and bundled."""
    made = make_site(BUNDLED)
    made.protect()
    return made


@pytest.fixture
def protected(full: Site) -> Iterator[Site]:
    yield full
    full.publish(BUNDLED)


def reason(site: Site) -> str | None:
    return newcluster.examine(site.config)


def test_a_repository_with_a_backup_is_refused_with_its_label(protected: Site) -> None:
    label = protected.back_up("diff").label
    assert reason(protected) == f"the repository holds 2 backups of this database (latest: {label})"


def test_a_wrong_passphrase_is_refused(protected: Site) -> None:
    protected.publish({**BUNDLED, "repo1-cipher-pass": "not-the-passphrase"})
    found = reason(protected)
    assert found is not None
    assert found.startswith("repository 1 cannot be read (")
    assert found.isprintable()


def test_an_encrypted_repository_read_as_a_plain_one_is_refused(protected: Site) -> None:
    protected.publish({"repo1-bundle": "y"})
    found = reason(protected)
    assert found is not None
    assert found.startswith("repository 1 cannot be read (")


def test_an_unreadable_repository_is_refused(protected: Site) -> None:
    protected.repository.chmod(0)
    try:
        found = reason(protected)
    finally:
        protected.repository.chmod(0o750)
    assert found is not None
    assert found.startswith("repository 1 cannot be read (")
    assert "Permission denied" in found or "PathOpenError" in found or "FileOpenError" in found


def damaged(site: Site, copy: Path) -> Path:
    """Make the site use a copy of its repository, to be damaged."""
    shutil.copytree(site.repository, copy)
    site.publish({**BUNDLED, "repo1-path": str(copy)})
    return copy


def test_backups_without_their_archive_are_refused(protected: Site, tmp_path: Path) -> None:
    shutil.rmtree(damaged(protected, tmp_path / "copy") / "archive" / STANZA)
    assert reason(protected) is not None


def test_backups_whose_list_is_lost_are_refused(protected: Site, tmp_path: Path) -> None:
    for file in (damaged(protected, tmp_path / "copy") / "backup" / STANZA).glob("backup.info*"):
        file.unlink()
    assert reason(protected) == "repository 1 cannot be read (missing stanza data)"


def test_an_archive_without_a_backup_allows_it_since_nothing_can_be_restored_from_it(
    protected: Site, tmp_path: Path
) -> None:
    """The stanza cannot be created beside that archive, so the new cluster does not archive into it either."""
    shutil.rmtree(damaged(protected, tmp_path / "copy") / "backup" / STANZA)
    assert reason(protected) is None


def test_a_configuration_without_its_passphrase_is_refused(protected: Site) -> None:
    protected.publish({"repo1-cipher-type": "aes-256-cbc"})
    found = reason(protected)
    assert found is not None
    assert found.startswith("pgbackrest info failed with exit code 37 (option-required)")


def test_plain_backups_read_as_encrypted_ones_are_refused(site: Site) -> None:
    site.protect()
    site.publish(ENCRYPTED)
    found = reason(site)
    assert found is not None
    assert found.startswith("repository 1 cannot be read ([CryptoError] unable to load info file ")


@pytest.mark.parametrize("options", [PLAIN, ENCRYPTED, BUNDLED])
def test_an_empty_repository_allows_it(tmp_path: Path, options: Options) -> None:
    assert reason(Site(tmp_path, options)) is None


def test_a_stanza_without_a_backup_allows_it(site: Site) -> None:
    site.create_stanza()
    assert reason(site) is None
