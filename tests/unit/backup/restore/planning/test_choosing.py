"""`restore plan` and `restore-point`: typed, answered, and nothing changed."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from backup import process
from backup.ledger.timelines import FIRST, Branch
from backup.restore.planning import knowledge
from backup.restore.planning.plan import RefusedError, Wanted
from backup.restore.planning.window import Known
from backup.state.history import Beginning, Ending
from backup.state.points import Points
from backup.taking import jobs
from contract.exits import Exit
from tests.unit.backup.fakes import (
    SYSTEM_ID,
    UNBROKEN,
    FakePgbackrest,
    World,
    archive_json,
    make_backup,
    make_info,
    runs_of,
    wal_segment,
)

FULL = make_backup("20260301-020000F")
LATE = make_backup("20260303-020000F", lsn_start="0/9000028", lsn_stop="0/9000100")
Type = Callable[..., tuple[int, str, str]]


def dump(*lines: str) -> bytes:
    return "\n".join(lines).encode()


def ended(xid: int, lsn: str, at: str, how: str = "COMMIT") -> str:
    return (
        f"rmgr: Transaction len (rec/tot):     34/    34, tx: {xid:>10}, lsn: {lsn}, prev 0/05000110, desc: {how} {at} UTC"
    )


COMMIT = dump(ended(746, "0/20000148", "2026-03-04 11:59:59.500000"))


def without(*numbers: int) -> tuple[str, ...]:
    return tuple(name for name in UNBROKEN if int(name[16:], 16) not in numbers)


def gathered(world: World, engine: FakePgbackrest, wanted: Wanted) -> Known:
    return knowledge.gather(world.deployment, wanted, engine.info, settled=True)


# --- the plan ---------------------------------------------------------------------------------------------------------


def test_the_plan_of_the_latest_state_is_shown_and_nothing_else_done(
    command: Type, world: World, engine: FakePgbackrest
) -> None:
    engine.info = make_info(FULL)
    code, out, err = command("restore", "plan")
    assert (code, err) == (Exit.OK, "")
    lines = out.splitlines()
    assert lines[0].startswith("  restore to  the latest state: ")
    assert any(line.startswith("  space       127.5 MB of the ") for line in lines)
    assert "  replay      at most 520.1 MB of WAL" in lines
    assert "  time        unknown: no restore of a known size has been done here yet" in lines
    assert lines[-1] == "nothing was changed"
    assert world.postgres.switches == 0
    assert runs_of(world.deployment.history) == []
    assert engine.verbs == ["info", "repo-ls"]


def test_the_time_is_judged_by_earlier_restores(command: Type, world: World, engine: FakePgbackrest) -> None:
    small = make_backup("20260228-020000F", database_bytes=10_000_000, lsn_start="0/1000028", lsn_stop="0/1000100")
    engine.info, history = make_info(small, FULL), world.deployment.history
    run = history.begin(Beginning("restore", "latest", 1, "manual", ""), world.clock())
    world.clock.advance(seconds=20)
    history.end(run, Ending("succeeded", 0, small.label, ""), world.clock())
    _, out, _ = command("restore", "plan")
    assert "  time        about 1 min 0 s, by the last restore here" in out.splitlines()


def test_the_plan_for_programs(command: Type, engine: FakePgbackrest) -> None:
    engine.info, engine.wal_dump = make_info(FULL, LATE), COMMIT
    code, out, _ = command("restore", "plan", "2026-03-04 11:00", "--output=json")
    assert code == Exit.OK
    found = json.loads(out)
    assert found["target"] == {"type": "time", "time": "2026-03-04T11:00:00+00:00", "value": None, "exclusive": False}
    assert found["backup"]["label"] == LATE.label
    assert found["windows"][0]["backups"] == [FULL.label, LATE.label]
    assert (found["possible"], found["repositories"], found["timeline"]) == (True, [1], 1)


def test_a_refusal_is_for_programs_as_well(command: Type, engine: FakePgbackrest) -> None:
    engine.info, engine.wal_dump, engine.archive = make_info(FULL), COMMIT, without(6)
    code, out, err = command("restore", "plan", "--output=json")
    assert code == Exit.RESTORE_REFUSED
    found = json.loads(out)
    assert found["possible"] is False
    assert found["refused"].startswith(
        "restore refused: the archive lacks WAL segment 000000010000000000000006, so the latest"
    )
    assert found["hint"] in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("2026-03-04 11:00", "--set", FULL.label), "both a target and a backup set are given"),
        (("tomorrow",), "TARGET is not a time: 'tomorrow'"),
        (("x/y", "--type=lsn"), "TARGET is not an LSN: 'x/y'"),
        (("--timeline=4",), "there is no timeline 4 in the archive"),
        (("--repo=2",), "there is no repository 2"),
        (("--set", "20200101-000000F"), "there is no backup set '20200101-000000F'"),
    ],
)
def test_what_cannot_be_planned_is_refused(
    command: Type, engine: FakePgbackrest, words: tuple[str, ...], message: str
) -> None:
    engine.info = make_info(FULL)
    code, _, err = command("restore", "plan", *words)
    assert code == Exit.RESTORE_REFUSED
    assert err.startswith(f"restore refused: {message}")


# --- what is known ----------------------------------------------------------------------------------------------------


def history_file(engine: FakePgbackrest, name: str, text: bytes, repo_archive: str = "17-1") -> None:
    engine.captured[f"archive/salespider/{repo_archive}/{name}"] = process.Captured(0, text, "")


def test_the_newest_timeline_of_the_archive_is_followed(world: World, engine: FakePgbackrest) -> None:
    engine.info = make_info(FULL)
    assert gathered(world, engine, Wanted("latest")).branch == FIRST
    engine.archive = (*UNBROKEN, "00000002.history", "00000003.history")
    history_file(engine, "00000003.history", b"1\t0/6000000\tno reason\n\n2\t0/A000000\tno reason\n")
    history_file(engine, "00000002.history", b"1\t0/6000000\tno reason\n")
    assert gathered(world, engine, Wanted("latest")).branch == Branch(3, {1: 0x6000000, 2: 0xA000000})
    assert gathered(world, engine, Wanted("latest", timeline=2)).branch == Branch(2, {1: 0x6000000})
    assert gathered(world, engine, Wanted("latest", timeline=1)).branch == FIRST
    assert gathered(world, engine, Wanted("backup", label=FULL.label)).branch == FIRST
    with pytest.raises(RefusedError) as refused:
        gathered(world, engine, Wanted("latest", timeline=9))
    assert refused.value.hint == "there is 1, 2, 3: TIMELINE=1"


@pytest.mark.parametrize("failing", ["repo-ls", "repo-get"])
def test_an_archive_that_cannot_be_read_is_an_error_and_not_an_empty_one(
    world: World, engine: FakePgbackrest, failing: str
) -> None:
    engine.info, engine.archive = make_info(FULL), (*UNBROKEN, "00000002.history")
    engine.captured[failing] = process.Captured(49, b"", "no route")
    with pytest.raises(jobs.RepositoryError) as error:
        gathered(world, engine, Wanted("latest"))
    assert error.value.message.endswith("(host-connect)")
    assert error.value.hint == "the repository's host cannot be reached: check name and network"


def test_wal_that_waits_on_the_disk_fills_the_archive_for_the_latest_state(world: World, engine: FakePgbackrest) -> None:
    engine.info, engine.archive = make_info(FULL), without(6)
    wal = world.volumes.pgdata / "pg_wal"
    wal.mkdir(parents=True)
    missing = "000000010000000000000006"
    assert gathered(world, engine, Wanted("latest")).latest[-1].interval.end == 6 << 24
    (wal / missing).write_bytes(wal_segment(missing))
    known = gathered(world, engine, Wanted("latest"))
    assert (known.latest[-1].interval.end, known.holes) == (33 << 24, ())
    moment = gathered(world, engine, Wanted("pitr", at=world.clock()))
    assert (moment.windows[-1].interval.end, moment.at_hand) == (6 << 24, frozenset({missing}))


def test_wal_of_another_cluster_on_the_disk_fills_nothing(world: World, engine: FakePgbackrest) -> None:
    engine.info, engine.archive = make_info(FULL), without(6)
    wal, missing = world.volumes.pgdata / "pg_wal", "000000010000000000000006"
    wal.mkdir(parents=True)
    (wal / missing).write_bytes(wal_segment(missing, system_id=1))
    known = gathered(world, engine, Wanted("latest"))
    assert (known.latest[-1].interval.end, known.at_hand) == (6 << 24, frozenset())


def test_an_earlier_cluster_is_known_by_its_own_archive(world: World, engine: FakePgbackrest) -> None:
    earlier = make_backup("20260201-020000F", system_id=1, cluster_id=1)
    present = make_backup("20260301-020000F", system_id=SYSTEM_ID, cluster_id=2)
    engine.info = make_info(earlier, present, system_ids=(1, SYSTEM_ID))
    gathered(world, engine, Wanted("latest"))
    assert engine.ran[-1][-1] == "archive/salespider/17-2"
    known = gathered(world, engine, Wanted("backup", label=earlier.label))
    assert engine.ran[-1][-1] == "archive/salespider/17-1"
    assert known.info.backups == (earlier,)


def test_a_transaction_is_looked_for_from_the_end_and_the_backup_before_it_taken(
    command: Type, world: World, engine: FakePgbackrest
) -> None:
    engine.info = make_info(FULL, LATE)
    world.postgres.archive_mode = "off"  # nothing comes any more
    engine.wal_dump = dump(
        ended(745, "0/8000000", "2026-03-02 11:00:00.0"), ended(746, "0/8000148", "2026-03-02 12:00:00.5")
    )
    _, out, _ = command("restore", "plan", "746", "--type=xid")
    assert "  note        transaction 746 was committed at 2026-03-02 12:00:00 UTC" in out.splitlines()
    assert f"full backup {FULL.label}" in out
    code, _, err = command("restore", "plan", "747", "--type=xid")
    assert code == Exit.RESTORE_REFUSED
    assert "transaction 747 is not in the archive (the last 31 segments were searched)" in err


# --- named points -----------------------------------------------------------------------------------------------------


def test_a_point_is_made_remembered_listed_and_planned_for(command: Type, world: World, engine: FakePgbackrest) -> None:
    engine.info = make_info(FULL, LATE)
    code, out, _ = command("restore-point", "before-release")
    assert code == Exit.OK
    assert out.splitlines()[-1] == "Back to it: make restore-pitr TARGET_TYPE=name TARGET=before-release"
    point = Points(world.deployment.store).find("before-release", SYSTEM_ID)
    assert point is not None
    assert (point.lsn, point.timeline) == (0x5000148, 1)
    assert command("restore-point", "--list")[1] == "before-release  2026-03-04 12:00:00 UTC  timeline 1  0/5000148\n"
    _, out, _ = command("restore", "plan", "before-release", "--type=name")
    assert f"full backup {FULL.label}" in out
    assert "  point       before-release, made at 2026-03-04 12:00:00 UTC: TARGET_TYPE=name TARGET=before-release" in out


@pytest.mark.parametrize("name", ["", "-x", "it's", "two words", "x" * 64, "ümlaut"])
def test_a_name_that_would_be_trouble_is_refused(command: Type, world: World, name: str) -> None:
    code, _, err = command("restore-point", "--", name)
    assert code == Exit.USAGE
    assert err.startswith("not a name for a restore point: ")
    assert Points(world.deployment.store).all() == ()


def test_a_name_is_taken_once(command: Type) -> None:
    assert command("restore-point", "twice")[0] == Exit.OK
    code, _, err = command("restore-point", "twice")
    assert code == Exit.USAGE
    assert err.startswith("there is a restore point 'twice' already\nHINT: it was made at 2026-03-04 12:00:00 UTC")


def test_without_a_name_the_points_are_shown_and_a_name_asked_for(command: Type) -> None:
    assert command("restore-point")[0] == Exit.USAGE


def test_a_listing_of_nothing_is_an_archive_of_nothing(world: World, engine: FakePgbackrest) -> None:
    engine.info = make_info(FULL)
    engine.captured["--recurse"] = process.Captured(0, archive_json(), "")
    known = gathered(world, engine, Wanted("latest"))
    assert (known.latest, [hole.cuts for hole in known.holes]) == ((), [(FULL,)])


@pytest.mark.parametrize(("on_disk", "stands_in"), [(SYSTEM_ID, False), (1, True)])
def test_without_the_cluster_on_the_disk_a_control_file_stands_in(
    world: World, engine: FakePgbackrest, on_disk: int, stands_in: bool
) -> None:
    engine.info, engine.control_system_id, engine.wal_dump = make_info(FULL), on_disk, COMMIT
    gathered(world, engine, Wanted("pitr", at=world.clock()))
    gets = [argv for argv in engine.ran if "archive-get" in argv]
    assert gets
    assert [any(word.startswith("--pg1-path=") for word in argv) for argv in gets] == [stands_in] * len(gets)
