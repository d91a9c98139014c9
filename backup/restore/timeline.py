"""Timelines: which backups lie on the branch that recovery will follow. Pure.

A promotion starts a new timeline and writes a history file: one line for each timeline it descends from, with the LSN
at which that one was left. PostgreSQL follows the newest timeline it finds in the archive, so a backup that was taken on
an abandoned branch, after the fork, cannot be used: recovery would refuse.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from backup.pgbackrest import UnreadableAnswerError


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


FIRST = Branch(1, {})
"""The branch of a cluster that was never promoted; it has no history file."""


def parse_lsn(text: str) -> int:
    """Turn an LSN such as "16/B374D848" into a number."""
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def timeline_of(segment: str) -> int:
    """Return the timeline of a WAL segment or history file by its name."""
    return int(segment[:8], 16)


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


def parse_listing(stdout: bytes) -> tuple[str, ...]:
    """Return the file names in the JSON of `repo-ls`. Raises UnreadableAnswerError."""
    try:
        entries = json.loads(stdout)
    except json.JSONDecodeError as error:
        raise UnreadableAnswerError(f"pgbackrest repo-ls printed broken JSON: {error}") from error
    return tuple(sorted(name for name, entry in entries.items() if entry.get("type") == "file"))
