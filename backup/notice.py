"""Something worth telling somebody: one value that the log, the outbox and the alarms share. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from contract.severity import SEVERITIES, Severity

Fact = str | int | float | bool | None


@dataclass(frozen=True)
class Notice:
    """`event` is a name from `contract.events`, `summary` a sentence for people: what happened, to which thing.

    `resolved` means that an alarm of this severity is over; it goes to whoever was told of the alarm. `facts` are for
    programs: numbers with their unit in the name, times as ISO 8601 in UTC. Never a secret.
    """

    event: str
    severity: Severity
    summary: str
    hint: str = ""
    resolved: bool = False
    facts: Mapping[str, Fact] = field(default_factory=dict)


def is_worse(one: Severity, other: Severity) -> bool:
    """Tell whether one severity weighs more than another."""
    return SEVERITIES.index(one) > SEVERITIES.index(other)
