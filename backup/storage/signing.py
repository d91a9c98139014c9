"""The signature of a request to Azure: "Authorize with Shared Key" of Microsoft's REST reference. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

VERSION: Final = "2021-08-06"
_EMPTY_HEADERS: Final = "\n" * 12


def sign(resource: str, query: Mapping[str, str], date: str, key: str) -> str:
    """Return the signature of a GET without a body; `resource` is the account and the path, `key` is in base64."""
    canonical = resource + "".join(f"\n{name}:{query[name]}" for name in sorted(query))
    text = f"GET{_EMPTY_HEADERS}x-ms-date:{date}\nx-ms-version:{VERSION}\n{canonical}"
    return base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()
