"""When messages do not arrive: which receivers are stuck, and what is to be said of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from backup.state.alarms import Alarm
from backup.state.outbox import Waiting
from contract import events

KEY: Final = "outbox"
STUCK_AFTER: Final = timedelta(minutes=15)
"""How long a message may wait before that is an alarm; shorter outages pass unnoticed."""

CRITICAL_AFTER: Final = timedelta(hours=1)
"""How long a critical message may wait before the alarm is critical as well."""

LONG: Final = timedelta(days=7)
_HINT: Final = (
    "correct the address in .env and `make deploy`, or remove it; `make notify-test` shows what each receiver answers"
)


@dataclass(frozen=True)
class Trouble:
    """The alarm, and the receivers that it is about."""

    alarm: Alarm
    stuck: frozenset[str]
    messages: int


def find(waiting: tuple[Waiting, ...], shown: Mapping[str, str], now: datetime) -> Trouble | None:
    """Return what is wrong with the delivery, or None. `shown` are the receivers' printable names, by id."""
    stuck = [each for each in waiting if now - each.oldest >= STUCK_AFTER]
    if not stuck:
        return None
    critical = [
        each.oldest_critical for each in stuck if each.oldest_critical and now - each.oldest_critical >= CRITICAL_AFTER
    ]
    sentences = "; ".join(_sentence(each, shown.get(each.receiver, each.receiver), now) for each in stuck)
    alarm = Alarm(KEY, events.OUTBOX_UNDELIVERABLE, "critical" if critical else "warning", sentences, _HINT)
    return Trouble(alarm, frozenset(each.receiver for each in stuck), sum(each.count for each in stuck))


def _sentence(each: Waiting, name: str, now: datetime) -> str:
    messages = "1 message has" if each.count == 1 else f"{each.count} messages have"
    age = now - each.oldest
    reason = f" ({each.last_error})" if each.last_error else ""
    kept = "; nothing is thrown away" if age >= LONG else ""
    return f"{name}: {messages} not been delivered, the oldest for {duration(age)}{reason}{kept}"


def duration(span: timedelta) -> str:
    """Return a span of time for people, in its largest unit."""
    minutes = int(span.total_seconds() // 60)
    if minutes < 120:  # noqa: PLR2004 two hours
        return f"{minutes} minutes"
    return f"{minutes // 60} hours" if minutes < 48 * 60 else f"{minutes // (24 * 60)} days"
