"""Letting go: shown before it happens, refused where it would cost the last good backup or the wrong cluster runs."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from backup import process
from backup.keeping import retention
from backup.ownership import identity
from backup.pgbackrest import Backup
from contract.exits import Exit
from tests.unit.backup.fakes import NOON, FakePgbackrest, Reply, World, make_backup, make_info

OLD, NEW = make_backup("20260301-020000F"), make_backup("20260303-020000F")
DAMAGED = make_backup("20260303-020000F", has_errors=True)

Type = Callable[..., tuple[int, str, str]]


def removing(*labels: str, code: int = 0) -> process.Captured:
    lines = [f"P00   INFO: [DRY-RUN] repo1: remove expired backup {label}" for label in labels]
    lines += [f"P00   INFO: [DRY-RUN] repo1: 17-1 remove archive, start = {1:024X}, stop = {3:024X}" for _ in labels[:1]]
    return process.Captured(code, "\n".join(lines).encode(), "")


def expire(world: World, *backups: Backup) -> retention.Expired:
    return retention.expire(world.deployment, 1, make_info(*backups), print)


def alarms(world: World) -> list[str]:
    return [raised.alarm.key for raised in world.deployment.teller.alarms.raised()]


def test_what_retention_no_longer_keeps_is_removed(world: World, engine: FakePgbackrest) -> None:
    engine.captured = {"expire": removing(OLD.label)}
    engine.script(Reply())
    assert expire(world, OLD, NEW) == retention.Expired(1, "done", (OLD.label,))
    dry, real = engine.ran
    assert dry == ("pgbackrest", "--stanza=salespider", "--repo=1", "--dry-run", "--log-level-console=info", "expire")
    assert real == ("pgbackrest", "--stanza=salespider", "--repo=1", "--log-level-console=info", "expire")


def test_the_last_good_backup_is_kept_with_an_alarm_that_ends(world: World, engine: FakePgbackrest) -> None:
    engine.captured = {"expire": removing(OLD.label)}
    ended = expire(world, OLD, DAMAGED)
    assert (ended.state, ended.removed) == ("refused", ())
    assert "the last full backup without errors, 20260301-020000F, would go" in ended.message
    assert len(engine.ran) == 1, "only the dry run"
    assert alarms(world) == ["retention:1"]
    engine.script(Reply())
    assert expire(world, OLD, NEW).state == "done"
    assert alarms(world) == []


def test_beside_another_cluster_nothing_is_removed(world: World, engine: FakePgbackrest) -> None:
    """Pgbackrest's own expire asks no database."""
    engine.captured = {"expire": removing(OLD.label)}
    world.postgres.system_id = 1
    ended = expire(world, OLD, NEW)
    assert ended.state == "refused"
    assert ended.message.startswith("repository 1: nothing is expired, because the running database is another cluster")
    assert len(engine.ran) == 1
    assert alarms(world) == ["identity", "retention:1"]


@pytest.mark.parametrize("answer", [removing(code=50), process.Captured(0, b"P00 INFO: repo1: remove expired thing", "")])
def test_a_dry_run_that_fails_or_is_not_understood_removes_nothing(
    world: World, engine: FakePgbackrest, answer: process.Captured
) -> None:
    engine.captured = {"expire": answer}
    assert expire(world, OLD, NEW).state == "failed"
    assert len(engine.ran) == 1
    assert alarms(world) == ["retention:1"]


def test_a_database_that_cannot_be_asked_is_no_permission(world: World, engine: FakePgbackrest) -> None:
    engine.captured = {"expire": removing(OLD.label)}
    world.postgres.down = "the database system is shutting down"
    assert expire(world, OLD, NEW).state == "failed"
    assert engine.ran == []


def test_a_failed_expire_is_an_alarm(world: World, engine: FakePgbackrest) -> None:
    engine.captured = {"expire": removing(OLD.label)}
    engine.script(Reply(39, ("P00  ERROR: [039]: HTTP request failed with 403",)))
    ended = expire(world, OLD, NEW)
    assert (ended.state, ended.removed) == ("failed", ())
    assert ended.message == (
        "repository 1: old backups could not be removed: pgbackrest exit code 39 (protocol): "
        "[039]: HTTP request failed with 403"
    )
    assert alarms(world) == ["retention:1"]


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_shows_what_goes_and_the_window_that_remains(
    command: Type,
    world: World,
    engine: FakePgbackrest,
) -> None:
    engine.info, engine.captured = make_info(OLD, NEW), {"expire": removing(OLD.label)}
    world.postgres.archived_at = NOON
    code, out, _ = command("retention")
    assert code == Exit.OK
    assert out.splitlines() == [
        "Repository 1 keeps 7 full backups; 3 differential backups; WAL back to the oldest full backup",
        "  window         2026-03-01 02:00:00 UTC … 2026-03-04 12:00:00 UTC (continuity not checked)",
        "  next expire    removes 1 backup: 20260301-020000F",
        "                 and WAL of 17-1: 000000000000000000000001 … 000000000000000000000003",
        "  window after   2026-03-03 02:00:00 UTC … 2026-03-04 12:00:00 UTC (continuity not checked)",
    ]
    assert all("--dry-run" in argv for argv in engine.ran if "expire" in argv)


def test_the_command_says_it_in_json(
    command: Type,
    world: World,
    engine: FakePgbackrest,
) -> None:
    engine.info, engine.captured = make_info(OLD, DAMAGED), {"expire": removing(OLD.label)}
    world.postgres.down = "no such file"
    code, out, _ = command("retention", "--output=json")
    assert code == Exit.OK
    (found,) = json.loads(out)
    assert found["removes_backups"] == [OLD.label]
    assert found["removes_wal"] == [{"archive": "17-1", "first": f"{1:024X}", "last": f"{3:024X}"}]
    assert found["window"] == {"earliest": "2026-03-01T02:00:00+00:00", "latest": "2026-03-01T02:00:00+00:00"}
    assert found["window_after"] is None
    assert "20260301-020000F" in found["refused"]


def test_the_command_is_exit_code_14_when_the_repository_cannot_be_asked(
    command: Type,
    engine: FakePgbackrest,
) -> None:
    engine.info, engine.captured = make_info(OLD), {"expire": removing(code=50)}
    code, _, err = command("retention")
    assert code == Exit.REPOSITORY
    assert err.startswith("repository 1: it cannot be told what would expire: pgbackrest exit code 50 (lock-acquire)")


def test_the_memory_outlives_it(world: World, engine: FakePgbackrest) -> None:
    engine.captured = {"expire": removing()}
    engine.script(Reply())
    expire(world, OLD)
    assert identity.remembered(world.deployment) is None, "expire proves nothing, so it remembers nobody"
