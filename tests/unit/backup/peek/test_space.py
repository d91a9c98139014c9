"""What a peek leaves to the live database."""

from __future__ import annotations

import pytest

from backup.peek.space import Volume, described, lacking
from backup.restore.beside.room import RESERVE_BYTES, room

GB = 1_000_000_000


@pytest.mark.parametrize(
    ("volume", "reserve"),
    [
        (Volume(400_000_000, 0), RESERVE_BYTES),
        (Volume(20 * GB, 0), 1 * GB),
        (Volume(1000 * GB, 0), 2 * GB),
        (Volume(1000 * GB, 0, valve_percent=5), 70 * GB),
        (Volume(20 * GB, 0, valve_percent=1), 1 * GB),
    ],
    ids=["small", "a-twentieth", "huge", "above-the-valve", "valve-below-a-twentieth"],
)
def test_the_reserve_is_a_twentieth_and_above_what_gives_up_wal(volume: Volume, reserve: int) -> None:
    assert volume.reserve_bytes == reserve


def test_it_fits_to_the_last_byte() -> None:
    needed = room(1 * GB, 0).needed_bytes
    volume = Volume(20 * GB, needed + 1 * GB)
    assert lacking(room(1 * GB, volume.free_bytes), volume) == ""
    short = Volume(20 * GB, needed + 1 * GB - 1)
    assert lacking(room(1 * GB, short.free_bytes), short) == (
        "the database's volume has 2.1 GB free, and a copy of the database takes 1.1 GB, beside the 1.0 GB that are left to "
        "the live one"
    )


def test_the_plan_names_need_and_limit() -> None:
    volume = Volume(20 * GB, 10 * GB)
    assert described(room(1 * GB, volume.free_bytes), volume) == (
        "1.1 GB of the 10.0 GB that are free; it ends by itself before less than 1.0 GB would be left for the live database"
    )
