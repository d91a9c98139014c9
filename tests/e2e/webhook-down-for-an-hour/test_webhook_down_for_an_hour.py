"""The receiver of the webhook is down for an hour, in which backups succeed and fail and the supervisor is restarted, once
not in order. When it is up again it gets everything that happened, in the order it happened, each message once.

The hour itself is simulated: while the supervisor is stopped, all times in its state are moved back by an hour.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import HELPER_IMAGE, Stack, wait_until

RECEIVER = Path(__file__).with_name("receiver.py").read_text("utf-8")
SECRET = "a-signing-secret-of-this-scenario"
HOUR = 3600
NEVER = "0 0 31 12 *"
VARIABLES = {
    "BACKUP_SCHEDULE_FULL": NEVER,
    "BACKUP_SCHEDULE_DIFF": "off",
    "BACKUP_WEBHOOK_URL": "http://receiver:8080/hook",
    "BACKUP_WEBHOOK_SECRET": SECRET,
    "BACKUP_NOTIFY_LEVEL": "all",
    "BACKUP_HEARTBEAT_URL": "http://receiver:8080/ping",
}
STATE = "/var/lib/salespider/state"


class Receiver:
    """The container at the other end. It is reached by a name, which nobody has while it is not there."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._name = stack.container("receiver")

    def start(self) -> None:
        network = (f"--network={self._stack.project}-net", "--network-alias=receiver")
        self._stack.run(
            *("docker", "run", "--detach", "--name", self._name, *network, "--entrypoint", "python3", HELPER_IMAGE),
            *("-c", RECEIVER),
        )

    def remove(self) -> None:
        self._stack.run("docker", "rm", "--force", self._name, check=False)

    def requests(self, path: str = "/hook") -> list[dict[str, Any]]:
        kept = self._stack.run("docker", "exec", self._name, "cat", "/tmp/requests", check=False).stdout
        return [request for line in kept.splitlines() if (request := json.loads(line))["path"].startswith(path)]

    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(request["body"]) for request in self.requests()]


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    """A stack that lacks nothing: a missing recovery kit would be told, too, a minute after each start."""
    stack = stacks.running(**VARIABLES)
    password = stack.directory / "password"
    password.write_text("correct horse battery staple\n")
    for verb in ("recovery-kit", "recovery-kit-verify"):
        made = stack.make(verb, FILE=str(stack.directory / "kit.jwe"), KIT_PASSWORD_FILE=str(password))
        assert made.code == 0, made.output
    return stack


@pytest.fixture(scope="module")
def receiver(stacks: Stacks, stack: Stack) -> Receiver:
    made = Receiver(stack)
    stacks.at_end(made.remove)  # before the stack's network, which it is in
    return made


def outbox(stack: Stack) -> list[dict[str, Any]]:
    """What was put down for the webhook, in that order."""
    query = (
        "SELECT uuid, event, severity, resolved, attempts, delivered_at FROM message "
        "JOIN delivery ON delivery.message = message.id ORDER BY message.id"
    )
    return stack._history(query)


def waiting(stack: Stack) -> list[dict[str, Any]]:
    return [row for row in outbox(stack) if row["delivered_at"] is None]


def all_delivered(stack: Stack) -> list[dict[str, Any]]:
    """What was put down, once it has ended with the end of the alarm and nothing waits; nothing before."""
    put = outbox(stack)
    return put if put[-1]["event"] == "outbox.flowing" and all(row["delivered_at"] for row in put) else []


def let_time_pass(stack: Stack, seconds: int) -> None:
    """Stop the supervisor for a time that passes for everything it has written down."""
    stack.docker("stop", "backup")
    program = f"""
import sqlite3
state = sqlite3.connect('{STATE}/history.sqlite', isolation_level=None)
for table, columns in dict(message=['at'], delivery=['not_before', 'delivered_at'], alarm=['since', 'told_at']).items():
    for column in columns:
        state.execute(f'UPDATE {{table}} SET {{column}} = {{column}} - {seconds}')
"""
    user = ("setpriv", "--reuid=999", "--regid=999", "--clear-groups", "python3", "-")
    stack.in_helper(" ".join(user), {STATE: stack.volume("backup-state")}, stdin=program)
    stack.docker("start", "backup")


def health(stack: Stack) -> tuple[int, str]:
    result = stack.exec("backup", "salespider-backup", "healthcheck", check=False)
    return result.code, result.output


