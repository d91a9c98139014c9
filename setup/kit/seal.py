"""Sealing and opening: JSON Web Encryption (RFC 7516) in its compact form, which many other programs can open.

With a password: PBES2-HS512+A256KW. For a public key: RSA-OAEP-256, or ECDH-ES+A256KW for an elliptic one. The content
is always A256GCM, so that a changed or cut-off file does not open. The password is stretched 8192 times, which is what
the library writes by itself; some programs refuse a file with much more. So the password itself has to be good.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from jwcrypto import jwe, jwk
from jwcrypto.common import JWException
from pydantic import SecretStr

from contract.errors import ProductError
from contract.exits import Exit

SHORTEST_PASSWORD: Final = 12
SMALLEST_RSA_BITS: Final = 2048

_FOR_PASSWORD: Final = "PBES2-HS512+A256KW"  # noqa: S105 - the name of an algorithm
_FOR_KEY: Final = {"RSA": "RSA-OAEP-256", "EC": "ECDH-ES+A256KW", "OKP": "ECDH-ES+A256KW"}
_ENCRYPTION: Final = "A256GCM"
_ALLOWED: Final = (_FOR_PASSWORD, *sorted(set(_FOR_KEY.values())), _ENCRYPTION)
_SIGNING_CURVES: Final = ("Ed25519", "Ed448")
_PARTS: Final = 5


@dataclass(frozen=True)
class Credential:
    """What seals or opens: a password, or a key in PEM form."""

    text: SecretStr

    @property
    def is_key(self) -> bool:
        """Tell a key from a password."""
        return self.text.get_secret_value().lstrip().startswith("-----BEGIN ")


def seal(content: bytes, credential: Credential) -> str:
    """Return the sealed content, one line of ASCII. Raises ProductError when the password or key is not good enough."""
    key, algorithm = _public_key(credential) if credential.is_key else (_password_key(credential), _FOR_PASSWORD)
    header = json.dumps({"alg": algorithm, "enc": _ENCRYPTION, "cty": "json"})
    token = jwe.JWE(content, protected=header, algs=list(_ALLOWED))
    token.add_recipient(key)
    return str(token.serialize(compact=True))


def unseal(sealed: str, credential: Credential) -> bytes:
    """Return the content. Raises ProductError: not a kit, made for another kind of credential, or it does not open."""
    for_password = _algorithm(sealed) == _FOR_PASSWORD
    if for_password == credential.is_key:
        raise _refused(
            f"the recovery kit is sealed {'with a password' if for_password else 'for a key'}",
            "leave KEY out" if for_password else "set KEY to the file with the private key",
        )
    key = _private_key(credential) if credential.is_key else jwk.JWK.from_password(credential.text.get_secret_value())
    token = jwe.JWE(algs=list(_ALLOWED))
    try:
        token.deserialize(sealed, key=key)
    except (JWException, ValueError) as error:
        what = "password" if for_password else "private key"
        raise _refused(
            f"the recovery kit does not open: the {what} is wrong, or the file is damaged",
            f"try again with the {what} that this file was made with, or take another copy of it",
        ) from error
    return bytes(token.payload)


def _algorithm(sealed: str) -> str:
    """Return the algorithm that the header names. Raises ProductError when this is no sealed file."""
    token = jwe.JWE(algs=list(_ALLOWED))
    try:
        token.deserialize(sealed if sealed.count(".") == _PARTS - 1 and all(sealed.split(".")) else "")
        return str(token.jose_header["alg"])
    except (JWException, ValueError, KeyError) as error:
        raise _refused(
            "this file is not a recovery kit, or a part of it is missing", "is it the right file, and a whole copy of it?"
        ) from error


def _password_key(credential: Credential) -> jwk.JWK:
    password = credential.text.get_secret_value()
    if len(password) < SHORTEST_PASSWORD:
        raise _refused(
            f"the password is shorter than {SHORTEST_PASSWORD} characters, and whoever finds the file can try without end",
            "take a long one from your password manager, or let `openssl rand -base64 18` make one",
        )
    return jwk.JWK.from_password(password)


def _public_key(credential: Credential) -> tuple[jwk.JWK, str]:
    key = _key(credential)
    kind = str(key["kty"])
    if key.has_private:
        raise _refused(
            "this is a private key; a kit is sealed for the public one",
            "make it with: openssl pkey -in private.pem -pubout -out public.pem",
        )
    if kind not in _FOR_KEY or key.get("crv") in _SIGNING_CURVES:
        raise _refused("this kind of public key cannot encrypt", "use an RSA, P-256, P-384, P-521 or X25519 key")
    if kind == "RSA" and key.get_op_key("wrapKey").key_size < SMALLEST_RSA_BITS:
        raise _refused(f"the RSA key has fewer than {SMALLEST_RSA_BITS} bits", "use a longer one")
    return key, _FOR_KEY[kind]


def _private_key(credential: Credential) -> jwk.JWK:
    key = _key(credential)
    if not key.has_private:
        raise _refused("this is a public key; a kit is opened with the private one", "set KEY to the private key")
    return key


def _key(credential: Credential) -> jwk.JWK:
    try:
        return jwk.JWK.from_pem(credential.text.get_secret_value().encode())
    except (JWException, ValueError, TypeError):
        raise _refused(
            "the key is not in a PEM form that can be read",
            "take the password off a protected private key first: openssl pkey -in protected.pem -out private.pem",
        ) from None  # it may quote what it read


def _refused(message: str, hint: str) -> ProductError:
    return ProductError(message, hint=hint, exit_code=Exit.CONFIGURATION)
