"""A restore in place and tablespaces: what it must not go over is refused before anything stops."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backup.pgbackrest import UnreadableAnswerError
from backup.process import Captured
from backup.restore import tablespaces
from backup.restore.planning.refusal import RefusedError
from backup.restore.swap import journal_file
from backup.restore.swap.journal import Journal, Kept
from backup.taking import evidence
from tests.unit.backup.fakes import FakePgbackrest, World, make_backup

BACKUP = make_backup("20260301-020000F")
KEPT = "previous-20260304-120000"


def link(world: World, cluster: str, oid: str) -> None:
    place = world.volumes.database / f"tablespaces-of-{cluster}" / oid
    place.mkdir(parents=True)
    links: Path = world.volumes.database / cluster / "pg_tblspc"
    links.mkdir(parents=True, exist_ok=True)
    (links / oid).symlink_to(place)


def details(*oids: int) -> bytes:
    named = [{"destination": "/x", "name": "fast", "oid": oid} for oid in oids]
    backup = {"label": BACKUP.label, "tablespace": named}
    return json.dumps([{"name": "salespider", "backup": [backup]}]).encode()


def in_backup(engine: FakePgbackrest, *oids: int) -> None:
    engine.captured = {f"--set={BACKUP.label}": Captured(0, details(*oids), "")}


def test_without_tablespaces_nothing_is_asked(world: World, engine: FakePgbackrest) -> None:
    tablespaces.require_restorable(world.deployment, BACKUP)
    assert engine.ran == []


def test_those_that_the_backup_has_are_restored(world: World, engine: FakePgbackrest) -> None:
    link(world, "data", "16400")
    in_backup(engine, 16400, 16500)
    tablespaces.require_restorable(world.deployment, BACKUP)


def test_one_that_was_made_after_the_backup_is_refused(world: World, engine: FakePgbackrest) -> None:
    link(world, "data", "16400")
    link(world, "data", "16500")
    in_backup(engine, 16400)
    with pytest.raises(RefusedError) as refused:
        tablespaces.require_restorable(world.deployment, BACKUP)
    assert f"tablespace 16500 was made after backup {BACKUP.label}" in refused.value.message
    assert "restore without IN_PLACE=yes" in refused.value.hint


def test_those_of_a_kept_cluster_are_not_gone_over(world: World) -> None:
    journal_file.save(world.volumes.database, Journal().keeping(Kept(KEPT, 1.0, "latest")))
    link(world, KEPT, "16400")
    with pytest.raises(RefusedError, match="which an earlier restore has kept"):
        tablespaces.require_restorable(world.deployment, BACKUP)


@pytest.mark.parametrize(("stdout", "oids"), [(details(), set()), (details(16400), {"16400"}), (b"[]", set())])
def test_the_details_of_a_backup_name_its_tablespaces(stdout: bytes, oids: set[str]) -> None:
    assert evidence.tablespaces(stdout) == oids


def test_an_answer_that_is_none_is_no_absence(world: World, engine: FakePgbackrest) -> None:
    link(world, "data", "16400")
    engine.captured = {f"--set={BACKUP.label}": Captured(0, b"?", "")}
    with pytest.raises(UnreadableAnswerError):
        tablespaces.require_restorable(world.deployment, BACKUP)
