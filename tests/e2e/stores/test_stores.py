"""The object stores of the scenarios are what they claim to be: they break as they are told."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from tests.e2e.conftest import Stacks
from tests.e2e.stack import HELPER_IMAGE, Stack, wait_until
from tests.stores.store import ObjectStore


def said_to(stack: Stack, store: ObjectStore, script: str) -> str:
    """Run Python in a container on the stack's network; return what it printed."""
    name = f"{stack.project}-client"
    done = stack.run(
        *("docker", "run", "--rm", "--interactive", "--name", name, "--network", f"{stack.project}-net"),
        *("--volume", f"{store.ca_file}:/ca.pem:ro", "--entrypoint", "python3", HELPER_IMAGE, "-"),
        stdin=script,
        check=False,
    )
    return done.output


def requests(store: ObjectStore, count: int = 1) -> str:
    return f"""
import http.client, ssl, time
context = ssl.create_default_context(cafile="/ca.pem")
for _ in range({count}):
    begun = time.monotonic()
    try:
        connection = http.client.HTTPSConnection("{store.host}", {store.port}, timeout=5, context=context)
        connection.request("GET", "/")
        answer = connection.getresponse()
        print(answer.status, answer.headers["date"], round(time.monotonic() - begun, 3), answer.read()[:80])
    except OSError as error:
        print(type(error).__name__, error)
"""


def test_the_gate_does_what_it_is_told(stacks: Stacks) -> None:
    stack = stacks.new()
    store = stacks.store("s3", stack, gate=True)
    said = said_to(stack, store, requests(store))
    assert said.startswith("403 "), said
    store.slow(100)
    said = said_to(stack, store, requests(store))
    assert float(said.split("GMT ")[1].split()[0]) > 0.3, said  # connection, TLS, request
    store.heal()
    store.fail(503, share=0.5)
    said = said_to(stack, store, requests(store, 20))
    assert {line.split()[0] for line in said.splitlines()} == {"503", "403"}, said
    store.skew(20)
    said = said_to(stack, store, requests(store))
    assert "RequestTimeTooSkewed" in said
    store.heal()
    store.record()
    said_to(stack, store, requests(store, 3))
    assert [(request["method"], request["status"]) for request in store.requests()] == [("GET", 403)] * 3
    store.heal()
    store.cut()
    wait_until(lambda: "gaierror" in said_to(stack, store, requests(store)), 60, "a name that is gone")
    store.mend()
    store.lose(1)
    said = said_to(stack, store, requests(store))
    assert "TimeoutError" in said
    store.lose(0)
    said = said_to(stack, store, requests(store))
    assert said.startswith("403 "), said
    store.pause()
    said = said_to(stack, store, requests(store))
    assert "timed out" in said
    store.unpause()


def test_keys_come_and_go(stacks: Stacks) -> None:
    stack = stacks.new()
    store = stacks.store("s3", stack)
    old = store.client()
    store.allow("other", "AKOTHER", "another-secret")
    store.key, store.secret = "AKOTHER", "another-secret"
    wait_until(lambda: tells(store.client(), store.bucket) == 200, 20, "the new key works")
    store.forbid()
    wait_until(lambda: tells(old, store.bucket) == 403, 20, "the old key does not")
    assert tells(store.client(), store.bucket) == 200


def tells(client: Any, bucket: str) -> int:
    """Return the HTTP status that a bucket's listing ends with."""
    try:
        return int(client.list_objects_v2(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"])
    except ClientError as error:
        return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
