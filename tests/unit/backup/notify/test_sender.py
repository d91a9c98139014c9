"""What one message to one receiver is: the right headers, the right door, and nothing secret in what comes back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from backup.notice import Notice
from backup.notify import sender
from backup.notify.answer import Answer, http
from backup.notify.sender import Sender
from backup.state.outbox import Message
from contract.receivers import Receiver
from tests.unit.backup.fakes import NOON, Clock

MESSAGE = Message(
    "8f14e45f-ceea-467f-a9ab-7e1f2c3d4e5f", NOON, Notice("backup.failed", "critical", "disk full", "make room")
)
HOOK = Receiver(id="1", kind="webhook", url="https://a.example/hook/part", shown="https://a.example")
WORKFLOW = (
    "default9876.73.environment.api.powerplatform.com:443/powerautomate/automations/direct/workflows/0987/triggers/manual/"
    "paths/invoke?api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=part"
)
TEAMS = Receiver(id="2", kind="service", url=f"workflows://{WORKFLOW}", shown="workflows (1234)")


class Doors:
    """Both doors at once: notes what goes through, and says what it is told to."""

    def __init__(self) -> None:
        self.says = http(200)
        self.posted: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        self.handed: list[tuple[str, str, str]] = []

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        self.posted.append((url, json.loads(body), dict(headers)))
        return self.says

    def send(self, _receiver: Receiver, title: str, text: str, kind: str) -> Answer:
        self.handed.append((title, text, kind))
        return self.says

    def kind_of(self, severity: str, *, resolved: bool) -> str:
        return f"{severity} {resolved}"


@pytest.fixture
def doors(monkeypatch: pytest.MonkeyPatch) -> Doors:
    made = Doors()
    monkeypatch.setattr(sender, "_load", lambda _door: made)
    return made


@pytest.fixture
def one() -> Sender:
    return Sender("salespider", ZoneInfo("UTC"), Clock())


def test_a_webhook_without_secrets_has_only_its_id(one: Sender, doors: Doors) -> None:
    assert one.send(HOOK, MESSAGE).taken
    ((url, body, headers),) = doors.posted
    assert (url, body["id"], body["summary"]) == (HOOK.url, MESSAGE.id, "disk full")
    assert headers == {"content-type": "application/json", "webhook-id": MESSAGE.id}


def test_a_webhook_with_secrets_is_signed_at_the_time_of_the_attempt(one: Sender, doors: Doors) -> None:
    one.send(HOOK.model_copy(update={"signing_secret": "s", "bearer_token": "t"}), MESSAGE)
    ((_, _, headers),) = doors.posted
    assert headers["webhook-timestamp"] == str(int(NOON.timestamp()))
    assert headers["webhook-signature"].startswith("v1,")
    assert headers["authorization"] == "Bearer t"


def test_a_secret_that_cannot_be_used_is_said_and_nothing_is_sent_unsigned(one: Sender, doors: Doors) -> None:
    answer = one.send(HOOK.model_copy(update={"signing_secret": "whsec_!!!"}), MESSAGE)
    assert not answer.taken
    assert "not base64" in answer.said
    assert doors.posted == []


def test_what_comes_back_is_masked(one: Sender, doors: Doors) -> None:
    doors.says = Answer(False, "a.example does not know /hook/part with token-of-ours")
    said = one.send(HOOK.model_copy(update={"bearer_token": "token-of-ours"}), MESSAGE).said
    assert "a.example" in said
    assert "part" not in said
    assert "token-of-ours" not in said


def test_a_service_is_the_librarys_matter(one: Sender, doors: Doors) -> None:
    one.send(Receiver(id="3", kind="service", url="slack://a/b/c", shown="slack (12)"), MESSAGE)
    ((title, text, kind),) = doors.handed
    assert (title, kind) == ("critical: backups of salespider", "critical False")
    assert text.startswith("disk full\nHINT: make room\n")


def test_a_whole_address_of_teams_is_used_as_it_is(one: Sender, doors: Doors) -> None:
    one.send(TEAMS, MESSAGE)
    ((url, body, _),) = doors.posted
    assert url == f"https://{WORKFLOW}"
    card = body["attachments"][0]["content"]
    assert [block["text"] for block in card["body"]][:3] == [
        "critical: backups of salespider", "disk full", "HINT: make room",
    ]  # fmt: skip
    assert card["body"][0]["color"] == "Attention"


def test_an_address_of_teams_in_parts_is_the_librarys_matter(one: Sender, doors: Doors) -> None:
    one.send(TEAMS.model_copy(update={"url": "workflows://prod-1.logic.azure.com:443/643e69f8/KODuebWb"}), MESSAGE)
    assert doors.posted == []
    assert len(doors.handed) == 1
