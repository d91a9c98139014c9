"""Secrets are created once, kept for ever, and the same for everybody who asks at once."""

from __future__ import annotations

import base64
import errno
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from pydantic import SecretStr

from contract.errors import ProductError
from contract.exits import Exit
from setup import passphrase
from setup.passphrase import SUPERUSER_PASSWORD, passphrase_file

PASSPHRASE = passphrase_file(1)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def load(directory: Path, *, encrypted: bool = True, password: SecretStr | None = None) -> passphrase.Secrets:
    return passphrase.load(directory, {1: None} if encrypted else {}, password)


def test_created_once_and_then_kept(tmp_path: Path) -> None:
    first = load(tmp_path)
    assert load(tmp_path) == first
    assert names(tmp_path) == [PASSPHRASE, SUPERUSER_PASSWORD]


def test_the_passphrase_has_256_bits_in_base64(tmp_path: Path) -> None:
    found = load(tmp_path).passphrases[1]
    assert len(base64.b64decode(found.get_secret_value(), validate=True)) == 32


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    load(tmp_path)
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in names(tmp_path)} == {0o600}


def test_only_what_is_needed_is_created(tmp_path: Path) -> None:
    secrets = load(tmp_path, encrypted=False, password=SecretStr("given"))
    assert secrets == passphrase.Secrets({}, SecretStr("given"))
    assert names(tmp_path) == []


def test_a_given_password_wins_over_a_stored_one(tmp_path: Path) -> None:
    load(tmp_path)
    assert load(tmp_path, password=SecretStr("given")).superuser_password == SecretStr("given")


def test_many_at_once_agree_on_one(tmp_path: Path) -> None:
    together = Barrier(8)

    def race(_: int) -> passphrase.Secrets:
        together.wait()
        return load(tmp_path)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(race, range(8)))
    assert all(secrets == found[0] for secrets in found)
    assert names(tmp_path) == [PASSPHRASE, SUPERUSER_PASSWORD]


@pytest.mark.parametrize("name", [PASSPHRASE, SUPERUSER_PASSWORD])
@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines\n", b"caf\xc3\xa9 au lait"])
def test_a_damaged_one_is_an_error_and_never_replaced(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ProductError) as caught:
        load(tmp_path)
    assert caught.value.message == f"the stored secret {tmp_path / name} is empty or damaged"
    assert caught.value.exit_code == Exit.CONFIGURATION
    assert names(tmp_path) == [name]
    assert (tmp_path / name).read_bytes() == content


@pytest.mark.parametrize("content", ["aHVudGVyMg==", "h" * 44, "aHVudGVyMg"])
def test_a_passphrase_of_another_length_or_alphabet_is_an_error_that_does_not_show_it(tmp_path: Path, content: str) -> None:
    (tmp_path / PASSPHRASE).write_text(content)
    with pytest.raises(ProductError) as caught:
        load(tmp_path)
    assert content not in f"{caught.value} {caught.value!r}"
    assert caught.value.hint == (
        "put the passphrase back from your copy of it; if there is no backup yet, delete the file and start again"
    )


def test_no_secret_in_the_text_of_a_value(tmp_path: Path) -> None:
    secrets = load(tmp_path)
    stored = [(tmp_path / name).read_text().strip() for name in names(tmp_path)]
    assert not any(secret in f"{secrets!r} {secrets}" for secret in stored)


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ProductError) as caught:
        load(tmp_path)
    assert caught.value.message == f"the secrets in {tmp_path} cannot be read or written: no space left on device"
    assert names(tmp_path) == []
