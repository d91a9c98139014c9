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

from contract.errors import InvalidConfigurationError, ProductError
from contract.exits import Exit
from contract.protection import UsedPassphrases
from setup import cipher, passphrase
from setup.holding import NOTHING
from setup.passphrase import SUPERUSER_PASSWORD, file_name
from setup.repository_key import Action, Need

PASSPHRASE = file_name(1)
UNUSED = UsedPassphrases(used={})
OWN, OTHER = SecretStr("a passphrase of my own"), SecretStr("another passphrase")


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def need(*, encrypted: bool = True, supplied: SecretStr | None = None, key: int = 1) -> Need:
    return Need(key, encrypted, "/srv/backups", supplied, holding=NOTHING)


def load(
    directory: Path, *needs: Need, password: SecretStr | None = None, used: UsedPassphrases | None = UNUSED
) -> passphrase.Secrets:
    return passphrase.load(directory, needs or (need(),), password, used)


def used(secret: SecretStr) -> UsedPassphrases:
    return UNUSED.adding({1: cipher.fingerprint(secret.get_secret_value())})


def test_created_once_and_then_kept(tmp_path: Path) -> None:
    first = load(tmp_path)
    assert load(tmp_path) == first
    assert names(tmp_path) == [PASSPHRASE, SUPERUSER_PASSWORD]


def test_the_passphrase_has_256_bits_in_base64(tmp_path: Path) -> None:
    found = load(tmp_path).passphrases[1]
    assert len(base64.b64decode(found.get_secret_value(), validate=True)) == 32


def test_every_repository_has_its_own(tmp_path: Path) -> None:
    secrets = load(tmp_path, need(), need(key=2), need(key=3, encrypted=False))
    assert sorted(secrets.passphrases) == [1, 2]
    assert secrets.passphrases[1] != secrets.passphrases[2]
    assert names(tmp_path) == ["repo1-cipher-pass", "repo2-cipher-pass", SUPERUSER_PASSWORD]
    assert secrets.fingerprint(1) == cipher.fingerprint(secrets.passphrases[1].get_secret_value())
    assert secrets.fingerprint(3) is None


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    load(tmp_path)
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in names(tmp_path)} == {0o600}


def test_only_what_is_needed_is_created(tmp_path: Path) -> None:
    secrets = load(tmp_path, need(encrypted=False), password=SecretStr("given"))
    assert secrets == passphrase.Secrets({}, SecretStr("given"))
    assert names(tmp_path) == []


def test_a_given_password_wins_over_a_stored_one(tmp_path: Path) -> None:
    load(tmp_path)
    assert load(tmp_path, password=SecretStr("given")).superuser_password == SecretStr("given")


def test_a_supplied_passphrase_is_adopted_and_then_needed_no_more(tmp_path: Path) -> None:
    assert load(tmp_path, need(supplied=OWN)).passphrases == {1: OWN}
    assert (tmp_path / PASSPHRASE).read_text() == OWN.get_secret_value() + "\n"
    assert load(tmp_path, used=used(OWN)).passphrases == {1: OWN}


def test_a_provisional_one_gives_way_and_is_kept_aside(tmp_path: Path) -> None:
    before = load(tmp_path).passphrases[1]
    assert load(tmp_path, need(supplied=OWN)).passphrases == {1: OWN}
    aside = f"{PASSPHRASE}.replaced-{cipher.fingerprint(before.get_secret_value())[:12]}"
    assert names(tmp_path) == [PASSPHRASE, aside, SUPERUSER_PASSWORD]
    assert (tmp_path / aside).read_text() == before.get_secret_value() + "\n"
    assert stat.S_IMODE((tmp_path / PASSPHRASE).stat().st_mode) == 0o600


def test_a_used_one_never_gives_way(tmp_path: Path) -> None:
    before = load(tmp_path)
    with pytest.raises(InvalidConfigurationError) as caught:
        load(tmp_path, need(supplied=OWN), used=used(before.passphrases[1]))
    assert [problem.what for problem in caught.value.problems] == [
        "is not the stored passphrase, which backups have been made with"
    ]
    assert caught.value.exit_code == Exit.CONFIGURATION
    assert load(tmp_path) == before


def test_all_refusals_come_together_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "repo1-cipher-pass").write_text("one\n")
    (tmp_path / "repo2-cipher-pass").write_text("two\n")
    with pytest.raises(InvalidConfigurationError) as caught:
        load(tmp_path, need(supplied=OWN), need(key=2, supplied=OTHER), need(key=3), used=None)
    assert [problem.where for problem in caught.value.problems] == [
        "PGBACKREST_REPO1_CIPHER_PASS",
        "PGBACKREST_REPO2_CIPHER_PASS",
    ]
    assert names(tmp_path) == ["repo1-cipher-pass", "repo2-cipher-pass"]


