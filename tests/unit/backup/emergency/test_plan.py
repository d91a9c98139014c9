"""The plan of a WAL emergency: what it says, when it refuses, and that it names the better way first."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from backup.emergency import plan
from backup.emergency.dumps import Room
from backup.emergency.plan import RefusedError, Situation, Standing
from backup.watch.readings import Volume
from contract.exits import Exit
from tests.unit.backup.fakes import NOON, make_wal

DEAD = Standing(1, "[HostConnectError] unable to connect", None)
GOOD = Standing(2, "", "000000010000000000000019")
NEWEST = "00000001000000000000001A"


def local(moment: datetime) -> str:
    return f"{moment:%H:%M} local"


def situation(*repositories: Standing, **wal: Any) -> Situation:
    failing = {
        "ready_segments": 20,
        "oldest_ready_seconds": 3600.0,
        "last_failed_wal": "000000010000000000000006",
        "last_failed_at": NOON,
    }
    volume = Volume("data", (), 400_000_000, 4_000_000_000)
    return Situation(make_wal(**failing | wal), volume, 1.5, repositories or (DEAD,), NEWEST)


def told(found: Situation, dump: Room | None = None) -> str:
    return "\n".join(f"{name}: {text}" for name, text in plan.describe(found, dump, local))


def test_it_says_what_is_lost_freed_and_left() -> None:
    text = told(situation(), Room(True, "fits: so and so"))
    assert "why: repository 1 cannot be reached: [HostConnectError] unable to connect" in text
    assert "is lost: every moment after 11:59 local (WAL segment 000000010000000000000005), until" in text
    assert "is freed: about 335.5 MB of WAL in 20 segments" in text
    assert "free space: 400.0 MB now, about 735.5 MB after it" in text
    assert "without it: the disk is full in 1 h 30 min at the present rate" in text
    assert "local dump: fits: so and so" in text
    assert "`make wal-resume`: a full backup at once" in text
    assert "BETTER" not in text


def test_without_any_archived_segment_it_names_the_last_backup() -> None:
    assert "every moment after the last backup" in told(situation(last_archived_wal=None, last_archived_at=None))


def test_a_reachable_repository_does_not_explain_why() -> None:
    assert "why: archiving fails: the latest attempt was 000000010000000000000006" in told(situation(Standing(1, "", None)))


def test_the_better_way_comes_first() -> None:
    first = plan.describe(situation(DEAD, GOOD), None, local)[0]
    assert first[0] == "BETTER"
    assert "repository 2 receives all WAL; it waits for repository 1 only" in first[1]
    assert "PGBACKREST_REPO1_…" in first[1]


def test_it_takes_an_override_to_lose_what_another_repository_has() -> None:
    with pytest.raises(RefusedError) as refused:
        plan.require(situation(DEAD, GOOD), override=False)
    assert refused.value.exit_code == Exit.EMERGENCY
    assert "OVERRIDE=yes" in refused.value.hint
    plan.require(situation(DEAD, GOOD), override=True)


@pytest.mark.parametrize(
    "archived", [None, "000000010000000000000017", "00000002000000000000001A", "0000000200000000.history"]
)
def test_a_repository_that_lags_behind_is_no_better_way(archived: str | None) -> None:
    plan.require(situation(DEAD, Standing(2, "", archived)), override=False)


@pytest.mark.parametrize("archived", ["000000010000000000000018", NEWEST, "00000001000000000000001B"])
def test_a_repository_that_has_all_but_the_last_segments_is_current(archived: str) -> None:
    assert situation(DEAD, Standing(2, "", archived)).current == (2,)


@pytest.mark.parametrize(
    ("wal", "words"),
    [
        ({"ready_segments": 0, "oldest_ready_seconds": None}, "archiving works; nothing waits"),
        ({"in_recovery": True}, "the database is in recovery"),
        ({"archive_mode": "off"}, "archiving is off"),
    ],
)
def test_it_is_refused_where_it_would_not_help(wal: dict[str, Any], words: str) -> None:
    with pytest.raises(RefusedError, match=words):
        plan.require(situation(**wal), override=True)


def test_wal_that_is_on_its_way_is_not_given_up() -> None:
    working = {"last_failed_at": NOON - timedelta(hours=2)}
    for repositories in ([Standing(1, "", None)], [GOOD]):
        with pytest.raises(RefusedError, match="archiving works; 20 segments wait and are on their way"):
            plan.require(situation(*repositories, **working), override=True)
    with pytest.raises(RefusedError, match="archiving works"):
        plan.require(situation(GOOD), override=True)  # the only one has everything: the last failure is over


def test_after_a_crash_a_dead_repository_is_evidence_enough() -> None:
    """The server has forgotten all its attempts."""
    forgotten = {"failed_count": 0, "last_failed_wal": None, "last_failed_at": None}
    plan.require(situation(**forgotten), override=False)
