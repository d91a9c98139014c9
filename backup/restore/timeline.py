"""The timelines of an archive as a restore asks for them; what a branch is, the ledger says. Pure."""

from __future__ import annotations

from backup.ledger import archive
from backup.ledger.timelines import FIRST, Branch, newest, parse_history
from backup.ledger.wal import parse_lsn, timeline_of

__all__ = ["FIRST", "Branch", "newest", "parse_history", "parse_listing", "parse_lsn", "timeline_of"]


def parse_listing(stdout: bytes) -> tuple[str, ...]:
    """Return the file names in the JSON of `repo-ls`. Raises UnreadableAnswerError."""
    return tuple(sorted(archive.listing(stdout)))
