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
_DELIMITERS: Final = re.compile(r"[\s/:@?&=#,;]+")
_NO_LETTERS: Final = re.compile(r"[\W_]+")


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
    given = {secret for secret in secrets if secret}
    words = given | {word for each in given for word in _DELIMITERS.split(each)}
    words |= {unquote(word) for word in words}
    words |= {part for word in words for part in _NO_LETTERS.split(word)}
    may_stay = {shown, *_DELIMITERS.split(shown), *_NO_LETTERS.split(shown)}
    for word in sorted(words - may_stay, key=len, reverse=True):
        if len(word) >= _SHORTEST_SECRET:
            said = said.replace(word, "***")
    return said if len(said) <= _LONGEST_ERROR else f"{said[:_LONGEST_ERROR]}…"
