"""Telling: everybody who wants to know, in the log in any case, and never at the price of the work."""

from __future__ import annotations

import json
from dataclasses import replace

from structlog.testing import capture_logs

from backup.notice import Notice
from backup.state.alarms import Alarm
from contract import events
from contract.receivers import Receiver, Receivers
from tests.unit.backup.fakes import World

QUIET = Receiver(id="webhook", kind="webhook", url="https://a.example/secret", shown="a.example", level="critical")
CURIOUS = Receiver(id="chat", kind="service", url="slack://secret", shown="slack", level="info")
DISK = Alarm("disk:data", events.BACKUP_FAILED, "critical", "full", "make room")


def told(world: World) -> list[tuple[str, str]]:
    query = "SELECT receiver, event FROM delivery JOIN message ON message.id = message ORDER BY message, receiver"
    return [tuple(row) for row in world.deployment.store.rows(query)]


def telling(world: World) -> World:
    return replace(world, deployment=replace(world.deployment, receivers=Receivers(receivers=(QUIET, CURIOUS))))


def test_each_receiver_gets_what_its_level_asks_for(world: World) -> None:
    teller = telling(world).deployment.teller
    teller.tell(Notice(events.BACKUP_STARTED, "debug", "begins"))
    teller.tell(Notice(events.BACKUP_SUCCEEDED, "info", "done", facts={"seconds": 2.5}))
    teller.tell(Notice(events.BACKUP_FAILED, "critical", "failed"))
    assert told(world) == [
        ("chat", events.BACKUP_SUCCEEDED),
        ("chat", events.BACKUP_FAILED),
        ("webhook", events.BACKUP_FAILED),
    ]
    facts = world.deployment.store.row("SELECT facts FROM message WHERE event = ?", (events.BACKUP_SUCCEEDED,))
    assert facts is not None
    assert json.loads(facts["facts"]) == {"seconds": 2.5}


def test_who_was_told_of_an_alarm_is_told_that_it_is_over(world: World) -> None:
    teller = telling(world).deployment.teller
    for _ in range(3):
        teller.alarm(DISK)
    for _ in range(3):
        teller.over(DISK.key, events.BACKUP_SUCCEEDED, "there is room again")
    assert told(world) == [
        ("chat", events.BACKUP_FAILED),
        ("webhook", events.BACKUP_FAILED),
        ("chat", events.BACKUP_SUCCEEDED),
        ("webhook", events.BACKUP_SUCCEEDED),
    ]


def test_an_outbox_that_cannot_be_written_is_said_in_the_log_and_stops_nothing(world: World) -> None:
    deployment = telling(world).deployment
    teller = deployment.teller
    deployment.store.write("DROP TABLE delivery")
    with capture_logs() as logged:
        teller.tell(Notice(events.BACKUP_FAILED, "critical", "failed"))
    assert [entry["event"] for entry in logged] == [events.BACKUP_FAILED, events.OUTBOX_UNWRITABLE]
    assert deployment.store.rows("SELECT * FROM message") == []
