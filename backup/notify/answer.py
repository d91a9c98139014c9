"""What a receiver answered, in words that may be printed. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from http.client import responses
from typing import Final
from urllib.parse import unquote

_SHORTEST_SECRET: Final = 4
_LONGEST_ERROR: Final = 200


@dataclass(frozen=True)
class Answer:
    """Whether it was taken, and what was said: "HTTP 200", "connection refused". `asked_for`: Retry-After."""

    taken: bool
    said: str
    asked_for: timedelta | None = None


def http(status: int, asked_for: timedelta | None = None) -> Answer:
    """Return what a status means: only 2xx is taken. A redirect is not followed: it would carry secrets elsewhere."""
    said = f"HTTP {status} {responses.get(status, '')}".rstrip()
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        said += ", a redirect, which is not followed: use the address it leads to"
    taken = HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES
    return Answer(taken, said, None if taken else asked_for)


def masked(said: str, secrets: Iterable[str | None], shown: str) -> str:
    """Return somebody else's words without any part of these addresses, keys and tokens, but for what is `shown` of them."""
    given = {form for secret in secrets if secret for form in (secret, unquote(secret))}
    words = {word for each in given for word in re.split(r"[^\w.+=~-]+", each)}
    words |= {part for word in words for part in re.split(r"\W+", word)} | given
    may_stay = set(re.split(r"\W+", shown)) | {shown}
    for word in sorted(words - may_stay, key=len, reverse=True):
        if len(word) >= _SHORTEST_SECRET:
            said = said.replace(word, "***")
    return said if len(said) <= _LONGEST_ERROR else f"{said[:_LONGEST_ERROR]}…"