def test_what_happens_while_the_receiver_is_down_waits(stack: Stack) -> None:
    """Good and bad runs, an ordered restart and a kill; nothing is delivered, nothing is lost."""
    assert stack.make("backup-diff").code == 0
    stack.docker("restart", "backup")
    stack.exec("backup", "pgbackrest", "--stanza=salespider", "stop")
    assert stack.make("backup-incr").code != 0
    stack.docker("kill", "backup")
    stack.docker("start", "backup")
    stack.exec("backup", "pgbackrest", "--stanza=salespider", "start")
    assert stack.make("backup-incr").code == 0
    events = [row["event"] for row in outbox(stack)]
    for event in ("backup.started", "backup.succeeded", "backup.failed", "backup.recovered"):
        assert event in events
    assert events.index("backup.failed") < events.index("backup.recovered")
    assert len(waiting(stack)) == len(events)
    wait_until(lambda: outbox(stack)[0]["attempts"] >= 2, 60, "a second attempt")
    assert [row["attempts"] for row in outbox(stack)[1:]] == [0] * (len(events) - 1)


def test_after_an_hour_the_health_says_so(stack: Stack) -> None:
    """A critical message has waited for an hour: nobody may learn from silence that all is well."""
    attempts = outbox(stack)[0]["attempts"]
    let_time_pass(stack, HOUR)
    wait_until(lambda: outbox(stack)[0]["attempts"] > attempts, 60, "another attempt")
    wait_until(lambda: "not been delivered" in health(stack)[1], 60, "the alarm")
    code, said = health(stack)
    assert code == 2, said
    assert "http://receiver:8080: " in said
    assert "hook" not in said
    assert len(waiting(stack)) == len(outbox(stack))


def test_then_everything_arrives_in_order_and_once(stack: Stack, receiver: Receiver) -> None:
    """The next attempt would be minutes away, so those pass as well."""
    receiver.start()
    wait_until(lambda: stack.exec("backup", "getent", "hosts", "receiver", check=False).code == 0, 30, "its name")
    let_time_pass(stack, 15 * 60)
    put = wait_until(lambda: all_delivered(stack), 60, "all of it")
    got = receiver.messages()
    assert [message["id"] for message in got] == [row["uuid"] for row in put]
    assert [message["event"] for message in got] == [row["event"] for row in put]
    assert len({message["id"] for message in got}) == len(got)
    assert got[-1]["event"] == "outbox.flowing"
    assert "outbox.undeliverable" not in [message["event"] for message in got]
    at = [message["at"] for message in got]
    assert at == sorted(at)


def test_every_message_is_signed_and_holds_no_secret(receiver: Receiver) -> None:
    """The receiver can tell whose they are; nobody can tell the secret from them."""
    for request in receiver.requests():
        headers, body = request["headers"], request["body"]
        assert headers["webhook-id"] == json.loads(body)["id"]
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
        digest = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{digest}"
        assert SECRET not in json.dumps(request)


def test_the_health_is_good_again_and_new_messages_arrive_soon(stack: Stack, receiver: Receiver) -> None:
    """The heartbeat, too: a monitor hears start and success of the run."""
    wait_until(lambda: health(stack)[0] == 0, 60, "a good health")
    wait_until(lambda: not stack._history("SELECT * FROM ping"), 30, "the end of older pings")
    before, pings = len(receiver.messages()), len(receiver.requests("/ping"))
    assert stack.make("backup-diff").code == 0
    wait_until(lambda: "backup.succeeded" in [m["event"] for m in receiver.messages()[before:]], 30, "the new messages")
    wait_until(lambda: not stack._history("SELECT * FROM ping"), 30, "the pings")
    assert [request["path"] for request in receiver.requests("/ping")][pings:] == ["/ping/start", "/ping"]


def test_the_test_notice_shows_the_answer(stack: Stack, receiver: Receiver) -> None:
    """What `make notify-test` says is what the receiver said."""
    result = stack.make("notify-test")
    assert result.code == 0, result.output
    assert "http://receiver:8080: delivered in" in result.output
    assert receiver.messages()[-1]["event"] == "notification.test"
    receiver.remove()
    result = stack.make("notify-test")
    assert result.code == 22, result.output
    assert "http://receiver:8080: failed after" in result.output
    assert "HINT:" in result.output


def test_the_log_names_no_secret_and_says_a_failure_once(stack: Stack) -> None:
    """However many attempts there were, the log has one line an outage; the address and the secret are in none."""
    said = stack.logs("backup")
    assert SECRET not in said
    assert "/hook" not in said
    failed = [line for line in said.splitlines() if "notification.failed" in line]
    assert 1 <= len(failed) <= 5  # once in the life of each process


def test_deploying_asks_changed_receivers_and_goes_on_without_them(stack: Stack) -> None:
    """Those that took the last test are left alone; others are asked, and a refusal is said and fails nothing."""
    result = stack.make("deploy")
    assert (result.code, "receiver:8080: " in result.output.split("protected: ")[1]) == (0, False), result.output
    stack.configure(PGBACKREST_REPO1_TYPE="posix", **VARIABLES | {"BACKUP_WEBHOOK_TOKEN": "another-token"})
    result = stack.make("deploy")
    assert result.code == 0, result.output
    assert "http://receiver:8080: failed after" in result.output
    assert "WARNING: notifications do not arrive everywhere" in result.output
