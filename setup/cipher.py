"""pgBackRest's encryption, as far as it takes to tell whether a passphrase is the right one. Pure.

The format is that of `openssl enc -aes-256-cbc -md sha1`: "Salted__", eight bytes of salt, then the ciphertext; key and
initialisation vector come from EVP_BytesToKey with one round of SHA-1 (pgBackRest's src/common/crypto/cipherBlock.c).
Nothing in it is authenticated, and a wrong key passes the padding once in 256 times. So the proof is the first line of
the text: every info file begins with it, and a wrong key gives it once in 2^88 times.
"""

from __future__ import annotations

import hashlib
from enum import Enum
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

HEAD_BYTES: Final = 48
"""So much of the beginning of a file is enough for the functions here."""

_MAGIC: Final = b"Salted__"
_SALT_BYTES: Final = 8
_KEY_BYTES: Final = 32
_IV_BYTES: Final = 16
_BLOCK_BYTES: Final = 16
_FIRST_LINE: Final = b"[backrest]\n"
_FINGERPRINT_CONTEXT: Final = b"salespider repository passphrase, version 1\0"


class Kind(Enum):
    """What an info file of pgBackRest is by its beginning."""

    PLAIN = "plain"
    ENCRYPTED = "encrypted"
    DAMAGED = "damaged"


def kind(head: bytes) -> Kind:
    """Tell an encrypted info file from a plain one by its first bytes."""
    if head.startswith(_FIRST_LINE):
        return Kind.PLAIN
    if head.startswith(_MAGIC) and len(head) >= len(_MAGIC) + _SALT_BYTES + _BLOCK_BYTES:
        return Kind.ENCRYPTED
    return Kind.DAMAGED


def opens(head: bytes, passphrase: str) -> bool:
    """Tell whether the passphrase is the one that the file with this beginning was encrypted with."""
    if kind(head) is not Kind.ENCRYPTED:
        return False
    salt, ciphertext = head[len(_MAGIC) :][:_SALT_BYTES], head[len(_MAGIC) + _SALT_BYTES :][:_BLOCK_BYTES]
    key, iv = _key_and_iv(passphrase.encode(), salt)
    decryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
    return (decryptor.update(ciphertext) + decryptor.finalize()).startswith(_FIRST_LINE)


def fingerprint(passphrase: str) -> str:
    """Return what names the passphrase without telling it: 64 hexadecimal digits."""
    return hashlib.sha256(_FINGERPRINT_CONTEXT + passphrase.encode()).hexdigest()


def _key_and_iv(passphrase: bytes, salt: bytes) -> tuple[bytes, bytes]:
    derived = block = b""
    while len(derived) < _KEY_BYTES + _IV_BYTES:
        block = hashlib.sha1(block + passphrase + salt).digest()  # noqa: S324 - the format's, not our choice
        derived += block
    return derived[:_KEY_BYTES], derived[_KEY_BYTES : _KEY_BYTES + _IV_BYTES]
