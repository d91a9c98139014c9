"""What a message looks like: as JSON for programs, as a title and a text for people. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from backup.notice import Fact
from backup.state.outbox import Message
from contract.severity import Severity

LATE: Final = timedelta(hours=1)
"""From then on a text says that it comes late."""

_LONGEST_TEXT: Final = 1500


class Payload(BaseModel):
    """The body of a webhook."""

    model_config = ConfigDict(frozen=True, title="SaleSpider backup notification")

    schema_version: Literal[1] = Field(default=1, description="grows when a field changes its meaning or goes away")
    id: Annotated[str, Field(description="a UUID, the same in every repetition: whoever has it, has this message")]
    event: Annotated[str, Field(description="one of the names in docs/reference/events.md")]
    severity: Annotated[Severity, Field(description="how much it weighs")]
    resolved: Annotated[bool, Field(description="an alarm of this severity is over")]
    summary: Annotated[str, Field(description="what happened, to which thing: for people")]
    hint: Annotated[str, Field(description="the next step; may be empty")]
    facts: Annotated[dict[str, Fact], Field(description="for programs; units in the names, times in ISO 8601")]
    at: Annotated[datetime, Field(description="when it happened, in UTC; it may have been delivered much later")]
    stanza: Annotated[str, Field(description="pgBackRest's name of the database")]


def as_json(message: Message, stanza: str) -> bytes:
    """Return the body of a webhook, in UTF-8."""
    notice = message.notice
    payload = Payload(
        id=message.id,
        event=notice.event,
        severity=notice.severity,
        resolved=notice.resolved,
        summary=notice.summary,
        hint=notice.hint,
        facts=dict(notice.facts),
        at=message.at.astimezone(UTC),
        stanza=stanza,
    )
    return payload.model_dump_json().encode()


def weight(message: Message) -> str:
    """Return how much a message weighs, in a word."""
    return "resolved" if message.notice.resolved else message.notice.severity


def title(message: Message, stanza: str) -> str:
    """Return one line for people: how much it weighs, and whose it is."""
    return f"{weight(message)}: backups of {stanza}"


def text(message: Message, now: datetime, zone: ZoneInfo) -> str:
    """Return what people read: what happened, what to do, and when it was, with a word about its coming late."""
    notice = message.notice
    when = f"{message.at.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"
    lines = [_shortened(notice.summary)]
    if notice.hint:
        lines.append(f"HINT: {_shortened(notice.hint)}")
    if now - message.at >= LATE:
        lines.append(f"This happened at {when} and could not be delivered until now.")
    return "\n".join([*lines, f"{notice.event}, {when}"])


def _shortened(sentence: str) -> str:
    return sentence if len(sentence) <= _LONGEST_TEXT else f"{sentence[:_LONGEST_TEXT]}…"
