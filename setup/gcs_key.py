"""The key of a Google service account: JSON that Google makes, and people paste half of. Pure."""

from __future__ import annotations

import json

from setup.values import Rejected, listed

_NEEDED = ("client_email", "private_key", "token_uri")
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
    private = key["private_key"].strip()
    if not (private.startswith("-----BEGIN PRIVATE KEY-----") and private.endswith("-----END PRIVATE KEY-----")):
        raise Rejected("has a private_key that is not whole", _AGAIN)
    return text.strip() + "\n"
