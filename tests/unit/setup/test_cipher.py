"""The check of a passphrase against files that others have made: the openssl program, and a construction of our own."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess

import pytest
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from setup import cipher
from setup.cipher import HEAD_BYTES, Kind

INFO = b'[backrest]\nbackrest-format=5\nbackrest-version="2.55.1"\n\n[db]\ndb-id=1\n'
PASSPHRASE = "a passphrase, with ümlauts"


def sealed(text: bytes, passphrase: str, salt: bytes) -> bytes:
    """Return what pgBackRest would write, the key derivation written out from OpenSSL's description of it."""
    secret = passphrase.encode()
    first = hashlib.sha1(secret + salt).digest()
    second = hashlib.sha1(first + secret + salt).digest()
    third = hashlib.sha1(second + secret + salt).digest()
    material = first + second + third
    padder = padding.PKCS7(128).padder()
    padded = padder.update(text) + padder.finalize()
    encryptor = Cipher(algorithms.AES(material[:32]), modes.CBC(material[32:48])).encryptor()
    return b"Salted__" + salt + encryptor.update(padded) + encryptor.finalize()


def by_openssl(text: bytes, passphrase: str) -> bytes:
    argv = ("openssl", "enc", "-aes-256-cbc", "-md", "sha1", "-salt", "-pass", "env:SECRET")
    environment = {"PATH": os.environ["PATH"], "SECRET": passphrase}
    return subprocess.run(argv, input=text, env=environment, capture_output=True, check=True).stdout


def test_the_right_passphrase_opens_and_another_does_not() -> None:
    head = sealed(INFO, PASSPHRASE, b"saltsalt")[:HEAD_BYTES]
    assert cipher.opens(head, PASSPHRASE)
    for wrong in ("", "another", PASSPHRASE + " ", PASSPHRASE.upper()):
        assert not cipher.opens(head, wrong)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the construction above says the same without the program")
def test_it_agrees_with_openssl() -> None:
    head = by_openssl(INFO, PASSPHRASE)[:HEAD_BYTES]
    assert cipher.opens(head, PASSPHRASE)
    assert not cipher.opens(head, "another")


def test_a_wrong_key_with_lucky_padding_is_refused() -> None:
    """One wrong key in 256 yields valid padding: among these there are several, and none is taken for the right one."""
    whole = sealed(INFO, PASSPHRASE, b"12345678")
    lucky = 0
    for number in range(2000):
        wrong = f"wrong {number}"
        material = b""
        block = b""
        while len(material) < 48:
            block = hashlib.sha1(block + wrong.encode() + b"12345678").digest()
            material += block
        decryptor = Cipher(algorithms.AES(material[:32]), modes.CBC(material[32:48])).decryptor()
        last = (decryptor.update(whole[16:]) + decryptor.finalize())[-16:]
        lucky += last[-1] in range(1, 17) and last.endswith(bytes([last[-1]]) * last[-1])
        assert not cipher.opens(whole[:HEAD_BYTES], wrong)
    assert lucky > 0


@pytest.mark.parametrize(
    ("case", "head", "kind"),
    [
        ("plain", INFO, Kind.PLAIN),
        ("encrypted", sealed(INFO, "x", b"saltsalt"), Kind.ENCRYPTED),
        ("empty", b"", Kind.DAMAGED),
        ("only the magic", b"Salted__", Kind.DAMAGED),
        ("no whole block", b"Salted__saltsalt" + b"x" * 15, Kind.DAMAGED),
        ("zeros, as after a power cut", b"\0" * 48, Kind.DAMAGED),
        ("something else", b"[global]\nrepo1-path=/\n", Kind.DAMAGED),
    ],
)
def test_what_a_file_is_by_its_beginning(case: str, head: bytes, kind: Kind) -> None:
    assert cipher.kind(head) is kind, case
    assert cipher.opens(head, "x") is (kind is Kind.ENCRYPTED)


def test_another_text_under_the_right_passphrase_is_no_proof() -> None:
    assert not cipher.opens(sealed(b"somebody else's notes, sealed alike", "x", b"saltsalt"), "x")


def test_the_fingerprint_names_a_passphrase_and_stays_the_same() -> None:
    """The value is fixed: records on the volumes of running deployments hold it."""
    assert cipher.fingerprint("secret") == "18c0bc04ae87eb7d3a41416ec18235983247d98d063e218a1bf3260ee59bcf79"
    assert cipher.fingerprint("secret") != cipher.fingerprint("secret ")
    assert cipher.fingerprint("secret") != hashlib.sha256(b"secret").hexdigest()
