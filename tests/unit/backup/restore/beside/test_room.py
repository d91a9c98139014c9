"""A second cluster beside the live one: only where both fit, and the live one can go on."""

from __future__ import annotations

import pytest

from backup.restore.beside import room
from backup.restore.planning.plan import RefusedError

GIGABYTE = 1_000_000_000


@pytest.mark.parametrize(("free", "fits"), [(3 * GIGABYTE, True), (1 * GIGABYTE, False), (0, False)])
def test_both_must_fit(free: int, fits: bool) -> None:
    found = room.room(GIGABYTE, free)
    assert found.is_enough is fits
    if fits:
        room.require(found)
        return
    with pytest.raises(RefusedError) as refused:
        room.require(found)
    assert "IN_PLACE=yes" in refused.value.hint
    assert "1.2 GB" in refused.value.message


def test_a_reserve_is_left_to_the_live_database() -> None:
    needed = room.room(GIGABYTE, 0).needed_bytes
    assert not room.room(GIGABYTE, needed).is_enough
    assert room.room(GIGABYTE, needed + room.RESERVE_BYTES).is_enough


def test_the_way_is_told() -> None:
    found = room.room(GIGABYTE, 3 * GIGABYTE)
    assert "cannot be undone" in dict(room.describe("in place", found, 7))["how"]
    beside = dict(room.describe("beside", found, 3))
    assert "3 days" in beside["is kept"]
    assert beside["space"] == "1.1 GB of the 3.0 GB that are free"
