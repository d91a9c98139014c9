"""Archives of several repositories: one that cannot be read is left out and named, and never passed over in silence."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from backup import process
from backup.ledger.timelines import FIRST, Branch
from backup.restore.planning import choosing
from backup.restore.planning.plan import Plan, RefusedError, Wanted
from backup.taking import jobs
from contract.exits import Exit
from tests.unit.backup.fakes import UNBROKEN, FakePgbackrest, World, archive_json, make_backup, make_config, make_info

EARLY = make_backup("20260301-020000F")
LATE = make_backup("20260303-020000F", repo=2, lsn_start="0/9000028", lsn_stop="0/9000100")
DENIED = process.Captured(53, b"", "ERROR: [053]: unable to list file info for path '/var/lib/pgbackrest2/archive'\n")
HISTORY = process.Captured(0, b"1\t0/6000000\tno reason\n", "")
WHY = "the archive cannot be listed (path-open): unable to list file info for path '/var/lib/pgbackrest2/archive'"

Type = Callable[..., tuple[int, str, str]]
Answers = dict[tuple[str, ...], process.Captured]


@pytest.fixture
def answers(world: World, engine: FakePgbackrest, monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Two repositories with a backup each; what is put in here is the answer to a command that has all the words."""
    world.reconfigure(make_config(repositories=2))
    world.postgres.down = "it is not running"
    engine.info = make_info(EARLY, LATE)
    given: Answers = {}

    def capture(argv: tuple[str, ...], timeout_seconds: float) -> process.Captured:
        answer = next((answer for words, answer in given.items() if set(words) <= set(argv)), None)
        return answer or engine.capture(argv, timeout_seconds)

    monkeypatch.setattr(process, "capture", capture)
    return given


def planned(world: World, engine: FakePgbackrest, wanted: Wanted) -> Plan:
    return choosing.planned(world.deployment, wanted, engine.info)[0]


def two_timelines(answers: Answers, repo: int) -> None:
    answers["--recurse", f"--repo={repo}"] = process.Captured(0, archive_json(*UNBROKEN, "00000002.history"), "")


def test_with_every_listing_read_nothing_is_warned_of(world: World, engine: FakePgbackrest, answers: Answers) -> None:
    made = planned(world, engine, Wanted("latest"))
    assert (made.backup, made.repositories, made.warnings) == (LATE, (2, 1), ())


def test_an_unreadable_listing_is_left_out_and_said(world: World, engine: FakePgbackrest, answers: Answers) -> None:
    answers["--recurse", "--repo=2"] = DENIED
    made = planned(world, engine, Wanted("latest"))
    assert (made.backup, made.repositories) == (EARLY, (1,))
    assert made.window is not None
    assert made.window.repositories == (1,)
    lack = "if only it holds later WAL or a newer timeline, this is NOT the latest state"
    assert made.warnings == (f"repository 2 is left out, it cannot be read: {WHY}; {lack}",)


def test_a_running_database_has_the_latest_state_itself(world: World, engine: FakePgbackrest, answers: Answers) -> None:
    world.postgres.down = ""
    answers["--recurse", "--repo=2"] = DENIED
    (warning,) = planned(world, engine, Wanted("latest")).warnings
    assert warning.endswith("; what only it holds is not in the windows")


def test_a_repository_that_says_nothing_at_all_is_warned_of_alike(
    world: World, engine: FakePgbackrest, answers: Answers
) -> None:
    answers["info", "--repo=2"] = process.Captured(99, b"", "ERROR: [049]: no route")
    (warning,) = choosing.planned(world.deployment, Wanted("latest"), jobs.read_info(world.deployment))[0].warnings
    assert warning.startswith("repository 2 is left out, it cannot be read: ")
    assert warning.endswith("this is NOT the latest state")


def test_the_plan_shows_the_warning_to_people_and_programs(
    command: Type, world: World, engine: FakePgbackrest, answers: Answers
) -> None:
    answers["--recurse", "--repo=2"] = DENIED
    code, out, _ = command("restore", "plan")
    assert code == Exit.OK
    assert f"  WARNING     repository 2 is left out, it cannot be read: {WHY}" in out
    (read,) = [line for line in out.splitlines() if line.startswith("  read ")]
    assert read.endswith("repository 1 reaches back to 2026-03-01 02:00:00 UTC; repository 2 CANNOT BE READ")
    found = json.loads(command("restore", "plan", "--output=json")[1])
    assert (found["repositories"], len(found["warnings"])) == ([1], 1)


@pytest.mark.parametrize("broken", [DENIED, process.Captured(0, b"no JSON", ""), process.Captured(-9, b"", "")])
def test_only_when_none_can_be_listed_it_fails(
    world: World, engine: FakePgbackrest, answers: Answers, broken: process.Captured
) -> None:
    answers["--recurse", "--repo=2"] = broken
    assert planned(world, engine, Wanted("latest")).backup == EARLY
    answers["--recurse", "--repo=1"] = broken
    with pytest.raises(jobs.RepositoryError):
        planned(world, engine, Wanted("latest"))


