"""Timelines: which positions of the write-ahead log belong to the past of the branch that recovery follows. Pure.

A promotion starts a new timeline and writes a history file: one line for each timeline it descends from, with the LSN
at which that one was left. PostgreSQL follows the newest timeline it finds in the archive, so a backup that was taken on
an abandoned branch, after the fork, cannot be used: recovery would refuse.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from backup.ledger.wal import parse_lsn, timeline_of


@dataclass(frozen=True)
class Stretch:
    """The part of one timeline that a branch goes along: from `begin` up to `end`, or open (None) on its own timeline."""

    timeline: int
    begin: int
    end: int | None


@dataclass(frozen=True)
class Branch:
    """One timeline with its ancestors: `left_at` maps each ancestor to the LSN at which it was left."""

    timeline: int
    left_at: dict[int, int]

    def holds(self, timeline: int, lsn: int) -> bool:
        """Tell whether the position `lsn` on `timeline` belongs to this branch's own past."""
        if timeline == self.timeline:
            return True
        return timeline in self.left_at and lsn <= self.left_at[timeline]

    def path(self) -> tuple[Stretch, ...]:
        """Return the way from the oldest ancestor to the branch's own timeline."""
        stretches, begin = [], 0
        for timeline, end in sorted(self.left_at.items()):
            stretches.append(Stretch(timeline, begin, end))
            begin = end
        return (*stretches, Stretch(self.timeline, begin, None))


FIRST = Branch(1, {})
"""The branch of a cluster that was never promoted; it has no history file."""


def parse_history(name: str, text: str) -> Branch:
    """Turn the history file `name` ("00000003.history") with the content `text` into a branch."""
    left_at = {}
    for line in text.splitlines():
        fields = line.split()
        if len(fields) >= 2 and fields[0].isdigit():  # noqa: PLR2004 timeline, LSN, then a reason in words
            left_at[int(fields[0])] = parse_lsn(fields[1])
    return Branch(timeline_of(name), left_at)


def newest(names: Iterable[str]) -> str | None:
    """Return the history file of the newest timeline."""
    return max((name for name in names if name.endswith(".history")), default=None)


def branches(histories: Iterable[Branch], others: Iterable[int] = ()) -> tuple[Branch, ...]:
    """Return every branch that can be followed, the newest last: those with a history file, and the first one.

    `others` are timelines that something else tells of (segments, backups). One without a history file has no known past,
    so that only what lies on it alone can be used.
    """
    known = {branch.timeline: branch for branch in histories}
    unknown = {timeline: Branch(timeline, {}) for timeline in (FIRST.timeline, *others) if timeline not in known}
    return tuple(branch for _, branch in sorted({**known, **unknown}.items()))
