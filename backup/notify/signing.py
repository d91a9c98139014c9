"""The signature of a webhook, as the Standard Webhooks specification 1.0.0 has it (standardwebhooks.com). Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final

_PREFIX: Final = "whsec_"


class SecretError(ValueError):
    """The signing secret cannot be used; the message does not contain it."""


def headers(message_id: str, sent_at: int, body: bytes, secret: str) -> dict[str, str]:
    """Return the three headers for a body sent at this second since the epoch. Raises SecretError."""
    signed = f"{message_id}.{sent_at}.".encode() + body
    digest = hmac.new(_key(secret), signed, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(sent_at),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def _key(secret: str) -> bytes:
    """Return the key: what base64 behind the prefix stands for, or the characters of a secret without the prefix."""
    if not secret.startswith(_PREFIX):
        return secret.encode()
    encoded = secret.removeprefix(_PREFIX).rstrip("=")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except binascii.Error:
        raise SecretError("the signing secret begins with whsec_, but what follows is not base64") from None
    if not key:
        raise SecretError("the signing secret is nothing but whsec_")
    return key
