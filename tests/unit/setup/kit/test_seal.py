"""What is sealed opens again, with other programs too, and with nothing but the right password or key."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap
from pydantic import SecretStr

from contract.errors import ProductError
from contract.exits import Exit
from setup.kit.seal import Credential, seal, unseal

CONTENT = b'{"the": "kit"}'
PASSWORD = "correct horse battery staple"
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | x25519.X25519PrivateKey | ed25519.Ed25519PrivateKey

NOT_A_KIT = "this file is not a recovery kit, or a part of it is missing"
WRONG_PASSWORD = "the recovery kit does not open: the password is wrong, or the file is damaged"


def credential(text: str | bytes) -> Credential:
    return Credential(SecretStr(text if isinstance(text, str) else text.decode()))


def private(key: Key) -> Credential:
    return credential(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def public(key: Key) -> Credential:
    return credential(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def parts(sealed: str) -> list[bytes]:
    return [base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in sealed.split(".")]


def refusal(do: Callable[[], object]) -> ProductError:
    with pytest.raises(ProductError) as caught:
        do()
    assert caught.value.exit_code == Exit.CONFIGURATION
    return caught.value


def test_with_a_password() -> None:
    sealed = seal(CONTENT, credential(PASSWORD))
    assert sealed.isascii()
    assert "\n" not in sealed
    assert unseal(sealed, credential(PASSWORD)) == CONTENT


def test_it_is_the_standard_format_and_opens_without_our_library() -> None:
    """RFC 7518, section 4.8, from the primitives: what any other program does."""
    header, wrapped, iv, ciphertext, tag = parts(seal(CONTENT, credential(PASSWORD)))
    told = json.loads(header)
    assert (told["alg"], told["enc"]) == ("PBES2-HS512+A256KW", "A256GCM")
    salt = told["alg"].encode() + b"\0" + base64.urlsafe_b64decode(told["p2s"] + "==")
    stretched = PBKDF2HMAC(hashes.SHA512(), 32, salt, told["p2c"]).derive(PASSWORD.encode())
    aad = base64.urlsafe_b64encode(header).rstrip(b"=")
    assert AESGCM(aes_key_unwrap(stretched, wrapped)).decrypt(iv, ciphertext + tag, aad) == CONTENT


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (rsa.generate_private_key(65537, 2048), "RSA-OAEP-256"),
        (ec.generate_private_key(ec.SECP256R1()), "ECDH-ES+A256KW"),
        (x25519.X25519PrivateKey.generate(), "ECDH-ES+A256KW"),
    ],
    ids=["rsa", "p-256", "x25519"],
)
def test_for_a_public_key(key: Key, algorithm: str) -> None:
    sealed = seal(CONTENT, public(key))
    assert json.loads(parts(sealed)[0])["alg"] == algorithm
    assert unseal(sealed, private(key)) == CONTENT


def test_two_kits_of_the_same_have_nothing_in_common() -> None:
    one, other = (parts(seal(CONTENT, credential(PASSWORD))) for _ in range(2))
    assert all(a != b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("wrong", ["correct horse battery stable", "", PASSWORD + " "])
def test_a_wrong_password(wrong: str) -> None:
    error = refusal(lambda: unseal(seal(CONTENT, credential(PASSWORD)), credential(wrong)))
    assert error.message == WRONG_PASSWORD
    assert error.hint == "try again with the password that this file was made with, or take another copy of it"


def test_a_wrong_key() -> None:
    right, wrong = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    error = refusal(lambda: unseal(seal(CONTENT, public(right)), private(wrong)))
    assert error.message == "the recovery kit does not open: the private key is wrong, or the file is damaged"


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.9, 0.99])
def test_a_file_that_was_cut_off(share: float) -> None:
    sealed = seal(CONTENT * 50, credential(PASSWORD))
    error = refusal(lambda: unseal(sealed[: int(len(sealed) * share)], credential(PASSWORD)))
    assert error.message in {NOT_A_KIT, WRONG_PASSWORD}


def test_a_file_without_its_last_character() -> None:
    sealed = seal(CONTENT, credential(PASSWORD))
    refusal(lambda: unseal(sealed[:-1], credential(PASSWORD)))


@pytest.mark.parametrize("position", [40, 150, 320, -30])
def test_a_changed_file(position: int) -> None:
    sealed = seal(CONTENT * 50, credential(PASSWORD))
    changed = "A" if sealed[position] != "A" else "B"
    damaged = f"{sealed[:position]}{changed}{sealed[position:][1:]}"
    assert damaged != sealed
    refusal(lambda: unseal(damaged, credential(PASSWORD)))


@pytest.mark.parametrize("text", ["", "hello", "a.b.c.d.e", "....", "{}", "[backrest]", "a" * 5000, "é.é.é.é.é"])
def test_another_file(text: str) -> None:
    error = refusal(lambda: unseal(text, credential(PASSWORD)))
    assert error.message == NOT_A_KIT
    assert error.hint == "is it the right file, and a whole copy of it?"


KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(
    ("case", "do", "message", "hint"),
    [
        (
            "a short password",
            lambda: seal(CONTENT, credential("hunter2")),
            "the password is shorter than 12 characters, and whoever finds the file can try without end",
            "take a long one from your password manager, or let `openssl rand -base64 18` make one",
        ),
        (
            "sealing for a private key",
            lambda: seal(CONTENT, private(KEY)),
            "this is a private key; a kit is sealed for the public one",
            "make it with: openssl pkey -in private.pem -pubout -out public.pem",
        ),
        (
            "a key that can only sign",
            lambda: seal(CONTENT, public(ed25519.Ed25519PrivateKey.generate())),
            "this kind of public key cannot encrypt",
            "use an RSA, P-256, P-384, P-521 or X25519 key",
        ),
        (
            "a short RSA key",
            lambda: seal(CONTENT, public(rsa.generate_private_key(65537, 1024))),
            "the RSA key has fewer than 2048 bits",
            "use a longer one",
        ),
        (
            "no key at all",
            lambda: seal(CONTENT, credential("-----BEGIN PUBLIC KEY-----\nhunter2\n-----END PUBLIC KEY-----\n")),
            "the key is not in a PEM form that can be read",
            "take the password off a protected private key first: openssl pkey -in protected.pem -out private.pem",
        ),
        (
            "a password for a kit that has a key",
            lambda: unseal(seal(CONTENT, public(KEY)), credential(PASSWORD)),
            "the recovery kit is sealed for a key",
            "set KEY to the file with the private key",
        ),
        (
            "a key for a kit that has a password",
            lambda: unseal(seal(CONTENT, credential(PASSWORD)), private(KEY)),
            "the recovery kit is sealed with a password",
            "leave KEY out",
        ),
        (
            "the public key again",
            lambda: unseal(seal(CONTENT, public(KEY)), public(KEY)),
            "this is a public key; a kit is opened with the private one",
            "set KEY to the private key",
        ),
    ],
)
def test_what_is_refused(case: str, do: Callable[[], object], message: str, hint: str) -> None:
    error = refusal(do)
    assert (error.message, error.hint) == (message, hint), case
    assert (
        "hunter2"
        not in f"{error!r} {error} {error.__cause__!r} {error.__context__ if not error.__suppress_context__ else ''}"
    )


def test_a_credential_does_not_show_itself() -> None:
    assert PASSWORD not in f"{credential(PASSWORD)!r} {credential(PASSWORD)}"
