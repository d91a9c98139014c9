"""What a verdict must remember until the next one: what already stands, and for how long. Pure.

It outlives a restart of the supervisor as a JSON value. Durations are added up from one look to the next, never taken
from the clock, so that a clock that jumps neither raises nor ends an alarm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from backup.watch.refusals import Refusals
from contract.severity import Severity

MARK: Final = "watch"
"""The name under which the memory is kept."""


@dataclass(frozen=True)
class Stall:
    """Archiving stands still. `since` is in seconds since the epoch; `archived` the segment that was archived last then.

    `repos` are the repositories that were seen not to take WAL meanwhile, `others` those that took it all the time.
    `wal_lost`: the server throws WAL away unarchived (archiving is switched off), so that a gap remains afterwards.
    """

    since: float
    severity: Severity
    message: str
    archived: int | None
    most_waiting: int
    wal_lost: bool = False
    repos: tuple[int, ...] = ()
    others: tuple[int, ...] = ()


@dataclass(frozen=True)
class Rungs:
    """How many thresholds a volume has crossed: those of its fill, and those of the hours that are left."""

    percent: int = 0
    hours: int = 0


@dataclass(frozen=True)
class Memory:
    """Seconds for which something has lasted without a break, the stall, and the rungs of each volume by its name.

    `refusals` is what the latest attempt said that said anything, while archiving fails.
    """

    down_seconds: float = 0.0
    failing_seconds: float = 0.0
    off_seconds: float = 0.0
    stall: Stall | None = None
    rungs: Mapping[str, Rungs] = field(default_factory=dict)
    refusals: Refusals | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as values that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> Memory:
        """Return what `as_json` gave; an empty memory for None and for what another version has written."""
        try:
            stall = _stall(value["stall"]) if value["stall"] else None
            refusals = Refusals.from_json(value["refusals"]) if value.get("refusals") else None
            rungs = {name: Rungs(**entry) for name, entry in value["rungs"].items()}
            return cls(value["down_seconds"], value["failing_seconds"], value["off_seconds"], stall, rungs, refusals)
        except (TypeError, KeyError, AttributeError):
            return cls()


def _stall(value: Mapping[str, Any]) -> Stall:
    repos = {name: tuple(value.get(name, ())) for name in ("repos", "others")}
    return Stall(**{**value, **repos})


LONGEST_BETWEEN_LOOKS: Final = 120.0
"""Nothing is known about a longer time without a look, so no more of it counts."""


@dataclass(frozen=True)
class Elapsed:
    """The time since the look before. `clock_jumped`: the wall clock went another way than the time itself."""

    seconds: float = 0.0
    clock_jumped: bool = False

    @classmethod
    def between_looks(cls, seconds: float, clock_jumped: bool = False) -> Elapsed:  # noqa: FBT001, FBT002 named by the field
        """Return it with no more seconds than two looks are apart, and no less than none."""
        return cls(min(max(0.0, seconds), LONGEST_BETWEEN_LOOKS), clock_jumped)
