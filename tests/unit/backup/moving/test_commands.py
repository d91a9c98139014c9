"""`repo-add` and `repo-retire` as they are typed: each look is at the true state, and nothing is done twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from backup.keeping import losses
from backup.pgbackrest import ArchiveRange, RepositoryStatus
from backup.process import Captured
from backup.state.history import Beginning
from backup.taking import evidence
from contract.exits import Exit
from tests.unit.backup.fakes import NOON, FakePgbackrest, Reply, World, make_backup, make_config, make_info

Type = Callable[..., tuple[int, str, str]]
OLD = make_backup("20260101-020000F")
FIRST_THERE = make_backup("20260304-110000F", repo=2)
BOTH = tuple(RepositoryStatus(key, "none", 0, "ok") for key in (1, 2))
BARE = (BOTH[0], RepositoryStatus(2, "none", 1, "missing stanza path"))
WHOLE = Reply(lines=("stanza: salespider", "status: ok"))


@pytest.fixture
def two(world: World, engine: FakePgbackrest) -> World:
    """Two repositories: the first with a backup of two months ago, the second new."""
    config = make_config(repositories=2)
    repositories = [
        each.model_copy(
            update={
                "window_seconds": 28 * 86_400,
                "variables": (f"PGBACKREST_REPO{each.key}_TYPE", f"PGBACKREST_REPO{each.key}_PATH"),
            }
        )
        for each in config.repositories
    ]
    world.reconfigure(config.model_copy(update={"repositories": tuple(repositories)}))
    engine.info = make_info(OLD, repositories=BARE)
    losses.remember(world.deployment, engine.info)
    return world


def backs_up(engine: FakePgbackrest) -> Reply:
    def change() -> None:
        engine.info = make_info(OLD, FIRST_THERE)

    return Reply(does=change)


def creates(engine: FakePgbackrest) -> Reply:
    def change() -> None:
        engine.info = make_info(OLD, repositories=BOTH)

    return Reply(does=change)


# --- repo-add ---------------------------------------------------------------------------------------------------------


def test_a_new_repository_gets_its_stanza_its_first_backup_and_a_verification(
    two: World, engine: FakePgbackrest, command: Type
) -> None:
    engine.script(creates(engine), backs_up(engine), Reply(), WHOLE)
    code, out, _ = command("repo-add", "2")
    assert code == Exit.OK, out
    assert [verb for verb in engine.verbs if verb in {"stanza-create", "backup", "verify"}] == [
        "stanza-create",
        "backup",
        "verify",
    ]
    assert "it alone gives what is promised from 2026-04-01 11:00:00 UTC on" in out
    assert "HINT: keep repository 1 until then" in out
    assert "recovery kit" in out


def test_typed_again_it_does_nothing_again(two: World, engine: FakePgbackrest, command: Type) -> None:
    engine.script(creates(engine), backs_up(engine), Reply(), WHOLE)
    command("repo-add", "2")
    engine.ran.clear()
    code, out, _ = command("repo-add", "2")
    assert code == Exit.OK, out
    assert set(engine.verbs) == {"info"}


def test_a_backup_that_is_not_whole_is_not_taken_for_one(two: World, engine: FakePgbackrest, command: Type) -> None:
    engine.info = make_info(OLD, FIRST_THERE)
    engine.script(Reply(lines=("status: error", "checksum invalid: 1")), WHOLE)
    code, _, err = command("repo-add", "2")
    assert (code, "does not find backup 20260304-110000F whole" in err) == (Exit.REPOSITORY, True)
    assert command("repo-add", "2")[0] == Exit.OK, "it is verified anew"


def test_one_that_is_not_configured_is_said_with_the_way_to_it(two: World, command: Type) -> None:
    code, _, err = command("repo-add", "3")
    assert code == Exit.CONFIGURATION
    assert "repository 3 is not configured (there is 1, 2)" in err
    assert "PGBACKREST_REPO3_TYPE" in err


def test_one_that_does_not_answer_is_not_written_to(two: World, engine: FakePgbackrest, command: Type) -> None:
    engine.info_files = {"--repo=2": Captured(49, b"", "ERROR: [049]: unable to get address for 'b.example'")}
    code, _, err = command("repo-add", "2")
    assert (code, "repository 2" in err) == (Exit.REPOSITORY, True)
    assert engine.ran == []


def test_the_same_place_under_two_names_is_refused(two: World, engine: FakePgbackrest, command: Type) -> None:
    engine.info = make_info(OLD, replace(OLD, repo=2))
    code, _, err = command("repo-add", "2")
    assert code == Exit.REPOSITORY
    assert "it is the same place under two names" in err
    assert "backup" not in engine.verbs


def test_it_waits_for_a_backup_that_the_supervisor_is_taking(two: World, engine: FakePgbackrest, command: Type) -> None:
    """Then the first one is there, and no second one is taken."""
    engine.info = make_info(OLD, FIRST_THERE)
    engine.script(WHOLE)
    assert command("repo-add", "2")[0] == Exit.OK
    assert "backup" not in engine.verbs


def test_a_loss_is_crossed_out_only_when_the_operator_says_so(two: World, engine: FakePgbackrest, command: Type) -> None:
    engine.info = make_info(FIRST_THERE, repositories=(replace(BARE[1], key=1), BOTH[1]))
    losses.remember(two.deployment, engine.info)
    engine.info = make_info(make_backup("20260304-113000F"), FIRST_THERE)
    losses.remember(two.deployment, engine.info)
    losses.judge(two.deployment)
    engine.script(WHOLE)
    code, out, _ = command("repo-add", "1")
    assert (code, "to end the alarm: `make repo-add REPO=1 CONFIRM=yes`" in out) == (Exit.OK, True)
    assert [raised.alarm.key for raised in two.deployment.teller.alarms.raised()] == ["repository:1"]
    assert command("repo-add", "1", "--i-know")[0] == Exit.OK
    assert two.deployment.teller.alarms.raised() == ()


@pytest.mark.parametrize(
    ("lines", "whole"),
    [
        (("stanza: x", "status: ok"), True),
        (("stanza: x", "status: error"), False),
        (("status: ok", "status: error"), False),
        ((), False),
        (("stanza: x",), False),
    ],
)
def test_verify_ends_with_0_whatever_it_finds(lines: tuple[str, ...], whole: bool) -> None:
    assert evidence.is_verified(lines) is whole


# --- repo-retire ------------------------------------------------------------------------------------------------------


def test_the_plan_names_what_remains_and_the_lines_to_take_out(two: World, engine: FakePgbackrest, command: Type) -> None:
    engine.info = make_info(OLD, make_backup("20260110-020000F", repo=2))
    code, out, _ = command("repo-retire", "1")
    assert code == Exit.OK, out
    assert "given by repository 2" in out
    assert [line.strip() for line in out.splitlines() if "PGBACKREST_" in line] == [
        "PGBACKREST_REPO1_TYPE",
        "PGBACKREST_REPO1_PATH",
    ]
    assert "the database restarts once" in out
    assert "sudo rm -r /var/lib/pgbackrest1/archive /var/lib/pgbackrest1/backup" in out
    assert set(engine.verbs) == {"info"}, "nothing is changed"


def test_less_than_is_promised_takes_a_confirmation(two: World, engine: FakePgbackrest, command: Type) -> None:
    engine.info = make_info(OLD, FIRST_THERE)
    code, out, err = command("repo-retire", "1")
    assert code == Exit.NOT_CONFIRMED
    assert "not confirmed" in err
    assert "take these lines" not in out
    code, out, _ = command("repo-retire", "1", "--i-know")
    assert code == Exit.OK
    assert "take these lines" in out


def test_the_only_good_one_is_not_retired_whatever_is_said(two: World, engine: FakePgbackrest, command: Type) -> None:
    engine.info = make_info(OLD, repositories=BOTH)
    code, out, err = command("repo-retire", "1", "--i-know")
    assert code == Exit.CHECK_FAILED
    assert "REFUSED       repository 2 holds no good full backup" in out
    assert "must not be retired now" in err
    assert "take these lines" not in out


def test_nor_one_into_which_a_backup_runs(two: World, engine: FakePgbackrest, command: Type) -> None:
    engine.info = make_info(OLD, make_backup("20260110-020000F", repo=2))
    two.deployment.history.begin(Beginning("backup", "full", 1, "schedule", "due"), NOON)
    assert command("repo-retire", "1", "--i-know")[0] == Exit.CHECK_FAILED


def test_a_dead_one_is_retired_by_what_is_known_of_it(two: World, engine: FakePgbackrest, command: Type) -> None:
    gone = RepositoryStatus(1, "none", 99, "[HostConnectError] timeout")
    other = make_backup("20260110-020000F", repo=2)
    engine.info = make_info(other, repositories=(gone, BOTH[1]), archive=(_archive(2),))
    code, out, _ = command("repo-retire", "1")
    assert code == Exit.OK, out
    assert "cannot be read now; it held backups when it was last seen" in out


def _archive(repo: int) -> ArchiveRange:
    return ArchiveRange(repo, "17-1", "000000010000000000000001", "000000010000000000000005")


def test_without_a_database_the_plan_can_be_made(two: World, engine: FakePgbackrest, command: Type) -> None:
    two.postgres.down = "connection refused"
    engine.info = make_info(OLD, make_backup("20260110-020000F", repo=2))
    assert command("repo-retire", "1")[0] == Exit.OK


def test_one_that_was_retired_is_done_with(two: World, command: Type) -> None:
    code, _, err = command("repo-retire", "4")
    assert code == Exit.CONFIGURATION
    assert "One that was retired is done with" in err
