"""`notify-test`: asks everybody, shows each answer, and ends well only when all took it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from click.testing import CliRunner

from backup.cli import main
from backup.deployment import Deployment
from backup.notify import sender
from backup.notify.answer import Answer, http
from backup.state.outbox import Message
from backup.state.pings import Phase
from contract import events
from contract.errors import ProductError
from contract.exits import Exit
from contract.receivers import Receiver, Receivers
from tests.unit.backup.fakes import World

HOOK = Receiver(id="1", kind="webhook", url="https://a.example/secret", shown="a.example", level="critical")
CHAT = Receiver(id="2", kind="service", url="slack://secret", shown="slack")


class Asked:
    """Stands in for the sending: `answers` by the receiver's id, and what was sent."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = world
        self.answers: dict[str, Answer] = {}
        self.messages: list[Message] = []
        self.pinged: list[tuple[str, Phase | None]] = []
        monkeypatch.setattr(sender.Sender, "send", self.send)
        monkeypatch.setattr(sender.Sender, "ping", self.ping)
        self.monkeypatch = monkeypatch
        self.told(Receivers(receivers=(HOOK, CHAT)))

    def told(self, receivers: Receivers) -> None:
        deployment = replace(self.world.deployment, receivers=receivers)
        self.monkeypatch.setattr(Deployment, "open", lambda: deployment)

    def send(self, receiver: Receiver, message: Message) -> Answer:
        self.messages.append(message)
        return self.answers.get(receiver.id, http(200))

    def ping(self, url: str, phase: Phase | None) -> Answer:
        self.pinged.append((url, phase))
        return self.answers.get("heartbeat", http(200))

    def test(self, *options: str) -> tuple[str, Exit]:
        result = CliRunner().invoke(main, ["notify-test", *options])
        if result.exception is None:
            return result.output, Exit.OK
        assert isinstance(result.exception, ProductError), result.exception
        return f"{result.output}{result.exception}", result.exception.exit_code


@pytest.fixture
def asked(world: World, monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(world, monkeypatch)


def test_all_took_it(asked: Asked) -> None:
    output, code = asked.test()
    assert code == Exit.OK
    assert output.splitlines() == ["a.example: delivered in 0.0 s: HTTP 200 OK", "slack: delivered in 0.0 s: HTTP 200 OK"]
    assert {message.notice.event for message in asked.messages} == {events.NOTIFICATION_TEST}
    assert len({message.id for message in asked.messages}) == 1


def test_one_did_not(asked: Asked) -> None:
    asked.answers = {"1": http(403), "2": Answer(False, "connection refused")}
    output, code = asked.test()
    assert code == Exit.NOTIFICATION
    assert "a.example: refused after 0.0 s: HTTP 403 Forbidden" in output
    assert "slack: failed after 0.0 s: connection refused" in output
    assert "2 of 2 did not take it" in output
    assert "HINT:" in output


def test_nobody_is_told(asked: Asked) -> None:
    asked.told(Receivers())
    output, code = asked.test()
    assert code == Exit.NOTIFICATION
    assert "BACKUP_WEBHOOK_URL" in output
    assert asked.test("--if-changed") == ("", Exit.OK)


def test_a_deployment_asks_only_after_a_change_or_a_failure(asked: Asked) -> None:
    asked.answers = {"1": http(500)}
    assert asked.test("--if-changed")[1] == asked.test("--if-changed")[1] == Exit.NOTIFICATION
    asked.answers = {}
    assert asked.test("--if-changed")[0] != ""
    assert asked.test("--if-changed") == ("", Exit.OK)
    asked.told(Receivers(receivers=(HOOK,)))
    assert "a.example" in asked.test("--if-changed")[0]
    assert "a.example" in asked.test()[0]


def test_the_heartbeat_is_asked_for_its_log_which_changes_nothing(asked: Asked) -> None:
    asked.told(Receivers(heartbeat_url="https://hc.example/secret"))
    output, code = asked.test()
    assert (output, code) == ("the heartbeat address: delivered in 0.0 s: HTTP 200 OK\n", Exit.OK)
    assert asked.pinged == [("https://hc.example/secret", None)]


def test_it_leaves_the_outbox_alone(asked: Asked) -> None:
    asked.test()
    assert asked.world.deployment.teller.outbox.waiting() == ()
