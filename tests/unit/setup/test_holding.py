"""What is read of an existing repository, from directories as pgBackRest makes them."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from contract.errors import ProductError
from contract.exits import Exit
from setup.cipher import Kind
from setup.holding import NOTHING, look
from tests.unit.setup.test_cipher import INFO, sealed

ARCHIVE, BACKUP = "archive/salespider/archive.info", "backup/salespider/backup.info"
SEALED = sealed(INFO, "right", b"saltsalt")


def put(root: Path, **files: bytes) -> None:
    names = {"archive": ARCHIVE, "archive_copy": f"{ARCHIVE}.copy", "backup": BACKUP, "backup_copy": f"{BACKUP}.copy"}
    for name, content in files.items():
        file = root / names[name]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def test_an_empty_directory_holds_nothing(tmp_path: Path) -> None:
    assert look(tmp_path, "/srv/backups", "salespider") == NOTHING
    (tmp_path / "archive" / "salespider").mkdir(parents=True)
    (tmp_path / "backup").mkdir()
    assert look(tmp_path, "/srv/backups", "salespider") == NOTHING


def test_another_stanza_is_none_of_our_business(tmp_path: Path) -> None:
    put(tmp_path, archive=INFO)
    assert look(tmp_path, "/srv/backups", "main") == NOTHING


@pytest.mark.parametrize(
    ("case", "files", "kinds", "opens"),
    [
        ("both", {"archive": SEALED, "backup": SEALED}, {Kind.ENCRYPTED}, True),
        ("one of them", {"archive": SEALED}, {Kind.ENCRYPTED}, True),
        ("only copies", {"archive_copy": SEALED, "backup_copy": SEALED}, {Kind.ENCRYPTED}, True),
        ("an empty one with its copy", {"archive": b"", "archive_copy": SEALED}, {Kind.ENCRYPTED}, True),
        ("plain", {"archive": INFO, "backup": INFO}, {Kind.PLAIN}, False),
        ("half and half", {"archive": SEALED, "backup": INFO}, {Kind.ENCRYPTED, Kind.PLAIN}, False),
        ("two passphrases", {"archive": SEALED, "backup": sealed(INFO, "b", b"saltsalt")}, {Kind.ENCRYPTED}, False),
        ("damaged", {"archive": b"\0" * 100}, {Kind.DAMAGED}, False),
    ],
)
def test_info_files_and_their_copies(
    tmp_path: Path, case: str, files: dict[str, bytes], kinds: set[Kind], opens: bool
) -> None:
    put(tmp_path, **files)
    found = look(tmp_path, "/srv/backups", "salespider")
    assert found.has_data
    assert found.kinds == kinds, case
    assert found.opens_with("right") is opens, case
    assert not found.opens_with("wrong")


def test_backups_without_info_files_are_data_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "backup" / "salespider" / "20260301-020000F").mkdir(parents=True)
    found = look(tmp_path, "/srv/backups", "salespider")
    assert (found.has_data, found.kinds, found.opens_with("right")) == (True, frozenset(), False)


def test_only_the_beginning_is_read(tmp_path: Path) -> None:
    put(tmp_path, archive=SEALED + b"x" * 100_000)
    assert look(tmp_path, "/srv/backups", "salespider").opens_with("right")


def test_an_unreadable_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    put(tmp_path, archive=SEALED)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ProductError) as caught:
        look(tmp_path, "/srv/backups", "salespider")
    assert caught.value.message == "the repository in /srv/backups cannot be read: permission denied"


def test_a_directory_in_the_place_of_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / ARCHIVE).mkdir(parents=True)
    with pytest.raises(ProductError) as caught:
        look(tmp_path, "/srv/backups", "salespider")
    assert caught.value.message == "the repository in /srv/backups cannot be read: is a directory"
    assert caught.value.hint == ("give it to user and group 999, readable for the group: sudo chown -R 999:999 /srv/backups")
    assert caught.value.exit_code == Exit.REPOSITORY
