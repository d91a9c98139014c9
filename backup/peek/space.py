"""How much of the database's volume a peek may take: never so much that the live database notices. Pure; sizes are bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from backup.restore.beside.room import RESERVE_BYTES, Room
from backup.units import human_bytes

SHARE: Final = 0.05
MOST_BYTES: Final = 2_000_000_000
VALVE_MARGIN: Final = 0.02


@dataclass(frozen=True)
class Volume:
    """The volume as it is; `valve_percent` is the free space below which the supervisor gives up WAL, if it may."""

    total_bytes: int
    free_bytes: int
    valve_percent: int | None = None

    @property
    def reserve_bytes(self) -> int:
        """What must stay free: a twentieth, 2 GB at most; more where WAL is given up below some free space."""
        least = max(RESERVE_BYTES, min(round(self.total_bytes * SHARE), MOST_BYTES))
        if self.valve_percent is None:
            return least
        return max(least, round(self.total_bytes * (self.valve_percent / 100 + VALVE_MARGIN)))


def lacking(room: Room, volume: Volume) -> str:
    """Return why a peek does not fit, or nothing when it does."""
    needed = room.needed_bytes + volume.reserve_bytes
    if needed <= volume.free_bytes:
        return ""
    return (
        f"the database's volume has {human_bytes(volume.free_bytes)} free, and a copy of the database takes "
        f"{human_bytes(room.needed_bytes)}, beside the {human_bytes(volume.reserve_bytes)} that are left to the live one"
    )


def described(room: Room, volume: Volume) -> str:
    """Return what it takes, in words."""
    return (
        f"{human_bytes(room.needed_bytes)} of the {human_bytes(volume.free_bytes)} that are free; "
        f"it ends by itself before less than {human_bytes(volume.reserve_bytes)} would be left for the live database"
    )
