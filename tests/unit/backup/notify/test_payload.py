"""What goes out: JSON as documented, and a text that says what to do and when it was."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from backup.notice import Notice
from backup.notify import payload
from backup.state.outbox import Message
from tests.unit.backup.fakes import NOON

BERLIN = ZoneInfo("Europe/Berlin")
FAILED = Message(
    "8f14e45f-ceea-467f-a9ab-7e1f2c3d4e5f",
    NOON,
    Notice(
        "backup.failed", "critical", "full backup: »disk« full", "make room", facts={"repo": 1, "rate": 0.5, "last": None}
    ),
)
OVER = Message("1", NOON, Notice("outbox.flowing", "warning", "every receiver takes its messages again", resolved=True))


def test_the_body_is_what_the_reference_says() -> None:
    assert json.loads(payload.as_json(FAILED, "salespider")) == {
        "schema_version": 1,
        "id": "8f14e45f-ceea-467f-a9ab-7e1f2c3d4e5f",
        "event": "backup.failed",
        "severity": "critical",
        "resolved": False,
        "summary": "full backup: »disk« full",
        "hint": "make room",
        "facts": {"repo": 1, "rate": 0.5, "last": None},
        "at": "2026-03-04T12:00:00Z",
        "stanza": "salespider",
    }


def test_the_documented_schema_is_that_of_the_code() -> None:
    documented = json.loads(Path("docs/reference/webhook.schema.json").read_text("utf-8"))
    assert documented == payload.Payload.model_json_schema(mode="serialization")
    assert set(documented["properties"]) == set(json.loads(payload.as_json(OVER, "salespider")))


def test_the_documented_example_is_one() -> None:
    text = Path("docs/reference/webhook.md").read_text("utf-8")
    example = text.split("```json\n", 1)[1].split("```", 1)[0]
    assert json.loads(payload.Payload.model_validate_json(example).model_dump_json()) == json.loads(example)


def test_the_text_says_what_happened_what_to_do_and_when() -> None:
    assert payload.title(FAILED, "salespider") == "critical: backups of salespider"
    assert payload.text(FAILED, NOON, BERLIN).splitlines() == [
        "full backup: »disk« full",
        "HINT: make room",
        "backup.failed, 2026-03-04 13:00:00 CET",
    ]


def test_the_end_of_an_alarm_is_called_so() -> None:
    assert payload.title(OVER, "shop") == "resolved: backups of shop"
    assert "HINT" not in payload.text(OVER, NOON, BERLIN)


@pytest.mark.parametrize(("late", "says_so"), [(timedelta(minutes=59), False), (timedelta(days=1), True)])
def test_what_comes_late_says_when_it_was(late: timedelta, says_so: bool) -> None:
    text = payload.text(FAILED, NOON + late, BERLIN)
    assert ("This happened at 2026-03-04 13:00:00 CET and could not be delivered until now." in text) is says_so


def test_a_very_long_message_is_cut() -> None:
    long = Message("1", NOON, Notice("backup.failed", "critical", "x" * 100_000, "y" * 100_000))
    assert len(payload.text(long, NOON, BERLIN)) < 4000