def test_the_one_that_is_named_must_be_listed(world: World, engine: FakePgbackrest, answers: Answers) -> None:
    answers["--recurse", "--repo=2"] = DENIED
    with pytest.raises(jobs.RepositoryError, match=r"the archive cannot be listed \(path-open\)"):
        planned(world, engine, Wanted("latest", repo=2))
    made = planned(world, engine, Wanted("latest", repo=1))
    assert (made.repositories, made.warnings) == ((1,), ())


def test_a_backup_set_of_an_unreadable_archive_is_refused_by_name(
    world: World, engine: FakePgbackrest, answers: Answers
) -> None:
    answers["--recurse", "--repo=2"] = DENIED
    with pytest.raises(RefusedError) as refused:
        planned(world, engine, Wanted("backup", label=LATE.label))
    assert refused.value.message == f"restore refused: backup {LATE.label} lies in repository 2, and there {WHY}"
    assert refused.value.hint == f"the nearest one elsewhere is {EARLY.label}, in repository 1"
    assert planned(world, engine, Wanted("backup", label=EARLY.label)).repositories == (1,)


def test_when_only_the_unreadable_one_has_backups_nothing_older_is_made_up(
    world: World, engine: FakePgbackrest, answers: Answers
) -> None:
    engine.info = make_info(LATE)
    answers["--recurse", "--repo=2"] = DENIED
    with pytest.raises(RefusedError) as refused:
        planned(world, engine, Wanted("latest"))
    assert refused.value.message == f"restore refused: all usable backups lie in repository 2, and there {WHY}"


def test_a_refusal_says_where_the_missing_may_be(world: World, engine: FakePgbackrest, answers: Answers) -> None:
    answers["--recurse", "--repo=2"] = DENIED
    holed = tuple(name for name in UNBROKEN if not name.endswith("06"))
    answers["--recurse", "--repo=1"] = process.Captured(0, archive_json(*holed), "")
    for wanted in (Wanted("latest"), Wanted("pitr", kind="lsn", value="0/20000000"), Wanted("latest", timeline=7)):
        with pytest.raises(RefusedError) as refused:
            planned(world, engine, wanted)
        assert refused.value.hint.endswith(f"; repository 2, which cannot be read, may hold what is missing: {WHY}")


# --- histories --------------------------------------------------------------------------------------------------------


def test_a_history_is_read_wherever_it_can_be(world: World, engine: FakePgbackrest, answers: Answers) -> None:
    two_timelines(answers, 1)
    two_timelines(answers, 2)
    answers["repo-get", "--repo=1"] = HISTORY
    answers["repo-get", "--repo=2"] = process.Captured(42, b"", "")
    made = planned(world, engine, Wanted("latest"))
    assert (made.timeline, made.backup, made.repositories) == (2, EARLY, (1,)), "archive-get would fail in repository 2"
    assert "the archive's history of timeline 2 cannot be read (file-read)" in made.warnings[0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (process.Captured(105, b"", ""), "cannot be read (access)"),
        (process.Captured(0, b"", ""), "is damaged"),
        (process.Captured(0, b"\x00\xff\x13garbage", ""), "is damaged"),
        (process.Captured(0, b"1\tnowhere\tno reason\n", ""), "is damaged"),
    ],
)
def test_a_newer_timeline_that_cannot_be_followed_is_never_silent(
    world: World, engine: FakePgbackrest, answers: Answers, content: process.Captured, said: str
) -> None:
    two_timelines(answers, 2)
    answers["repo-get", "--repo=2"] = content
    made = planned(world, engine, Wanted("latest"))
    assert (made.timeline, made.backup, made.repositories) == (FIRST.timeline, EARLY, (1,))
    assert f"the archive's history of timeline 2 {said}" in made.warnings[0]
    assert made.warnings[0].endswith("this is NOT the latest state")
    with pytest.raises(jobs.RepositoryError, match="timeline 2"):
        planned(world, engine, Wanted("latest", repo=2))


def test_of_one_archive_a_damaged_history_is_an_error(world: World, engine: FakePgbackrest, answers: Answers) -> None:
    two_timelines(answers, 1)
    two_timelines(answers, 2)
    answers["repo-get", "00000002.history"] = process.Captured(0, b"", "")
    answers["repo-get",] = process.Captured(0, b"", "")
    with pytest.raises(jobs.RepositoryError, match="the archive's history of timeline 2 is damaged"):
        planned(world, engine, Wanted("latest"))


def test_a_history_that_can_be_read_is_followed(world: World, engine: FakePgbackrest, answers: Answers) -> None:
    two_timelines(answers, 1)
    answers["repo-get", "--repo=1"] = HISTORY
    _, known = choosing.planned(world.deployment, Wanted("latest"), engine.info)
    assert (known.branch, [window.repositories for window in known.windows]) == (Branch(2, {1: 0x6000000}), [(1, 2)])
