"""Saying what happened: a line in the log, and a message for everybody who wants to know. Never raises into the caller."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from backup import logs
from backup.notice import Fact, Notice, is_worse
from backup.state.alarms import Alarm, Alarms
from backup.state.outbox import Outbox
from backup.state.store import StoreError
from contract import events
from contract.receivers import Receivers


@dataclass(frozen=True)
class Teller:
    """The one way to tell. An alarm is told when it begins, gets worse, or lasts for a day; and once when it is over."""

    outbox: Outbox
    alarms: Alarms
    receivers: Receivers
    now: Callable[[], datetime]

    def tell(self, notice: Notice, *, not_to: Collection[str] = ()) -> None:
        """Log a notice and write it down for its receivers, but for those with these ids."""
        _log(notice)
        to = [r.id for r in self.receivers.receivers if not is_worse(r.level, notice.severity) and r.id not in not_to]
        try:
            self.outbox.put(notice, to, self.now())
        except StoreError as error:  # a full disk must not stop the backups; the log has said it
            logs.logger().error(events.OUTBOX_UNWRITABLE, event_lost=notice.event, message=str(error))

    def alarm(self, alarm: Alarm, facts: Mapping[str, Fact] | None = None, *, not_to: Collection[str] = ()) -> bool:
        """Keep an alarm open, and tell it when that is due, but not to receivers it is about; return whether it was told."""
        try:
            to_tell = self.alarms.put(alarm, self.now())
        except StoreError as error:
            logs.logger().error(events.OUTBOX_UNWRITABLE, event_lost=alarm.event, message=str(error))
            to_tell = True
        if to_tell:
            self.tell(Notice(alarm.event, alarm.severity, alarm.message, alarm.hint, facts=facts or {}), not_to=not_to)
        return to_tell

    def over(self, key: str, event: str, summary: str, facts: Mapping[str, Fact] | None = None) -> None:
        """End the alarm with this key, if there is one, and tell that it is over."""
        try:
            raised = self.alarms.clear(key)
        except StoreError as error:
            logs.logger().error(events.OUTBOX_UNWRITABLE, event_lost=event, message=str(error))
            return
        if raised is not None:
            told = {"since": raised.since.isoformat(), "was": raised.alarm.message, **(facts or {})}
            self.tell(Notice(event, raised.alarm.severity, summary, resolved=True, facts=told))


def _log(notice: Notice) -> None:
    log = logs.logger()
    write = log.info if notice.resolved else {"warning": log.warning, "critical": log.error}.get(notice.severity, log.info)
    hint = {"hint": notice.hint} if notice.hint else {}
    write(notice.event, message=notice.summary, **hint, **notice.facts)
