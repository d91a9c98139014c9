"""The program that the reference gives to receivers accepts what we send, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from backup.notify import signing

Verifier = Callable[[dict[str, str], bytes, bytes], bool]
BODY = b'{"id": "1"}'


@pytest.fixture
def is_genuine() -> Verifier:
    text = Path("docs/reference/webhook.md").read_text("utf-8")
    program = text.split("```python\n", 1)[1].split("```", 1)[0]
    names: dict[str, Verifier] = {}
    exec(program, {"base64": base64, "hashlib": hashlib, "hmac": hmac, "time": time}, names)
    return names["is_genuine"]


def test_it_accepts_what_we_send(is_genuine: Verifier) -> None:
    headers = signing.headers("1", int(time.time()), BODY, "a secret")
    assert is_genuine(headers, BODY, b"a secret")


def test_it_refuses_another_body_another_key_and_an_old_message(is_genuine: Verifier) -> None:
    headers = signing.headers("1", int(time.time()), BODY, "a secret")
    assert not is_genuine(headers, BODY + b" ", b"a secret")
    assert not is_genuine(headers, BODY, b"another secret")
    assert not is_genuine(signing.headers("1", int(time.time()) - 301, BODY, "a secret"), BODY, b"a secret")
