"""Whether a backup fits: what it will probably take, judged by the backups before it. Pure; sizes are bytes.

The last good backup of the same type is the measure, a fifth more for growth. A first full backup of a repository has no
measure, since nobody knows how well these data compress. A differential or incremental backup may take a thousandth of
the one before, so only a full one is refused for a size; even that only when less than half of the measure is free.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from backup.pgbackrest import Info
from contract.supervisor import BackupType

GROWTH: Final = 1.2
SURELY: Final = 0.5
LEAST_FREE_BYTES: Final = 1_000_000
"""Below this not even the smallest backup and its last WAL segment fit."""

Fit = Literal["fits", "tight", "too small"]


@dataclass(frozen=True)
class Room:
    """The verdict, and the probable size if there is a measure."""

    fit: Fit
    free_bytes: int
    probable_bytes: int | None


def room(kind: BackupType, info: Info, repo: int, database_bytes: int, free_bytes: int) -> Room:
    """Judge whether a backup of this type fits into a repository with so much free space."""
    probable = probable_bytes(kind, info, repo, database_bytes)
    least = probable * SURELY / GROWTH if probable is not None and kind == "full" else 0.0
    if free_bytes < max(least, LEAST_FREE_BYTES):
        return Room("too small", free_bytes, probable)
    return Room("tight" if probable is not None and free_bytes < probable else "fits", free_bytes, probable)


def probable_bytes(kind: BackupType, info: Info, repo: int, database_bytes: int) -> int | None:
    """Return what a backup will take in the repository, or None without a measure.

    A full one takes what its predecessor took for each byte of the database; `database_bytes` is its size now.
    """
    last = next((b for b in reversed(info.good(repo)) if b.kind == kind), None)
    if last is None:
        return None
    if kind != "full" or last.database_bytes <= 0:
        return round(last.repository_bytes * GROWTH)
    return round(last.repository_bytes / last.database_bytes * database_bytes * GROWTH)
