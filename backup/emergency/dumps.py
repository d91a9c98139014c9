"""Whether a dump of the database fits beside it, and whether what was written is one. Pure; sizes are bytes.

A dump holds no indexes and is compressed, and nobody knows how well before it is made: half of the database is asked for
on another disk, all of it on the database's own, where a wrong guess would be the disaster that the dump is for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from backup.units import human_bytes

SHARE_ELSEWHERE: Final = 0.5
RESERVE_BYTES: Final = 64_000_000
SMALLEST_BYTES: Final = 8_000_000
"""What an empty database takes on the disk; a dump of it takes next to nothing."""

_TABLE: Final = re.compile(r"^\d+; \d+ \d+ TABLE (?!DATA |ATTACH )", re.MULTILINE)


@dataclass(frozen=True)
class Target:
    """Where a dump would go: the directory as the operator calls it, what is free, and its device number."""

    directory: str
    free_bytes: int
    device: int = 0


@dataclass(frozen=True)
class Room:
    """Whether it fits, and that in words."""

    fits: bool
    words: str


def room(target: Target, database_bytes: int, database_device: int) -> Room:
    """Judge whether a dump fits; `database_device` is that of the database's volume."""
    beside = target.device == database_device
    data = max(0, database_bytes - SMALLEST_BYTES)
    needed = round(data * (1.0 if beside else SHARE_ELSEWHERE)) + RESERVE_BYTES
    where = (
        f"{target.directory}{', on the disk of the database,' if beside else ''} has {human_bytes(target.free_bytes)} free"
    )
    size = f"of a database of {human_bytes(database_bytes)}"
    if target.free_bytes < needed:
        return Room(False, f"does not fit: a dump {size} may need {human_bytes(needed)}; {where}; DIR=… names another disk")
    return Room(True, f"fits: a dump {size} may need {human_bytes(needed)}; {where}")


def tables_listed(listing: str) -> int:
    """Return how many tables the output of `pg_restore --list` names, partitioned ones included."""
    return len(_TABLE.findall(listing))
