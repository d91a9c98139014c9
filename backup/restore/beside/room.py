"""Whether a cluster can be restored beside the live one, and the two ways of restoring in words. Pure; sizes are bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from backup.restore.planning.plan import RefusedError
from backup.units import human_bytes

Mode = Literal["beside", "in place"]

RESERVE_BYTES: Final = 64_000_000
"""What the live database is left to write while another one is restored on its disk: four segments of WAL."""

WAL_BYTES: Final = 96_000_000
"""What recovery keeps of WAL beside the files of the backup, at the least."""


@dataclass(frozen=True)
class Room:
    """The restored cluster takes `needed_bytes`, the volume has `free_bytes`; None when that cannot be told."""

    needed_bytes: int
    free_bytes: int | None

    @property
    def is_enough(self) -> bool:
        """Tell whether both clusters fit, with a reserve for the live one."""
        return self.free_bytes is None or self.needed_bytes + RESERVE_BYTES <= self.free_bytes

    @property
    def free(self) -> str:
        """What is free, in words."""
        return "an unknown space" if self.free_bytes is None else human_bytes(self.free_bytes)


def room(database_bytes: int, free_bytes: int | None) -> Room:
    """Return what restoring a database of this size beside the live one takes."""
    return Room(database_bytes + database_bytes // 20 + WAL_BYTES, free_bytes)


def require(found: Room) -> None:
    """Do nothing when there is room. Raises RefusedError otherwise."""
    if not found.is_enough:
        raise RefusedError(
            f"the database's volume has {found.free} free; a second cluster beside the live one takes "
            f"{human_bytes(found.needed_bytes + RESERVE_BYTES)}",
            "free some space (`make restore-cleanup` removes what earlier restores have kept), or give IN_PLACE=yes: "
            "it overwrites the old database, which cannot be undone",
        )


def describe(mode: Mode, found: Room, keep_days: int) -> tuple[tuple[str, str], ...]:
    """Return how the restore is done, in words, as (name, text) pairs."""
    if mode == "in place":
        return (
            ("how", "IN PLACE: the database is stopped first and its files are overwritten; this cannot be undone"),
            ("is kept", "the old pg_wal, and every backup in the repository"),
        )
    return (
        (
            "how",
            "beside: the database goes on while another one is restored and proven; then they are swapped, in seconds",
        ),
        ("space", f"{human_bytes(found.needed_bytes)} of the {found.free} that are free"),
        ("is kept", f"the old database for {keep_days} days (`make restore-undo` brings it back), and every backup"),
    )


def is_endangered(free_bytes: int) -> bool:
    """Tell whether so little is free that a restore beside must end, before the live database cannot write any more."""
    return free_bytes < RESERVE_BYTES // 2
