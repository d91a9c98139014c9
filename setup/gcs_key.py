"""The key of a Google service account: JSON that Google makes, and people paste half of. Pure."""

from __future__ import annotations

import base64
import binascii
import json
import re

from setup.values import Rejected, listed

_NEEDED = ("client_email", "private_key", "token_uri")
_PEM = re.compile(r"-----BEGIN PRIVATE KEY-----(.*)-----END PRIVATE KEY-----", re.DOTALL)
_SEQUENCE = 0x30
_AGAIN = "download the key again, and give it whole"


def looks_like_json(text: str) -> bool:
    """Tell whether this is meant as the key itself and not as the name of a file."""
    return text.lstrip().startswith("{")


def service_account(text: str) -> str:
    """Read the JSON of a service account's key; the refusal never shows any of it. Ends with a line break."""
    try:
        key = json.loads(text)
    except ValueError:
        if looks_like_json(text) and not text.rstrip().endswith("}"):
            raise Rejected("is JSON that breaks off before its end", _AGAIN) from None
        raise Rejected("is not JSON", _AGAIN) from None
    if not isinstance(key, dict) or key.get("type") != "service_account":
        raise Rejected("is JSON, but not the key of a service account", "create a key of type JSON for a service account")
    missing = [name for name in _NEEDED if not isinstance(key.get(name), str) or not key[name]]
    if missing:
        raise Rejected(f"is the key of a service account without {listed(missing)}", _AGAIN)
    if not _is_whole(key["private_key"]):
        raise Rejected("has a private_key that is not whole", _AGAIN)
    return text.strip() + "\n"


def _is_whole(pem: str) -> bool:
    """Tell whether the key in PEM has the length that it says it has. What it is worth, only Google knows."""
    match = _PEM.fullmatch(pem.strip())
    try:
        der = base64.b64decode("".join(match[1].split()), validate=True) if match else b""
    except (binascii.Error, ValueError):
        return False
    if len(der) < 4 or der[0] != _SEQUENCE:  # noqa: PLR2004 tag, length of the length, and two bytes of it
        return False
    count = der[1] & 0x7F if der[1] & 0x80 else 0
    length = int.from_bytes(der[2 : 2 + count], "big") if count else der[1]
    return len(der) == 2 + count + length