def test_a_plan_changes_nothing(tmp_path: Path) -> None:
    needs = (need(), need(key=2, supplied=OWN), need(key=3, encrypted=False))
    assert passphrase.plan(tmp_path, needs, UNUSED) == {1: Action.CREATE, 2: Action.ADOPT, 3: Action.NONE}
    assert names(tmp_path) == []


def test_without_leave_to_create_nothing_is_written(tmp_path: Path) -> None:
    load(tmp_path, need(key=2), password=OTHER)
    before = {path.name: path.read_text() for path in tmp_path.iterdir()}
    needs = (need(), need(key=2, supplied=OWN), need(key=3, encrypted=False))
    secrets = passphrase.load(tmp_path, needs, None, UNUSED, may_create=False)
    assert secrets == passphrase.Secrets({1: passphrase.NOT_YET, 2: OWN}, passphrase.NOT_YET)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == before


def test_many_at_once_agree_on_one(tmp_path: Path) -> None:
    together = Barrier(8)

    def race(_: int) -> passphrase.Secrets:
        together.wait()
        return load(tmp_path)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(race, range(8)))
    assert all(secrets == found[0] for secrets in found)
    assert names(tmp_path) == [PASSPHRASE, SUPERUSER_PASSWORD]


def test_replacing_and_reading_at_once_leaves_a_whole_one(tmp_path: Path) -> None:
    load(tmp_path)
    together = Barrier(8)

    def race(number: int) -> SecretStr:
        together.wait()
        return load(tmp_path, need(supplied=OWN if number % 2 else None)).passphrases[1]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(race, range(8)))
    assert passphrase.stored(tmp_path, PASSPHRASE) == OWN
    assert len(names(tmp_path)) == 3


@pytest.mark.parametrize("name", [PASSPHRASE, SUPERUSER_PASSWORD])
@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines\n", b" blank\n", b"caf\xe9\n", b"\0\0\0\0"])
def test_a_damaged_one_is_an_error_and_never_replaced(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ProductError) as caught:
        load(tmp_path)
    assert caught.value.message == f"the stored secret {tmp_path / name} is empty or damaged"
    assert caught.value.exit_code == Exit.CONFIGURATION
    assert names(tmp_path) == [name]
    assert (tmp_path / name).read_bytes() == content


def test_a_damaged_passphrase_is_told_with_what_to_do_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / PASSPHRASE).write_text("hunter2\nhunter3\n")
    with pytest.raises(ProductError) as caught:
        load(tmp_path)
    assert "hunter" not in f"{caught.value} {caught.value!r}"
    assert caught.value.hint == (
        "put the passphrase back from the recovery kit or from your copy of it; "
        "if there is no backup yet, delete the file and start again"
    )


def test_a_damaged_passphrase_of_a_plain_repository_matters_to_nobody(tmp_path: Path) -> None:
    (tmp_path / PASSPHRASE).write_bytes(b"")
    assert load(tmp_path, need(encrypted=False)).passphrases == {}


def test_no_secret_in_the_text_of_a_value(tmp_path: Path) -> None:
    secrets = load(tmp_path)
    stored = [(tmp_path / name).read_text().strip() for name in names(tmp_path)]
    assert not any(secret in f"{secrets!r} {secrets} {need(supplied=OWN)!r}" for secret in [*stored, "of my own"])


@pytest.mark.parametrize("supplied", [None, OWN])
def test_a_full_disk_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, supplied: SecretStr | None
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ProductError) as caught:
        load(tmp_path, need(supplied=supplied))
    assert caught.value.message == f"the secrets in {tmp_path} cannot be read or written: no space left on device"
    assert names(tmp_path) == []


def test_a_secret_put_over_another_keeps_that_one(tmp_path: Path) -> None:
    passphrase.put(tmp_path, SUPERUSER_PASSWORD, OWN)
    passphrase.put(tmp_path, SUPERUSER_PASSWORD, OWN)
    assert names(tmp_path) == [SUPERUSER_PASSWORD]
    passphrase.put(tmp_path, SUPERUSER_PASSWORD, OTHER)
    assert passphrase.stored(tmp_path, SUPERUSER_PASSWORD) == OTHER
    assert len(names(tmp_path)) == 2
