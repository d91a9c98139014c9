"""How runs develop: the last ones held against those before, so that slow growth is seen before it hurts. Pure.

Medians, because one run beside a busy database says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Final, Literal

from backup.state.history import Run

RECENT: Final = 7
BEFORE: Final = 30
FEWEST: Final = 3
"""Fewer runs on either side are chance."""

Measure = Literal["seconds", "database_bytes", "copied_bytes", "stored_bytes", "ratio", "bytes_per_second"]


@dataclass(frozen=True)
class Change:
    """A measure now and before, both medians; `percent` is how much more it is now, None when it was nothing before."""

    measure: Measure
    recent: float
    before: float

    @property
    def percent(self) -> float | None:
        """How much more it is than before: 12.5, or -3.0."""
        return (self.recent / self.before - 1) * 100 if self.before else None


@dataclass(frozen=True)
class Trend:
    """Of one type in one repository: how many runs were held against how many, and since when those before reach."""

    type: str
    repo: int
    recent_runs: int
    before_runs: int
    since: datetime
    changes: tuple[Change, ...]


def seconds(run: Run) -> float | None:
    """Return how long a run took, None while it goes on."""
    return (run.finished - run.started).total_seconds() if run.finished else None


def ratio(run: Run) -> float | None:
    """Return copied to stored bytes, None where they are not known."""
    return run.copied_bytes / run.stored_bytes if run.copied_bytes is not None and run.stored_bytes else None


def bytes_per_second(run: Run) -> float | None:
    """Return what was copied in the time it took, None where that is not known."""
    took = seconds(run)
    return run.copied_bytes / took if took and run.copied_bytes is not None else None


_MEASURES: Final[dict[Measure, Callable[[Run], float | None]]] = {
    "seconds": seconds,
    "database_bytes": lambda run: run.database_bytes,
    "copied_bytes": lambda run: run.copied_bytes,
    "stored_bytes": lambda run: run.stored_bytes,
    "ratio": ratio,
    "bytes_per_second": bytes_per_second,
}


def trend(runs: Sequence[Run]) -> Trend | None:
    """Return how the runs of one type in one repository develop; None when there are too few.

    `runs` are successful ones, the newest first; what is older than RECENT + BEFORE of them does not count.
    """
    recent, before = runs[:RECENT], runs[RECENT : RECENT + BEFORE]
    if len(recent) < FEWEST or len(before) < FEWEST:
        return None
    changes = tuple(change for measure in _MEASURES if (change := _change(measure, recent, before)))
    return Trend(runs[0].what, runs[0].repo or 0, len(recent), len(before), before[-1].started, changes)


def _change(measure: Measure, recent: Sequence[Run], before: Sequence[Run]) -> Change | None:
    now, then = ([value for run in runs if (value := _MEASURES[measure](run)) is not None] for runs in (recent, before))
    return Change(measure, median(now), median(then)) if len(now) >= FEWEST and len(then) >= FEWEST else None
