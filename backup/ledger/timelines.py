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
    """One timeline with its ancestors: `left_at` maps each to the LSN at which it was left, as the history file says.

    A recovery that follows a timeline and ends before that one began writes a history in which the later ancestor is left
    before the earlier one: of two lines the later counts, as in PostgreSQL (`tliOfPointInHistory`).
    """

    timeline: int
    left_at: dict[int, int]

    def holds(self, timeline: int, lsn: int) -> bool:
        """Tell whether the position `lsn` on `timeline` belongs to this branch's own past."""
        if timeline == self.timeline:
            return True
        return any(s.timeline == timeline and s.end is not None and lsn <= s.end for s in self.path())

    def path(self) -> tuple[Stretch, ...]:
        """Return the way from the oldest ancestor to the branch's own timeline; ancestors that it skips are left out."""
        stretches, end = list[Stretch](), None
        numbers = [*sorted(self.left_at), self.timeline]
        for timeline, parent in zip(reversed(numbers), [*reversed(numbers[:-1]), None], strict=True):
            begin = 0 if parent is None else self.left_at[parent]
            if end is None or begin < end:
                stretches.append(Stretch(timeline, begin, end))
                end = begin
        return tuple(reversed(stretches))


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
